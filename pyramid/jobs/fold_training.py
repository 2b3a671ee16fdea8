"""Trainings on folds: k networks a submodel, several submodels side by side (docs/training.md, "Folds")."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.errors import TrainingError
from pyramid.jobs.training_start import (
    EVALUATION,
    SEARCH,
    SPLIT,
    Start,
    build,
    evaluation_samples,
    job_result,
    mean_and_spread,
)
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.folds import variant_jobs
from pyramid.settings.options import DocumentOptions, FitOptions, HoldoutOptions, ReadoutOptions
from pyramid.submodels.files import write_submodel
from pyramid.submodels.fit_info import fit_info
from pyramid.submodels.holdout_images import held_out_images
from pyramid.tables.cached_data import row_digests
from pyramid.tables.splits import stratified_sample
from pyramid.train.dataset import cached_layout
from pyramid.train.fit import Metrics
from pyramid.train.folds import row_folds
from pyramid.train.stacked.architecture import Architecture, Weights
from pyramid.train.stacked.fit import VariantFit
from pyramid.train.stacked.importances import NetImportances
from pyramid.train.stacked.judge import Judge
from pyramid.train.stacked.training import FoldRows, Variant, out_of_fold, train_on_folds
from pyramid.workspace import Submodel, Workspace, check_there
from sensenet.formats.h5 import encode_weights
from sensenet.network import Network

MOST_EVALUATED = 4096
"""Rows that the samples of evaluations are drawn from."""


def train_variants(
    settings: BaseSettings, start: Start, workspace: Workspace, report: Report
) -> dict[str, Any]:
    """Train the networks of all folds and variants, and leave each variant's in its submodel.

    Returns:
        The result of the one submodel, or, where the job has variants, of all of them.

    Raises:
        PyramidError: settings or data that cannot be used, or trainings none of which ever was finite.
    """
    jobs = [BaseSettings.of_validated(job) for job in variant_jobs(settings.as_dict())]
    rows = _fold_rows(settings, start)
    belonging = start.belonging | row_digests(start.rows.cache_file)
    network = build(ReadoutOptions.of(settings), start.dataset)
    networks, judge, fits = train_on_folds(
        [Variant(ReadoutOptions.of(job), FitOptions.of(job)) for job in jobs],
        rows,
        bool(settings.refit),
        start.started,
        lambda progress, **facts: report(0.05 + 0.8 * progress, **facts),
    )
    _tell_what_broke(jobs, fits, bool(settings.refit), report)
    importances = None if start.points is None else NetImportances(networks, start.points)
    writer = _Writer(start, rows, networks, judge, network, belonging, importances)
    done = [(job, fit) for job, fit in zip(jobs, fits, strict=True) if fit is not None]
    results = []
    for number, (job, fit) in enumerate(done):
        report(0.85 + 0.15 * number / len(done), message=f"measuring the trained networks of {job.job_id}")
        seconds = (time.time() - start.started) / len(done)
        results.append(writer.leave(job, fit, workspace.submodel(job.job_id), seconds))
    if not settings.variants:
        return results[0]
    return {
        "job_id": settings.job_id,
        "submodels": results,
        "iterations": max(result["iterations"] for result in results),
        "elapsed_time": time.time() - start.started,
    }


def _fold_rows(settings: BaseSettings, start: Start) -> FoldRows:
    rng = np.random.default_rng([settings.seed, SPLIT])
    folds = row_folds(start.rows.cache_file, start.dataset, settings.folds, start.cached, rng)
    return FoldRows(start.dataset, folds, settings.folds, HoldoutOptions.of(settings).holdout_set_size)


def _tell_what_broke(
    jobs: Sequence[BaseSettings], fits: Sequence[VariantFit | None], refit: bool, report: Report
) -> None:
    """Warn of networks whose numbers were not finite.

    Raises:
        TrainingError: there is nothing to keep of any.
    """
    if not any(fits):
        raise TrainingError("the training never reached a finite loss; a smaller learning_rate may help")
    for job, fit in zip(jobs, fits, strict=True):
        if fit is None:
            report(0.85, message=f"warning: {job.job_id} never reached a finite loss: it leaves no submodel")
            continue
        if refit and fit.refitted is None:
            report(
                0.85,
                message=f"warning: the network of {job.job_id} that learns from all rows is not finite: those of the "
                "folds are kept",
            )
        if fit.stopped_by == "non_finite":
            report(
                0.85,
                message=f"warning: not all numbers of {job.job_id} are finite after {fit.iterations} iterations: the "
                "best weights before are kept",
            )


@dataclass(frozen=True)
class _Writer:
    """Measures the networks of variants, and writes their submodels.

    Attributes:
        network: connected, of the same layers; its weights are those that are written next.
        importances: None where there is one input field.
    """

    start: Start
    rows: FoldRows
    networks: Architecture
    judge: Judge
    network: Network
    belonging: Mapping[str, str | None]
    importances: NetImportances | None

    def leave(self, job: BaseSettings, fit: VariantFit, submodel: Submodel, seconds: float) -> dict[str, Any]:
        """Write a submodel; gives its result."""
        answers = out_of_fold(fit, self.judge, self.rows)
        dataset = self.rows.dataset
        metrics = dataset.objective.evaluate(dataset.truth, answers)
        searches = job.job_type == SEARCH
        weights = fit.folds if fit.refitted is None else fit.refitted
        result = job_result(job.as_dict(), metrics, metrics if searches else None, fit.iterations, seconds)
        write_submodel(
            submodel,
            [self._encoded(weights.take([net])) for net in range(len(weights.parameters))],
            result | self._info(job, fit, weights, answers),
            self.belonging,
            self._samples(answers, job.seed) if searches else None,
            answers,
        )
        check_there([submodel.out_of_fold, submodel.fit_info])
        return result

    def _encoded(self, weights: Weights) -> bytes:
        self.networks.fill(self.network, weights)
        return encode_weights(self.network.model)

    def _info(
        self, job: BaseSettings, fit: VariantFit, weights: Weights, answers: np.ndarray
    ) -> dict[str, Any]:
        start, dataset = self.start, self.rows.dataset
        shares = [[1.0]]
        if self.importances is not None:
            shares = self.importances.of(weights, cached_layout(start.rows), start.trees, job.seed)
        mean, spread = mean_and_spread(shares)
        told, uses_trees = DocumentOptions.of(job), start.rows.trees.uses_trees
        info = fit_info(start.rows.fields, told, uses_trees, dataset.inputs.shape[1], mean)
        if start.files is not None:
            info["holdout_images"] = held_out_images(start.files, dataset.truth, answers, dataset.objective)
        return info | {
            "folds": self.rows.n_folds,
            "refit": fit.refitted is not None,
            "weight_sets": len(weights.parameters),
            "kept_iterations": list(fit.kept),
            "importances_spread": spread,
        }

    def _samples(self, answers: np.ndarray, seed: int) -> list[Metrics]:
        dataset = self.rows.dataset
        rng = np.random.default_rng([seed, EVALUATION])
        chosen = stratified_sample(dataset.strata, MOST_EVALUATED, rng)
        return evaluation_samples(dataset.objective, dataset.truth[chosen], answers[chosen], seed)
