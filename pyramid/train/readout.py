"""Training a readout on rows that are in memory: columns of a table, or the features of images."""

from __future__ import annotations

import tensorflow as tf

from pyramid.progress import Report
from pyramid.settings.options import FitOptions, LossOptions
from pyramid.train.checks import OnCheck, ignore_check
from pyramid.train.dataset import Dataset, row_weights
from pyramid.train.fit import Fit, fit
from pyramid.train.limits import training_limits
from pyramid.train.loop import FlatNetwork, compile_steps
from pyramid.train.losses import make_loss
from pyramid.train.optimizers import learning_rate, make_optimizer
from pyramid.train.sampling import Rows, device_targets, make_sampler
from sensenet.network import Network


def fit_readout(
    network: Network,
    training: Dataset,
    holdout: Dataset,
    options: FitOptions,
    started: float,
    report: Report,
    on_check: OnCheck = ignore_check,
) -> Fit:
    """Fit the network and leave the best weights in it.

    Args:
        started: unix time in seconds from which `max_training_time` counts.
        report: told of each check; progress from 0 to 1.
        on_check: told of each check with finite numbers.

    Raises:
        DataError: all rows weigh nothing.
        TrainingError: not one check had finite metrics.
    """
    limits = training_limits(options.limits, len(holdout), started, holdout.objective.decisive)
    flat, truth = FlatNetwork(network), holdout.truth
    optimizer = make_optimizer(options.optimizer)
    sampling = options.sampling
    steps = compile_steps(
        flat,
        _rows(training, options.loss),
        make_sampler(
            training.labels,
            sampling.seed,
            limits.steps_per_call,
            sampling.batch_size,
            sampling.balance_objective and training.objective.has_classes,
            sampling.mixup_alpha,
        ),
        make_loss(options.loss.loss_function, training.objective),
        optimizer,
        lambda iteration: learning_rate(options.optimizer, iteration),
        holdout.inputs,
        options.optimizer.weight_decay,
    )
    fitted = fit(
        flat.start(optimizer),
        steps,
        lambda predictions: holdout.objective.evaluate(truth, predictions.numpy()),
        limits,
        report,
        on_check=on_check,
    )
    flat.write(fitted.state)
    return fitted


def _rows(training: Dataset, options: LossOptions) -> Rows:
    weights = row_weights(training, options)
    return Rows(
        inputs=tf.constant(training.inputs),
        targets=device_targets(training, options.label_smoothing_factor),
        weights=None if weights is None else tf.constant(weights),
    )
