"""The page around a model, as files: ours, and the TensorFlow.js that it runs."""

from __future__ import annotations

import os
from importlib import resources

from sensenet.formats.tfjs.runtime import FILE, read_runtime

INDEX = "index.html"


def page_files(runtime: str | os.PathLike[str] | None = None) -> dict[str, bytes]:
    """The files of a page, by their paths beside `model.json`.

    Args:
        runtime: the file of TensorFlow.js that the page gets a copy of; None: see `find_runtime`.

    Raises:
        SettingsError: there is no such file; says how to get it.
    """
    ours = {
        INDEX if entry.name == INDEX else f"page/{entry.name}": entry.read_bytes()
        for entry in resources.files("sensenet.formats.tfjs").joinpath("page").iterdir()
    }
    return {**ours, f"page/{FILE.name}": read_runtime(runtime)}
