"""What trainings on cached rows have in common, on folds or not: what they read, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import SettingsError, Violation
from pyramid.fields import Objective
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import ReadoutOptions, TreeOptions, job_fields
from pyramid.submodels.fit_info import configuration
from pyramid.submodels.holdout_images import RowFiles, read_row_files
from pyramid.tables.cached_data import CachedData
from pyramid.tables.splits import stratified_sample
from pyramid.train.dataset import CachedRows, Dataset, read_dataset, warn_of_lone_rows
from pyramid.train.fit import Metrics
from pyramid.workspace import Workspace
from sensenet.errors import ModelFormatError
from sensenet.layers import parse_layers
from sensenet.network import Network, build_network

SEARCH = "search_submodel"
EVALUATION_SAMPLES = 128
EVALUATION_SHARE = 0.2
MAX_EVALUATION_ROWS = 256

# what each random generator of a job is for; a number of its own keeps their streams apart
SPLIT, EVALUATION = 1, 2


@dataclass(frozen=True)
class Start:
    """What a training begins with.

    Attributes:
        started: unix time in seconds.
        rows: which of the cached rows are read.
        cached: the files of the caching job.
        dataset: the rows of `cache_file`.
        files: their image files, where holdout images are asked for and known.
        points: (rows, inputs) float32 that the importances of several fields come from; None where there is one.
        trees: for each tree feature its share per input field; None without tree features.
    """

    started: float
    rows: CachedRows
    cached: CachedData
    dataset: Dataset
    files: RowFiles | None
    points: np.ndarray | None
    trees: list[dict[str, float]] | None

    @property
    def belonging(self) -> dict[str, str | None]:
        """The digests of the cached files that the final model of the network will need."""
        trees, features = self.cached.workspace.trees, self.cached.workspace.image_features
        return {
            "trees": self.cached.digest_of(trees) if self.rows.trees.uses_trees else None,
            "image_features": self.cached.digest_of(features) if self.rows.fields.images else None,
        }


def begin(settings: BaseSettings, workspace: Workspace, report: Report) -> Start:
    """Read all before there is a network, so that what is missing is not found when it has been trained.

    Raises:
        PyramidError: data or files that cannot be used.
    """
    started = settings.start_time or time.time()
    report(0.0, message="reading the cached data")
    cached = CachedData.of(workspace)
    rows = CachedRows(Path(settings.cache_file), job_fields(settings), TreeOptions.of(settings))
    dataset = read_dataset(rows.cache_file, rows, cached)

    def warn(warning: str) -> None:
        report(0.0, message=warning)

    warn_of_lone_rows(dataset, warn)
    wants_images = settings.return_holdout_images and rows.fields.images
    files = read_row_files(rows.cache_file, cached, len(dataset), warn) if wants_images else None
    points = trees = None
    if len(rows.fields.inputs) > 1:
        points = read_dataset(workspace.importance_dataset, rows, cached).inputs
        if rows.trees.uses_trees:
            trees = cached.read_json(workspace.tree_importances)
    return Start(started, rows, cached, dataset, files, points, trees)


def build(options: ReadoutOptions, dataset: Dataset) -> Network:
    """The untrained network of a job.

    Raises:
        SettingsError: layers that cannot be built, or do not answer the objective.
    """
    try:
        layers = parse_layers(options.layers)
        network = build_network(layers, dataset.inputs.shape[1], options.seed)
    except ModelFormatError as error:
        raise SettingsError([Violation("/layers", str(error))]) from error
    except MemoryError as error:
        message = f"there is not enough memory for a network of this size ({error})"
        raise SettingsError([Violation("/layers", message)]) from error
    width, expected = network.model.output_shape[-1], dataset.objective.n_outputs
    if width != expected:
        message = f"the last layer has {width} outputs, but the objective needs {expected}"
        raise SettingsError([Violation(f"/layers/{len(options.layers) - 1}", message)])
    return network


def evaluation_samples(
    objective: Objective, truth: np.ndarray, outputs: np.ndarray, seed: int
) -> list[Metrics]:
    """The metrics on stratified samples of some rows, which a search ranks submodels by."""
    size = max(1, min(MAX_EVALUATION_ROWS, round(EVALUATION_SHARE * len(truth))))
    rng = np.random.default_rng([seed, EVALUATION])
    strata = objective.strata(truth)
    draws = [stratified_sample(strata, size, rng) for _ in range(EVALUATION_SAMPLES)]
    return [objective.evaluate(truth[rows], outputs[rows]) for rows in draws]


def job_result(
    settings: Mapping[str, Any],
    metrics: Metrics,
    evaluation_metrics: Metrics | None,
    iterations: int,
    elapsed_time: float,
) -> dict[str, Any]:
    """The result of a training (docs/formats.md, "Results").

    Args:
        settings: the job, by its keys.
    """
    return {
        "job_id": settings["job_id"],
        "validation_metrics": metrics,
        "evaluation_metrics": evaluation_metrics,
        "iterations": iterations,
        "elapsed_time": elapsed_time,
        "configuration_parameters": configuration(settings) if settings["job_type"] == SEARCH else None,
        "base_image_network": None,
        "image_training_type": None,
    }


def mean_and_spread(shares: Sequence[Sequence[float]]) -> tuple[list[float], list[float] | None]:
    """The importances of several networks as one, and their standard deviation; None of a single network."""
    mean = np.mean(shares, axis=0).tolist()
    return mean, np.std(shares, axis=0).tolist() if len(shares) > 1 else None
