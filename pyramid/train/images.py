"""Training an image network in phases, each from the best weights so far (spec page 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pyramid.images.augment import Augmentations
from pyramid.images.store import ImageStore
from pyramid.progress import Report
from pyramid.train.checks import Check, OnCheck, unheard
from pyramid.train.dataset import Dataset, learnt_rows
from pyramid.train.fit import Fit, Limits, fit, job_limits
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
from pyramid.train.loop import FlatNetwork, State
from pyramid.train.losses import make_loss
from pyramid.train.metrics import evaluate_rows
from pyramid.train.optimizers import learning_rate, make_optimizer
from pyramid.train.prefetch import Ahead
from pyramid.train.readout import fit_readout
from pyramid.train.sampling import make_sampler
from sensenet.models.predict.images import compile_features
from sensenet.preprocess.image import normalize


class Phase(NamedTuple):
    """One phase of a training.

    Attributes:
        divisor: the learning rate is the job's, divided by this.
        trains_images: whether the image network is trained, too; else it predicts features, as it is.
    """

    divisor: float
    trains_images: bool = True


PHASES: Mapping[str, tuple[Phase, ...]] = MappingProxyType(
    {
        "randomly_initialize": (Phase(1), Phase(4), Phase(16)),
        "fine_tune": (Phase(1, trains_images=False), Phase(8), Phase(64)),
        "use_pretrained": (Phase(1, trains_images=False),),
    }
)
"""By `image_training_type`."""

MAX_FEATURE_BYTES = 256_000_000


@dataclass(frozen=True)
class ImageData:
    """The images of a training.

    Attributes:
        store: their pixels.
        training, holdout: rows whose inputs are (rows,) positions in `store`.
        augmentations: of the training images.
    """

    store: ImageStore
    training: Dataset
    holdout: Dataset
    augmentations: Augmentations


def train_phases(
    start: Start,
    data: ImageData,
    settings: Any,
    started: float,
    report: Report,
    on_check: OnCheck = unheard,
) -> Fit:
    """Train all phases and leave the best weights in the networks of `start`.

    Args:
        started: unix time in seconds from which `max_training_time` counts.
        report: told of every phase and check; progress from 0 to 1.
        on_check: told of each check with finite numbers, with its phase and learning rate.

    Raises:
        TrainingError: there never was a finite check.
    """
    phases = PHASES[settings.image_training_type]
    limits = job_limits(settings, len(data.holdout), started)
    fitted: Fit | None = None
    for number, phase in enumerate(phases):
        if fitted is not None and (limits.out_of_time() or _used_up(fitted, settings)):
            break
        report(number / len(phases), message=f"phase {number + 1} of {len(phases)}: {told(phase)}")
        within = _within(report, number, len(phases), settings)
        heard = _in_phase(on_check, number, phase, settings)
        if not phase.trains_images and _features_fit(start, data):
            rows = _as_features(start, data, limits, within)
            if rows is not None:
                fitted = fit_readout(start.readout, *rows, settings, started, within, on_check=heard)
                continue
        task = _task(start, phase)
        fitted = _train_phase(task, phase, data, settings, started, fitted, within, heard)
        task.network.write(fitted.state)
    assert fitted is not None
    return fitted


def _used_up(fitted: Fit, settings: Any) -> bool:
    return settings.max_iterations is not None and fitted.iterations >= settings.max_iterations


def told(phase: Phase) -> str:
    """What a phase trains, in words."""
    return "all layers" if phase.trains_images else "the readout on fixed image features"


def _within(report: Report, number: int, count: int, settings: Any) -> Report:
    """The report of one phase: where a limit ends the job, its share tells how far the job is."""
    limited = settings.max_iterations or settings.max_training_time

    def tell(progress: float, **facts: Any) -> None:
        report(progress if limited else (number + progress) / count, **facts)

    return tell


def _features_fit(start: Start, data: ImageData) -> bool:
    """Whether features that never change can be computed once: nothing is augmented, and they fit in memory.

    It does not depend on where the pixels are, so that the weights do not, either.
    """
    n_features = int(start.readout.model.input_shape[-1])
    size = (len(data.training) + len(data.holdout)) * n_features * np.dtype(np.float32).itemsize
    return not data.augmentations.chosen and size <= MAX_FEATURE_BYTES


def _as_features(
    start: Start, data: ImageData, limits: Limits, report: Report
) -> tuple[Dataset, Dataset] | None:
    """Training and holdout rows with the features of their images as inputs; None if the time is over before."""
    features = compile_features(start.spec)
    done, total = 0, len(data.training) + len(data.holdout)
    made = []
    for rows in (data.training, data.holdout):
        chunks = []
        for chunk in in_chunks(lambda pixels: features(tf.cast(pixels, tf.float32)), data.store, rows.inputs):
            chunks.append(chunk)
            done += len(chunk)
            report(0.0, message=f"features of {done} of {total} images")
            if done < total and limits.out_of_time():
                return None
        made.append(replace(rows, inputs=np.concatenate(chunks)))
    training, holdout = made
    return training, holdout


def _task(start: Start, phase: Phase) -> ImageTask:
    metadata = start.spec.metadata
    if phase.trains_images:
        network = FlatNetwork(joined(start.image, start.readout))
        return ImageTask(
            network, lambda pixels: normalize(pixels, metadata.loading_method, metadata.mean_image)
        )
    # what is not trained is as it will be for prediction: normalisations folded, no dropout
    features = compile_features(start.spec)
    return ImageTask(FlatNetwork(start.readout), lambda pixels: features(tf.cast(pixels, tf.float32)))


def _train_phase(
    task: ImageTask,
    phase: Phase,
    data: ImageData,
    settings: Any,
    started: float,
    earlier: Fit | None,
    report: Report,
    on_check: OnCheck,
) -> Fit:
    first = 0 if earlier is None else earlier.iterations
    optimizer = make_optimizer(settings)
    parameters, buffers = task.network.read()
    predict = compile_predict(task, data.store, data.holdout.inputs)
    truth, kind = data.holdout.truth, data.holdout.objective_type
    batches: Ahead[Batch]
    with Ahead(batches_of_steps(data, settings), first=first, stop=settings.max_iterations) as batches:
        steps = compile_image_steps(
            task,
            batches,
            make_loss(settings.loss_function, settings.info_list[-1]),
            optimizer,
            _rate(phase, first, settings),
            first,
        )
        return fit(
            State(parameters, buffers, optimizer.initial_slots(parameters)),
            steps,
            lambda state: evaluate_rows(truth, predict(state), kind),
            job_limits(settings, len(data.holdout), started),
            report,
            earlier,
            on_check,
        )


def batches_of_steps(data: ImageData, settings: Any) -> Callable[[int], Batch]:
    """The function from the number of a step, from 0, to the batch that a job's training takes for it."""
    training = data.training
    targets, row_weights = learnt_rows(training, settings)
    balanced = bool(settings.balance_objective) and training.objective_type == "categorical"
    sampler = make_sampler(training.labels, settings.seed, 1, settings.batch_size, balanced, 0.0)
    return batch_maker(
        data.store,
        replace(training, targets=targets),
        row_weights,
        sampler,
        data.augmentations,
        settings.augmentation_seed,
    )


def _in_phase(on_check: OnCheck, number: int, phase: Phase, settings: Any) -> OnCheck:
    """Tells of checks with what is known of their phase."""
    rate = _rate(phase, 0, settings)

    def hear(check: Check) -> None:
        used = float(rate(tf.constant(check.iteration, tf.float32)))
        on_check(replace(check, phase=number + 1, learning_rate=used))

    return hear


def predict_images(start: Start, store: ImageStore, positions: np.ndarray) -> np.ndarray:
    """What the trained networks say of some images, (images, outputs) float32."""
    task = _task(start, Phase(1))
    parameters, buffers = task.network.read()
    return compile_predict(task, store, positions)(State(parameters, buffers, ()))


def _rate(phase: Phase, first_step: int, settings: Any) -> Any:
    """The learning rate at an iteration of the phase; warm-up counts from the job's first."""
    warmup = settings.learning_rate_warmup_iterations or 0
    rate = settings.learning_rate / phase.divisor
    return lambda iteration: learning_rate(rate, warmup, iteration + first_step)
