# SPDX-License-Identifier: Apache-2.0
"""A registry that means harm, on loopback: registry-hostile.py LAYOUTS SEEN [CERTIFICATE KEY]

Serves the image of each OCI layout LAYOUTS/NAME at /HOW/v2/NAME/…, HOW being a row of the table at the end. Each request
goes to SEEN: "SERVER METHOD PATH AUTHORIZATION RANGE". Prints "registry on HOST:PORT.", "away on HOST:PORT.", to where some
redirects lead, and with a certificate "tls on HOST:PORT.".
"""
import http.server
import json
import re
import ssl
import sys
import threading

layouts, seen = sys.argv[1:3]
lock = threading.Lock()
asked = set()


def blob(name, digest):
    try:
        with open(f"{layouts}/{name}/blobs/sha256/{digest[7:]}", "rb") as f:
            return f.read()
    except OSError:
        return None


def manifest(name, reference):
    if not reference.startswith("sha256:"):
        with open(f"{layouts}/{name}/index.json", "rb") as f:
            reference = json.load(f)["manifests"][0]["digest"]
    return blob(name, reference)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = self.headers.get("Authorization", "-").replace(" ", "_")
        with lock, open(seen, "a") as f:
            f.write(f"{self.server.name} GET {self.path} {who} {self.headers.get('Range', '-')}\n")
        if self.path.startswith("/token"):
            self.answer(200, b'{"token": "t0ken"}')
            return
        how, name, kind, reference = re.match(r"/([a-z-]+)/v2/([a-z-]+)/(manifests|blobs)/(.*)", self.path).groups()
        body = blob(name, reference) if kind == "blobs" else manifest(name, reference)
        if body is None:
            self.answer(404, b"")
        elif self.server.name == "away":
            self.answer(200, body)
        else:
            HOW[how](self, kind, body)

    def first(self):
        """Is this the first time that this path is asked for?"""
        with lock:
            is_first = self.path not in asked
            asked.add(self.path)
        return is_first

    def answer(self, status, body, length=None, sent=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body if sent is None else body[:sent])
        self.wfile.flush()
        self.close_connection = True

    def go(self, where):
        self.answer(307, b"", Location=where)

    def log_message(self, *args):
        pass


def plain(self, kind, body):
    self.answer(200, body)


def only(kind, then):
    """What is done to blobs or manifests; the others are honest."""
    return lambda self, asked_for, body: (then if asked_for == kind else plain)(self, asked_for, body)


def loop(self, kind, body):
    self.go(self.path)


def chain(self, kind, body):
    """A little further each time."""
    self.go(self.path + "x")


def to_file(self, kind, body):
    self.go("file:///etc/passwd")


def to_http(self, kind, body):
    self.go(away.url + self.path)


def half(self, kind, body):
    self.answer(200, body, sent=len(body) // 2)


def cut(self, kind, body):
    """All that is said to come comes, and it is not all."""
    self.answer(200, body[: len(body) // 2])


def forged(self, kind, body):
    self.answer(200, body.replace(b'"schemaVersion"', b' "schemaVersion"'))


def html(self, kind, body):
    self.answer(200, b"<html>please log in</html>")


def other(self, kind, body):
    self.answer(200, json.dumps({"schemaVersion": 1, "name": "old"}).encode())


def again(self, kind, body):
    """Breaks off once, and does not know of ranges."""
    self.answer(200, body, sent=len(body) // 2 if self.first() else None)


def liar(self, kind, body):
    """Breaks off once; says that it goes on from there, and begins at the front."""
    if self.first():
        self.answer(200, body, sent=len(body) // 2)
    elif "Range" in self.headers:
        at = int(re.match(r"bytes=(\d+)-", self.headers["Range"]).group(1))
        self.answer(206, body[: len(body) - at], Content_Range=f"bytes {at}-{len(body) - 1}/{len(body)}")
    else:
        self.answer(200, body)


def more(self, kind, body):
    self.answer(200, body + b"more")


def less(self, kind, body):
    self.answer(200, body[:-5])


def long(self, kind, body):
    self.answer(200, body, length=len(body) + 1000)


def endless(self, kind, body):
    self.send_response(200)
    self.end_headers()
    self.close_connection = True
    try:
        while True:
            self.wfile.write(bytes(1 << 16))
    except OSError:
        pass


def bearer(self, kind, body):
    """Wants a token, and sends who has one elsewhere."""
    if self.headers.get("Authorization") != "Bearer t0ken":
        self.answer(401, b"", WWW_Authenticate=f'Bearer realm="{self.server.url}/token",service="test"')
    else:
        self.go(away.url + self.path)


def basic(self, kind, body):
    if self.headers.get("Authorization") is None:
        self.answer(401, b"", WWW_Authenticate='Basic realm="x"')
    else:
        self.go(away.url + self.path)


HOW = {
    "plain": plain,
    "loop": loop,
    "loop-blob": only("blobs", loop),
    "chain": chain,
    "file": to_file,
    "file-blob": only("blobs", to_file),
    "http": to_http,
    "http-blob": only("blobs", to_http),
    "half": half,
    "cut": cut,
    "forged": forged,
    "html": html,
    "other": other,
    "again": only("blobs", again),
    "liar": only("blobs", liar),
    "more-blob": only("blobs", more),
    "less-blob": only("blobs", less),
    "long-blob": only("blobs", long),
    "endless": endless,
    "endless-blob": only("blobs", endless),
    "bearer": bearer,
    "basic": basic,
}


def serve(name, certificate=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.name = name
    server.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


away = serve("away")
print(f"away on 127.0.0.1:{away.server_port}.", flush=True)
if len(sys.argv) > 3:
    print(f"tls on 127.0.0.1:{serve('tls', sys.argv[3:5]).server_port}.", flush=True)
print(f"registry on 127.0.0.1:{serve('registry').server_port}.", flush=True)
threading.Event().wait()
