"""A spawned pyramid, as an orchestrator sees it, and the line that shows people how a job goes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from pyramid.worker import protocol

IDLE_SECONDS = 60
END_SECONDS = 30
PROGRESS, COMPLETE = protocol.PROGRESS.decode(), protocol.COMPLETE.decode()
BAR_WIDTH = 10
HEADLINES = ("accuracy", "r_squared")


class Worker:
    """A spawned pyramid; the end of a `with` is its end."""

    def __init__(self, command: str, shows_protocol: bool):
        """Start it and wait until it is ready.

        Args:
            shows_protocol: whether its lines are printed as they are, and not one line a job.
        """
        self._shows_protocol = shows_protocol
        self._process = subprocess.Popen(
            [command, str(IDLE_SECONDS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read_line()

    def __enter__(self) -> Worker:
        """This worker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let it end, or end it where something went wrong."""
        if kind is not None:
            self._process.kill()
            return
        self._write("terminate")
        self._process.stdin.close()
        self._process.wait(timeout=END_SECONDS)

    def run(self, title: str, job: dict[str, Any]) -> dict[str, Any]:
        """Write the job's file, send its path, show how it goes, give the result."""
        path = Path(job["output_directory"]) / f"{job['job_type']}.json"
        path.write_text(json.dumps(job))
        self._write(str(path))
        shown = JobLine(title, job["job_type"], silent=self._shows_protocol)
        while True:
            line = self._read_line()
            if line.startswith(PROGRESS):
                shown.update(json.loads(line.removeprefix(PROGRESS)))
            elif line.startswith(COMPLETE):
                result = json.loads(line.removeprefix(COMPLETE))
                if "error" in result:
                    sys.exit(f"\n{job['job_type']} failed: {result['error_message']}\n{result['error']}")
                shown.finish(result["job_time"])
                return result

    def _write(self, line: str) -> None:
        if self._shows_protocol:
            print(f"> {line}", flush=True)
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _read_line(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the worker ended with exit code {self._process.wait()}")
        if self._shows_protocol:
            print(line, end="", flush=True)
        return line.rstrip("\n")


class JobLine:
    """One line about a job: on a terminal it updates itself, elsewhere it is printed when the job is done."""

    def __init__(self, title: str, job_type: str, silent: bool):
        """Show the job before its first progress line."""
        self._name = f"{title:24.24} {job_type:18}"
        self._updates, self._silent = sys.stdout.isatty() and not silent, silent
        self._metrics = ""
        self.update({"progress": 0.0})

    def update(self, told: dict[str, Any]) -> None:
        """Show what a progress line tells."""
        measured = [f"{name} {told[name]:.3f}" for name in HEADLINES if told.get(name) is not None]
        self._metrics = " ".join(measured) or self._metrics
        if self._updates:
            full = round(BAR_WIDTH * told["progress"])
            bar = "█" * full + "░" * (BAR_WIDTH - full)
            self._write(
                f"{self._name} {bar} {told['progress']:4.0%}  {self._metrics or told.get('message', '')}"
            )

    def finish(self, seconds: float) -> None:
        """Show that the job is done."""
        if self._silent:
            return
        self._write(f"{self._name} done in {seconds:5.1f} s  {self._metrics}")
        print(flush=True)

    def _write(self, text: str) -> None:
        if not self._updates:
            print(text.rstrip(), end="")
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:{width}}", end="", flush=True)
