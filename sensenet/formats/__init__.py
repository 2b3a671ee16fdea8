"""Models in other people's formats: what writes and what reads each, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import sensenet
from sensenet.formats.czmodel.segmentation import write_segmentation

PathLike = str | os.PathLike[str]


class Format(NamedTuple):
    """How a model becomes a file and a file predicts again.

    Attributes:
        write: writes a model (`sensenet.models.deepnet.Deepnet`, or a detector) to a path; gives the path written.
        read: the model in such a file; takes a model of the same layers, whose document says what the format does not.
    """

    write: Callable[[Any, PathLike], str]
    read: Callable[[PathLike, Any], Any]


def _write_bundle(model: Any, path: PathLike) -> str:
    return str(model.save_bundle(path))


def _read_bundle(path: PathLike, like: Any) -> Any:
    return sensenet.create_model(path)


def _write_h5(model: Any, path: PathLike) -> str:
    model.save_weights(path)
    return os.fspath(path)


def _read_h5(path: PathLike, like: Any) -> Any:
    like.load_weights(path)
    return like


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "h5": Format(_write_h5, _read_h5),
        "smbundle": Format(_write_bundle, _read_bundle),
        "czmodel": Format(write_segmentation, _read_h5),
    }
)
"""Format name -> how it is written and read."""
