"""Where TensorFlow.js itself is: in a `node_modules`, as npm installs it. Nothing is downloaded here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import sensenet
from sensenet.errors import SettingsError

VERSION = "4.22.0"
VARIABLE = "SENSENET_NODE_MODULES"
PACKAGE = Path("@tensorflow") / "tfjs"
BROWSER_FILE = Path("dist") / "tf.min.js"
HOW_TO_GET_IT = f"install it with: npm install @tensorflow/tfjs@{VERSION}"


def find_package() -> Path:
    """The directory of the npm package.

    It is looked for in the directory that the environment variable SENSENET_NODE_MODULES names; where that is not set,
    in `node_modules` of the working directory and of the directories above it, then beside this package.

    Raises:
        SettingsError: it is nowhere; says how to get it.
    """
    for modules in _places():
        if (modules / PACKAGE / BROWSER_FILE).is_file():
            return (modules / PACKAGE).absolute()
    raise SettingsError(
        f"TensorFlow.js is in no node_modules here or above; {HOW_TO_GET_IT}, or set {VARIABLE} to the "
        "node_modules that has it"
    )


def _places() -> Iterator[Path]:
    if os.environ.get(VARIABLE):
        yield Path(os.environ[VARIABLE])
        return
    here = Path.cwd()
    for directory in (here, *here.parents, Path(sensenet.__file__).parents[1]):
        yield directory / "node_modules"
