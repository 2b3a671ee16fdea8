"""The `output_directory` of a job: every file name in it, written whole or not at all, read with clear errors."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pyramid.errors import WorkspaceError
from sensenet import files

MAX_SUBSETS = 8


@dataclass(frozen=True)
class Workspace:
    """The file names of one output directory (spec pages 3 and 8)."""

    root: Path

    @classmethod
    def create(cls, directory: str | os.PathLike[str]) -> Workspace:
        """The workspace at `directory`, made if absent.

        Raises:
            WorkspaceError: the directory cannot be made, or is a file.
        """
        root = Path(directory)
        _make_directory(root)
        return cls(root)

    @property
    def full_dataset(self) -> Path:
        """The cached float32 matrix of all rows."""
        return self.root / "full_dataset.npy"

    @property
    def evaluation_dataset(self) -> Path:
        """At most 4096 rows of the cached matrix, for search evaluations."""
        return self.root / "evaluation_dataset.npy"

    @property
    def importance_dataset(self) -> Path:
        """At most 128 representative rows of the cached matrix."""
        return self.root / "importance_dataset.npy"

    def data_subset(self, number: int) -> Path:
        """A seeded sample of the full matrix; `number` is 0 to 7."""
        return self.root / f"data_subset_{number}.npy"

    @property
    def trees(self) -> Path:
        """The forests of the tree embedding."""
        return self.root / "trees.json"

    @property
    def tree_importances(self) -> Path:
        """For each tree feature its share per input field."""
        return self.root / "tree_importances.json"

    @property
    def image_features(self) -> Path:
        """Which image network the features in the cached matrix come from; absent without image fields."""
        return self.root / "image_features.json"

    @property
    def report(self) -> Path:
        """The page about the last training of images, or of all networks that one command tried."""
        return self.root / "report.html"

    def submodel(self, job_id: str) -> Submodel:
        """The files of one training job; the directory need not exist."""
        return Submodel(self.root / f"submodel_{job_id}")

    def submodels(self) -> list[Submodel]:
        """All training jobs' directories, in the order of their names."""
        return [Submodel(path) for path in sorted(self.root.glob("submodel_*")) if path.is_dir()]

    @property
    def final_model(self) -> Path:
        """The whole model document."""
        return self.root / "final_model.json"

    @property
    def short_model(self) -> Path:
        """The model document without weights."""
        return self.root / "short_model.json"

    @property
    def final_weights(self) -> Path:
        """The weights of the final model."""
        return self.root / "final_model_weights.h5"

    @property
    def final_bundle(self) -> Path:
        """The final model as a bundle."""
        return self.root / "final_model_bundle.smbundle"


@dataclass(frozen=True)
class Submodel:
    """The files that one training job leaves."""

    root: Path

    @property
    def job_id(self) -> str:
        """The id of the job that wrote this directory."""
        return self.root.name.removeprefix("submodel_")

    @property
    def fit_info(self) -> Path:
        """Everything about the trained network but its weights."""
        return self.root / "model_fit_info.json"

    @property
    def weights(self) -> Path:
        """The weights of the trained network."""
        return self.root / "model_weights.h5"

    @property
    def report(self) -> Path:
        """The page about a training of images."""
        return self.root / "report.html"

    @property
    def report_data(self) -> Path:
        """What that page shows, for pages about several trainings."""
        return self.root / "report.json"

    @property
    def evaluations(self) -> Path:
        """A search submodel's metrics on samples of the evaluation set."""
        return self.root / "evaluations.json"

    def withdraw_evaluations(self) -> None:
        """Remove the evaluations of an earlier job, so that they do not pass for those of new weights.

        Raises:
            WorkspaceError: the file cannot be removed.
        """
        try:
            self.evaluations.unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{self.evaluations} cannot be removed: {error.strerror or error}"
            ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[files.WholeFile]:
    """A new file that becomes `path` when the body succeeds; its directory is made if absent.

    Raises:
        WorkspaceError: the file cannot be written; names it and says why.
    """
    _make_directory(path.parent)
    with naming_file(path), files.whole_file(path) as file:
        yield file


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Say what could not be written when the body fails to write `path`.

    Raises:
        WorkspaceError: the body raised an OSError; names the file and says why.
    """
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as strict JSON.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    encoded = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    write_bytes(path, encoded)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` as the file `path`.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)


def write_submodel(submodel: Submodel, weights: bytes, fit_info: Mapping[str, Any]) -> None:
    """Leave a trained network: weights and fit info, both or, where one cannot be written, neither.

    Args:
        weights: the content of the weight file.

    Raises:
        WorkspaceError: a file cannot be written; those of an earlier job are still there.
    """
    with whole_file(submodel.weights) as weight_file, whole_file(submodel.fit_info) as info_file:
        weight_file.write(weights)
        info_file.write(orjson.dumps(fit_info, option=orjson.OPT_SERIALIZE_NUMPY))


def read_json(path: Path, written_by: str) -> Any:
    """Read a JSON file that a `written_by` job (such as "dataset_caching") left.

    Raises:
        WorkspaceError: the file is missing or is not JSON; names the job that should have written it.
    """
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, written_by, error.strerror or str(error)) from error
    except orjson.JSONDecodeError as error:
        raise _unreadable(path, written_by, f"not valid JSON ({error})") from error


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one `.npy` file.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    contiguous = np.ascontiguousarray(array)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(contiguous))
    # np.save writes through a buffer of C whose last error it does not see
    with whole_file(path) as file:
        file.write(header.getbuffer())
        file.write(contiguous)


def read_array(path: Path, written_by: str, mmap: bool = False) -> np.ndarray:
    """Read a `.npy` file that a `written_by` job left; `mmap` leaves the numbers on disk until they are used.

    Raises:
        WorkspaceError: the file is missing or is not a whole `.npy` file.
    """
    try:
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        known = isinstance(error, OSError) and error.strerror
        raise _unreadable(path, written_by, known or "it is not a whole .npy file") from error


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be used as a directory: {error.strerror or error}") from error


def _unreadable(path: Path, written_by: str, reason: str) -> WorkspaceError:
    return WorkspaceError(f"{path}, which a {written_by} job writes, cannot be read: {reason}")
