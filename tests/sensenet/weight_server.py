"""A local HTTP server of one file that can go wrong in the ways of real ones."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = Callable[["Handler", "WeightServer"], None]


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that give up or are killed are what the tests are about."""


class WeightServer:
    """Serves `content` under every path; `answers` are what goes wrong first, one a request.

    Attributes:
        has_ranges: whether the rest of a file can be asked for.
        ranges: the header `Range` of each request so far.
        sent: set when half of a stalled file was sent.
        go_on: stalled answers wait for it.
    """

    def __init__(self, content: bytes = b"", has_ranges: bool = True) -> None:
        self.content = content
        self.has_ranges = has_ranges
        self.answers: list[Answer] = []
        self.ranges: list[str | None] = []
        self.paths: list[str] = []
        self.sent, self.go_on = threading.Event(), threading.Event()
        outer = self

        class Bound(Handler):
            server_of_weights = outer

        self.http = QuietServer(("127.0.0.1", 0), Bound)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'

    def __enter__(self) -> Self:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()


class Handler(BaseHTTPRequestHandler):
    server_of_weights: WeightServer

    def do_GET(self) -> None:
        server = self.server_of_weights
        server.ranges.append(self.headers["Range"])
        server.paths.append(self.path)
        answer = server.answers.pop(0) if server.answers else whole
        self.close_connection = True
        answer(self, server)

    def log_message(self, *_: Any) -> None:
        pass


def head(handler: Handler, server: WeightServer, status: int, length: int, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(length))
    handler.send_header("ETag", server.tag)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.end_headers()


def whole(handler: Handler, server: WeightServer) -> None:
    """The file, or the part of it that was asked for."""
    cut(len(server.content))(handler, server)


def cut(end: int) -> Answer:
    """An answer that promises everything and ends before byte `end` of the file."""

    def answer(handler: Handler, server: WeightServer) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        size = len(server.content)
        start = int(asked[1]) if asked and server.has_ranges else 0
        if start >= size:
            head(handler, server, 416, 0, Content_Range=f"bytes */{size}")
        elif start and handler.headers["If-Range"] == server.tag:
            head(handler, server, 206, size - start, Content_Range=f"bytes {start}-{size - 1}/{size}")
            handler.wfile.write(server.content[start:end])
        else:
            head(handler, server, 200, size)
            handler.wfile.write(server.content[:end])

    return answer


def status(code: int) -> Answer:
    def answer(handler: Handler, server: WeightServer) -> None:
        handler.send_error(code)

    return answer


def body(content: bytes, claimed_bytes: int | None = None) -> Answer:
    """Another body, with a `Content-Length` that may be wrong."""

    def answer(handler: Handler, server: WeightServer) -> None:
        head(handler, server, 200, len(content) if claimed_bytes is None else claimed_bytes)
        handler.wfile.write(content)

    return answer


def hang(handler: Handler, server: WeightServer) -> None:
    """No answer until the test lets go."""
    server.go_on.wait(60)


def stall(handler: Handler, server: WeightServer) -> None:
    """Half of the file, and the rest when the test lets go."""
    half = len(server.content) // 2
    head(handler, server, 200, len(server.content))
    handler.wfile.write(server.content[:half])
    handler.wfile.flush()
    server.sent.set()
    server.go_on.wait(60)
    handler.wfile.write(server.content[half:])


def changed(content: bytes) -> Answer:
    """The file is replaced before the answer is given."""

    def answer(handler: Handler, server: WeightServer) -> None:
        server.content = content
        whole(handler, server)

    return answer


def other_part(handler: Handler, server: WeightServer) -> None:
    """A part of the file that nobody asked for."""
    size = len(server.content)
    head(handler, server, 206, size - 5, Content_Range=f"bytes 5-{size - 1}/{size}")
    handler.wfile.write(server.content[5:])
