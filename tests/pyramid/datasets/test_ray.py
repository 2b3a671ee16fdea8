"""`--ray`: three nodes, which are this machine, leave what one process leaves, also where one is lost at work."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from bad_server import ANSWERS, Server, serving
from open_images import picture
from worker_client import inherited_environment, wait_until

from pyramid.commands.dataset import main

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'pyramid[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OBJECT_STORE_BYTES = 80 * 2**20
SECONDS = 240
A_TASK = 2
N_SHARDS = 3
N_PICTURES = 12
GONE = 3
WAITING = range(6, 12)
"""Pictures of which none comes before a node is lost: as many as all nodes ask for at once."""
TURNED = 90


@dataclass
class Nodes:
    """Nodes of one processor each, to which this process is connected."""

    cluster: Any
    others: list[Any] = field(default_factory=list)

    def fill(self) -> None:
        """Make them three."""
        while len(self.others) < 2:
            self.others.append(self.cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES))

    def workers(self, state: str = "") -> list[psutil.Process]:
        """The processes for tasks of the node that is lost next: all, or `IDLE` ones, or those with a `_call`."""
        return [one for one in self._processes() if f"ray::{state}" in "".join(one.cmdline()[:1])]

    def stop_one(self) -> None:
        """Have the tasks of that node, which has had some, go on for ever."""
        workers = self.workers()
        assert workers
        for process in workers:
            process.suspend()

    def kill_one(self) -> None:
        """Kill that node with all of its processes."""
        processes = self._processes()
        self.cluster.remove_node(self.others.pop(0), allow_graceful=False)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _processes(self) -> list[psutil.Process]:
        (raylet,) = self.others[0].all_processes["raylet"]
        return psutil.Process(raylet.process.pid).children(recursive=True)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Three of them; their paths are short, because names of sockets have to be."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ray") as root:
        monkeypatch.setenv("TMPDIR", root)
        monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
        monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        monkeypatch.setenv("PYTHONPATH", inherited_environment()["PYTHONPATH"])
        head = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        there = Nodes(cluster_utils.Cluster(initialize_head=True, head_node_args=head))
        there.fill()
        ray.init(address=there.cluster.address, log_to_driver=False)
        try:
            yield there
        finally:
            ray.shutdown()
            there.cluster.shutdown()


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the pictures that are waited for may come."""
    event = threading.Event()

    def answer(handler, body, _count):
        event.wait(SECONDS)
        handler.reply(200, body)

    monkeypatch.setitem(ANSWERS, "waiting", answer)
    return event


@pytest.fixture
def data(tmp_path: Path, released: threading.Event) -> Iterator[tuple[Path, Server]]:
    """An index, points and classes in a folder, and the server of the pictures."""
    with serving({f"{n}.jpg": picture(n) for n in range(N_PICTURES)}) as server:
        ways = dict.fromkeys(WAITING, "waiting") | {GONE: "gone"}
        index = [
            {"id": f"{n:02}", "url": server.url(ways.get(n, "good"), f"{n}.jpg")} for n in range(N_PICTURES)
        ]
        box = {"label": "cat", "confidence": 1, "x0": 0.25, "x1": 0.5, "y0": 0, "y1": 0.5}
        points = [
            {"id": f"{n:02}", "rotation": TURNED * (n % 2), "annotations": [box] * (n % 3)}
            for n in range(N_PICTURES)
        ]
        for name, value in (("index", index), ("points", points), ("classes", ["cat"])):
            (tmp_path / f"{name}.json").write_text(json.dumps(value))
        yield tmp_path, server


def download(data: Path, folder: Path, *options: str) -> None:
    assert main(["download", str(data / "index.json"), str(folder / "pictures"), *options]) == 0


def verify(data: Path, folder: Path, *options: str) -> None:
    arguments = [folder / "pictures", "--points", data / "points.json", "--output", folder / "good.json"]
    arguments += ["--resized", folder / "small", "--size", 32, "--processes", 1]
    assert main(["verify", *map(str, arguments), *options]) == 0


def records(data: Path, folder: Path, *options: str) -> None:
    arguments = [folder / "good.json", folder / "small", "--classes", data / "classes.json"]
    arguments += ["--output", folder / "train.record", "--shards", N_SHARDS]
    assert main(["records", *map(str, arguments), *options]) == 0


def left(folder: Path) -> dict[str, bytes]:
    """The files of a run, but for what tells when they were written."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    times = (".journal", ".report.json", ".partial")
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in paths if not path.name.endswith(times)
    }


def test_a_node_that_is_lost_at_work_costs_what_it_had_not_finished(data, released, nodes, monkeypatch):
    monkeypatch.setattr("pyramid.datasets.downloading.spread.IMAGES_A_TASK", A_TASK)
    monkeypatch.setattr("pyramid.datasets.verifying.verification.CHUNK", A_TASK)
    data, server = data
    here, there = data / "here", data / "there"
    here.mkdir()
    there.mkdir()
    made: dict[Path, int] = {}

    def written(pattern: str) -> dict[Path, int]:
        return {path: path.stat().st_ino for path in there.glob(pattern)}

    def lose_waiting_node() -> None:
        wait_until(lambda: server.running == len(WAITING), SECONDS, "all nodes wait for pictures")
        nodes.kill_one()
        released.set()

    def lose_stopped_node() -> None:
        rest = N_PICTURES - 1 - A_TASK
        wait_until(lambda: len(written("small/*.jpg")) >= rest, SECONDS, "the others have done the rest")
        made.update(written("small/*.jpg"))
        nodes.kill_one()

    def lose_beginning_node() -> None:
        wait_until(lambda: nodes.workers("_call"), SECONDS, "the node begins to write")
        nodes.kill_one()

    def lose(step: Callable[..., None], losing: Callable[[], None]) -> None:
        nodes.fill()
        thread = threading.Thread(target=losing)
        thread.start()
        step(data, there, "--ray", "auto")
        thread.join()
        assert len(nodes.others) == 1

    lose(download, lose_waiting_node)
    asked = sorted(server.asked.values())
    assert asked == [1] * (N_PICTURES - A_TASK) + [2] * A_TASK
    nodes.stop_one()
    lose(verify, lose_stopped_node)
    done = written("small/*.jpg")
    assert len(made) < len(done) == N_PICTURES - 1
    assert made.items() <= done.items()
    lose(records, lose_beginning_node)
    for step in (download, verify, records):
        step(data, here)
    assert left(there) == left(here)
    assert len(left(here)) == 11 + 1 + 11 + 2 + N_SHARDS
