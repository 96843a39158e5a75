"""A Tornado application with its check for forged requests switched on."""

import asyncio
import sys

from tornado.web import Application, HTTPError, RequestHandler


class Vote(RequestHandler):
    def post(self):
        self.write("counted\n")


class Close(RequestHandler):
    """Closes the ballot; only its owner may. Scripts call it, so it has a check of its own."""

    def check_xsrf_cookie(self):
        pass

    def post(self):
        if self.get_cookie("user") != "owner":
            raise HTTPError(403, reason="Not your ballot")
        self.write("closed\n")


async def main():
    Application([("/vote", Vote), ("/close", Close)], xsrf_cookies=True).listen(
        int(sys.argv[1]), "127.0.0.1"
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
