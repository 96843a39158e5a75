"""A small Flask application that refuses in the ways that small applications do."""

import sys
from collections import Counter

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
sent = Counter()


def refuse(**what):
    return jsonify(what), 403


@app.post("/pages/<name>")
def page(name):
    if request.cookies.get("session") != "editor-51c7":
        abort(403)
    return {"saved": name}


@app.post("/members")
def members():
    if request.headers.get("Authorization") != "Bearer admin-8e21":
        return refuse(error="forbidden", message="role admin required")
    return {"added": True}


@app.post("/orders")
def orders():
    key = request.headers.get("X-Api-Key")
    if key is None:
        return refuse(error="missing_api_key")
    if key != "live-70d1c4":
        return refuse(error="invalid_api_key")
    return {"ordered": True}


@app.post("/legacy/orders")
def legacy_orders():
    if "Authorization" not in request.headers:
        return refuse(status="error", reason="no credentials")
    return {"ordered": True}


@app.post("/office")
def office():
    seen = request.headers.get("X-Forwarded-For", request.remote_addr).split(",")[0].strip()
    if not seen.startswith("10.20."):
        return refuse(error=f"address {seen} is not on the list of allowed addresses")
    return {"welcome": seen}


@app.post("/login")
def login():
    who = request.form.get("user", "")
    sent[who] += 1
    if sent[who] > 3:
        answer, status = refuse(error="too many attempts, try again later")
        answer.headers["Retry-After"] = "60"
        return answer, status
    return {"welcome": who}


@app.post("/import")
def import_():
    if request.get_json(silent=True) is None:
        return refuse(error="the body is not valid JSON")
    return {"imported": True}


@app.post("/comments")
def comments():
    if not request.headers.get("Referer", "").startswith("http://blog.example/"):
        abort(403)
    return {"published": True}


@app.post("/feed")
def feed():
    if not request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return "Automated clients are not welcome here.\n", 403, {"Content-Type": "text/plain"}
    return {"taken": True}


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
