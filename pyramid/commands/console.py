"""What every command does alike: its answer on standard output, its errors as one line each, its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from pyramid import __version__
from pyramid.errors import PyramidError, SettingsError
from pyramid.worker.child import child_environment
from sensenet.errors import SensenetError

EXIT_FINE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


class CommandError(PyramidError):
    """What a command cannot do for the person who asked; the message says why."""


def make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options of every command; wrong arguments end the process with 2."""
    parser = argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error, too")
    return parser


def run_command(program: str, debug: bool, command: Callable[[], None]) -> int:
    """Run a command: the one place where whatever goes wrong becomes a line on standard error.

    Args:
        program: its name.
        debug: whether the traceback is shown, too.

    Returns:
        The exit code.
    """
    _prepare_tensorflow()
    try:
        with _without_chatter(debug):
            command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say(program, "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # nobody reads any more; what is left in the buffer must not be tried again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if _was_interrupted(error):
            _say(program, "interrupted")
            return EXIT_INTERRUPTED
        if debug:
            traceback.print_exc()
        for line in told(error):
            _say(program, line)
        return EXIT_FAILED
    return EXIT_FINE


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an interrupt is behind an error: of a library that was being imported it makes an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def told(error: BaseException) -> list[str]:
    """An error for people: one line, and one for each rule that settings break."""
    if isinstance(error, SettingsError):
        return [f"{violation.path or '/'}: {violation.message}" for violation in error.violations]
    if isinstance(error, (PyramidError, SensenetError)):
        return [str(error)]
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return [f"{error.filename}: {error.strerror}"]
    words = " ".join(str(error).split())
    return [f"unexpected {type(error).__name__}: {words}; --debug shows where"]


def answer(text: str) -> None:
    """Print what a long command has to say; where nobody reads it, or a disk is full, the work goes on without it."""
    try:
        print(text, flush=True)
    except OSError as error:
        # what is left in the buffer must not be tried again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"warning: standard output takes no more: {error.strerror}", file=sys.stderr, flush=True)


def read_json_file(path: Path) -> Any:
    """The JSON value in a file that a person names.

    Raises:
        CommandError: it cannot be read, or is not JSON; says where it breaks.
    """
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{path} is not valid JSON: {error}") from error


@contextmanager
def _without_chatter(debug: bool) -> Iterator[None]:
    """Keep what libraries write to descriptor 2 past Python from people; `sys.stderr` leads where it led.

    TensorFlow tells of processors and drivers before it reads any setting that could silence it.
    """
    shown = sys.stderr
    if debug or not _is_descriptor_2(shown):
        yield
        return
    kept = os.dup(2)
    with (
        Path(os.devnull).open("wb") as nowhere,
        os.fdopen(kept, "w", encoding=shown.encoding, buffering=1) as stream,
    ):
        shown.flush()
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = stream
        try:
            yield
        finally:
            stream.flush()
            sys.stderr = shown
            os.dup2(kept, 2)


def _is_descriptor_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):
        return False


def _prepare_tensorflow() -> None:
    """Set what it reads when it is imported, which nothing has done yet, as for the worker's child."""
    for name, value in child_environment({}).items():
        if name != "PYTHONPATH":
            os.environ.setdefault(name, value)


def _say(program: str, line: str) -> None:
    print(f"{program}: error: {line}", file=sys.stderr, flush=True)
