"""Networks trained on the folds of a table, several variants of them side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pyramid.errors import DataError, SettingsError, Violation
from pyramid.fields import Objective
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from pyramid.settings.options import FitOptions, ReadoutOptions
from pyramid.tables.splits import stratified_sample
from pyramid.train.dataset import Dataset, row_weights
from pyramid.train.limits import training_limits
from pyramid.train.losses import make_loss
from pyramid.train.optimizers import decayed, make_optimizer, rate_share
from pyramid.train.sampling import Rows, device_targets
from pyramid.train.stacked.architecture import Architecture, Weights, initial_weights, leaves
from pyramid.train.stacked.fit import VariantFit, fit_stack
from pyramid.train.stacked.forward import Dropouts
from pyramid.train.stacked.judge import Judge
from pyramid.train.stacked.places import Stack
from pyramid.train.stacked.program import NetNumbers, StackedTask
from pyramid.train.stacked.sampling import NO_FOLD, StackedSampler, purpose_keys, training_rows
from sensenet.layers import parse_layers
from sensenet.layers.dropout import Dropout

# what the seeds of networks are for, apart from those of the job's other generators
NETWORKS, CHECKS = 3, 4

STATES = 5
"""Of all weights, in memory at least: a step's start and end, its gradients, those that are kept, a snapshot."""


@dataclass(frozen=True)
class Variant:
    """One of the networks that are trained side by side: they differ in seeds and numbers, not in shapes."""

    readout: ReadoutOptions
    options: FitOptions


@dataclass(frozen=True)
class FoldRows:
    """The rows of a training on folds.

    Attributes:
        dataset: all of them, held once.
        folds: (rows,) int, the fold of each.
        n_folds: how many there are.
        most_checked: at most so many rows of each fold are looked at in a check.
    """

    dataset: Dataset
    folds: np.ndarray
    n_folds: int
    most_checked: int

    @property
    def sizes(self) -> np.ndarray:
        """(folds,) int: rows of each."""
        return np.bincount(self.folds, minlength=self.n_folds)

    def of_fold(self, fold: int) -> np.ndarray:
        """The numbers of the rows of a fold."""
        return np.flatnonzero(self.folds == fold)

    def checked(self) -> tuple[np.ndarray, np.ndarray]:
        """(folds, rows) int numbers of the rows that checks look at, and their (folds, rows) float32 shares."""
        strata = self.dataset.strata
        chosen = []
        for fold in range(self.n_folds):
            rows = self.of_fold(fold)
            rng = np.random.default_rng([CHECKS, fold])
            chosen.append(rows[stratified_sample(strata[rows], self.most_checked, rng)])
        rows = np.zeros((self.n_folds, max(map(len, chosen))), np.int64)
        shares = np.zeros(rows.shape, np.float32)
        for fold, some in enumerate(chosen):
            rows[fold, : len(some)], shares[fold, : len(some)] = some, 1.0 / max(1, len(some))
        return rows, shares


def train_on_folds(
    variants: Sequence[Variant], rows: FoldRows, refit: bool, started: float, report: Report
) -> tuple[Architecture, Judge, list[VariantFit | None]]:
    """Train the networks of all variants.

    Args:
        refit: whether each variant also has one that learns from all rows.
        started: unix time in seconds from which `max_training_time` counts.
        report: told of the checks; progress from 0 to 1.

    Returns:
        Their architecture, what predicts with them, and the outcome of each variant.

    Raises:
        sensenet.errors.ModelFormatError: layers that cannot be built.
        DataError: the training rows of a fold weigh nothing.
        SettingsError: there is not enough memory for so many networks.
    """
    dataset, options = rows.dataset, variants[0].options
    stack = Stack(len(variants), rows.n_folds, refit)
    task, start = stacked_task(variants, rows, stack)
    judge = Judge(task.networks, dataset)
    checked, shares = (np.tile(one, (stack.variants, 1)) for one in rows.checked())
    fits = fit_stack(
        stack,
        start,
        task.optimizer.initial_slots,
        task.compiled(),
        lambda weights: judge.losses(weights, checked, shares),
        rows.sizes,
        training_limits(options.limits, checked.shape[1], started),
        lambda loss: _told(dataset.objective, loss),
        report,
    )
    return task.networks, judge, fits


def stacked_task(variants: Sequence[Variant], rows: FoldRows, stack: Stack) -> tuple[StackedTask, Weights]:
    """What the networks are trained on and how, and the weights that they begin with.

    Raises:
        As `train_on_folds`.
    """
    dataset, options = rows.dataset, variants[0].options
    specs, columns = parse_layers(variants[0].readout.layers), rows.dataset.inputs.shape[1]
    networks = Architecture.of(specs, columns)
    _check_memory(networks, stack, columns, options.sampling.batch_size)
    fold_of_net = np.where(np.arange(stack.each) < stack.folds, np.arange(stack.each), NO_FOLD)
    seeds = [_net_seed(variant.readout.seed, place) for variant in variants for place in range(stack.each)]
    optimizer = make_optimizer(options.optimizer)
    decays = _column([variant.options.optimizer.weight_decay for variant in variants], stack)
    if decays.any():
        optimizer = decayed(optimizer, tf.constant(decays), networks.kernels)
    keys, on_device = purpose_keys(seeds), _rows(dataset, options)
    sampler = StackedSampler(
        training_rows(dataset.labels, rows.folds, fold_of_net.tolist() * stack.variants),
        tf.constant(dataset.labels, tf.int32),
        keys,
        options.sampling.batch_size,
        options.sampling.balance_objective and dataset.objective.has_classes,
        options.sampling.mixup_alpha,
    )
    task = StackedTask(
        networks,
        on_device,
        sampler,
        _numbers(variants, stack, networks, rows, fold_of_net, keys["dropout"], on_device.weights),
        make_loss(options.loss.loss_function, dataset.objective),
        optimizer,
        lambda iteration: rate_share(options.optimizer, iteration),
    )
    return task, initial_weights(specs, columns, seeds)


def _check_memory(networks: Architecture, stack: Stack, columns: int, batch_size: int) -> None:
    kept = STATES * (networks.n_parameters + networks.n_statistics)
    answers = columns + sum(shape[-1] for shape in networks.parameter_shapes if len(shape) == 2)
    needed = stack.numbers.size * (kept + batch_size * answers) * np.dtype(np.float32).itemsize
    if needed > memory_bytes():
        message = (
            f"found {stack.variants} submodels of {stack.each} networks with {networks.n_parameters} parameters each: "
            f"at once they need at least {needed} bytes of memory, of {memory_bytes():.0f}; train fewer at once"
        )
        raise SettingsError([Violation("/variants" if stack.variants > 1 else "/folds", message)])


def out_of_fold(fit: VariantFit, judge: Judge, rows: FoldRows) -> np.ndarray:
    """(rows, outputs) float32: what each row is to the network that did not see it."""
    answers = np.zeros((len(rows.dataset), rows.dataset.objective.n_outputs), np.float32)
    for fold in range(rows.n_folds):
        there = rows.of_fold(fold)
        answers[there] = judge.predict(fit.folds.take([fold]), there)[0]
    return answers


def _net_seed(seed: int, place: int) -> int:
    """The seed of one network of a variant: its fold's number says which, and the refitted one has the last."""
    return int(np.random.SeedSequence([seed, NETWORKS, place]).generate_state(1)[0] >> 1)


def _column(numbers: Sequence[float], stack: Stack) -> np.ndarray:
    """(nets, 1) float32: one number of each variant for all of its networks."""
    return np.repeat(np.asarray(numbers, np.float32), stack.each)[:, None]


def _rows(dataset: Dataset, options: FitOptions) -> Rows:
    weights = row_weights(dataset, options.loss)
    return Rows(
        tf.constant(dataset.inputs),
        device_targets(dataset, 0.0),
        None if weights is None else tf.constant(weights),
    )


def _numbers(
    variants: Sequence[Variant],
    stack: Stack,
    networks: Architecture,
    rows: FoldRows,
    fold_of_net: np.ndarray,
    keys: tf.Tensor,
    weights: tf.Tensor | None,
) -> NetNumbers:
    smoothing = [variant.options.loss.label_smoothing_factor for variant in variants]
    smoothed = rows.dataset.objective.has_classes and any(smoothing)
    rates = [[layer.rate for layer in _dropouts(variant)] for variant in variants]
    by_layer = np.repeat(np.reshape(rates, (stack.variants, -1)), stack.each, axis=0).T
    return NetNumbers(
        tf.constant(_column([variant.options.optimizer.learning_rate for variant in variants], stack)),
        tf.constant(_column(smoothing, stack)[:, None]) if smoothed else None,
        Dropouts.of(networks, by_layer, keys),
        tf.constant(
            np.tile(_weight_scales(rows.folds, fold_of_net, weights), stack.variants)[:, None], tf.float32
        ),
    )


def _dropouts(variant: Variant) -> list[Dropout]:
    return [leaf for leaf in leaves(parse_layers(variant.readout.layers)) if isinstance(leaf, Dropout)]


def _weight_scales(folds: np.ndarray, fold_of_net: np.ndarray, weights: tf.Tensor | None) -> np.ndarray:
    """(nets of a variant,): what makes the mean of the weights of each one's training rows 1."""
    if weights is None:
        return np.ones(len(fold_of_net))
    means = np.array([weights.numpy()[folds != fold].mean(dtype=np.float64) for fold in fold_of_net])
    if not means.all():
        fold = fold_of_net[means == 0][0]
        raise DataError(
            f"the weights of all rows outside of fold {fold} are 0: its network would learn nothing"
        )
    return 1.0 / means


def _told(objective: Objective, loss: float) -> dict[str, float]:
    """The judged loss as the metric that it is."""
    return {"likelihood": math.exp(-loss)} if objective.has_classes else {"mean_squared_error": -loss}
