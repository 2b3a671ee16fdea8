"""Bundles from anywhere: none reads or writes a file, ends the process, hangs it or takes its memory."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import model_documents as documents
import psutil
import pytest
from hostile_bundles import ATTACKS, nothing, saving

import sensenet
from sensenet.formats.smbundle.container import pack, unpack

MAX_SECONDS = 30
MAX_GROWTH_BYTES = 500_000_000
SECRET = "Zq7-what-nobody-may-see"
# what is in the file but not taken over does no harm: these predict as the good bundle does
HARMLESS = {
    "a table in disguise",
    "gather saveables",
    "initialise a trackable",
    "list children",
    "deserialise",
    "restore a resource",
    "initialise",
    "an initialising signature",
    "an asset elsewhere",
    "a gradient function",
    "another machine's device",
}


class Reader:
    """The process that reads bundles."""

    def __init__(self) -> None:
        script = Path(__file__).parent / "bundle_reader.py"
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def read(self, path: Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        answer = self.answers.get(timeout=MAX_SECONDS)
        assert answer, "the process has ended"
        return json.loads(answer)

    @property
    def memory_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.smbundle"
    model = sensenet.create_model(documents.classifier(layers=[documents.dense(documents.COLUMNS, 3)]))
    path.write_bytes(pack(saving(nothing)(unpack(model.save_bundle(path)), path, path)))
    return path


@pytest.fixture(scope="module")
def reader(good: Path) -> Iterator[Reader]:
    one = Reader()
    assert "predicted" in one.read(good)
    yield one
    one.process.kill()
    one.process.wait()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_bundle_does_no_harm(name: str, reader: Reader, good: Path, tmp_path: Path) -> None:
    target, secret, path = tmp_path / "target", tmp_path / "secret", tmp_path / "evil.smbundle"
    secret.write_text(SECRET)
    path.write_bytes(pack(ATTACKS[name](unpack(good), target, secret)))
    before = reader.memory_bytes
    answer = reader.read(path)
    if name in HARMLESS:
        assert answer == reader.read(good)
    else:
        assert answer.get("error") == "ModelFormatError", answer
        assert len(answer["message"]) < 600
    assert not target.exists()
    assert SECRET not in json.dumps(answer)
    assert reader.memory_bytes < before + MAX_GROWTH_BYTES
