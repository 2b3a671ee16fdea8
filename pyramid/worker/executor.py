"""The warm child: runs one job after the other, tells of them over the socket that its parent gave it."""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import orjson

from pyramid.errors import SettingsError, Violation
from pyramid.jobs import JOBS, Job, load_job
from pyramid.memory import resident_bytes
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.worker.child import DEBUG_OPTION
from pyramid.worker.orphan import end_with_parent, forget_alarm, stoppable_main_thread
from pyramid.worker.protocol import encode, failure
from pyramid.workspace import Workspace
from sensenet.partial_files import remove_partial_files, writer_name
from sensenet.tensorflow_setup import hidden_notices, prepare_tensorflow

WARMING_NICENESS = 10
STOP_SECONDS = 1.0
LOG_MESSAGES, LOG_PROGRESS_LINES, LOG_TRAINING = 1, 2, 3

LoadJob = Callable[[str], Job]
Send = Callable[[Mapping[str, Any]], None]


def run_job(settings: BaseSettings, load: LoadJob, report: Report) -> dict[str, Any]:
    """Run one job: the one place where whatever goes wrong in it becomes a failure, and no more than that.

    Returns:
        what its closing line says.
    """
    try:
        job = load(settings.job_type)
        workspace = Workspace.create(settings.output_directory)
        return {**job(settings, workspace, report), "job_id": settings.job_id}
    except BaseException as error:
        return failure(error, settings.job_id)


def serve(arguments: Sequence[str], load: LoadJob, warm: Callable[[], None]) -> None:
    """Warm up, then run the jobs that the parent sends until it ends; does not return.

    Args:
        arguments: those that `pyramid.worker.child.Child` gives, after `--debug` where the worker has it.
        load: gives the function of a job type.
        warm: imports what jobs need.
    """
    *options, descriptor, parent, yielding, folder = arguments
    parent_pid = int(parent)
    debug = DEBUG_OPTION in options
    prepare_tensorflow(debug)
    if debug:
        _log_everything()
    connection = _connect(int(descriptor), parent_pid)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    leave = _leaving(folder)
    threading.Thread(target=_listen, args=(connection, jobs, leave), daemon=True).start()

    def send(message: Mapping[str, Any]) -> None:
        connection.sendall(encode(message) + b"\n")

    if int(yielding):
        _yielding(warm)
    else:
        warm()
    send({"kind": "warm", "writer": writer_name()})
    while True:
        settings = BaseSettings.of_validated(jobs.get())
        forget_alarm(parent_pid)
        send({"kind": "began"})
        closing = run_job(settings, load, reporter(settings, send))
        send({"kind": "closing", "closing": closing, "rss_bytes": resident_bytes()})


def reporter(settings: BaseSettings, send: Send) -> Report:
    """The report of a job, as its `logging_level` asks; its progress never falls."""
    level, best = settings.logging_level, 0.0

    def report(progress: float, **facts: Any) -> None:
        nonlocal best
        # The comparisons leave out what is not a number.
        best = min(1.0, progress) if progress > best else best
        if level == LOG_PROGRESS_LINES:
            send({"kind": "progress", "progress": best, "facts": facts})
        elif level == LOG_TRAINING or (level == LOG_MESSAGES and "message" in facts):
            _tell_people(settings.job_id, best, facts)

    return report


def main() -> None:
    """Serve the jobs of this build, warmed with TensorFlow."""
    serve(sys.argv[1:], _load_job, lambda: _import_all(DEBUG_OPTION in sys.argv))


def _log_everything() -> None:
    faulthandler.enable()
    logging.basicConfig(level=logging.DEBUG)
    # it sets a level of its own, unless there is one
    logging.getLogger("tensorflow").setLevel(logging.DEBUG)


def _connect(descriptor: int, parent_pid: int) -> socket.socket:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    end_with_parent(parent_pid)
    return connection


def _yielding(warm: Callable[[], None]) -> None:
    """Warm up with the processor time that running jobs leave.

    Linux keeps a niceness for each thread, and whoever is not root cannot take it back: so a thread of its own warms
    up, and the one that runs jobs stays as it is. Threads inherit the niceness, too: those of the linear algebra
    libraries start when these are imported, and must not.
    """
    import_module("scipy.linalg")

    def run() -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WARMING_NICENESS)
        warm()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _listen(
    connection: socket.socket, jobs: queue.SimpleQueue[dict[str, Any]], leave: Callable[[str | None], None]
) -> None:
    directory = None
    try:
        with connection.makefile("rb") as lines:
            for line in lines:
                settings = orjson.loads(line)
                directory = settings["output_directory"]
                jobs.put(settings)
        leave(directory)
    finally:
        os._exit(0)


def _leaving(folder: str) -> Callable[[str | None], None]:
    """What clears away what the job in a directory was in the middle of: the parent, who would, is gone."""
    stop_main_thread = stoppable_main_thread()

    def leave(directory: str | None) -> None:
        stop_main_thread(STOP_SECONDS)
        if directory is not None:
            remove_partial_files(directory, writer_name())
        if folder:
            shutil.rmtree(folder, ignore_errors=True)

    return leave


def _tell_people(job_id: str, progress: float, facts: Mapping[str, Any]) -> None:
    message = facts.get("message", "")
    rest = ", ".join(f"{name} {_short(value)}" for name, value in facts.items() if name != "message")
    print(f"{job_id} {progress:4.0%} {message}{rest}", file=sys.stderr, flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _load_job(job_type: str) -> Job:
    if job_type not in JOBS:
        built_in = ", ".join(JOBS)
        message = f'found "{job_type}", which is not supported by this build; allowed is one of {built_in}'
        raise SettingsError([Violation("/job_type", message)])
    return load_job(job_type)


def _import_all(debug: bool) -> None:
    with hidden_notices(debug):
        import_module("tensorflow")
        for job_type in JOBS:
            # A job type that cannot be imported fails its own jobs, no others.
            try:
                load_job(job_type)
            except Exception:
                traceback.print_exc()


if __name__ == "__main__":
    main()
