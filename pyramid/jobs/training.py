"""The jobs `standard_training` and `search_submodel`: train the readout on cached rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.jobs.fold_training import train_variants
from pyramid.jobs.training_start import SEARCH, SPLIT, Start, begin, build, evaluation_samples, job_result
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import DocumentOptions, FitOptions, HoldoutOptions, ReadoutOptions
from pyramid.submodels.files import write_submodel
from pyramid.submodels.fit_info import fit_info
from pyramid.submodels.holdout_images import held_out_images
from pyramid.train.column_strengths import column_strengths
from pyramid.train.dataset import Dataset, cached_layout, holdout_rows, read_dataset, split_holdout
from pyramid.train.fit import Metrics
from pyramid.train.importances import field_importances
from pyramid.train.readout import fit_readout
from pyramid.workspace import Workspace, check_there
from sensenet.formats.h5 import encode_weights
from sensenet.network import Network


def run(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    """Train, measure, and leave weights and fit info in `submodel_<job_id>`; with variants in that of each.

    Returns:
        The result (docs/formats.md, "Results").

    Raises:
        PyramidError: settings, data or files that cannot be used, or a training that never was finite.
    """
    start = begin(settings, workspace, report)
    if settings.folds:
        return train_variants(settings, start, workspace, report)
    evaluation = None
    if settings.job_type == SEARCH:
        evaluation = read_dataset(workspace.evaluation_dataset, start.rows, start.cached)
    belonging = start.belonging
    network = build(ReadoutOptions.of(settings), start.dataset)
    fitted = fit_readout(
        network,
        *split_holdout(
            start.dataset, HoldoutOptions.of(settings), np.random.default_rng([settings.seed, SPLIT])
        ),
        FitOptions.of(settings),
        start.started,
        lambda progress, **facts: report(0.05 + 0.85 * progress, **facts),
    )
    submodel = workspace.submodel(settings.job_id)
    report(0.9, message="measuring the trained network")
    evaluation_metrics, samples = _evaluations(network, evaluation, settings.seed)
    importances = _importances(network, start, settings.seed)
    report(0.97, message="writing the trained network")
    elapsed = time.time() - start.started
    result = job_result(settings.as_dict(), fitted.metrics, evaluation_metrics, fitted.iterations, elapsed)
    told = DocumentOptions.of(settings)
    info = result | fit_info(
        start.rows.fields, told, start.rows.trees.uses_trees, start.dataset.inputs.shape[1], importances
    )
    info["holdout_images"] = _held_out(network, settings, start)
    write_submodel(submodel, [encode_weights(network.model)], info, belonging, samples)
    check_there([submodel.weights, submodel.fit_info, *([] if samples is None else [submodel.evaluations])])
    return result


def _held_out(network: Network, settings: BaseSettings, start: Start) -> list[list[Any]] | None:
    """The images of the held-out rows, with what is true of them and what the trained network says."""
    if start.files is None:
        return None
    rng = np.random.default_rng([settings.seed, SPLIT])
    _, rows = holdout_rows(start.dataset, HoldoutOptions.of(settings), rng)
    held_out = start.dataset.take(rows)
    outputs = _predict(network, held_out.inputs)
    return held_out_images([start.files[row] for row in rows], held_out.truth, outputs, held_out.objective)


def _evaluations(
    network: Network, dataset: Dataset | None, seed: int
) -> tuple[Metrics | None, list[Metrics] | None]:
    """Of a search submodel: the metrics on all of the evaluation set, and those on samples of it."""
    if dataset is None:
        return None, None
    predictions, truth = _predict(network, dataset.inputs), dataset.truth
    samples = evaluation_samples(dataset.objective, truth, predictions, seed)
    return dataset.objective.evaluate(truth, predictions), samples


def _importances(network: Network, start: Start, seed: int) -> list[float]:
    """One share per input field, in the order of the data."""
    if start.points is None:
        return [1.0]
    strengths = column_strengths(network, start.points, seed)
    return field_importances(strengths, cached_layout(start.rows), start.trees)


def _predict(network: Network, inputs: np.ndarray) -> np.ndarray:
    rows = tf.constant(inputs)
    predict = tf.function(lambda rows: network.model(rows, training=False), autograph=False)
    return predict.get_concrete_function(rows)(rows).numpy()
