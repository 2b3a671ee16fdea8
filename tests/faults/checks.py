"""What must hold in an output directory, whatever has happened to the job that wrote there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scenes import JOB_SECONDS, Scene

MAGIC = b"bigml_tensorflow_saved_model_bundle"
HEADER_UNIT = 1024


def assert_whole(directory: Path) -> None:
    """No file under a final name is half a file."""
    for path in directory.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda _name, item: item[...] if isinstance(item, h5py.Dataset) else None)
        elif path.suffix == ".smbundle":
            _assert_bundle(path)


def _assert_bundle(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(MAGIC), path
    start = len(MAGIC) + 1
    end = start + content[len(MAGIC)] * HEADER_UNIT
    files = [file for *_, files in json.loads(content[start:end]) for file in files]
    assert len(content) == end + sum(size for _, size in files), path


def assert_nothing_partial(directory: Path) -> None:
    """Nothing hidden is left, which is what files are until they are whole."""
    assert list(directory.rglob(".*")) == []


def assert_accepted_belongs_together(scene: Scene) -> None:
    """Finalizing makes a model of one job's results, or refuses them with the name of a file."""
    closing = scene.worker.run(scene.kind.finalizing(scene.directory), JOB_SECONDS)
    if "error" in closing:
        assert closing["error_type"] in ("WorkspaceError", "DataError"), closing
        assert str(scene.output) in closing["error_message"], closing
    else:
        assert mixed(scene) == [], "finalizing took the files of two jobs for those of one"


def mixed(scene: Scene) -> list[Any]:
    """The files of a submodel of which some are an earlier job's and some are not."""
    found = []
    for folder in scene.output.glob("submodel_*"):
        paths = [folder / "model_fit_info.json", folder / "model_weights.h5"]
        old = [
            path.read_bytes() == scene.earlier.get(str(path.relative_to(scene.directory))) for path in paths
        ]
        trees = scene.output / "trees.json"
        if trees.is_file() and old[0]:
            old.append(trees.read_bytes() == scene.earlier.get(str(trees.relative_to(scene.directory))))
        if len(set(old)) > 1:
            found.append((folder.name, old))
    return found


def assert_next_job_succeeds(scene: Scene) -> None:
    """A job of the same type, undisturbed, succeeds."""
    closing = scene.worker.run(scene.kind.job(scene.directory, 3) | {"max_iterations": 20}, JOB_SECONDS)
    assert "error" not in closing, closing
    assert_whole(scene.directory)
