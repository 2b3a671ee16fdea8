"""Where TensorFlow.js itself is: in a `node_modules`, as npm installs it. Nothing is downloaded here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import sensenet
from sensenet.errors import SettingsError
from sensenet.files import read_whole

VERSION = "4.22.0"
VARIABLE = "SENSENET_NODE_MODULES"
FILE = Path("@tensorflow") / "tfjs" / "dist" / "tf.es2017.min.js"
"""One file that needs no other, in browsers and in Node, and evaluates no texts, as a page may forbid."""

HOW_TO_GET_IT = f"install it with: npm install @tensorflow/tfjs@{VERSION}"


def find_runtime() -> Path:
    """TensorFlow.js as one file.

    It is looked for in the directory that the environment variable SENSENET_NODE_MODULES names; where that is not set,
    in `node_modules` of the working directory and of the directories above it, then beside this package.

    Raises:
        SettingsError: it is nowhere; says how to get it.
    """
    for modules in _places():
        if (modules / FILE).is_file():
            return (modules / FILE).absolute()
    raise SettingsError(
        f"TensorFlow.js is in no node_modules here or above; {HOW_TO_GET_IT}, or set {VARIABLE} to the "
        "node_modules that has it"
    )


def read_runtime(path: str | os.PathLike[str] | None = None) -> bytes:
    """What is in the file at `path`; None: in that of `find_runtime`.

    Raises:
        SettingsError: it is not there, or is something else; says how to get it.
    """
    file = find_runtime() if path is None else Path(path)
    try:
        content = read_whole(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"runtime: {file} cannot be read ({error}); {HOW_TO_GET_IT}") from error
    if b"loadGraphModel" not in content:
        raise SettingsError(f"runtime: {file} is not TensorFlow.js; expected its {FILE.name}")
    return content


def _places() -> Iterator[Path]:
    if os.environ.get(VARIABLE):
        yield Path(os.environ[VARIABLE])
        return
    here = Path.cwd()
    for directory in (here, *here.parents, Path(sensenet.__file__).parents[1]):
        yield directory / "node_modules"
