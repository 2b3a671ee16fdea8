"""One case of the table: a fault, a stage of a job, a job type."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from checks import (
    assert_accepted_belongs_together,
    assert_next_job_succeeds,
    assert_nothing_partial,
    assert_whole,
)
from injections import BEGINNING, FAULTS, IDLE, MIDDLE, WHOLE, WRITING, Fault, job_id, mounted
from scenes import JOB_SECONDS, KINDS, Scene, open_scene, restore
from worker_client import Answer, Worker, is_alive, wait_until

Case = tuple[str, str, str]

CASES: list[Case] = [
    (name, stage, kind) for name, fault in FAULTS.items() for stage in fault.stages for kind in KINDS
]


class Workers:
    """Workers that cases share, one for each way in which people read its text; a dead one is replaced."""

    def __init__(self, temporary: Path):
        """Start none; `temporary` is the directory for temporary files of all of them."""
        self._environment = {"TMPDIR": str(temporary)}
        self._running: dict[str | None, Worker] = {}
        self._pipes: list[int] = []

    def get(self, stderr: str | None) -> Worker:
        """A living one."""
        worker = self._running.get(stderr)
        if worker is not None and worker.process.poll() is not None:
            worker.__exit__(None, None, None)
            worker = None
        if worker is None:
            worker = self._running[stderr] = self._start(stderr)
        return worker

    def _start(self, stderr: str | None) -> Worker:
        if stderr is None:
            return Worker(600, environment=self._environment)
        reading, writing = os.pipe()
        if stderr == "gone":
            os.close(reading)
        else:
            self._pipes.append(reading)
        try:
            return Worker(600, environment=self._environment, stderr=writing)
        finally:
            os.close(writing)

    def close(self) -> None:
        """End them all."""
        for worker in self._running.values():
            worker.__exit__(None, None, None)
        for pipe in self._pipes:
            os.close(pipe)


def run_case(case: Case, templates: Path, directory: Path, workers: Workers) -> bool:
    """Disturb a job; see that it is answered once and that nothing is broken.

    Args:
        templates: where `scenes.prepare` has been.
        directory: for the job; made.

    Returns:
        whether the job came to harm: it failed, or its worker was killed.

    Raises:
        AssertionError: something is.
    """
    name, stage, kind = case
    fault = FAULTS[name]
    scene = open_scene(templates, kind, directory, workers.get(fault.stderr))
    with mounted(scene.output) if fault.mounted else contextlib.nullcontext():
        # a job that fails at once comes back when the child is warm
        scene.worker.run(scene.job | {"output_directory": "/dev/null/x"}, JOB_SECONDS)
        closing = _disturb(scene, fault, stage)
        if closing is None:
            scene.worker = workers.get(fault.stderr)
        else:
            _check_closing(scene, closing, must_succeed=stage in fault.must_succeed)
        assert_whole(directory)
        if fault.removes:
            restore(scene, templates)
        else:
            assert_accepted_belongs_together(scene)
        assert_next_job_succeeds(scene)
        if not fault.leaves:
            assert_nothing_partial(directory)
    return closing is None or "error" in closing


def _disturb(scene: Scene, fault: Fault, stage: str) -> dict[str, Any] | None:
    """Let the fault happen to the job; gives its closing line, None where the worker is gone."""
    children = scene.worker.children()
    if stage == IDLE:
        fault.strike(scene)
    with fault.around(scene):
        scene.worker.submit(scene.job | ({"logging_level": 1} if fault.stderr else {}))
        over = None if stage in (IDLE, WHOLE) or fault.strikes_itself else _reach(scene, stage)
        if over is not None:
            return over.data
        if stage != IDLE:
            fault.strike(scene)
        if not fault.ends_worker:
            return scene.worker.closing(JOB_SECONDS)
    scene.worker.exit_code(10)
    wait_until(lambda: not any(map(is_alive, children)), 5, "no orphan")
    return None


def _reach(scene: Scene, stage: str) -> Answer | None:
    """Wait for a stage; gives the closing line where the job was over before."""
    while True:
        if stage == WRITING and _is_writing(scene.output):
            return None
        with contextlib.suppress(TimeoutError):
            line = scene.worker.next_answer(0.001 if stage == WRITING else JOB_SECONDS)
            if line.kind == "complete":
                return line
            if stage == BEGINNING or (stage == MIDDLE and scene.kind.middle(line)):
                return None


def _is_writing(output: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(output.glob(".*.partial")) or any(output.glob("submodel_*/.*.partial"))
    return False


def _check_closing(scene: Scene, closing: dict[str, Any], must_succeed: bool) -> None:
    assert closing["job_id"] == job_id(scene), closing
    if must_succeed:
        assert "error" not in closing, closing
    # the next line is the answer to the next job: there was one for the disturbed job
    scene.worker.send("/no/such/job")
    assert "/no/such/job" in scene.worker.closing(JOB_SECONDS)["error_message"]
