from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from worker_client import FAKE_WORKER, WORKER, inherited_environment, is_alive, wait_until

from pyramid import __version__

READY_SECONDS = 0.5


def test_the_ready_line_comes_at_once(make_worker: Any) -> None:
    # The best of three, as the machine may be busy.
    seconds = []
    for _ in range(3):
        with make_worker() as worker:
            assert worker.ready.text == f"pyramid process ready - version {__version__}"
            seconds.append(worker.ready.at - worker.started)
    assert min(seconds) < READY_SECONDS, seconds


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, without input."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**inherited_environment(), **environment},
    )


def test_the_parent_imports_neither_tensorflow_nor_numpy() -> None:
    answers = "from pyramid.worker.protocol import progress_line as p; p(None, 0, {'a': [1.5]})"
    modules = "import sys; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    assert python("-c", f"import pyramid.worker.__main__; {answers}; {modules}").stdout.strip() == "set()"


def test_the_version() -> None:
    done = python("-m", "pyramid.worker", "--version")
    assert (done.returncode, done.stdout) == (0, f"Pyramid {__version__}\n")


@pytest.mark.parametrize(
    "arguments", [[], ["0"], ["-1"], ["x"], ["nan"], ["inf"], ["1e3"], ["1_0"], ["5", "6"], ["--wrong"]]
)
def test_bad_arguments_give_the_usage(arguments: list[str]) -> None:
    done = python("-m", "pyramid.worker", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search("usage: pyramid .*TIMEOUT", done.stderr)


def test_debug_shows_the_tracebacks_of_failed_jobs(make_worker: Any, make_job: Any) -> None:
    with make_worker(command=[*FAKE_WORKER, "--debug"]) as worker:
        worker.submit(make_job("fail", type="ValueError"))
        worker.send("/missing")
        assert [worker.closing(10)["error_type"] for _ in range(2)] == ["ValueError", "JobFileError"]
        wait_until(lambda: "JobFileError: " in worker.stderr, 5, "the traceback")
        assert worker.stderr.count("ValueError: first line") == 1


def test_debug_shows_where_a_child_crashed(make_worker: Any, make_job: Any) -> None:
    with make_worker(command=[*FAKE_WORKER, "--debug"]) as worker:
        assert "SIGSEGV" in worker.run(make_job("die", signal="SIGSEGV"), 10)["error_message"]
        wait_until(lambda: "Fatal Python error: Segmentation fault" in worker.stderr, 5, "the place")
        assert "in die" in worker.stderr


@pytest.mark.parametrize("name", ["PYRAMID_MAX_RSS_MB", "PYRAMID_JOBS_PER_CHILD"])
def test_a_bad_limit_is_named(name: str) -> None:
    done = python("-m", "pyramid.worker", "5", **{name: "x"})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name}: expected a number greater than 0, got 'x'" in done.stderr


@pytest.mark.parametrize("idle_seconds", ["1", "0.4"])
def test_an_idle_worker_ends(make_worker: Any, idle_seconds: str) -> None:
    worker = make_worker(idle_seconds)
    children = worker.children()
    assert worker.exit_code(5) == 0
    lasted = time.monotonic() - worker.ready.at
    assert float(idle_seconds) * 0.9 <= lasted < float(idle_seconds) + 2
    assert not any(is_alive(child) for child in children)


def test_the_idle_clock_stands_still_while_a_job_runs(make_worker: Any, make_job: Any) -> None:
    worker = make_worker(0.5)
    worker.submit(make_job("sleep", seconds=1.2), make_job(value=1))
    assert "error" not in worker.closing(10)
    assert worker.closing(10)["value"] == 1
    ended = time.monotonic()
    assert worker.exit_code(5) == 0
    assert time.monotonic() - ended > 0.4


def test_a_line_winds_the_idle_clock_up(make_worker: Any) -> None:
    worker = make_worker(0.8)
    for _ in range(4):
        time.sleep(0.4)
        worker.send("")
    assert worker.process.poll() is None
    assert worker.exit_code(5) == 0


def test_terminate_finishes_the_queue(make_worker: Any, make_job: Any) -> None:
    worker = make_worker()
    worker.submit(make_job("sleep", job_id="t1", seconds=0.3), make_job(job_id="t2"))
    worker.send("terminate", "", "cancel nothing")
    assert [worker.closing(10)["job_id"] for _ in range(2)] == ["t1", "t2"]
    assert list(worker.rest(5)) == []
    assert worker.exit_code(5) == 0


def test_a_job_line_after_terminate_is_answered_with_an_error(make_worker: Any, make_job: Any) -> None:
    worker = make_worker()
    worker.submit(make_job("sleep", job_id="before", seconds=0.3))
    worker.send("terminate", worker.job_file(make_job(job_id="after")), "/missing", "cancel after")
    answers = list(worker.rest(10))
    assert [(answer.kind, answer.data["job_id"]) for answer in answers] == [
        (kind, job_id) for job_id in ("before", "after", None) for kind in ("progress", "complete")
    ]
    assert "error" not in answers[1].data
    for answer in answers[3::2]:
        assert answer.data["error_type"] == "NotAccepted"
        assert "'terminate'" in answer.data["error_message"]
    assert all(answer.data["progress"] == 1.0 for answer in answers[::2])
    assert worker.exit_code(5) == 0


def test_cancel_is_heard_after_terminate(make_worker: Any, make_job: Any) -> None:
    worker = make_worker()
    worker.submit(make_job("sleep", job_id="t3", level=2, seconds=30))
    worker.send("terminate")
    worker.wait_for_progress(10)
    worker.send("cancel t3")
    assert worker.closing(5)["error_type"] == "Cancelled"
    assert worker.exit_code(5) == 0


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_end_of_input_finishes_the_queue(make_worker: Any, make_job: Any, end: str) -> None:
    worker = make_worker(environment={"FAKE_WARM_SECONDS": "0.3"})
    worker.write(f"{worker.job_file(make_job(value=6))}{end}".encode())
    worker.close_input()
    assert worker.closing(10)["value"] == 6
    assert worker.exit_code(5) == 0


def test_the_input_may_be_a_file(make_worker: Any, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("/missing/1\n/missing/2\n")
    with lines.open("rb") as stdin:
        worker = make_worker(stdin=stdin)
        assert [worker.closing(5)["error_type"] for _ in range(2)] == ["JobFileError"] * 2
        assert worker.exit_code(5) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cancels_everything(
    make_worker: Any, make_job: Any, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    worker = make_worker()
    worker.submit(make_job("write_slowly", job_id="s1", level=2, seconds=30), make_job(job_id="s2"))
    worker.send("/missing")
    pid = worker.wait_for_progress(10).data["pid"]
    sent = time.monotonic()
    worker.signal(number)
    closings = [worker.closing(5) for _ in range(3)]
    assert time.monotonic() - sent < 2
    assert [closing["job_id"] for closing in closings] == ["s1", "s2", None]
    assert {closing["error_type"] for closing in closings} == {"Cancelled"}
    assert worker.exit_code(5) == code
    assert not is_alive(pid)
    assert list((tmp_path / "output").iterdir()) == []


def test_a_signal_ends_an_idle_worker(make_worker: Any) -> None:
    worker = make_worker()
    worker.signal(signal.SIGTERM)
    assert worker.exit_code(5) == 143
    assert list(worker.rest(1)) == []


def test_ten_thousand_queued_jobs_are_cancelled_in_two_seconds(make_worker: Any, make_job: Any) -> None:
    worker = make_worker()
    worker.submit(make_job("sleep", level=2, seconds=30))
    worker.wait_for_progress(10)
    path = worker.job_file(make_job(job_id="many"))
    worker.send(*[path] * 10_000)
    worker.send("cancel nobody")
    time.sleep(0.3)
    sent = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.exit_code(5) == 143
    assert time.monotonic() - sent < 2.5
    closings = [answer for answer in worker.rest(5) if answer.kind == "complete"]
    assert len(closings) == 10_001
    assert {answer.data["error_type"] for answer in closings} == {"Cancelled"}


@pytest.mark.parametrize("do", ["write_slowly", "hold_interpreter"])
def test_no_child_outlives_a_killed_parent(make_worker: Any, make_job: Any, do: str) -> None:
    worker = make_worker()
    worker.submit(make_job(do, level=2, seconds=30))
    pid = worker.wait_for_progress(10).data["pid"]
    worker.signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, "the end of the child")


def test_a_killed_parent_leaves_no_half_file(make_worker: Any, make_job: Any, tmp_path: Path) -> None:
    worker = make_worker()
    worker.submit(make_job("write_slowly", level=2, seconds=30))
    pid = worker.wait_for_progress(10).data["pid"]
    worker.signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 5, "the end of the child")
    assert list((tmp_path / "output").iterdir()) == []


def test_a_child_that_cannot_start_fails_each_job_and_nothing_more(make_worker: Any, make_job: Any) -> None:
    worker = make_worker(environment={"FAKE_WARM_EXIT_CODE": "9"})
    for number in range(2):
        closing = worker.run(make_job(job_id=f"w{number}"), 10)
        assert (closing["job_id"], closing["error_type"]) == (f"w{number}", "WorkerDied")
        assert "exit code 9" in closing["error_message"]
    wait_until(lambda: worker.children() == [], 5, "no child that starts over and over")


def test_a_worker_nobody_reads_from_ends_quietly(make_worker: Any, make_job: Any) -> None:
    files = make_worker()
    path = files.job_file(make_job("sleep", seconds=0.3))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*FAKE_WORKER, "20"], stdin=pipe, stdout=pipe, stderr=pipe, env=inherited_environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        assert process.wait(10) == 141
        assert process.stderr.read() == b""


def test_an_orchestrator_may_write_everything_before_it_reads(make_job: Any, tmp_path: Path) -> None:
    lines = "".join(f"/missing/{'x' * 100}/{number}\n" for number in range(3000)).encode()
    process = subprocess.Popen(
        [*WORKER, "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited_environment()
    )
    assert process.stdin is not None
    process.stdin.write(lines)
    process.stdin.close()
    assert process.stdout is not None
    with process.stdout:
        assert sum(line.startswith(b"pyramid job complete") for line in process.stdout) == 3000
    assert process.wait(10) == 0


def test_no_job_waits_for_a_reader_that_sleeps(make_worker: Any, make_job: Any, tmp_path: Path) -> None:
    path = make_worker().job_file(make_job("flood", level=2, lines=5000))
    with subprocess.Popen(
        [*FAKE_WORKER, "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited_environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{path}\n".encode())
        process.stdin.close()
        wait_until((tmp_path / "output" / "done").exists, 20, "the end of the job")
        lines = process.stdout.read().splitlines()
    assert b'"progress":1.0' in lines[-2]
    assert b'"error"' not in lines[-1]
    assert 100 < len(lines) < 5000, "the lines that were not read are left out, not kept"


@pytest.mark.parametrize("limit", [{"PYRAMID_JOBS_PER_CHILD": "3"}, {"PYRAMID_MAX_RSS_MB": "200"}])
def test_a_child_is_replaced_once_its_successor_is_warm(
    make_worker: Any, make_job: Any, limit: dict[str, str]
) -> None:
    worker = make_worker(environment={"FAKE_WARM_SECONDS": "2", **limit})
    pids, slowest = [], 0.0
    worker.run(make_job(), 10)
    for _ in range(28):
        sent = time.monotonic()
        closing = worker.run(make_job("grow", megabytes=60), 10)
        pids.append(closing["pid"])
        slowest = max(slowest, time.monotonic() - sent)
        assert closing["niceness"] == os.getpriority(os.PRIO_PROCESS, 0), "only the warming up gives way"
        time.sleep(0.1)
    assert slowest < 1.5, "a job waited for a child to warm up"
    assert len(set(pids)) >= 2
    wait_until(lambda: len(worker.children()) == 1, 5, "the old child has gone")
    assert pids == sorted(pids, key=pids.index), "no job goes back to an older child"


def test_the_parents_memory_stays_flat(make_worker: Any, make_job: Any) -> None:
    def resident_kb() -> int:
        status = Path(f"/proc/{worker.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]

    worker = make_worker()
    path = worker.job_file(make_job(value="x" * 100_000))
    for _ in range(20):
        worker.send(path)
        worker.closing(10)
    before = resident_kb()
    for _ in range(200):
        worker.send(path)
        worker.closing(10)
    assert resident_kb() - before < 3000


def test_an_idle_time_of_a_month_is_waited_for(make_worker: Any, make_job: Any) -> None:
    worker = make_worker(idle_seconds=2_592_000)
    assert "error" not in worker.run(make_job())
    worker.send("terminate")
    assert worker.exit_code() == 0
