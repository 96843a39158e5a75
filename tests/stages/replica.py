"""Gives a product's documented answers, or hands a request on as that product does.

    replica.py EDGES ROLE PORT

EDGES is a TOML file with a table for each role; all of these may be left out:

    rules   what it answers itself: the first one that fits the request.
            path (start of the target), method, header (start of one's line, in any case), without
            (name of a header that is not there), body (a part of it), after (how many fit before)
            say which requests; answer names a file: answers/NAME.http, sent byte by byte.
    next    the port of the server that gets everything else; without it the answer is a 200
    ask     header lines that it adds when it asks there
    add     header lines that it adds to what it hands on
    server  what it makes of the Server header of what it hands on; as it was without this
    lower   whether it writes the names of headers in lower case
    auth    the port of an authoriser that is asked before; a refusal of it is handed on,
    auth_method, auth_path   how it is asked: GET and the same target without these
    auth_add   the header lines that are added to its refusal
    auth_down  the answer where it cannot be asked

It writes a line for each request: the first line of it, and where its answer came from.
"""

import os
import socket
import sys
import threading
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
# Of one connection only, so never handed on.
OWN = ("connection", "keep-alive", "transfer-encoding", "content-length", "expect")


class Message:
    """A request or an answer with its whole body."""

    def __init__(self, start, headers, body):
        self.start, self.headers, self.body = start, headers, body

    @classmethod
    def read(cls, stream):
        start = stream.readline().decode("latin-1").rstrip("\r\n")
        if not start:
            return None
        headers = []
        while line := stream.readline().decode("latin-1").rstrip("\r\n"):
            headers.append(line)
        message = cls(start, headers, b"")
        if "chunked" in (message.get("Transfer-Encoding") or ""):
            while size := int(stream.readline().split(b";")[0], 16):
                message.body += stream.read(size)
                stream.readline()
            while stream.readline().rstrip(b"\r\n"):
                pass
        else:
            message.body = stream.read(int(message.get("Content-Length") or 0))
        return message

    def get(self, name):
        for line in self.headers:
            if line.lower().startswith(name.lower() + ":"):
                return line.split(":", 1)[1].strip()
        return None

    def write(self):
        head = "\r\n".join([self.start, *self.headers, f"Content-Length: {len(self.body)}"])
        return head.encode("latin-1") + b"\r\n\r\n" + self.body


class Edge:
    def __init__(self, table):
        self.table = table
        self.fitted = {}
        self.lock = threading.Lock()

    def answer(self, request):
        whence, answer = self.decide(request)
        print(f"{request.start}: answered by {whence}", flush=True)
        return answer

    def decide(self, request):
        for number, rule in enumerate(self.table.get("rules", [])):
            if self.fits(number, rule, request):
                return "itself", answer_file(rule["answer"])
        if (auth := self.table.get("auth")) and (refusal := self.ask_authoriser(auth, request)):
            return "the authoriser", refusal
        if "next" in self.table:
            return "the next hop", self.hand_on(request)
        ok = ["Content-Type: application/json"]
        return "nobody: all is well", Message("HTTP/1.1 200 OK", ok, b'{"ok":true}').write()

    def fits(self, number, rule, request):
        method, target, _ = request.start.split(" ", 2)
        lines = [line.lower() for line in request.headers]
        fits = (
            target.startswith(rule.get("path", "/"))
            and method == rule.get("method", method)
            and ("header" not in rule or any(l.startswith(rule["header"].lower()) for l in lines))
            and ("without" not in rule or request.get(rule["without"]) is None)
            and rule.get("body", "").encode() in request.body
        )
        if not fits:
            return False
        with self.lock:
            self.fitted[number] = self.fitted.get(number, 0) + 1
            return self.fitted[number] > rule.get("after", 0)

    def hand_on(self, request):
        kept = [line for line in request.headers if not of_own(line)]
        asked = Message(request.start, kept + self.table.get("ask", []), request.body)
        got = exchange(self.table["next"], asked)
        got.headers = [line for line in got.headers if not of_own(line)]
        if server := self.table.get("server"):
            got.headers = [l for l in got.headers if not l.lower().startswith("server:")]
            got.headers.insert(0, f"Server: {server}")
        return self.finish(got, self.table.get("add", []))

    def ask_authoriser(self, port, request):
        method, target, version = request.start.split(" ", 2)
        kept = [l for l in request.headers if not of_own(l) and not l.lower().startswith("content-")]
        asked = self.table.get("auth_method", "GET"), self.table.get("auth_path", target), version
        if asked[0] == "GET":
            kept += [f"X-Forwarded-Method: {method}", f"X-Forwarded-Uri: {target}"]
        try:
            got = exchange(port, Message(" ".join(asked), kept, b""))
        except OSError:
            return answer_file(self.table["auth_down"])
        if got.start.split()[1].startswith("2"):
            return None
        got.headers = [line for line in got.headers if not of_own(line)]
        return self.finish(got, self.table.get("auth_add", []))

    def finish(self, got, add):
        got.headers += add
        if self.table.get("lower"):
            got.headers = [f"{n.lower()}:{v}" for n, _, v in (l.partition(":") for l in got.headers)]
        return got.write()


def of_own(line):
    return line.split(":")[0].lower() in OWN


def answer_file(name):
    with open(f"{HERE}/answers/{name}.http", "rb") as file:
        return file.read()


def exchange(port, request):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(request.write())
        return Message.read(connection.makefile("rb"))


def serve(edge, connection):
    with connection, connection.makefile("rb") as stream:
        while request := Message.read(stream):
            connection.sendall(edge.answer(request))
            if (request.get("Connection") or "").lower() == "close":
                break


def main():
    _, edges, role, port = sys.argv
    with open(edges, "rb") as file:
        edge = Edge(tomllib.load(file).get(role, {}))
    with socket.create_server(("127.0.0.1", int(port)), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(edge, connection), daemon=True).start()


if __name__ == "__main__":
    main()
