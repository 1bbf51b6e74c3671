"""A line to S3 that fails when a test wants it to, between the cloud's library and moto."""

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DENIED = (
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>"
    b"<Message>User AKIAHUNTER2 may not</Message><Secret>hunter2/secret</Secret></Error>"
)


class Line:
    """Hands requests on to a server, and their answers back.

    Args:
        server: address of the server.
        trouble: told the method and the path of a request; returns "denied", "cut" (the connection ends in
            the middle of the upload, and nothing is stored), "lost" (the request is done, and its answer
            never comes), "half" (half of the upload is stored), or "" to hand it on.
    """

    def __init__(self, server, trouble):
        self.requests = []
        line, to = self, urlsplit(server)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                line.requests.append((self.command, self.path, dict(self.headers)))
                what = trouble(self.command, self.path)
                if what == "cut":
                    self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
                    self._hang_up()
                    return
                body = self._body()
                if what == "denied":
                    self._answer(403, [("Content-Type", "application/xml")], DENIED)
                    return
                headers = dict(self.headers)
                if what == "half":
                    body = body[: len(body) // 2]
                    headers = {
                        k: v for k, v in headers.items() if "check" not in k.lower() and k != "Content-MD5"
                    }
                for name in ("Content-Length", "Transfer-Encoding", "Content-Encoding", "Expect"):
                    headers.pop(name, None)
                asked = http.client.HTTPConnection(to.hostname, to.port)
                asked.request(self.command, self.path, body, headers)
                answer = asked.getresponse()
                data = answer.read()
                asked.close()
                if what == "lost":
                    self._hang_up()
                    return
                self._answer(answer.status, answer.getheaders(), data)

            def _hang_up(self):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def _body(self):
                size = int(self.headers.get("Content-Length") or 0)
                if self.headers.get("Expect") == "100-continue":
                    self.send_response_only(100)
                    self.end_headers()
                data = self.rfile.read(size)
                return (
                    _without_chunks(data)
                    if "aws-chunked" in self.headers.get("Content-Encoding", "")
                    else data
                )

            def _answer(self, status, headers, data):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = dict(headers).get("Content-Length") or dict(headers).get("content-length")
                self.send_header(
                    "Content-Length", length if self.command == "HEAD" and length else str(len(data))
                )
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 — names of the library

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def _without_chunks(data):
    """Return the bytes of an upload in chunks, each of which begins with its size in hexadecimal."""
    whole = b""
    while data:
        head, _, rest = data.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        whole, data = whole + rest[:size], rest[size + 2 :]
    return whole
