"""The jobs `standard_training` and `search_submodel`: train the readout on cached rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.errors import SettingsError, Violation
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import (
    DocumentOptions,
    FitOptions,
    HoldoutOptions,
    ReadoutOptions,
    TreeOptions,
    job_fields,
)
from pyramid.submodels.files import write_submodel
from pyramid.submodels.fit_info import configuration, fit_info
from pyramid.submodels.holdout_images import RowFiles, held_out_images, read_row_files
from pyramid.tables.cached_data import CachedData
from pyramid.tables.layout import Layout
from pyramid.tables.splits import stratified_sample
from pyramid.train.column_strengths import column_strengths
from pyramid.train.dataset import (
    CachedRows,
    Dataset,
    cached_layout,
    holdout_rows,
    read_dataset,
    split_holdout,
    warn_of_lone_rows,
)
from pyramid.train.fit import Metrics
from pyramid.train.importances import field_importances
from pyramid.train.readout import fit_readout
from pyramid.workspace import Workspace, check_there
from sensenet.errors import ModelFormatError
from sensenet.formats.h5 import encode_weights
from sensenet.layers import parse_layers
from sensenet.network import Network, build_network

SEARCH = "search_submodel"
EVALUATION_SAMPLES = 128
EVALUATION_SHARE = 0.2
MAX_EVALUATION_ROWS = 256

# what each random generator of a job is for; a number of its own keeps their streams apart
SPLIT, EVALUATION = 1, 2


@dataclass(frozen=True)
class _Measures:
    """What the trained network is measured with.

    Attributes:
        evaluation: of a search submodel.
        points: (rows, inputs) float32 that the importances of several fields come from; None where there is one.
        trees: for each tree feature its share per input field; None without tree features.
    """

    evaluation: Dataset | None
    points: np.ndarray | None
    trees: list[dict[str, float]] | None


def run(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    """Train, measure, and leave weights and fit info in `submodel_<job_id>`.

    Returns:
        The result (docs/formats.md, "Results").

    Raises:
        PyramidError: settings, data or files that cannot be used, or a training that never was finite.
    """
    started = settings.start_time or time.time()
    report(0.0, message="reading the cached data")
    cached = CachedData.of(workspace)
    rows = CachedRows(Path(settings.cache_file), job_fields(settings), TreeOptions.of(settings))
    dataset = read_dataset(rows.cache_file, rows, cached)
    searches = settings.job_type == SEARCH

    def warn(warning: str) -> None:
        report(0.0, message=warning)

    warn_of_lone_rows(dataset, warn)
    wants_images = settings.return_holdout_images and rows.fields.images
    files = read_row_files(rows.cache_file, cached, len(dataset), warn) if wants_images else None
    measures = _measures(rows, cached, searches)
    belonging = _belonging(rows, cached)
    network = _build(ReadoutOptions.of(settings), dataset)
    fitted = fit_readout(
        network,
        *split_holdout(dataset, HoldoutOptions.of(settings), np.random.default_rng([settings.seed, SPLIT])),
        FitOptions.of(settings),
        started,
        lambda progress, **facts: report(0.05 + 0.85 * progress, **facts),
    )
    submodel = workspace.submodel(settings.job_id)
    report(0.9, message="measuring the trained network")
    evaluation_metrics, samples = _evaluations(network, measures.evaluation, settings.seed)
    importances = _importances(network, measures, cached_layout(rows), settings.seed)
    report(0.97, message="writing the trained network")
    result = {
        "job_id": settings.job_id,
        "validation_metrics": fitted.metrics,
        "evaluation_metrics": evaluation_metrics,
        "iterations": fitted.iterations,
        "elapsed_time": time.time() - started,
        "configuration_parameters": configuration(settings.as_dict()) if searches else None,
        "base_image_network": None,
        "image_training_type": None,
    }
    told = DocumentOptions.of(settings)
    info = result | fit_info(rows.fields, told, rows.trees.uses_trees, dataset.inputs.shape[1], importances)
    info["holdout_images"] = None if files is None else _held_out(network, settings, dataset, files)
    write_submodel(submodel, encode_weights(network.model), info, belonging, samples)
    check_there([submodel.weights, submodel.fit_info, *([] if samples is None else [submodel.evaluations])])
    return result


def _measures(rows: CachedRows, cached: CachedData, searches: bool) -> _Measures:
    """Read before there is a network, so that what is missing is not found when it has been trained."""
    workspace = cached.workspace
    evaluation = points = trees = None
    if searches:
        evaluation = read_dataset(workspace.evaluation_dataset, rows, cached)
    if len(rows.fields.inputs) > 1:
        points = read_dataset(workspace.importance_dataset, rows, cached).inputs
        if rows.trees.uses_trees:
            trees = cached.read_json(workspace.tree_importances)
    return _Measures(evaluation, points, trees)


def _held_out(network: Network, settings: BaseSettings, dataset: Dataset, files: RowFiles) -> list[list[Any]]:
    """The images of the held-out rows, with what is true of them and what the trained network says."""
    rng = np.random.default_rng([settings.seed, SPLIT])
    _, rows = holdout_rows(dataset, HoldoutOptions.of(settings), rng)
    held_out = dataset.take(rows)
    outputs = _predict(network, held_out.inputs)
    return held_out_images([files[row] for row in rows], held_out.truth, outputs, dataset.objective)


def _belonging(rows: CachedRows, cached: CachedData) -> dict[str, str | None]:
    """The digests of the cached files that the final model of this network will need."""
    trees, features = cached.workspace.trees, cached.workspace.image_features
    return {
        "trees": cached.digest_of(trees) if rows.trees.uses_trees else None,
        "image_features": cached.digest_of(features) if rows.fields.images else None,
    }


def _build(options: ReadoutOptions, dataset: Dataset) -> Network:
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


def _evaluations(
    network: Network, dataset: Dataset | None, seed: int
) -> tuple[Metrics | None, list[Metrics] | None]:
    """Of a search submodel: the metrics on all of the evaluation set, and those on samples of it."""
    if dataset is None:
        return None, None
    predictions = _predict(network, dataset.inputs)
    size = max(1, min(MAX_EVALUATION_ROWS, round(EVALUATION_SHARE * len(dataset))))
    rng = np.random.default_rng([seed, EVALUATION])
    truth, strata, evaluate = dataset.truth, dataset.strata, dataset.objective.evaluate
    draws = [stratified_sample(strata, size, rng) for _ in range(EVALUATION_SAMPLES)]
    samples = [evaluate(truth[rows], predictions[rows]) for rows in draws]
    return evaluate(truth, predictions), samples


def _importances(network: Network, measures: _Measures, layout: Layout, seed: int) -> list[float]:
    """One share per input field, in the order of the data."""
    points = measures.points
    if points is None:
        return [1.0]
    return field_importances(column_strengths(network, points, seed), layout, measures.trees)


def _predict(network: Network, inputs: np.ndarray) -> np.ndarray:
    rows = tf.constant(inputs)
    predict = tf.function(lambda rows: network.model(rows, training=False), autograph=False)
    return predict.get_concrete_function(rows)(rows).numpy()
