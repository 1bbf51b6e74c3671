"""The server of the page: for the browser of this machine alone, and for nobody without the address.

It listens on 127.0.0.1 only. Every address begins with a random token, and every request without it is
refused, because other users and programs of this machine can reach the port too. A request under another name
of the host is refused, because it comes from a page of somebody else whose name leads here. The page may load
nothing from elsewhere, and the browser is told to store nothing.

An image is named by the number of its row, so no path comes from a request.
"""

import hmac
import json
import logging
import re
import secrets
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from featurekit.errors import FeaturekitError, ManifestError, WorkspaceError
from featurekit.explore.marking import ChangedError, RowMark
from featurekit.report.html import part

HOST = "127.0.0.1"
_MOST_BYTES = 64 * 2**20  # of the marks that are sent
_MOST_THUMBNAILS = 5_000  # in memory, about 25 MB

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_JSON = "application/json"

_log = logging.getLogger(__name__)


class Shown(Protocol):
    """What the page shows."""

    @property
    def page(self) -> bytes:
        """All facts about the faces, as JSON."""

    def thumbnail(self, row: int) -> bytes | None:
        """Return the face of a row as a JPEG; None if it cannot be shown."""

    def neighbours(self, row: int) -> list[tuple[int, float]] | None:
        """Return the rows of the most similar faces with their similarities; None for another row."""

    def read_marks(self) -> tuple[str, list[RowMark]]:
        """Return the version of the file of the marks, and the marks."""

    def save_marks(self, version: str, marks: Sequence[Any]) -> tuple[str, int]:
        """Write marks; see MarksFile.save()."""


class Server(ThreadingHTTPServer):
    """Serves the page until it is stopped.

    Args:
        shown: what the page shows.
        port: port to listen on; 0 for any free one.

    Raises:
        WorkspaceError: the port is in use, or may not be used.
    """

    daemon_threads = True

    def __init__(self, shown: Shown, port: int = 0) -> None:
        self.shown, self.token = shown, secrets.token_urlsafe(24)
        self.thumbnail = lru_cache(_MOST_THUMBNAILS)(shown.thumbnail)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "it must be from 0 to 65535"
            raise WorkspaceError(
                f"Cannot listen on port {port}: {why}. Leave --port out for any free port."
            ) from error
        self.port = int(self.server_address[1])

    def server_bind(self) -> None:
        """Listen, without the look-up of the name of this machine that HTTPServer makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing if the browser has gone away, as it does when somebody scrolls on."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://{HOST}:{self.port}/{self.token}/"


class _RefusedError(Exception):
    """A request that gets no answer but the reason."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "featurekit", ""
    timeout = 60

    def do_GET(self) -> None:
        """Answer with the page, its data, or the image of a face."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Write the marks."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line would have the token, and what somebody has looked at."""

    def _answer(self, make: Callable[[str], tuple[str, bytes]]) -> None:
        status = HTTPStatus.OK
        try:
            kind, body = make(self._place())
        except _RefusedError as refused:
            status, kind, body = refused.status, "text/plain; charset=utf-8", f"{refused.why}\n".encode()
            self.close_connection = True  # what else was sent is not read
        except Exception:
            _log.exception("The page was not answered.")
            status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"An error was printed.\n"
            self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_HEADERS}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _place(self) -> str:
        """Return the part of the address after the token, or refuse the request."""
        hosts = [f"{host}:{self.server.port}" for host in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        if self.headers.get_all("Host") not in [[host] for host in hosts]:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "This is another host.")
        if origin is not None and origin not in (f"http://{host}" for host in hosts):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "This is another page.")
        token, slash, place = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()) or not slash:
            raise _RefusedError(
                HTTPStatus.FORBIDDEN, "The address lacks the token. Use the address that featurekit printed."
            )
        return place

    def _get(self, place: str) -> tuple[str, bytes]:
        shown = self.server.shown
        if place in _PARTS:
            return _PARTS[place](place)
        if place == "faces.json":
            return _JSON, shown.page
        if place == "marks.json":
            try:
                version, marks = shown.read_marks()
            except FeaturekitError as error:
                raise _RefusedError(HTTPStatus.CONFLICT, str(error)) from None
            return _JSON, json.dumps({"version": version, "marks": [one._asdict() for one in marks]}).encode()
        if named := re.fullmatch(r"face/(\d{1,9})\.jpg", place, re.ASCII):
            if jpeg := self.server.thumbnail(int(named[1])):
                return "image/jpeg", jpeg
        elif named := re.fullmatch(r"neighbours/(\d{1,9})\.json", place, re.ASCII):
            found = shown.neighbours(int(named[1]))
            if found is not None:
                return _JSON, json.dumps([[row, round(value, 6)] for row, value in found]).encode()
        raise _RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def _post(self, place: str) -> tuple[str, bytes]:
        if place != "marks.json":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here.")
        # A form of another page cannot send this type.
        if self.headers.get("Content-Type") != _JSON:
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Marks are JSON.")
        length = self.headers.get("Content-Length") or ""
        if not re.fullmatch(r"\d{1,9}", length, re.ASCII) or int(length) > _MOST_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "These are too many marks.")
        try:
            sent = json.loads(self.rfile.read(int(length)))
            version, marks = sent["version"], sent["marks"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "These are no marks.") from None
        if not isinstance(version, str) or not isinstance(marks, list):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "These are no marks.")
        try:
            version, n_marks = self.server.shown.save_marks(version, marks)
        except ChangedError as error:
            raise _RefusedError(HTTPStatus.CONFLICT, str(error)) from None
        except ManifestError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        except WorkspaceError as error:
            raise _RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
        return _JSON, json.dumps({"version": version, "marks": n_marks}).encode()


def _own(name: str) -> str:
    return files("featurekit.explore").joinpath(name).read_text(encoding="utf-8")


# The files of the page; the style begins as that of the report.
_PARTS: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "": lambda _: ("text/html; charset=utf-8", _own("page.html").encode()),
    "page.css": lambda _: ("text/css; charset=utf-8", (part("report.css") + _own("page.css")).encode()),
    **dict.fromkeys(
        ("page.js", "map.js", "marks.js", "parts.js"),
        lambda name: ("text/javascript; charset=utf-8", _own(name).encode()),
    ),
}
