"""Writes the report of a training of images: asks the trained networks, draws augmented images, makes the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pyramid.report_page.answers import answers_to
from pyramid.report_page.bounds import thinned
from pyramid.report_page.collect import collect
from pyramid.report_page.data import ReportData, dump_report
from pyramid.report_page.render import render
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import LossOptions, NetworkOptions
from pyramid.train.checks import CheckLog
from pyramid.train.image_data import ImageData, label_augmenter
from pyramid.train.image_start import Start
from pyramid.train.images import answer_holdout, describe_phase
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
    log: CheckLog,
) -> ReportData:
    """What there is to tell of a training that is done.

    Args:
        start: the networks, trained.
        settings: of the job.
        result: of the job.
        log: of its checks.
    """
    objective, answers = images.holdout.objective, None
    if len(images.holdout):
        said = log.answers or answer_holdout(start, images, LossOptions.of(settings))
        answers = answers_to(objective).of(said)
    return collect(
        settings.as_dict(),
        objective,
        result,
        log.checks,
        [describe_phase(phase, start) for phase in NetworkOptions.of(settings).training_type.phases],
        answers,
        images.augmentations.words(),
        _sheet(images, settings.augmentation_seed),
    )


def _sheet(images: ImageData, augmentation_seed: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Some training images, each as several steps would see it, with what can be seen of their labels."""
    change = label_augmenter(images, augmentation_seed)
    if change is None:
        return []
    rows = images.training.take(thinned(len(images.training), SHEET_IMAGES))
    objective, draw = rows.objective, answers_to(rows.objective).draw_label

    def drawn(pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
        labels = objective.truth(targets)
        return np.stack([draw(*each) for each in zip(pixels, labels, strict=True)])

    files, pixels = zip(*images.look(rows.inputs), strict=True)
    plain, targets = tf.constant(np.stack(pixels)), tf.constant(rows.targets)
    changed = traced_once(tf.function(change, autograph=False))
    versions = [
        drawn(*(tensor.numpy() for tensor in changed(plain, targets, tf.constant(step))))
        for step in range(SHEET_VERSIONS)
    ]
    return list(zip(files, drawn(plain.numpy(), rows.targets), np.stack(versions, axis=1), strict=True))
