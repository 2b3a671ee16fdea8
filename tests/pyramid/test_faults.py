"""What can go wrong with real jobs in a real worker: one clear error line each, and the next good job succeeds."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_client import Worker, is_alive, wait_until

from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs

N_ROWS = 120


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(idle_seconds=300) as worker:
        yield worker


def table(n_rows: int = N_ROWS, classes: int = 2) -> tuple[np.ndarray, list[dict[str, Any]]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 2))
    y = (x[:, 0] > 0) + (x[:, 1] > 0.5 if classes > 2 else 0)
    fields = [numeric_field(i, column) for i, column in enumerate(x.T)]
    values = [f"class {i}" for i in range(classes)]
    return np.column_stack([x, y]).astype(float), [*fields, categorical_field(2, values)]


def jobs_for(
    directory: Path, rows: np.ndarray, info_list: list[dict[str, Any]], **settings: Any
) -> list[dict]:
    small = {"layers": readout_layers([4], info_list[-1]), "patience": 4} | settings
    return tabular_jobs(directory, rows, info_list, **small)


def run_all(worker: Worker, jobs: list[dict]) -> list[dict[str, Any]]:
    """The closing lines of caching, training and finalizing."""
    caching, training, finalizing = jobs
    cached = worker.run(caching)
    trained = worker.run(training | {"tree_inputs": cached.get("tree_inputs", 0)})
    return [cached, trained, worker.run(finalizing)]


def assert_next_job_succeeds(worker: Worker, directory: Path) -> None:
    for result in run_all(worker, jobs_for(directory / "next", *table())):
        assert "error" not in result, result
    assert_whole(directory)


def assert_whole(directory: Path) -> None:
    """Every JSON file can be read, every array is whole, nothing partial is left."""
    for path in directory.rglob("*"):
        assert not path.name.endswith(".partial"), path
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        if path.suffix == ".npy":
            np.load(path)


def spoil_mark(path: Path) -> None:
    path.write_bytes(b"X" + path.read_bytes()[1:])


def cut_row(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def drop_row(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -3 * 8])


def missing_objective(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: -3 * 8 * 2 - 8] + np.float64("nan").tobytes() + raw[-3 * 8 * 2 :])


def unknown_class(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8] + np.float64(7).tobytes())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_mark, r"first byte|expected.*D"),
        (cut_row, r"2875 bytes.*24 bytes"),
        (drop_row, r"119.*120|120.*119"),
        (missing_objective, r"row 117.*nan"),
        (unknown_class, r"row 119.*7"),
        (Path.unlink, r"rows\.ser"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rows_that_cannot_be_used_are_named(worker, tmp_path, spoil, message):
    caching, *_ = jobs_for(tmp_path, *table())
    spoil(tmp_path / "rows.ser")
    result = worker.run(caching)
    assert result["error_type"] in ("DataError", "WorkspaceError")
    assert re.search(message, result["error_message"]), result["error_message"]
    assert not (tmp_path / "full_dataset.npy").exists()
    assert_next_job_succeeds(worker, tmp_path)


def constant_column() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    rows[:, 0] = 3.0
    return rows, [numeric_field(0, rows[:, 0]), *info_list[1:]]


def one_class_only() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    rows[:, 2] = 0
    return rows, [*info_list[:2], categorical_field(2, ["only"])]


def one_class_present() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    rows[:, 2] = 1
    return rows, info_list


def one_row() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    return rows[:1], info_list


def missing_inputs() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    rows[::2, 0] = np.nan
    return rows, info_list


def constant_number() -> tuple[np.ndarray, list[dict]]:
    rows, info_list = table()
    rows[:, 2] = 5.0
    return rows, [*info_list[:2], numeric_field(2, rows[:, 2])]


@pytest.mark.parametrize(
    "make", [constant_column, one_class_only, one_class_present, one_row, missing_inputs, constant_number]
)
def test_poor_rows_still_make_a_model(worker, tmp_path, make):
    for result in run_all(worker, jobs_for(tmp_path, *make())):
        assert "error" not in result, result["error"]
    assert_next_job_succeeds(worker, tmp_path)


@pytest.mark.parametrize("rate", [1e10, 1e38])
def test_an_absurd_learning_rate_is_answered_and_nothing_is_half_written(worker, tmp_path, rate):
    *_, trained, _ = run_all(
        worker,
        jobs_for(tmp_path, *table(), learning_rate=rate, descent_algorithm="sgd", tree_embedding=False),
    )
    if "error" in trained:
        assert trained["error_type"] == "TrainingError"
        assert "learning_rate" in trained["error_message"]
    else:
        assert all(np.isfinite(list(trained["validation_metrics"].values())))
    assert_next_job_succeeds(worker, tmp_path)


def test_a_read_only_directory_is_named(worker, tmp_path, mount):
    target = mount("ro,size=1m")
    caching, *_ = jobs_for(tmp_path, *table(), output_directory=str(target / "out"))
    result = worker.run(caching)
    assert result["error_type"] == "WorkspaceError"
    assert str(target) in result["error_message"]
    assert "Read-only" in result["error_message"]
    assert_next_job_succeeds(worker, tmp_path)


def test_a_full_disk_is_named_and_the_old_files_stay(worker, tmp_path, mount):
    target = mount("size=64k")
    caching, training, _ = jobs_for(tmp_path, *table(), output_directory=str(target), tree_embedding=False)
    assert "error" not in worker.run(caching)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    (target / "ballast").write_bytes(bytes(os.statvfs(target).f_bavail * 4096))
    result = worker.run(training | {"cache_file": str(target / "full_dataset.npy")})
    assert result["error_type"] == "WorkspaceError"
    assert "No space left" in result["error_message"]
    assert str(target) in result["error_message"]
    again = worker.run(caching)
    assert again["error_type"] == "WorkspaceError"
    for path, content in before.items():
        assert path.read_bytes() == content
    (target / "ballast").unlink()
    assert_whole(target)
    assert_next_job_succeeds(worker, tmp_path)


def long_job(worker: Worker, directory: Path) -> dict:
    """Cache rows, and give a training job that goes on for a minute."""
    caching, training, _ = jobs_for(
        directory, *table(), patience=8192, max_training_time=60, tree_embedding=False
    )
    assert "error" not in worker.run(caching)
    return training


def wait_until_training(worker: Worker) -> None:
    while "iterations" not in worker.wait_for_progress().data:
        pass


def test_a_killed_child_is_one_failed_job(worker, tmp_path):
    worker.submit(long_job(worker, tmp_path))
    wait_until_training(worker)
    os.kill(worker.children()[0], signal.SIGKILL)
    result = worker.closing()
    assert result["error_type"] == "WorkerDied"
    assert "SIGKILL" in result["error_message"]
    assert_next_job_succeeds(worker, tmp_path)


def test_a_cancelled_training_ends_at_once(worker, tmp_path):
    worker.submit(long_job(worker, tmp_path))
    wait_until_training(worker)
    began = time.monotonic()
    worker.send("cancel model")
    assert worker.closing()["error_type"] == "Cancelled"
    assert time.monotonic() - began < 2
    assert_next_job_succeeds(worker, tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_the_training_and_ends_the_worker(tmp_path, number, code):
    with Worker() as worker:
        worker.submit(long_job(worker, tmp_path))
        wait_until_training(worker)
        children = worker.children()
        worker.signal(number)
        assert worker.closing(2)["error_type"] == "Cancelled"
        assert worker.exit_code(2) == code
    wait_until(lambda: not any(map(is_alive, children)), 5, "the child's end")
    assert_whole(tmp_path)


def test_no_orphan_outlives_a_killed_parent(tmp_path):
    with Worker() as worker:
        worker.submit(long_job(worker, tmp_path))
        wait_until_training(worker)
        children = worker.children()
        worker.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, children)), 5, "the child's end")


def test_two_workers_share_an_output_directory(worker, tmp_path):
    caching, training, finalizing = jobs_for(tmp_path, *table(), tree_embedding=False)
    assert "error" not in worker.run(caching)
    with Worker() as other:
        worker.submit(*[training | {"job_id": f"one-{i}"} for i in range(3)])
        other.submit(*[training | {"job_id": f"two-{i}"} for i in range(3)])
        for each in (worker, other):
            for _ in range(3):
                assert "error" not in each.closing()
        for job_id in ("one-2", "two-0"):
            assert "error" not in worker.run(finalizing | {"job_id": job_id})
    assert_whole(tmp_path)
