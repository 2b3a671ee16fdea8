"""The `output_directory` of a job: every file name in it. How its files are written and read stands in `stored`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyramid.errors import WorkspaceError
from pyramid.storage.files import (
    check_there,
    naming_file,
    read_array,
    read_bytes,
    read_json,
    remove,
    whole_file,
    whole_files,
    write_array,
    write_bytes,
    write_json,
)
from sensenet import partial_files

__all__ = [
    "MAX_SUBSETS",
    "Submodel",
    "Workspace",
    "check_there",
    "naming_file",
    "read_array",
    "read_bytes",
    "read_json",
    "whole_file",
    "whole_files",
    "write_array",
    "write_bytes",
    "write_json",
]

MAX_SUBSETS = 8


@dataclass(frozen=True)
class Workspace:
    """The file names of one output directory (docs/tables.md, "Files of a caching job"; docs/formats.md)."""

    root: Path

    @classmethod
    def create(cls, directory: str | os.PathLike[str]) -> Workspace:
        """The workspace at `directory`, made if absent; what dead processes left half-written there is removed.

        Raises:
            WorkspaceError: the directory cannot be made, or is a file.
        """
        root = Path(directory)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_directory(root, error) from error
        workspace = cls(root)
        workspace.sweep()
        return workspace

    def sweep(self) -> None:
        """Remove what nobody will finish; only the workspace's own folders are looked into."""
        partial_files.sweep(self.root)
        for submodel in self.submodels():
            if not submodel.root.is_symlink():
                partial_files.sweep(submodel.root)

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
    def folds(self) -> Path:
        """The fold of each row of `full_dataset`; only there where a caching job was asked for folds."""
        return self.root / "folds.npy"

    @property
    def full_rows(self) -> Path:
        """Beside `folds`, where `full_dataset` is a sample: the numbers of its rows in the `.ser`."""
        return self.root / "full_rows.npy"

    @property
    def image_features(self) -> Path:
        """Which image network the features in the cached matrix come from; absent without image fields."""
        return self.root / "image_features.json"

    @property
    def image_files(self) -> Path:
        """The image files of each cached row; only there where a caching job was asked for holdout images."""
        return self.root / "image_files.json"

    def cached_files(self) -> list[Path]:
        """All that a caching job may leave, but for `dataset_info`."""
        images = [self.image_features, self.image_files]
        matrices = [self.full_dataset, self.evaluation_dataset, self.importance_dataset]
        subsets = [self.data_subset(number) for number in range(MAX_SUBSETS)]
        folds = [self.folds, self.full_rows]
        return [*matrices, *subsets, *folds, self.trees, self.tree_importances, *images]

    @property
    def dataset_info(self) -> Path:
        """Digests of the files that one caching job left, which tell that they belong together."""
        return self.root / "dataset_info.json"

    @property
    def report(self) -> Path:
        """The page about the last training of images, or of all networks that one command tried."""
        return self.root / "report.html"

    @property
    def table_rows(self) -> Path:
        """The rows of a table that is searched over, as the caching job reads them."""
        return self.root / "rows.ser"

    @property
    def row_numbers(self) -> Path:
        """Which row of the table each of `table_rows` is; absent where all of them are there."""
        return self.root / "row_numbers.npy"

    @property
    def test_rows(self) -> Path:
        """Rows of a table that a search over it has not seen; only there where some were held back."""
        return self.root / "test_rows.parquet"

    @property
    def fit_report(self) -> Path:
        """What a search over a table tells of itself."""
        return self.root / "fit_report.json"

    @property
    def leaderboard(self) -> Path:
        """The candidates of a search over a table, the best first."""
        return self.root / "leaderboard.csv"

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
    def selection(self) -> Path:
        """Which submodels a greedy selection took, and what it promises of them."""
        return self.root / "selection.json"

    @property
    def final_out_of_fold(self) -> Path:
        """What each row of the full matrix is to a model that was selected without its fold."""
        return self.root / "final_out_of_fold.npy"

    @property
    def final_weights(self) -> Path:
        """The weights of the final model."""
        return self.root / "final_model_weights.h5"

    @property
    def final_bundle(self) -> Path:
        """The final model as a bundle."""
        return self.root / "final_model_bundle.smbundle"

    @property
    def final_javascript(self) -> Path:
        """The final model for TensorFlow.js, a directory."""
        return self.root / "final_model_js_export"


@dataclass(frozen=True)
class Submodel:
    """The files that one training job leaves."""

    root: Path

    @property
    def job_id(self) -> str:
        """The id of the job that wrote this directory."""
        return self.root.name.removeprefix("submodel_")

    @property
    def workspace(self) -> Workspace:
        """Where the submodel is."""
        return Workspace(self.root.parent)

    @property
    def fit_info(self) -> Path:
        """Everything about the trained network but its weights."""
        return self.root / "model_fit_info.json"

    @property
    def weights(self) -> Path:
        """The weights of the trained network, where it is one."""
        return self.root / "model_weights.h5"

    def weight_files(self, count: int) -> list[Path]:
        """The weights of `count` trained networks, a file each."""
        if count == 1:
            return [self.weights]
        return [self.root / f"model_weights_{number}.h5" for number in range(count)]

    @property
    def out_of_fold(self) -> Path:
        """What each row of the cached matrix is to a network that did not see it; only there with folds."""
        return self.root / "out_of_fold.npy"

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

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the directory if it is absent; where the body fails, it is not left empty.

        Raises:
            WorkspaceError: it cannot be made, or the workspace has been removed.
        """
        try:
            self.root.mkdir(exist_ok=True)
        except OSError as error:
            raise _no_directory(self.root, error) from error
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self.root.rmdir()
            raise

    def withdraw_evaluations(self) -> None:
        """Remove what an earlier job's networks were measured by, so that it does not pass for that of new weights.

        Raises:
            WorkspaceError: a file cannot be removed.
        """
        remove(self.evaluations)
        remove(self.out_of_fold)


def _no_directory(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(f"{path} cannot be used as a directory: {error.strerror or error}")
