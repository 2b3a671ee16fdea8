"""The page around a model, as files: ours, and the TensorFlow.js that it runs."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from sensenet.errors import SettingsError
from sensenet.files import read_whole
from sensenet.formats.tfjs.runtime import BROWSER_FILE, HOW_TO_GET_IT, find_package

INDEX = "index.html"
RUNTIME = "page/tf.min.js"


def page_files(runtime: str | os.PathLike[str] | None = None) -> dict[str, bytes]:
    """The files of a page, by their paths beside `model.json`.

    Args:
        runtime: the file `dist/tf.min.js` of the npm package @tensorflow/tfjs; None: that of `find_package`.

    Raises:
        SettingsError: there is no such file; says how to get it.
    """
    ours = {
        INDEX if entry.name == INDEX else f"page/{entry.name}": entry.read_bytes()
        for entry in resources.files("sensenet.formats.tfjs").joinpath("page").iterdir()
    }
    return {**ours, RUNTIME: _runtime(find_package() / BROWSER_FILE if runtime is None else Path(runtime))}


def _runtime(path: Path) -> bytes:
    try:
        content = read_whole(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"runtime: {path} cannot be read ({error}); {HOW_TO_GET_IT}") from error
    if b"loadGraphModel" not in content:
        raise SettingsError(f"runtime: {path} is no TensorFlow.js for browsers, expected its dist/tf.min.js")
    return content
