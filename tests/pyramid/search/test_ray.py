"""Searches on the nodes of a Ray cluster, all of which are this machine: they leave what one machine leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from worker_client import inherited_environment, is_alive, wait_until

import pyramid
from pyramid.search.backend import JobFailed
from pyramid.search.local import LocalBackend
from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs
from pyramid.workspace import Workspace

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'pyramid[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")
ray_backend = pytest.importorskip("pyramid.search.ray_backend")

OBJECT_STORE_BYTES = 80 * 2**20
SECONDS = 120
END_SECONDS = 20
MOMENT_SECONDS = 0.3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Nodes:
    """A cluster whose nodes have one processor each, and the directory in which they keep what they are given."""

    root: Path
    cluster: Any = None
    others: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self) -> None:
        self.others.append(self.cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES))

    def kill_one(self) -> str:
        node = self.others.pop()
        self.cluster.remove_node(node, allow_graceful=False)
        return node.node_id

    def folders(self, node_id: str = "") -> list[Path]:
        return list(self.root.glob(f"pyramid_*_{node_id}*"))

    def works(self, node_id: str) -> bool:
        """Whether a training has begun there."""
        return any(list(folder.glob("*/jobs/*.json")) for folder in self.folders(node_id))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Three of them; their paths are short, because names of sockets have to be."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp", prefix="ray") as root:
        patch.setenv("TMPDIR", root)
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        patch.setenv("PYTHONPATH", inherited_environment()["PYTHONPATH"])
        there = Nodes(Path(root))
        head = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        there.cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        there.add()
        there.add()
        try:
            yield there
        finally:
            there.cluster.shutdown()
            wait_until(lambda: not processes_of(os.getpid()), END_SECONDS, "all processes have ended")


@pytest.fixture
def three_nodes(nodes: Nodes) -> Nodes:
    while len(nodes.others) < 2:
        nodes.add()
    return nodes


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A short search job whose rows are cached."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 3))
    rows = np.column_stack([inputs, inputs[:, 0] * inputs[:, 1] > 0])
    fields = [*(numeric_field(k, rows[:, k]) for k in range(3)), categorical_field(3, ("a", "b"))]
    keys = {"tree_embedding": True, "is_search": True, "folds": 2}
    caching, training, _ = tabular_jobs(tmp_path_factory.mktemp("training"), rows, fields, **keys)
    with LocalBackend(1) as backend:
        cached = backend.submit(caching).result(SECONDS)
    return training | {
        "job_type": "search_submodel",
        "tree_inputs": cached["tree_inputs"],
        "max_iterations": 40,
        "max_seconds_per_update": 1e9,
    }


def endless(training: dict[str, Any], job_id: str) -> dict[str, Any]:
    never = {"max_iterations": 10**6, "patience": 8192, "learning_rate": 1e-9}
    return training | never | {"job_id": job_id}


def processes_of(pid: int) -> list[psutil.Process]:
    """The `pyramid` workers, and what they have started, below a process."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if any("pyramid.worker" in one for one in words(child))]


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        times = ("elapsed_time", "job_time", "start_time")
        return {key: without_times(one) for key, one in value.items() if key not in times}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def left_by(training: dict[str, Any], job_id: str) -> dict[str, Any]:
    """The content of a submodel's files."""
    root = Workspace(Path(training["output_directory"])).submodel(job_id).root
    return {
        path.name: without_times(json.loads(path.read_bytes()))
        if path.suffix == ".json"
        else path.read_bytes()
        for path in root.iterdir()
    }


def test_a_training_leaves_what_it_leaves_here(three_nodes: Nodes, training: dict[str, Any]) -> None:
    with LocalBackend(1) as backend:
        here = backend.submit(training | {"job_id": "here"}).result(SECONDS)
    with ray_backend.RayBackend(three_nodes.address) as backend:
        assert backend.slots == 3
        there = backend.submit(training | {"job_id": "there"}).result(SECONDS)
        wrong = backend.submit(training | {"job_id": "wrong", "seed": -1}).exception(SECONDS)
    files_here, files_there = left_by(training, "here"), left_by(training, "there")
    assert files_here["model_fit_info.json"].pop("job_id") == "here"
    assert files_there["model_fit_info.json"].pop("job_id") == "there"
    assert files_there == files_here
    assert "out_of_fold.npy" in files_there
    assert there["evaluation_metrics"] == here["evaluation_metrics"]
    assert isinstance(wrong, JobFailed)
    assert wrong.error_type == "SettingsError"
    assert "/seed" in str(wrong)
    assert not three_nodes.folders()
    assert not ray.is_initialized()


def test_a_node_killed_at_work_changes_nothing(three_nodes: Nodes, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 300))
    frame = pl.DataFrame({"x": x, "y": y, "kind": np.where(x * y > 0, "same", "other")})
    options = {"max_candidates": 12, "folds": 2, "seed": 3, "trees": "none"}
    here = pyramid.fit(frame, "kind", output=tmp_path / "here", workers=1, **options)
    node_id = three_nodes.others[-1].node_id

    def kill() -> None:
        wait_until(lambda: three_nodes.works(node_id), SECONDS, "the node works")
        time.sleep(MOMENT_SECONDS)
        three_nodes.kill_one()

    killer = threading.Thread(target=kill)
    killer.start()
    there = pyramid.fit(frame, "kind", output=tmp_path / "there", ray=three_nodes.address, **options)
    killer.join()
    documents = [without_times(json.loads(one.document.read_bytes())) for one in (here, there)]
    assert documents[0] == documents[1]
    losses = [[(one.job_id, one.outcome.loss) for one in fitted.leaderboard] for fitted in (here, there)]
    assert losses[0] == losses[1]
    assert there.metrics == here.metrics
    lost = three_nodes.folders()
    assert lost == three_nodes.folders(node_id)
    for folder in lost:
        shutil.rmtree(folder)


def test_a_training_whose_worker_is_killed_is_begun_again(
    three_nodes: Nodes, training: dict[str, Any]
) -> None:
    with ray_backend.RayBackend(three_nodes.address) as backend:
        future = backend.submit(training | {"job_id": "killed", "max_iterations": 3000, "patience": 8192})
        wait_until(lambda: three_nodes.works(""), SECONDS, "it runs")
        for process in processes_of(os.getpid()):
            if "pyramid.worker" in words(process):
                process.kill()
        assert future.result(SECONDS)["job_id"] == "killed"
    assert "model_fit_info.json" in left_by(training, "killed")


def test_closing_cancels_what_runs_and_leaves_nothing(three_nodes: Nodes, training: dict[str, Any]) -> None:
    with ray_backend.RayBackend(three_nodes.address) as backend:
        futures = [backend.submit(endless(training, f"endless_{number}")) for number in range(5)]
        wait_until(lambda: len(processes_of(os.getpid())) >= 6, SECONDS, "three workers have their children")
        processes = processes_of(os.getpid())
        backend.close()
        assert {future.exception(0).error_type for future in futures} == {"Cancelled"}
    wait_until(lambda: not any(is_alive(one.pid) for one in processes), END_SECONDS, "they are gone")
    assert not three_nodes.folders()
    assert not list(Path(training["output_directory"]).glob("submodel_endless*"))


def test_no_worker_outlives_a_killed_driver(
    three_nodes: Nodes, training: dict[str, Any], tmp_path: Path
) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps(endless(training, "endless")))
    code = (
        "import json, sys, time; from pyramid.search.ray_backend import RayBackend\n"
        "with RayBackend(sys.argv[1]) as backend: backend.submit(json.load(open(sys.argv[2]))).result()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, three_nodes.address, str(job)], env=inherited_environment(), cwd=tmp_path
    )
    try:
        wait_until(lambda: len(processes_of(os.getpid())) >= 2, SECONDS, "it runs")
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not processes_of(os.getpid()), END_SECONDS, "they are gone")
    for folder in three_nodes.folders():
        shutil.rmtree(folder)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1:1", "nonsense"])
def test_a_cluster_that_cannot_be_reached_is_told_in_one_line(address: str) -> None:
    with pytest.raises(ray_backend.ClusterError) as raised:
        ray_backend.RayBackend(address)
    assert str(raised.value).startswith(f"ray: the cluster at {address} cannot be reached: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("processors", "n_workers", "each"),
    [
        ([8], 2, 4),
        ([8], 3, 2),
        ([8, 8], 3, 4),
        ([8, 2], 2, 4),
        ([1, 1, 1], 5, 1),
        ([16] * 64, 64, 16),
        ([], 2, 1),
    ],
)
def test_processors_are_shared_so_that_all_workers_find_room(
    processors: list[int], n_workers: int, each: int
) -> None:
    assert ray_backend.processors_each(processors, n_workers) == each
