"""Training a readout on rows that are in memory: columns of a table, or the features of images."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from pyramid.progress import Report
from pyramid.train.checks import OnCheck, ignore_check
from pyramid.train.dataset import Dataset, targets_and_weights
from pyramid.train.fit import Fit, fit, training_limits
from pyramid.train.loop import FlatNetwork, State, compile_steps
from pyramid.train.losses import make_loss
from pyramid.train.metrics import evaluate_rows
from pyramid.train.optimizers import learning_rate, make_optimizer
from pyramid.train.sampling import Rows, make_sampler
from sensenet.network import Network


def fit_readout(
    network: Network,
    training: Dataset,
    holdout: Dataset,
    settings: Any,
    started: float,
    report: Report,
    mixup_alpha: float = 0.0,
    on_check: OnCheck = ignore_check,
) -> Fit:
    """Fit the network and leave the best weights in it.

    Args:
        started: unix time in seconds from which `max_training_time` counts.
        report: told of each check; progress from 0 to 1.
        mixup_alpha: 0, or the parameter of the mixup of rows.
        on_check: told of each check with finite numbers.

    Raises:
        DataError: all rows weigh nothing.
        TrainingError: not one check had finite metrics.
    """
    limits = training_limits(settings, len(holdout), started)
    warmup = settings.learning_rate_warmup_iterations or 0
    flat, optimizer, truth = FlatNetwork(network), make_optimizer(settings), holdout.truth
    steps = compile_steps(
        flat,
        _rows(training, settings),
        make_sampler(
            training.labels,
            settings.seed,
            limits.steps_per_call,
            settings.batch_size,
            bool(settings.balance_objective) and training.objective_type == "categorical",
            mixup_alpha,
        ),
        make_loss(settings.loss_function, settings.info_list[-1]),
        optimizer,
        lambda iteration: learning_rate(settings.learning_rate, warmup, iteration),
        holdout.inputs,
    )
    parameters, buffers = flat.read()
    fitted = fit(
        State(parameters, buffers, optimizer.initial_slots(parameters)),
        steps,
        lambda predictions: evaluate_rows(truth, predictions.numpy(), holdout.objective_type),
        limits,
        report,
        on_check=on_check,
    )
    flat.write(fitted.state)
    return fitted


def _rows(training: Dataset, settings: Any) -> Rows:
    targets, weights = targets_and_weights(training, settings)
    return Rows(
        inputs=tf.constant(training.inputs),
        targets=tf.constant(targets),
        weights=None if weights is None else tf.constant(weights),
    )
