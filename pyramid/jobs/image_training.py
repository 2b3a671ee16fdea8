"""The job `image_training`: train an image network, and a readout on it, on images alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import PyramidError
from pyramid.fields import Fields, ImageField, Objective
from pyramid.fields.boxes import BoxesObjective
from pyramid.images.augment import Augmentations, parse_augmentations
from pyramid.images.networks import RESCALE_TYPE, network_to_train, refuse_boxes, refuse_features
from pyramid.images.placed_boxes import place_boxes, refuse_absent_classes
from pyramid.images.root import image_confinement
from pyramid.images.rows import ImageRows, read_image_rows
from pyramid.images.store import Keeping, OpenedImages, open_images, refuse_or_warn_about_broken
from pyramid.images.training_types import TRAINING_TYPES, patient
from pyramid.progress import Report
from pyramid.report_page.training import training_report, write_report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import (
    BoxOptions,
    DocumentOptions,
    FitOptions,
    HoldoutOptions,
    NetworkOptions,
    ReadOptions,
    ReadoutOptions,
    RowOptions,
    job_fields,
)
from pyramid.submodels.files import write_submodel
from pyramid.submodels.fit_info import fit_info
from pyramid.submodels.image_model import network_info, trained_keras_model
from pyramid.train.checks import HoldoutCheck, OnCheck, ignore_check
from pyramid.train.dataset import Dataset, split_holdout, warn_of_lone_rows
from pyramid.train.fit import Fit
from pyramid.train.image_loop import Batch
from pyramid.train.image_start import Start, start_networks
from pyramid.train.images import ImageData, ImageFitOptions, batches_of_steps, train_phases
from pyramid.workspace import Submodel, Workspace, check_there
from sensenet.document.image_network import ImageMetadata
from sensenet.errors import SensenetError
from sensenet.formats.h5 import encode_weights
from sensenet.preprocess.reading import ImageLoader, ImageReading

# where reading the images, training and writing begin and end in the progress of the job
READ, TRAINED, REPORTED = 0.1, 0.97, 0.98
BOX_BYTES = 512_000_000  # so many bytes of pixels with boxes are kept in memory at most
SPLIT = 1  # what a random generator of the job is for, as in the other training jobs
UNTRAINED = next(name for name, training in TRAINING_TYPES.items() if not training.starts_trained)


@dataclass(frozen=True)
class Beginning:
    """A job before its first step."""

    fields: Fields
    start: Start
    images: ImageData
    rows: ImageRows
    opened: OpenedImages


def run(
    settings: BaseSettings, workspace: Workspace, report: Report, on_check: OnCheck = ignore_check
) -> dict[str, Any]:
    """Train, and leave weights, fit info and a report in `submodel_<base_image_network>_<image_training_type>`.

    Args:
        on_check: told of each check of the holdout images with finite numbers.

    Returns:
        The result (docs/formats.md, "Results").

    Raises:
        PyramidError: settings, rows or images that cannot be used, or a training that never was finite.
        sensenet.errors.WeightsError: pretrained weights that cannot be had.
    """
    started = settings.start_time or time.time()
    begun = begin(settings, NetworkOptions.of(settings), report)
    start, images, checks = begun.start, begun.images, list[HoldoutCheck]()

    def notify(check: HoldoutCheck) -> None:
        checks.append(check)
        on_check(check)

    fitted = train_phases(
        start,
        images,
        fit_options(settings, begun.fields.objective),
        started,
        lambda progress, **facts: report(READ + (TRAINED - READ) * progress, **facts),
        notify,
    )
    report(TRAINED, message="writing the trained networks")
    result = _result(fitted, settings, started)
    info = result | _info(start, begun.fields, DocumentOptions.of(settings))
    info |= _files(begun.rows, begun.opened, images.holdout, bool(settings.return_holdout_images))
    submodel = workspace.submodel(settings.job_id)
    _write(submodel, start, info)
    report(REPORTED, message="writing the report")
    try:
        write_report(training_report(start, images, settings, result, checks), workspace, submodel)
    except (PyramidError, SensenetError) as error:
        # the networks are trained and written: they are not lost for want of a page about them
        report(REPORTED, message=f"warning: there is no report: {error}")
    check_there([submodel.weights, submodel.fit_info])
    return result


def training_batches(settings: BaseSettings, report: Report) -> Callable[[int], Batch]:
    """The function from the number of a step, from 0, to the batch that the job trains on then; nothing is trained.

    Raises:
        PyramidError: as `run`.
    """
    # what a batch is does not depend on the weights, which may not be there
    network = replace(NetworkOptions.of(settings), image_training_type=UNTRAINED)
    begun = begin(settings, network, report)
    return batches_of_steps(begun.images, fit_options(settings, begun.fields.objective))


def begin(settings: BaseSettings, network: NetworkOptions, report: Report) -> Beginning:
    """Read and split the rows and images, and build the networks.

    Raises:
        PyramidError: settings, rows or images that cannot be used.
    """

    def warn(warning: str) -> None:
        report(READ, message=warning)

    report(0.0, message="reading the rows")
    fields = job_fields(settings)
    augmentations = _augmentations(settings, report)
    rows = read_image_rows(RowOptions.of(settings), fields)
    if rows.missing:
        report(0.0, message=f"warning: {rows.missing} images of the rows are missing and are left out")
    spec, initial = network_to_train(network)
    refuse = refuse_features if isinstance(fields.objective, BoxesObjective) else refuse_boxes
    refuse(spec, network.base_image_network)
    opened = _open(rows, spec.metadata, _keeping(settings, fields.objective), settings, report)
    dataset = _dataset(rows, opened, fields.objective, BoxOptions.of(settings), warn)
    training, holdout = _split(dataset, settings, report)
    start = start_networks(spec, initial, network, ReadoutOptions.of(settings), training, warn)
    images = ImageData(opened.store, training, holdout, augmentations)
    return Beginning(fields, start, images, rows, opened)


def fit_options(settings: BaseSettings, objective: Objective) -> ImageFitOptions:
    """How the job trains."""
    fit = FitOptions.of(settings)
    # mixup is of the rows of tables; images are augmented
    fit = replace(fit, sampling=replace(fit.sampling, mixup_alpha=0.0))
    phases = NetworkOptions.of(settings).training_type.phases
    if not isinstance(objective, BoxesObjective):
        phases = patient(phases)
    return ImageFitOptions(fit, phases, settings.augmentation_seed)


def _augmentations(settings: BaseSettings, report: Report) -> Augmentations:
    if settings.image_augmentations and settings.augmentation_ranges is not None:
        report(
            0.0, message="warning: image_augmentations is not used where augmentation_ranges is given, too"
        )
    return parse_augmentations(settings.image_augmentations, settings.augmentation_ranges)


def _keeping(settings: BaseSettings, objective: Objective) -> Keeping:
    """Pixels that do not fit are read again from their files; those with boxes are kept in one, rescaled."""
    if not isinstance(objective, BoxesObjective):
        return Keeping(settings.max_data_size)
    most = BOX_BYTES if settings.max_data_size is None else min(settings.max_data_size, BOX_BYTES)
    return Keeping(most, Path(settings.output_directory))


def _open(
    rows: ImageRows, metadata: ImageMetadata, keeping: Keeping, settings: BaseSettings, report: Report
) -> OpenedImages:
    """The pixels of all images.

    Raises:
        DataError: files that cannot be read, unless they are to be skipped; or none that can.
    """
    options = ReadOptions.of(settings)
    source = ImageReading(
        path_prefix=options.image_root,
        input_image_format="file",
        color_space=options.color_space or "rgb",
        exif_rotation=metadata.exif_rotation,
        confinement=image_confinement(options),
    )
    loader = ImageLoader(metadata.width, metadata.height, metadata.rescale_type or RESCALE_TYPE, source)
    opened = open_images(
        rows.files,
        loader,
        keeping,
        lambda progress, **facts: report(READ * progress, **facts),
    )
    reasons, skips = list(opened.broken.values()), options.skip_invalid_images
    refuse_or_warn_about_broken(
        opened, reasons, skips, "are left out", lambda warning: report(READ, message=warning)
    )
    return opened


def _dataset(
    rows: ImageRows,
    opened: OpenedImages,
    objective: Objective,
    boxes: BoxOptions,
    warn: Callable[[str], None],
) -> Dataset:
    """The rows whose images can be read; their inputs are positions in the store."""
    kept = np.array([row for row in range(len(rows)) if row not in opened.broken], np.int64)
    labels = rows.labels[kept]
    if isinstance(objective, BoxesObjective):
        files = [rows.files[row] for row in kept]
        labels = place_boxes(labels, opened.sizes[kept], files, opened.store.loader, boxes.strict_boxes, warn)
        refuse_absent_classes(labels, objective)
    weights = None if rows.weights is None else rows.weights[kept]
    return Dataset(kept, objective.targets(labels), weights, objective)


def _split(dataset: Dataset, settings: BaseSettings, report: Report) -> tuple[Dataset, Dataset]:
    """As the readout's rows are split; classes of no image or of one are told."""
    if dataset.objective.has_classes:
        present = set(dataset.labels.tolist())
        absent = [name for place, name in enumerate(dataset.objective.classes) if place not in present]
        if absent:
            report(READ, message=f"warning: no image is of {', '.join(absent)}")
    warn_of_lone_rows(dataset, lambda warning: report(READ, message=warning))
    rng = np.random.default_rng([settings.seed, SPLIT])
    return split_holdout(dataset, HoldoutOptions.of(settings), rng)


def _result(fitted: Fit, settings: BaseSettings, started: float) -> dict[str, Any]:
    return {
        "job_id": settings.job_id,
        "validation_metrics": fitted.metrics,
        "evaluation_metrics": None,
        "iterations": fitted.iterations,
        "elapsed_time": time.time() - started,
        "configuration_parameters": None,
        "base_image_network": settings.base_image_network,
        "image_training_type": settings.image_training_type,
    }


def _info(start: Start, fields: Fields, options: DocumentOptions) -> dict[str, Any]:
    """What is known of the networks; they take one image, whatever other fields a row has."""
    image_field = next((fields.inputs[place] for place in fields.images), ImageField(index=0))
    return {
        **fit_info(fields, options, False, int(start.readout.model.input_shape[-1]), [1.0]),
        **network_info(start),
        "preprocess": [image_field.dump()],
        "initial_network_metadata": start.initial_metadata,
    }


def _files(rows: ImageRows, opened: OpenedImages, holdout: Dataset, returns_holdout: bool) -> dict[str, Any]:
    """The files that were left out, and, where asked for, those held out with what is true of them."""
    skipped = [{"file": rows.files[row], "reason": reason} for row, reason in opened.broken.items()]
    held_out = None
    if returns_holdout:
        truth = holdout.objective.in_units(rows.labels[holdout.inputs])
        held_out = [[rows.files[row], label] for row, label in zip(holdout.inputs, truth, strict=True)]
    return {"skipped_images": skipped, "holdout_images": held_out}


def _write(submodel: Submodel, start: Start, info: dict[str, Any]) -> None:
    model = trained_keras_model(start, info)
    write_submodel(submodel, encode_weights(model), info)
