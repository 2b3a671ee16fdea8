"""What an export format is, and what runs its files without us."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

PathLike = str | os.PathLike[str]
Arrays = Mapping[str, np.ndarray]
"""Tensors by the names that `sensenet.formats.exported.Exported` gives them."""

MAX_SECONDS = 600.0
"""That a program of its own may take to run an export."""

FACTS_FILE = "facts.json"
"""The facts of a model, in the directory of its export."""


class Consumer(NamedTuple):
    """A program that runs exported files and shares no code with us.

    Attributes:
        name: what receipts call it.
        start_seconds: about how long it takes before it computes.
        is_installed: whether it can be used here.
        run: of a path and the inputs of some calls the outputs of each call.
        can_be_ended: whether `run` takes `max_seconds`, too, and gives up after them with a `WeightsError`.
    """

    name: str
    start_seconds: float
    is_installed: Callable[[], bool]
    run: Callable[..., list[dict[str, np.ndarray]]]
    can_be_ended: bool = False


class Format(NamedTuple):
    """How a model becomes a file or directory, and who confirms it.

    Attributes:
        write: writes a model (`sensenet.models.deepnet.Deepnet`, or a detector) to a path, with options; gives the
            path written.
        read: the model in such a file; takes a model of the same layers, whose document says what the format does
            not. None where we do not read the format.
        options: the names of options, and the values that each may have beside None; without values any text.
        consumers: what runs the format, the most independent first.
        keeps_boxes: of detectors: whether the outputs are the boxes that are kept, or all of them.
    """

    write: Callable[..., str]
    read: Callable[[PathLike, Any], Any] | None = None
    options: Mapping[str, Sequence[Any]] = MappingProxyType({})
    consumers: tuple[Consumer, ...] = ()
    keeps_boxes: bool = False
