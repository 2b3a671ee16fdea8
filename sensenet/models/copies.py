"""Copies and pickles of models: they are made anew, of their document, or of a bundle in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import sensenet
from sensenet.forks import fork_error, has_lost_threads
from sensenet.formats.smbundle.container import SUFFIX


class Unusable:
    """What a model is unpickled as where it cannot be made: an error there would leave a pool of processes waiting."""

    def __call__(self, *points: Any) -> NoReturn:
        """A model cannot be called here.

        Raises:
            ForkError: always.
        """
        raise fork_error()

    def __getattr__(self, name: str) -> NoReturn:
        """A model has nothing else here, either."""
        raise AttributeError(name) if name.startswith("__") else fork_error()


def remade(make: Callable[..., Any], *parts: Any) -> Any:
    """What pickles call: a model of what `make` takes, or an `Unusable`.

    Raises:
        ModelFormatError: it was changed meanwhile.
    """
    return Unusable() if has_lost_threads() else make(*parts)


def bundle_bytes(model: Any) -> bytes:
    """The bundle of a model, its settings among it.

    Raises:
        OSError: there is no room for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        return Path(model.save_bundle(Path(folder) / f"model{SUFFIX}")).read_bytes()


def model_of_bundle(content: bytes) -> Any:
    """The model of `bundle_bytes`.

    Raises:
        ModelFormatError: it was changed meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        path = Path(folder) / f"model{SUFFIX}"
        path.write_bytes(content)
        return sensenet.create_model(path)
