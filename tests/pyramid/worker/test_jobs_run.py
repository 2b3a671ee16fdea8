from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from worker_client import Worker, is_alive, wait_until


def test_a_result_has_its_id_and_time(shared: Worker, make_job: Any) -> None:
    before = time.time()
    closing = shared.run(make_job("sleep", job_id="r1", seconds=0.3), 10)
    assert closing["job_id"] == "r1"
    assert 0.3 <= closing["job_time"] < 1
    assert before <= closing["start_time"] <= time.time()


def test_without_a_logging_level_there_are_two_lines(shared: Worker, make_job: Any) -> None:
    shared.run(make_job("tell", progress=[0.2, 0.4]), 10)
    assert [answer.data for answer in shared.progress] == [{"job_id": "job", "progress": 1.0}]


def test_progress_lines_never_fall_and_stay_between_0_and_1(shared: Worker, make_job: Any) -> None:
    shared.run(make_job("tell", level=2, progress=[-1, 0.5, 0.2, "nan", 0.7, 3]), 10)
    assert [answer.data["progress"] for answer in shared.progress] == [0, 0.5, 0.5, 0.5, 0.7, 1.0, 1.0]
    assert shared.progress[0].data["iterations"] == 7
    assert shared.progress[0].data["accuracy"] == 0.5


@pytest.mark.parametrize(("level", "told"), [(1, "on my way"), (3, "iterations 7")])
def test_people_read_on_stderr(shared: Worker, make_job: Any, level: int, told: str) -> None:
    job_id = f"people-{level}"
    shared.run(make_job("tell", job_id=job_id, level=level, progress=[0.5]), 10)
    assert len(shared.progress) == 1
    (line,) = [line for line in shared.stderr.splitlines() if line.startswith(job_id)]
    assert told in line


def test_answers_are_strict_json(shared: Worker, make_job: Any) -> None:
    closing = shared.run(make_job("tell", progress=[]), 10)
    assert (closing["bad"], closing["worse"], closing["array"]) == (None, None, [0, 1])
    assert closing["name"] == "a\\udce9\u2028b"
    assert closing["long"] == 2.0**70


@pytest.mark.parametrize("kind", ["ValueError", "SystemExit", "MemoryError"])
def test_a_failed_job_is_answered_with_its_traceback(shared: Worker, make_job: Any, kind: str) -> None:
    before = shared.run(make_job(), 10)["pid"]
    closing = shared.run(make_job("fail", job_id="f1", type=kind), 10)
    assert (closing["job_id"], closing["error_type"]) == ("f1", kind)
    assert closing["error_message"] == "first line second line"
    assert "fake_jobs.py" in closing["error"]
    assert "error_path" not in closing
    assert shared.run(make_job(), 10)["pid"] == before


def test_an_output_directory_that_is_a_file_fails_the_job(
    shared: Worker, make_job: Any, tmp_path: Path
) -> None:
    (tmp_path / "output").write_text("a file")
    closing = shared.run(make_job(), 10)
    assert closing["error_type"] == "WorkspaceError"
    assert str(tmp_path / "output") in closing["error_message"]


def test_what_libraries_print_goes_to_stderr(shared: Worker, make_job: Any) -> None:
    assert shared.run(make_job("make_noise"), 10)["stdin"] == ""
    for source in ("descriptor", "print", "C library"):
        assert f"noise by {source}" in shared.stderr


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_child_that_dies_fails_its_job_only(shared: Worker, make_job: Any, name: str) -> None:
    closing = shared.run(make_job("die", job_id="d1", level=2, signal=name), 10)
    assert (closing["job_id"], closing["error_type"]) == ("d1", "WorkerDied")
    assert name in closing["error_message"]
    assert shared.run(make_job(value=2), 10)["value"] == 2


def test_a_child_that_leaves_fails_its_job_only(shared: Worker, make_job: Any) -> None:
    closing = shared.run(make_job("die", exit_code=3), 10)
    assert closing["error_type"] == "WorkerDied"
    assert "exit code 3" in closing["error_message"]
    assert shared.run(make_job(value=2), 10)["value"] == 2


def test_a_child_killed_in_the_middle_of_a_job_leaves_no_half_file(
    shared: Worker, make_job: Any, tmp_path: Path
) -> None:
    shared.submit(make_job("write_slowly", level=2, seconds=30))
    pid = shared.wait_for_progress(10).data["pid"]
    assert len(list((tmp_path / "output").iterdir())) == 1
    os.kill(pid, signal.SIGKILL)
    assert shared.closing(10)["error_type"] == "WorkerDied"
    assert list((tmp_path / "output").iterdir()) == []
    assert shared.run(make_job(value=2), 10)["value"] == 2


def test_a_child_that_dies_idle_is_replaced(shared: Worker, make_job: Any) -> None:
    pid = shared.run(make_job(), 10)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: shared.children() not in ([], [pid]), 5, "a new child")
    assert shared.run(make_job(), 10)["pid"] != pid


def test_cancel_ends_the_running_job(shared: Worker, make_job: Any, tmp_path: Path) -> None:
    shared.submit(make_job("write_slowly", job_id="c1", level=2, seconds=30), make_job(value=3))
    pid = shared.wait_for_progress(10).data["pid"]
    sent = time.monotonic()
    shared.send("cancel c1")
    closing = shared.closing(5)
    assert (closing["job_id"], closing["error_type"]) == ("c1", "Cancelled")
    assert time.monotonic() - sent < 2
    assert list((tmp_path / "output").iterdir()) == []
    assert not is_alive(pid)
    assert shared.closing(10)["value"] == 3


def test_cancel_ends_a_queued_job_at_its_turn(shared: Worker, make_job: Any) -> None:
    shared.submit(
        make_job("sleep", job_id="c2", level=2, seconds=0.5), make_job(job_id="c3"), make_job(value=4)
    )
    shared.wait_for_progress(10)
    shared.send("cancel c3")
    answers = [shared.closing(10) for _ in range(3)]
    assert [answer["job_id"] for answer in answers] == ["c2", "c3", "job"]
    assert [answer.get("error_type") for answer in answers] == [None, "Cancelled", None]


def test_cancel_holds_for_the_jobs_before_it_only(shared: Worker, make_job: Any) -> None:
    shared.send("cancel c4")
    shared.submit(make_job("sleep", level=2, seconds=0.3), make_job(job_id="c4", value=1))
    shared.wait_for_progress(10)
    shared.send("cancel c4", "cancel nobody")
    shared.submit(make_job(job_id="c4", value=2))
    answers = [shared.closing(10) for _ in range(3)]
    assert [answer.get("error_type") for answer in answers] == [None, "Cancelled", None]
    assert answers[2]["value"] == 2


def test_a_job_may_have_megabytes_of_settings(shared: Worker, make_job: Any) -> None:
    value = "x" * 5_000_000
    assert shared.run(make_job(value=value), 20)["value"] == value
