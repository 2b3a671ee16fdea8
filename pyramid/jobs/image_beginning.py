"""What an image job begins with: its rows and pixels, divided, and its networks before their first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pyramid.errors import DataError
from pyramid.fields import Fields, Objective
from pyramid.fields.boxes import BoxesObjective
from pyramid.images.augment import Augmentations, parse_augmentations
from pyramid.images.networks import RESCALE_TYPE, network_to_train, refuse_boxes, refuse_features
from pyramid.images.placed_boxes import place_boxes, refuse_absent_classes
from pyramid.images.root import image_confinement
from pyramid.images.rows import ImageRows, read_image_rows
from pyramid.images.store import Keeping, OpenedImages, open_images, refuse_or_warn_about_broken
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import (
    BoxOptions,
    FitOptions,
    HoldoutOptions,
    NetworkOptions,
    ReadOptions,
    ReadoutOptions,
    RowOptions,
    job_fields,
)
from pyramid.train.dataset import Dataset, split_holdout, warn_of_lone_rows
from pyramid.train.image_data import ImageData
from pyramid.train.image_start import Start, start_networks
from pyramid.train.images import ImageFitOptions
from sensenet.document.image_network import ImageMetadata
from sensenet.preprocess.reading import ImageLoader, ImageReading

READ = 0.1  # where reading the images ends in the progress of the job
BOX_BYTES = 512_000_000  # so many bytes of pixels with boxes are kept in memory at most
SPLIT = 1  # what a random generator of the job is for, as in the other training jobs


@dataclass(frozen=True)
class Beginning:
    """A job before its first step."""

    fields: Fields
    start: Start
    images: ImageData
    rows: ImageRows
    opened: OpenedImages


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
    training, holdout = _split(dataset, rows, settings, warn)
    start = start_networks(spec, initial, network, ReadoutOptions.of(settings), training, warn)
    images = ImageData(opened.store, training, holdout, augmentations)
    return Beginning(fields, start, images, rows, opened)


def fit_options(settings: BaseSettings, objective: Objective) -> ImageFitOptions:
    """How the job trains."""
    fit = FitOptions.of(settings)
    # mixup is of the rows of tables; images are augmented
    fit = replace(fit, sampling=replace(fit.sampling, mixup_alpha=0.0))
    training_type = NetworkOptions.of(settings).training_type
    phases = training_type.timed_phases if isinstance(objective, BoxesObjective) else training_type.phases
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
        refuse_absent_classes(labels[kept < len(rows) - rows.held_out], objective)
    weights = None if rows.weights is None else rows.weights[kept]
    # as float32 has them, which networks learn
    return Dataset(kept, objective.truth(objective.targets(labels)), weights, objective)


def _split(
    dataset: Dataset, rows: ImageRows, settings: BaseSettings, warn: Callable[[str], None]
) -> tuple[Dataset, Dataset]:
    """As the rows say, or else as the readout's rows are split; classes of no image or of one are told."""
    if rows.held_out:
        return _stated_split(dataset, len(rows) - rows.held_out)
    if dataset.objective.has_classes:
        present = set(dataset.labels.tolist())
        absent = [name for place, name in enumerate(dataset.objective.classes) if place not in present]
        if absent:
            warn(f"warning: no image is of {', '.join(absent)}")
    warn_of_lone_rows(dataset, warn)
    rng = np.random.default_rng([settings.seed, SPLIT])
    training, holdout = split_holdout(dataset, HoldoutOptions.of(settings), rng)
    if isinstance(dataset.objective, BoxesObjective):
        counts = dataset.objective.count(training.targets).tolist()
        gone = [name for name, count in zip(dataset.objective.classes, counts, strict=True) if not count]
        if gone:
            warn(f"warning: all images with boxes of {', '.join(gone)} are held out")
    return training, holdout


def _stated_split(dataset: Dataset, n_training: int) -> tuple[Dataset, Dataset]:
    """The first `n_training` rows, and the others, of which some may be missing."""
    is_training = dataset.inputs < n_training
    for key, there in (
        ("image_training_data", is_training.any()),
        ("image_holdout_data", not is_training.all()),
    ):
        if not there:
            raise DataError(f"{key}: none of its images can be read")
    return dataset.take(np.flatnonzero(is_training)), dataset.take(np.flatnonzero(~is_training))
