"""What TensorFlow reads before it is imported, set in one place for the worker's child, the commands and the demo."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
ALL_LEVELS, NO_LEVELS = "0", "3"
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        # the small steps of the training loop gain nothing from running side by side: a tenth faster without
        "XLA_FLAGS": "--xla_cpu_enable_concurrency_optimized_scheduler=false",
    }
)


def tensorflow_environment(given: Mapping[str, str], debug: bool = False) -> dict[str, str]:
    """The environment for a TensorFlow that is not imported yet: what is `given`, and defaults for the rest.

    Args:
        debug: whether its notices are shown; else it is quiet, unless `TF_CPP_MIN_LOG_LEVEL` is given below 3.
    """
    return {LEVEL: ALL_LEVELS if debug else NO_LEVELS, **DEFAULTS, **given}


def prepare_tensorflow(debug: bool = False) -> None:
    """Make that environment ours."""
    os.environ.update(tensorflow_environment(os.environ, debug))


@contextmanager
def hidden_notices(debug: bool = False) -> Iterator[None]:
    """Keep what libraries write to descriptor 2 past Python from people; `sys.stderr` leads where it led.

    TensorFlow tells of oneDNN, processors and drivers before it reads the level that should silence it. Nothing is
    hidden with `debug`, and where that level, as `tensorflow_environment` sets it, lets some notices through.
    """
    shown = sys.stderr
    if debug or os.environ.get(LEVEL) != NO_LEVELS or not _is_descriptor_2(shown):
        yield
        return
    kept = os.dup(2)
    stream = os.fdopen(kept, "w", encoding=shown.encoding, errors=shown.errors, buffering=1)
    with Path(os.devnull).open("wb") as nowhere:
        shown.flush()
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = stream
        try:
            yield
        finally:
            sys.stderr = shown
            os.dup2(kept, 2)
            with contextlib.suppress(OSError):  # nobody may read any more what is left to say
                stream.close()


def _is_descriptor_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):
        return False
