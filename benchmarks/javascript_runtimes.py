"""How long TensorFlow.js takes for one image, in Node and in Chromium without a window."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sensenet.errors import SettingsError
from sensenet.formats.tfjs.runtime import FILE, find_runtime

PROGRAM = Path(__file__).with_name("tfjs_latency.js")
WASM = Path("@tensorflow") / "tfjs-backend-wasm" / "dist"
# the classes of this one can extend those of the runtime
WASM_FILE = "tf-backend-wasm.es2017.min.js"
SECONDS = 150
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)
PAGE = """<!doctype html><script src="/modules/{runtime}"></script>{backend}<script src="/program.js"></script><script>
(async () => {{
  if (window.tf.wasm) tf.wasm.setWasmPaths("/modules/{wasm}/");
  if (!(await tf.setBackend("{name}"))) throw new Error("the backend {name} cannot be used");
  const answers = [];
  for (const [i, request] of {requests}.entries()) {{
    const model = await tf.loadGraphModel(`/model${{i}}/model.json`);
    const bytes = new Uint8Array(await (await fetch(`/pixels${{i}}`)).arrayBuffer());
    answers.push(await latencyOrReason(tf, model, bytes, request));
  }}
  await fetch("/answers", {{ method: "POST", body: JSON.stringify(answers) }});
}})().catch((error) => fetch("/answers", {{ method: "POST", body: JSON.stringify(String(error)) }}));
</script>"""


def javascript_runtimes() -> dict[str, Any]:
    """The runtimes that are installed, by their names: functions of requests (see tfjs_latency.js).

    They give the milliseconds of each request, or a text that says why there are none.
    """
    try:
        modules = find_runtime().parents[len(FILE.parts) - 1]
    except SettingsError:
        return {}
    backend = "wasm" if (modules / WASM / WASM_FILE).is_file() else "cpu"
    found = {"Node": _in_node, "Chromium": _in_chromium}
    commands = {"Node": shutil.which("node"), "Chromium": shutil.which("chromium")}
    return {
        f"in {name}, {backend}": partial(run, command, modules, backend)
        for name, run in found.items()
        if (command := commands[name])
    }


def _in_node(
    command: str, modules: Path, backend: str, requests: Sequence[dict[str, Any]]
) -> list[float | str]:
    done = subprocess.run(
        [command, str(PROGRAM), str(modules), backend, json.dumps(requests)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _in_chromium(
    command: str, modules: Path, backend: str, requests: Sequence[dict[str, Any]]
) -> list[float | str]:
    script = f'<script src="/modules/{WASM / WASM_FILE}"></script>' if backend == "wasm" else ""
    page = PAGE.format(
        runtime=FILE, backend=script, wasm=WASM, name=backend, requests=json.dumps(list(requests))
    )
    answers: list[Any] = []
    places = {"modules": modules} | {f"model{i}": Path(one["model"]) for i, one in enumerate(requests)}
    texts = {"/": page.encode(), "/program.js": PROGRAM.read_bytes()}
    texts |= {f"/pixels{i}": Path(one["pixels"]).read_bytes() for i, one in enumerate(requests)}
    answered = threading.Event()
    with (
        _served(places, texts, answers, answered) as address,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        # a page that is opened for remote debugging stays open until it is ended
        options = [*FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        with subprocess.Popen(
            [command, *options, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as browser:
            try:
                answered.wait(SECONDS)
            finally:
                browser.terminate()
    if not answers or isinstance(answers[0], str):
        raise RuntimeError(answers[0] if answers else f"no answer within {SECONDS} s")
    return list(answers[0])


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, places: Any, texts: Any, answers: Any, answered: Any):
        self.places, self.texts, self.answers, self.answered = places, texts, answers, answered
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        first, _, rest = path.lstrip("/").partition("/")
        return str(self.places.get(first, Path("/nowhere")) / rest)

    def do_GET(self) -> None:
        if self.path not in self.texts:
            super().do_GET()
            return
        content = self.texts[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.answered.set()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _served(places: Any, texts: Any, answers: Any, answered: Any) -> Iterator[str]:
    handler = partial(_Handler, places=places, texts=texts, answers=answers, answered=answered)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
