"""Serves a page, and tells the browser that it is loaded only when what the address asks for is answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DRIVER = Path(__file__).with_name("drive_page.js")
ADDED = b'<script src="/drive_page.js" defer></script><img src="/held.png" alt="" hidden>'
SECONDS = 60


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments, done: threading.Event, **more):
        self.done = done
        super().__init__(*arguments, **more)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/":
            self.done.clear()
            page = Path(self.directory, "index.html").read_bytes()
            self.answer(page.replace(b"</body>", ADDED + b"</body>"), "text/html")
        elif path == "/drive_page.js":
            self.answer(DRIVER.read_bytes(), "text/javascript")
        elif path == "/held.png":  # the page is not loaded before its pictures
            self.done.wait(SECONDS)
            self.answer(b"", "image/png")
        elif path == "/done":
            self.done.set()
            self.answer(b"", "text/plain")
        else:
            super().do_GET()

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The address of the page in `directory`."""
    handler = partial(_Handler, directory=str(directory), done=threading.Event())
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
