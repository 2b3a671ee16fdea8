"""A child whose jobs do what `training_options` says, without TensorFlow."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np

from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.worker.executor import serve
from pyramid.workspace import Workspace, whole_file

KEPT: list[bytearray] = []


def succeed(options: dict[str, Any], _workspace: Workspace, _report: Report) -> dict[str, Any]:
    return {"value": options.get("value"), "pid": os.getpid()}


def sleep(options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    report(0.0, message="asleep", pid=os.getpid())
    time.sleep(options["seconds"])
    return {}


def hold_interpreter(options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    report(0.0, pid=os.getpid())
    ctypes.PyDLL(None).sleep(int(options["seconds"]))
    return {}


def write_slowly(options: dict[str, Any], workspace: Workspace, report: Report) -> dict[str, Any]:
    with whole_file(workspace.full_dataset) as file:
        file.write(b"half of it")
        report(0.5, message="writing", pid=os.getpid())
        time.sleep(options["seconds"])
    return {}


def fail(options: dict[str, Any], _workspace: Workspace, _report: Report) -> dict[str, Any]:
    raise {"ValueError": ValueError, "SystemExit": SystemExit, "MemoryError": MemoryError}[options["type"]](
        "first line\nsecond line"
    )


def die(options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    report(0.2)
    if "exit_code" in options:
        os._exit(options["exit_code"])
    os.kill(os.getpid(), signal.Signals[options["signal"]])
    time.sleep(60)
    return {}


def make_noise(_options: dict[str, Any], _workspace: Workspace, _report: Report) -> dict[str, Any]:
    os.write(1, b"noise by descriptor\n")
    print("noise by print")
    libc = ctypes.CDLL(None)
    libc.puts(b"noise by C library")
    libc.fflush(None)
    return {"stdin": os.read(0, 10).decode()}


def tell(options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    for progress in options["progress"]:
        report(float(progress), message="on my way", iterations=7, accuracy=np.float32(0.5))
    return {
        "bad": float("nan"),
        "worse": np.inf,
        "array": np.arange(2),
        "name": "a\udce9\u2028b",
        "long": 2**70,
    }


def flood(options: dict[str, Any], workspace: Workspace, report: Report) -> dict[str, Any]:
    for number in range(options["lines"]):
        report(number / options["lines"], message="x" * 1000)
    (workspace.root / "done").touch()
    return {}


def grow(options: dict[str, Any], _workspace: Workspace, _report: Report) -> dict[str, Any]:
    KEPT.append(bytearray(os.urandom(1) * options["megabytes"] * 1_000_000))
    return {"pid": os.getpid(), "niceness": os.getpriority(os.PRIO_PROCESS, 0)}


def count_and_die(_options: dict[str, Any], workspace: Workspace, _report: Report) -> dict[str, Any]:
    (workspace.root / f"run by {os.getpid()}").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def leave_temporary_files(_options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(prefix="left-behind-", delete=False) as file:
        report(0.5, path=file.name, pid=os.getpid())
        time.sleep(30)
    return {}


def print_much(options: dict[str, Any], _workspace: Workspace, report: Report) -> dict[str, Any]:
    for number in range(options["lines"]):
        report(number / options["lines"], message="x" * 1000)
        print("by print", "y" * 1000)
        warnings.warn("z" * 1000, stacklevel=1)
        os.write(2, b"by descriptor" + b"z" * 1000 + b"\n")
    return {}


def speak_nonsense(_options: dict[str, Any], _workspace: Workspace, _report: Report) -> dict[str, Any]:
    os.write(int(sys.argv[1]), b"nonsense\n")
    time.sleep(30)
    return {}


def write_on_and_on(_options: dict[str, Any], workspace: Workspace, report: Report) -> dict[str, Any]:
    report(0.0, pid=os.getpid())
    for number in itertools.count():
        with whole_file(workspace.root / str(number % 100)) as file:
            file.write(b"content")
    return {}


JOBS = {
    job.__name__: job
    for job in (
        succeed,
        sleep,
        hold_interpreter,
        write_slowly,
        fail,
        die,
        make_noise,
        tell,
        flood,
        grow,
        count_and_die,
        leave_temporary_files,
        print_much,
        speak_nonsense,
        write_on_and_on,
    )
}


def run(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    options = settings.training_options
    result = JOBS[options["do"]](options, workspace, report)
    return {**result, "start_time": settings.start_time}


def warm() -> None:
    if "FAKE_WARM_EXIT_CODE" in os.environ:
        os._exit(int(os.environ["FAKE_WARM_EXIT_CODE"]))
    time.sleep(float(os.environ.get("FAKE_WARM_SECONDS", "0")))


if __name__ == "__main__":
    serve(sys.argv[1:], lambda _job_type: run, warm)
