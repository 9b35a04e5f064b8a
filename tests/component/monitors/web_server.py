"""A web server for tests: prints its port, serves until its standard input ends. With a certificate and key: HTTPS."""

import http.server
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body):
        status = {"/": 200, "/missing": 404, "/moved": 302, "/broken": 500, "/endless": 200}.get(self.path, 404)
        if self.path == "/silent":
            return threading.Event().wait()
        if self.path == "/get-only":
            status = 200 if body else 405
        if self.path == "/secret":
            status = 200 if self.headers.get("Authorization") == "Basic a2FnYW1pOnRvcCBzZWNyZXQ=" else 401
        if self.path == "/direct":
            status = 200 if self.headers.get("Host") else 400
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "/missing")
        endless = self.path == "/endless"
        self.send_header("Content-Length", str(1 << 40) if endless else "5")
        self.end_headers()
        try:
            while body:
                self.wfile.write(b"x" * 65536 if endless else b"hello")
                body = endless
        except OSError:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) == 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
