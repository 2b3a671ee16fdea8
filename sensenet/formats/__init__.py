"""Models in other people's formats: one function a format, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

PathLike = str | os.PathLike[str]


def _bundle(model: Any, path: PathLike) -> str:
    return str(model.save_bundle(path))


def _h5(model: Any, path: PathLike) -> str:
    model.save_weights(path)
    return os.fspath(path)


FORMATS: Mapping[str, Callable[[Any, PathLike], str]] = MappingProxyType({"h5": _h5, "smbundle": _bundle})
"""Format name -> function that writes a model (`sensenet.models.deepnet.Deepnet`) to a path and returns the path."""
