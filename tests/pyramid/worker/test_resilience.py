"""What happens to the child, the machine or the people around a worker costs at most the job that it happens to."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worker_client import FAKE_WORKER, Worker, inherited_environment, is_alive, wait_until


@pytest.fixture(params=["closed", "full"])
def stderr(request: Any) -> Iterator[int]:
    """A pipe whose reader is gone, or does not read."""
    reading, writing = os.pipe()
    if request.param == "closed":
        os.close(reading)
    yield writing
    os.close(writing)
    if request.param == "full":
        os.close(reading)


@pytest.mark.parametrize("level", [1, 3])
def test_people_who_do_not_read_hold_no_job_up(
    make_worker: Any, make_job: Any, stderr: int, level: int
) -> None:
    worker = make_worker(stderr=stderr)
    worker.submit(make_job("print_much", level=level, lines=300))
    assert "error" not in worker.closing(10)
    assert "error" not in worker.run(make_job("make_noise"), 10)


def test_lines_that_nobody_took_are_left_out_as_wholes(make_worker: Any, make_job: Any) -> None:
    reading, writing = os.pipe()
    worker = make_worker(stderr=writing)
    os.close(writing)
    worker.run(make_job("print_much", job_id="much", level=1, lines=300), 10)
    text = b""
    while b" ...\n" not in text:
        text += os.read(reading, 65_536)
        worker.run(make_job("make_noise"), 10)
    os.close(reading)
    lines = text.split(b" ...\n")[0].decode().splitlines()
    assert 20 < len(lines) < 1200
    assert all(line.startswith(("much", "by print", "by desc", "  warn", "/")) for line in lines[:-1])


def limit_open_files(worker: Worker, spare: int) -> None:
    """Let a worker open so many descriptors more."""
    numbers = [int(path.name) for path in Path(f"/proc/{worker.pid}/fd").iterdir()]
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (len(numbers) + spare, 4096))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_child_that_cannot_be_started_fails_the_job_and_is_tried_again(
    make_worker: Any, make_job: Any
) -> None:
    worker = make_worker()
    worker.run(make_job())
    (child,) = worker.children()
    # those of its connection are free once it is dead
    limit_open_files(worker, spare=-1)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: "Too many open files" in worker.stderr, 5, "the failure is told")
    for number in range(3):
        closing = worker.run(make_job(job_id=f"w{number}"), 10)
        assert (closing["job_id"], closing["error_type"]) == (f"w{number}", "WorkerDied")
        assert "cannot be started: Too many open files" in closing["error_message"]
    worker.submit(make_job(job_id="waits"))
    worker.send("cancel waits")
    began = time.monotonic()
    assert worker.closing(5)["error_type"] in ("Cancelled", "WorkerDied")
    assert time.monotonic() - began < 5
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (1024, 4096))
    assert worker.run(make_job(value=3), 20)["value"] == 3


def test_a_worker_that_cannot_start_a_child_waits_and_ends_idle(make_worker: Any, make_job: Any) -> None:
    worker = make_worker(3)
    worker.run(make_job())
    limit_open_files(worker, spare=-1)
    os.kill(worker.children()[0], signal.SIGKILL)
    wait_until(lambda: "Too many open files" in worker.stderr, 5, "the failure is told")
    before, began = cpu_seconds(worker.pid), time.monotonic()
    time.sleep(1)
    assert cpu_seconds(worker.pid) - before < 0.2
    assert worker.exit_code(10) == 0
    assert time.monotonic() - began < 6
    assert 3 <= worker.stderr.count("Too many open files") < 10


@pytest.mark.parametrize("turn", range(6))
def test_a_child_killed_idle_costs_no_job(shared: Worker, make_job: Any, turn: int) -> None:
    pid = shared.run(make_job(), 10)["pid"]
    path = shared.job_file(make_job(value=turn))
    os.kill(pid, signal.SIGKILL)
    shared.send(path)
    assert shared.closing(10)["value"] == turn


def test_a_child_stopped_and_killed_before_it_begins_costs_no_job(shared: Worker, make_job: Any) -> None:
    pid = shared.run(make_job(), 10)["pid"]
    os.kill(pid, signal.SIGSTOP)
    shared.submit(make_job(value=1))
    time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    assert shared.closing(10)["value"] == 1


def test_a_job_that_began_is_not_run_again(shared: Worker, make_job: Any, tmp_path: Path) -> None:
    assert shared.run(make_job("count_and_die"), 10)["error_type"] == "WorkerDied"
    assert shared.run(make_job(), 10).get("error") is None
    assert len(list((tmp_path / "output").iterdir())) == 1


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_quit_signal_harms_no_later_job(shared: Worker, make_job: Any, seconds: float) -> None:
    pid = shared.run(make_job(), 10)["pid"]
    if seconds:
        shared.submit(make_job("sleep", level=2, seconds=seconds))
        shared.wait_for_progress(10)
    os.kill(pid, signal.SIGQUIT)
    time.sleep(0.1)
    if seconds:
        assert "error" not in shared.closing(10)
    assert "error" not in shared.run(make_job("sleep", seconds=3.5), 10)
    assert is_alive(pid)


def test_temporary_files_of_killed_jobs_are_removed(make_worker: Any, make_job: Any, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    worker = make_worker(environment={"TMPDIR": str(temporary)})
    for end in (lambda pid: os.kill(pid, signal.SIGKILL), lambda _pid: worker.send("cancel job")):
        worker.submit(make_job("leave_temporary_files", level=2))
        told = worker.wait_for_progress(10).data
        assert Path(told["path"]).is_file()
        end(told["pid"])
        assert worker.closing(10)["error_type"] in ("WorkerDied", "Cancelled")
        assert not Path(told["path"]).exists()
    worker.submit(make_job("leave_temporary_files", level=2))
    pid = worker.wait_for_progress(10).data["pid"]
    worker.signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, "the end of the child")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("turn", range(5))
def test_an_orphan_begins_no_more_files(make_worker: Any, make_job: Any, tmp_path: Path, turn: int) -> None:
    worker = make_worker()
    worker.submit(make_job("write_on_and_on", level=2))
    pid = worker.wait_for_progress(10).data["pid"]
    time.sleep(0.2 + 0.05 * turn)
    worker.signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, "the end of the child")
    assert list((tmp_path / "output").glob(".*")) == []


@pytest.mark.parametrize("remove", ["files", "directory"])
def test_a_cancel_survives_a_directory_that_changes_meanwhile(
    shared: Worker, make_job: Any, tmp_path: Path, remove: str
) -> None:
    output, ended = tmp_path / "output", threading.Event()

    def disturb() -> None:
        while not ended.is_set():
            if remove == "directory":
                shutil.rmtree(output, ignore_errors=True)
                continue
            for number in range(50):
                (output / f".x{number}.partial").touch()
            for number in range(50):
                (output / f".x{number}.partial").unlink()

    for _ in range(5):
        shared.submit(make_job("write_slowly", level=2, seconds=30))
        shared.wait_for_progress(10)
        ended.clear()
        thread = threading.Thread(target=disturb)
        thread.start()
        shared.send("cancel job")
        assert shared.closing(5)["error_type"] == "Cancelled"
        ended.set()
        thread.join()


def test_what_a_rejected_job_costs_is_bounded(make_worker: Any, make_job: Any) -> None:
    def resident_mb() -> float:
        statm = Path(f"/proc/{worker.pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    worker = make_worker()
    worker.run(make_job())
    before = resident_mb()
    rows = [{"file": f"{number}.png", "label": 1} for number in range(800_000)]
    path = worker.job_file(
        {**make_job(), "seed": -1, "image_training_data": rows, "layers": [{}, 1] * 100_000}
    )
    assert 27e6 < path.stat().st_size < 32e6
    for _ in range(5):
        sent = time.monotonic()
        worker.send(path)
        closing = worker.closing(20)
        assert time.monotonic() - sent < 5, "about 1 s where nothing else runs"
        assert (closing["error_type"], closing["error_path"]) == ("SettingsError", "/seed")
        assert "and at least 90 more" in closing["error_message"]
        assert len(closing["error_message"]) < 5000
    assert resident_mb() < before + 60


def test_what_nobody_foresaw_costs_the_running_job_only(shared: Worker, make_job: Any) -> None:
    closing = shared.run(make_job("speak_nonsense", job_id="n1"), 10)
    assert (closing["job_id"], closing["error_type"]) == ("n1", "JSONDecodeError")
    assert "JSONDecodeError" in shared.stderr
    assert shared.run(make_job(value=1), 10)["value"] == 1


def test_a_signal_ends_a_worker_whose_last_answers_nobody_reads(make_job: Any, make_worker: Any) -> None:
    path = make_worker().job_file(make_job("fail", type="ValueError", level=2))
    with subprocess.Popen(
        [*FAKE_WORKER, "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited_environment()
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{path}\n".encode() * 500)
        process.stdin.close()
        time.sleep(2)
        process.terminate()
        assert process.wait(4) == 143


def test_a_job_file_that_is_too_large_is_not_read(shared: Worker, make_job: Any) -> None:
    closing = shared.run({**make_job(), "image_root": "x" * 32 * 2**20}, 5)
    assert closing["error_type"] == "JobFileError"
    assert "more than 33554432 bytes" in closing["error_message"]
