"""Writes the report of a training of images: asks the trained networks, draws augmented images, makes the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.images.augment import augment
from pyramid.report_page.collect import Outputs, collect
from pyramid.report_page.data import ReportData, dump_report
from pyramid.report_page.render import render
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import LossOptions, NetworkOptions
from pyramid.train.checks import HoldoutCheck
from pyramid.train.image_start import Start
from pyramid.train.images import ImageData, describe_phase, predict_images
from pyramid.train.traced import traced_once
from pyramid.workspace import Submodel, Workspace, write_bytes, write_json

SHEET_IMAGES, SHEET_VERSIONS = 8, 5


def write_report(data: ReportData, workspace: Workspace, submodel: Submodel) -> None:
    """Leave the page and its data with the trained network, and the page as the last one of the workspace.

    Raises:
        WorkspaceError: a file cannot be written.
    """
    page = render(data).encode()
    write_json(submodel.report_data, dump_report(data))
    for path in (submodel.report, workspace.report):
        write_bytes(path, page)


def training_report(
    start: Start,
    images: ImageData,
    settings: BaseSettings,
    result: Mapping[str, Any],
    checks: Sequence[HoldoutCheck],
) -> ReportData:
    """What there is to tell of a training that is done.

    Args:
        start: the networks, trained.
        settings: of the job.
        result: of the job.
        checks: all of them, in their order.
    """
    holdout = images.holdout
    outputs, worst = None, []
    if len(holdout):
        predicted = predict_images(start, images, LossOptions.of(settings))
        outputs = Outputs(holdout.truth, predicted, holdout.objective)
        worst = _with_pixels(images, holdout.inputs[outputs.worst()])
    return collect(
        settings.as_dict(),
        holdout.objective,
        result,
        checks,
        [describe_phase(phase, start) for phase in NetworkOptions.of(settings).training_type.phases],
        outputs,
        worst,
        images.augmentations.words(),
        _sheet(images, settings.augmentation_seed),
    )


def _with_pixels(images: ImageData, positions: np.ndarray) -> list[tuple[str, np.ndarray]]:
    files = [images.store.files[position] for position in positions]
    return list(zip(files, images.store.pixels(positions), strict=True))


def _sheet(images: ImageData, augmentation_seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Some training images, each as several steps would see it."""
    if not images.augmentations.chosen:
        return []
    inputs = images.training.inputs
    places = np.linspace(0, len(inputs) - 1, min(len(inputs), SHEET_IMAGES)).astype(np.int64)
    positions = inputs[places]
    plain = _with_pixels(images, positions)
    pixels = tf.constant(np.stack([image for _, image in plain]))

    @traced_once
    @tf.function(autograph=False)
    def change(step: tf.Tensor) -> tf.Tensor:
        seed, indices = tf.constant(augmentation_seed), tf.constant(positions, tf.int32)
        return augment(pixels, seed, step, indices, images.augmentations)

    versions = np.stack([change(tf.constant(step)).numpy() for step in range(SHEET_VERSIONS)], axis=1)
    return [(file, image, versions[place]) for place, (file, image) in enumerate(plain)]
