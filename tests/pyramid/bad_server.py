"""A server of pictures on this machine that fails in the ways in which real ones do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Answers a path `/HOW/NAME` in the way `HOW`, with the picture of that name."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        _, how, name = self.path.split("/")
        server = self.server
        with server.lock:
            server.asked[self.path] += 1
            server.times.append((time.monotonic(), self.path))
            server.running += 1
            server.most_running = max(server.most_running, server.running)
            count = server.asked[self.path]
        try:
            ANSWERS[how](self, server.pictures[name], count)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with server.lock:
                server.running -= 1

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """What was asked, and what is answered.

    Attributes:
        pictures: their bytes by name.
        asked: how often each path was asked for.
        times: when, in order.
        most_running: how many were answered at once.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pictures: Mapping[str, bytes]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pictures = pictures
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []
        self.running = self.most_running = 0

    def url(self, how: str, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{how}/{name}"


def _slowly(handler: Handler, body: bytes, _count: int) -> None:
    time.sleep(0.05)
    handler.reply(200, body)


def _paused_once(handler: Handler, body: bytes, count: int) -> None:
    if count == 1:
        handler.reply(429, Retry_After="1")
    else:
        handler.reply(200, body)


def _cut(handler: Handler, body: bytes, _count: int = 0) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.close_connection = True


def _cut_once(handler: Handler, body: bytes, count: int) -> None:
    if count == 1:
        _cut(handler, body)
    else:
        handler.reply(200, body)


def _cut_without_length(handler: Handler, body: bytes, _count: int) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def _dripping(handler: Handler, body: bytes, _count: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for start in range(len(body)):
        handler.wfile.write(body[start : start + 1])
        handler.wfile.flush()
        time.sleep(0.02)


def _silent(_handler: Handler, _body: bytes, _count: int) -> None:
    time.sleep(2)


ANSWERS: Mapping[str, Answer] = {
    "good": lambda handler, body, _: handler.reply(200, body),
    "slow": _slowly,
    "gone": lambda handler, _, count: handler.reply(404, b"<html>no</html>"),
    "broken": lambda handler, _, count: handler.reply(500),
    "broken_once": lambda handler, body, count: handler.reply(
        500 if count == 1 else 200, body if count > 1 else b""
    ),
    "paused_once": _paused_once,
    "paused_long": lambda handler, _, count: handler.reply(503, Retry_After="86400"),
    "cut": _cut,
    "cut_once": _cut_once,
    "cut_without_length": _cut_without_length,
    "html": lambda handler, _, count: handler.reply(200, b"<html>not found</html>", Content_Type="text/html"),
    "empty": lambda handler, _, count: handler.reply(200),
    "nonsense": lambda handler, body, _: handler.reply(200, body[:3] + b"nonsense" * 20),
    "drip": _dripping,
    "silent": _silent,
    "moved": lambda handler, _, count: handler.reply(302, Location=handler.path.replace("moved", "good")),
    "moved_with_body": lambda handler, _, count: handler.reply(
        302,
        b"<html>",
        Location=handler.path.replace("moved_with_body", "good"),
        **{"Content-Length": "9" * 15},
    ),
    "to_file": lambda handler, _, count: handler.reply(302, Location="file:///etc/passwd"),
    "to_ftp": lambda handler, _, count: handler.reply(302, Location="ftp://127.0.0.1/a.jpg"),
    "to_half": lambda handler, _, count: handler.reply(302, Location="http://[::1/a.jpg"),
    "to_port": lambda handler, _, count: handler.reply(302, Location="http://127.0.0.1:99999/a.jpg"),
    "to_latin": lambda handler, _, count: handler.reply(302, Location="/good/\xe9.jpg"),
    "endless": lambda handler, body, _: handler.reply(200, body, **{"Content-Length": "9" * 5000}),
    "round": lambda handler, _, count: handler.reply(302, Location=handler.path),
}


@contextmanager
def serving(pictures: Mapping[str, bytes]) -> Iterator[Server]:
    """A server that runs in the body."""
    server = Server(pictures)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
