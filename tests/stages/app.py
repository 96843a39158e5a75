"""An application with no framework's marks: python3 app.py PORT. Several stages link to it.

As an authoriser it answers /auth/*; everything else is the application.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out in one piece: a proxy that covers the answer closes the connection at its
    # head, and a body that comes later may never be sent.
    wbufsize = 65536

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            # Proxies reset connections that they have no more use for.
            pass

    def answer(self):
        body = self.body()
        path = self.path.split("?")[0]
        status, kind, text = self.decide(path, body)
        if status is None:
            self.close_connection = True
            return
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", kind)
        text = text.encode()
        if path.startswith("/app/chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
            return
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = answer

    def body(self):
        self.wfile.flush()  # "100 Continue"
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body.decode(errors="replace")
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length).decode(errors="replace")

    def decide(self, path, body):
        """Status, content type and text; a status of None closes the connection."""
        header = self.headers.get
        no = lambda why: (403, "application/json", json.dumps({"error": why}))
        yes = (200, "application/json", '{"ok":true}')
        if path.startswith("/auth/silent"):
            return None, "", ""
        if path.startswith("/auth/broken"):
            return 500, "text/plain", "the session store is away\n"
        if path.startswith("/auth/"):
            token = header("Authorization")
            if token is None:
                return 401, "text/plain", "who are you?\n"
            return (200, "text/plain", "ok\n") if token == "Bearer t-1b9e77" else no("token")
        if path.startswith("/app/role") and header("X-Role") != "admin":
            return no("this account may not do that")
        if path.startswith("/app/owner") and header("Authorization") != "Bearer t-1b9e77":
            return no("order 17 belongs to another account")
        if path.startswith("/app/csrf") and "csrf_token=8c1f20aa" not in body:
            return 403, "text/html", "<h1>Forbidden</h1><p>CSRF token missing or incorrect.</p>\n"
        if path.startswith("/app/key"):
            key = header("X-API-Key")
            if key is None:
                return no("an API key is required")
            if key != "k-7f3a1c":
                return no("the API key is not valid")
        if path.startswith(("/app/chunked", "/app/refused")):
            return no("not allowed")
        if path.startswith("/app/page"):
            page = "<!doctype html><title>Forbidden</title><h1>This area is closed</h1>\n"
            return 403, "text/html", page
        if path.startswith("/app/empty"):
            return 403, "text/plain", ""
        if path.startswith("/app/slow"):
            time.sleep(0.3)
            return no("not allowed, after some thought")
        if path.startswith("/app/gone"):
            return 404, "application/json", '{"error":"no such order"}'
        if path.startswith("/app/broken"):
            return 500, "text/plain", "Traceback: the store is away\n"
        if path.startswith("/app/leak"):
            text = "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version\n"
            return 200, "text/html", text
        if path.startswith("/app/card"):
            return 200, "text/html", "<p>4012888888881881</p>\n"
        return yes

    def log_message(self, form, *values):
        print(self.client_address[1], self.command, self.path, form % values, flush=True)

    def log_request(self, code="-", size="-"):
        pass

    def send_response_only(self, code, message=None):
        print(self.client_address[1], self.command, self.path, int(code), flush=True)
        super().send_response_only(code, message)


ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
