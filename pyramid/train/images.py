"""Training an image network in phases, each from the best weights so far.

See docs/training.md, "Phases of image networks".
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.fields import Objective
from pyramid.images.training_types import Phase
from pyramid.memory import give_back
from pyramid.progress import Report
from pyramid.settings.options import FitOptions, LossOptions, OptimizerOptions
from pyramid.train.checks import HoldoutAnswers, HoldoutCheck, OnCheck, ignore_check
from pyramid.train.dataset import Dataset, targets_and_weights
from pyramid.train.detector import box_answers, box_loss, head_places, train_only
from pyramid.train.fit import Fit, fit
from pyramid.train.image_data import HoldoutJudge, ImageData, label_augmenter
from pyramid.train.image_loop import (
    Batch,
    ImageTask,
    batch_maker,
    compile_image_steps,
    compile_predict,
    in_chunks,
    joined,
)
from pyramid.train.image_start import Start
from pyramid.train.limits import TrainingLimits, training_limits
from pyramid.train.loop import FlatNetwork, State
from pyramid.train.losses import make_loss
from pyramid.train.optimizers import clipped, learning_rate, make_optimizer
from pyramid.train.prefetch import Prefetcher
from pyramid.train.readout import fit_readout
from pyramid.train.sampling import make_sampler
from sensenet.models.predict.images import compile_features
from sensenet.preprocess.image import normalize

MAX_FEATURE_BYTES = 256_000_000
LONGEST_BOX_GRADIENT = 10.0
"""Losses of boxes are sums over all of them, so that a crowded picture would else outweigh all others."""


@dataclass(frozen=True)
class ImageFitOptions:
    """How an image job trains: as any training, in phases, on augmented images."""

    fit: FitOptions
    phases: Sequence[Phase]
    augmentation_seed: int


def train_phases(
    start: Start,
    data: ImageData,
    options: ImageFitOptions,
    started: float,
    report: Report,
    on_check: OnCheck = ignore_check,
) -> Fit:
    """Train all phases and leave the best weights in the networks of `start`.

    Args:
        started: unix time in seconds from which `max_training_time` counts.
        report: told of every phase and check; progress from 0 to 1.
        on_check: told of each check with finite numbers, with its phase and learning rate.

    Raises:
        TrainingError: there never was a finite check.
    """
    fitted: Fit | None = None
    for number, phase in enumerate(options.phases):
        within = replace(options, fit=_share_of(options.fit, phase))
        limits = training_limits(
            within.fit.limits, len(data.holdout), started, data.holdout.objective.decisive
        )
        if fitted is not None and (limits.out_of_time() or _used_up(fitted, limits)):
            continue
        tell = _report_of(phase, number, len(options.phases), limits, report)
        begun = 0.0 if fitted is None else limits.progress(fitted.iterations, 0)
        words = f"phase {number + 1} of {len(options.phases)}: {describe_phase(phase, start)}"
        tell(begun if _is_limited(limits) else 0.0, message=words)
        on_phase_check = _in_phase(on_check, number, phase, options.fit.optimizer)
        if not phase.trains_images and _features_fit(start, data):
            rows = _as_features(start, data, limits, tell)
            if rows is not None:
                fitted = fit_readout(start.readout, *rows, within.fit, started, tell, on_phase_check)
                continue
        task = make_task(start, phase, data.holdout.objective, options.fit.loss)
        fitted = _train_phase(task, phase, data, within, limits, fitted, tell, on_phase_check)
        task.network.write(fitted.state)
        del task
        gc.collect()  # the compiled functions of a phase refer to each other in circles
        give_back()
    assert fitted is not None
    return fitted


def _share_of(options: FitOptions, phase: Phase) -> FitOptions:
    """The options with the limits of a phase: it ends when its share of them is over, for the next have lower rates."""
    limits = options.limits
    iterations, seconds = limits.max_iterations, limits.max_training_time
    return replace(
        options,
        limits=replace(
            limits,
            max_iterations=None if iterations is None else round(iterations * phase.until),
            max_training_time=None if seconds is None else seconds * phase.until,
        ),
    )


def _used_up(fitted: Fit, limits: TrainingLimits) -> bool:
    return limits.max_iterations is not None and fitted.iterations >= limits.max_iterations


def describe_phase(phase: Phase, start: Start) -> str:
    """What a phase trains, in words."""
    if phase.trains_images:
        return "all layers"
    return "the readout on fixed image features" if start.spec.branches is None else "the last convolutions"


def _report_of(phase: Phase, number: int, count: int, limits: TrainingLimits, report: Report) -> Report:
    """The report of one phase: where a limit ends the job, its share tells how far the job is."""

    def tell(progress: float, **facts: Any) -> None:
        report(progress * phase.until if _is_limited(limits) else (number + progress) / count, **facts)

    return tell


def _is_limited(limits: TrainingLimits) -> bool:
    return bool(limits.max_iterations or limits.max_training_time)


def _features_fit(start: Start, data: ImageData) -> bool:
    """Whether features that never change can be computed once: nothing is augmented, and they fit in memory.

    It does not depend on where the pixels are, so that the weights do not, either. A detector has no features.
    """
    if start.spec.branches is not None:
        return False
    n_features = int(start.readout.model.input_shape[-1])
    size = (len(data.training) + len(data.holdout)) * n_features * np.dtype(np.float32).itemsize
    return not data.augmentations.chosen and size <= MAX_FEATURE_BYTES


def _as_features(
    start: Start, data: ImageData, limits: TrainingLimits, report: Report
) -> tuple[Dataset, Dataset] | None:
    """Training and holdout rows with the features of their images as inputs; None if the time is over before."""
    features = compile_features(start.spec)
    done, total = 0, len(data.training) + len(data.holdout)
    made = []
    for rows in (data.training, data.holdout):
        chunks = []
        for chunk in in_chunks(
            lambda pixels, _: features(tf.cast(pixels, tf.float32)), data.store, rows.inputs
        ):
            chunks.append(chunk)
            done += len(chunk)
            report(0.0, message=f"features of {done} of {total} images")
            if done < total and limits.out_of_time():
                return None
        made.append(replace(rows, inputs=np.concatenate(chunks)))
    training, holdout = made
    return training, holdout


def make_task(start: Start, phase: Phase, objective: Objective, options: LossOptions) -> ImageTask:
    """What a phase trains of a job's networks."""
    metadata = start.spec.metadata

    def normalized(pixels: tf.Tensor) -> tf.Tensor:
        return normalize(pixels, metadata.loading_method, metadata.mean_image)

    if start.spec.branches is not None:
        every = range(len(start.image.parts))
        train_only(start.image, every if phase.trains_images else head_places(start.spec))
        losses = box_loss(start.spec, objective, options)
        return ImageTask(
            FlatNetwork(start.image),
            normalized,
            loss=lambda targets, outputs: losses(outputs.logits, targets).total,
            answer=lambda targets, outputs: box_answers(outputs.logits, targets, losses),
            averaged=True,
            longest_gradient=LONGEST_BOX_GRADIENT,
        )
    loss = make_loss(options.loss_function, objective)
    if phase.trains_images:
        return ImageTask(FlatNetwork(joined(start.image, start.readout)), normalized, loss)
    # what is not trained is as it will be for prediction: normalisations folded, no dropout
    features = compile_features(start.spec)
    return ImageTask(FlatNetwork(start.readout), lambda pixels: features(tf.cast(pixels, tf.float32)), loss)


def _train_phase(
    task: ImageTask,
    phase: Phase,
    data: ImageData,
    options: ImageFitOptions,
    limits: TrainingLimits,
    earlier: Fit | None,
    report: Report,
    on_check: OnCheck,
) -> Fit:
    first = 0 if earlier is None else earlier.iterations
    optimizer = make_optimizer(options.fit.optimizer)
    optimizer = task.network.decayed(optimizer, options.fit.optimizer.weight_decay)
    if task.longest_gradient is not None:
        optimizer = clipped(optimizer, task.longest_gradient)
    parameters, buffers = task.network.read()
    predict = compile_predict(task, data.store, data.holdout)
    judge = HoldoutJudge(data, predict)
    batches: Prefetcher[Batch]
    with Prefetcher(batches_of_steps(data, options), first=first, stop=limits.max_iterations) as batches:
        rate = _rate(phase, first, options.fit.optimizer)
        steps = compile_image_steps(task, batches, optimizer, rate, first)
        return fit(
            State(parameters, buffers, optimizer.initial_slots(parameters)),
            steps,
            judge.evaluate,
            limits,
            report,
            earlier,
            lambda check: on_check(replace(check, answers=judge.answers)),
        )


def batches_of_steps(data: ImageData, options: ImageFitOptions) -> Callable[[int], Batch]:
    """The function from the number of a step, from 0, to the batch that a job's training takes for it."""
    training, sampling = data.training, options.fit.sampling
    targets, row_weights = targets_and_weights(training, options.fit.loss)
    balanced = sampling.balance_objective and bool(training.objective.classes)
    sampler = make_sampler(training.labels, sampling.seed, 1, sampling.batch_size, balanced, 0.0)
    change = label_augmenter(data, options.augmentation_seed)
    return batch_maker(data.store, training.inputs, targets, row_weights, sampler, change)


def _in_phase(on_check: OnCheck, number: int, phase: Phase, options: OptimizerOptions) -> OnCheck:
    """Tells of checks with what is known of their phase."""
    rate = _rate(phase, 0, options)

    def notify(check: HoldoutCheck) -> None:
        used = float(rate(tf.constant(check.iteration, tf.float32)))
        on_check(replace(check, phase=number + 1, learning_rate=used))

    return notify


def answer_holdout(start: Start, data: ImageData, options: LossOptions) -> HoldoutAnswers:
    """What the trained networks say of the holdout images."""
    task = make_task(start, Phase(1), data.holdout.objective, options)
    parameters, buffers = task.network.read()
    predict = compile_predict(task, data.store, data.holdout)
    return data.holdout_answers(predict(State(parameters, buffers, ())))


def _rate(phase: Phase, first_step: int, options: OptimizerOptions) -> Callable[[tf.Tensor], tf.Tensor]:
    """The learning rate at an iteration of the phase; warm-up counts from the job's first."""
    within = replace(options, learning_rate=options.learning_rate / phase.divisor)
    return lambda iteration: learning_rate(within, iteration + first_step)
