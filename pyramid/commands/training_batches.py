"""The batches that a training begins with, as its network sees them."""

from __future__ import annotations

from collections.abc import Iterator

from pyramid.commands.config import Training
from pyramid.commands.contact_sheet import MOST_IMAGES, Picture, labelled_picture
from pyramid.jobs.image_training import training_batches
from pyramid.progress import Report


def augmented_batches(training: Training, count: int, report: Report) -> Iterator[list[Picture]]:
    """The batches of the first steps of the first candidate's training, as its job draws and augments them.

    Raises:
        DataError: images that cannot be read.
    """
    settings = training.job(training.candidates[0], training.max_total_seconds)
    batches, objective = training_batches(settings, report), training.images.objective
    for step in range(count):
        batch = batches(step)
        images, targets = batch.inputs.numpy()[:MOST_IMAGES], batch.targets.numpy()[:MOST_IMAGES]
        labels = objective.in_units(objective.truth(targets))
        yield [labelled_picture(image, label) for image, label in zip(images, labels, strict=True)]
