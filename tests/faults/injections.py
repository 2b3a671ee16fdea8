"""The faults that jobs are disturbed with, by name; each says when in a job it may strike."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
from scenes import Scene
from strace import injected

BEGINNING, MIDDLE, WRITING, IDLE = "early", "middle", "writing", "idle"
WHOLE = "whole"
SMALL_BYTES = 64_000
TMPFS_BYTES = 64_000_000

Strike = Callable[[Scene], None]
Around = Callable[[Scene], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        stages: when it strikes: `early`, at the first word of the job; `middle`; `writing`, when a file is on its way;
            `idle`, before the job comes; `whole`, all the time that the job runs.
        strike: makes it happen once the stage is reached.
        around: makes it hold while the job runs.
        mounted: whether the job writes to a file system of its own.
        ends_worker: whether the worker is gone afterwards.
        removes: whether what was there before may be gone afterwards.
        leaves: whether half-written files may stay, as nobody who could remove them is left; they are swept up when
            they are old.
        stderr: how people read it: `gone`, `full`, or None, as usual.
        must_succeed: at which stages the job succeeds nevertheless.
        strikes_itself: whether `around` knows when the stage is reached.
    """

    stages: tuple[str, ...]
    strike: Strike = lambda _scene: None
    around: Around = lambda _scene: contextlib.nullcontext()
    mounted: bool = False
    ends_worker: bool = False
    removes: bool = False
    leaves: bool = False
    stderr: str | None = None
    must_succeed: tuple[str, ...] = ()
    strikes_itself: bool = False


def _signal(number: signal.Signals, scene: Scene) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(scene.child, number)


def _stop_and_continue(scene: Scene) -> None:
    child = scene.child
    os.kill(child, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(child, signal.SIGCONT)


def _kill_both(scene: Scene) -> None:
    child = scene.child
    scene.worker.signal(signal.SIGKILL)
    os.kill(child, signal.SIGKILL)


def _kill_parent(scene: Scene) -> None:
    scene.worker.signal(signal.SIGKILL)


def _cancel(scene: Scene) -> None:
    scene.worker.send(f"cancel {job_id(scene)}")


def _remove_directory(scene: Scene) -> None:
    shutil.rmtree(scene.output, ignore_errors=True)


def job_id(scene: Scene) -> str:
    """The id under which the job is answered."""
    images = scene.job["job_type"] == "image_training"
    return "initial_model_randomly_initialize" if images else scene.job["job_id"]


@contextlib.contextmanager
def _full_disk(scene: Scene) -> Iterator[None]:
    ballast = scene.output / "ballast"
    free = os.statvfs(scene.output)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - SMALL_BYTES // 16)))
    yield
    ballast.unlink()


@contextlib.contextmanager
def _read_only(scene: Scene) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", scene.output], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", scene.output], check=True)


@contextlib.contextmanager
def _limited(name: int, value: Callable[[int], int], scene: Scene) -> Iterator[None]:
    child = scene.child
    before = resource.prlimit(child, name)
    resource.prlimit(child, name, (value(child), before[1]))
    yield
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(child, name, before)


def _memory_now(child: int) -> int:
    return int(Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[0]) * 4096 + 4_000_000


def _open_files_now(child: int) -> int:
    return len(list(Path(f"/proc/{child}/fd").iterdir()))


def _at_call(calls: str, what: str, when: int) -> Around:
    return lambda scene: injected(scene.child, calls, what, str(when), all_threads=True)


RENAMES, UNLINKS, MKDIRS = "?rename,?renameat,?renameat2", "?unlink,?unlinkat", "?mkdir,?mkdirat"
KILL = "signal=SIGKILL"

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "SIGKILL of the child": Fault(
            (BEGINNING, MIDDLE, WRITING, IDLE), partial(_signal, signal.SIGKILL), must_succeed=(IDLE,)
        ),
        "SIGSEGV of the child": Fault((MIDDLE,), partial(_signal, signal.SIGSEGV)),
        "SIGTERM of the child": Fault((MIDDLE, IDLE), partial(_signal, signal.SIGTERM), must_succeed=(IDLE,)),
        "SIGQUIT of the child": Fault((MIDDLE, IDLE), partial(_signal, signal.SIGQUIT), must_succeed=(IDLE,)),
        "SIGSTOP, SIGCONT of the child": Fault(
            (BEGINNING, MIDDLE), _stop_and_continue, must_succeed=(BEGINNING, MIDDLE)
        ),
        "SIGKILL of parent and child": Fault(
            (BEGINNING, MIDDLE, WRITING), _kill_both, ends_worker=True, leaves=True
        ),
        "SIGKILL of the parent": Fault((MIDDLE, WRITING), _kill_parent, ends_worker=True),
        "cancel": Fault((BEGINNING, MIDDLE, WRITING), _cancel),
        "directory removed": Fault((BEGINNING, MIDDLE, WRITING), _remove_directory, removes=True),
        "full disk": Fault((WHOLE,), around=_full_disk, mounted=True),
        "read-only directory": Fault((WHOLE,), around=_read_only, mounted=True),
        "RLIMIT_AS": Fault((WHOLE,), around=partial(_limited, resource.RLIMIT_AS, _memory_now)),
        "RLIMIT_FSIZE": Fault((WHOLE,), around=partial(_limited, resource.RLIMIT_FSIZE, lambda _child: 700)),
        "RLIMIT_NOFILE": Fault((WHOLE,), around=partial(_limited, resource.RLIMIT_NOFILE, _open_files_now)),
        "stderr gone": Fault((WHOLE,), stderr="gone", must_succeed=(WHOLE,)),
        "stderr full": Fault((WHOLE,), stderr="full", must_succeed=(WHOLE,)),
        "SIGKILL at the 1st rename": Fault(
            (WRITING,), around=_at_call(RENAMES, KILL, 1), strikes_itself=True
        ),
        "SIGKILL at the 2nd rename": Fault(
            (WRITING,), around=_at_call(RENAMES, KILL, 2), strikes_itself=True
        ),
        "SIGKILL at the 3rd rename": Fault(
            (WRITING,), around=_at_call(RENAMES, KILL, 3), strikes_itself=True
        ),
        "SIGKILL at the 1st fsync": Fault((WRITING,), around=_at_call("fsync", KILL, 1), strikes_itself=True),
        "SIGKILL at the 2nd fsync": Fault((WRITING,), around=_at_call("fsync", KILL, 2), strikes_itself=True),
        "SIGKILL at the 1st unlink": Fault(
            (WRITING,), around=_at_call(UNLINKS, KILL, 1), strikes_itself=True
        ),
        "EIO of the 1st rename": Fault(
            (WRITING,), around=_at_call(RENAMES, "error=EIO", 1), strikes_itself=True
        ),
        "EIO of the 2nd rename": Fault(
            (WRITING,), around=_at_call(RENAMES, "error=EIO", 2), strikes_itself=True
        ),
        "ENOSPC of the 1st fsync": Fault(
            (WRITING,), around=_at_call("fsync", "error=ENOSPC", 1), strikes_itself=True
        ),
        "EROFS of the 1st unlink": Fault(
            (WRITING,), around=_at_call(UNLINKS, "error=EROFS", 1), strikes_itself=True
        ),
        "ENOSPC of the 1st mkdir": Fault(
            (WRITING,), around=_at_call(MKDIRS, "error=ENOSPC", 1), strikes_itself=True
        ),
    }
)


@contextlib.contextmanager
def mounted(target: Path) -> Iterator[None]:
    """A small file system at `target`, with what stands there; skips the test where this user cannot mount one."""
    kept = target.with_name(target.name + "-kept")
    if target.is_dir():
        target.rename(kept)
    target.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={TMPFS_BYTES}"]
    done = subprocess.run(["mount", *options, "tmpfs", target], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user cannot mount a tmpfs: {done.stderr.strip()}")
    try:
        if kept.is_dir():
            shutil.copytree(kept, target, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "-l", target], check=True)
