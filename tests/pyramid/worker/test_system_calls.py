"""Whatever the system refuses the worker's parent once, every job line has one closing line, and the worker goes on."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from strace import injected, needs_strace
from worker_client import Answer, Worker

pytestmark = [pytest.mark.slow, needs_strace]

EXIT_OUTPUT_GONE = 141
# How a call fails, and which use of it, counted from the ready line.
FAILURES = {
    "read": ("EINTR EAGAIN EIO", "1 4"),
    "write": ("EAGAIN ENOMEM ENOSPC", "1 4"),
    "poll": ("EINTR ENOMEM", "1 5"),
    "recvfrom": ("EINTR ENOMEM ECONNRESET", "1 9"),
    "sendto": ("ENOBUFS EPIPE", "1 2"),
    "openat": ("EMFILE EIO", "1 4"),
    "?newfstatat,?fstat,?stat": ("EIO", "1 8"),
    "?unlink,?unlinkat": ("EROFS", "1"),
    "?rmdir,?mkdir": ("EROFS", "1"),
    "getdents64": ("EIO", "1"),
    "socketpair": ("EMFILE", "1"),
    "?vfork,?clone,?clone3,?fork": ("EAGAIN ENOMEM", "1"),
    "pipe2": ("EMFILE", "1 2"),
    "wait4": ("EINTR ECHILD", "1 6"),
    "kill": ("EPERM", "1"),
    "close": ("EIO", "1 3 7"),
    "fcntl": ("EBADF", "1"),
    "ioctl": ("ENOMEM", "1 2"),
    "lseek": ("ESPIPE", "1"),
    "mmap": ("ENOMEM", "1 2"),
}
CASES = [
    (calls, error, when)
    for calls, (errors, whens) in FAILURES.items()
    for error in errors.split()
    for when in whens.split()
]
JOBS = ["first", None, "cancelled", "killed", "last", "very last"]


def play(worker: Worker, make_job: Any) -> list[Answer]:
    """Jobs that succeed, are refused, cancelled, and lose their process.

    Returns:
        all lines until the worker closes its output.
    """
    answers = []
    with contextlib.suppress(BrokenPipeError, EOFError):
        worker.submit(make_job(job_id="first"))
        worker.send("/missing")
        worker.submit(make_job("write_slowly", job_id="cancelled", level=2, seconds=3))
        while not answers or answers[-1].data["job_id"] != "cancelled":
            answers.append(worker.next_answer(20))
        worker.send("cancel cancelled")
        worker.submit(make_job("die", job_id="killed", signal="SIGKILL"))
        worker.submit(make_job(job_id="last"), make_job(job_id="very last"))
        worker.send("terminate")
    return [*answers, *worker.rest(30)]


def answered(answers: list[Answer]) -> list[str | None]:
    return [answer.data["job_id"] for answer in answers if answer.kind == "complete"]


@pytest.mark.parametrize(("calls", "error", "when"), CASES, ids=lambda value: value.replace("?", ""))
def test_a_call_that_fails_once_loses_no_job(
    make_worker: Any, make_job: Any, calls: str, error: str, when: str
) -> None:
    worker = make_worker()
    with injected(worker.pid, calls, f"error={error}", when):
        ids = answered(play(worker, make_job))
        assert worker.exit_code(10) == 0, worker.stderr
    # an error of reading the input ends it: what comes later was never received
    expected = JOBS[: len(ids)] if (calls, error) == ("read", "EIO") else JOBS
    # a job whose file cannot be read is answered without an id
    assert [
        wanted if found is None else found for found, wanted in zip(ids, expected, strict=True)
    ] == expected


@pytest.mark.parametrize("error", ["EPIPE", "EIO"])
def test_output_that_is_gone_ends_the_worker(make_worker: Any, make_job: Any, error: str) -> None:
    worker = make_worker()
    with injected(worker.pid, "write", f"error={error}", "2"):
        assert len(answered(play(worker, make_job))) < len(JOBS)
        assert worker.exit_code(10) == EXIT_OUTPUT_GONE
