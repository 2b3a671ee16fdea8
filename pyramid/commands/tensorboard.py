"""Event files for TensorBoard: the checks of a training as they happen, a folder for each candidate.

The records are those that `tf.summary.scalar` and `tf.summary.image` write, which need TensorBoard to be installed;
this does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from pyramid.report_page.answers import answers_to
from pyramid.train.checks import HoldoutCheck, OnCheck

METRICS, LOSS, RATE, PHASE, IMAGES = "holdout/", "loss", "learning_rate", "phase", "holdout_images"
SCALARS, IMAGE_LISTS = ("scalars", 1), ("images", 3)
"""Plugin and DataClass (of tensorboard's summary.proto) of numbers and of lists of images."""

LEAST_WAIT, GROWTH = 10.0, 1.1
"""From pictures to the next ones so many seconds pass, and the training gets so much longer: a week makes a hundred."""


@contextmanager
def event_log(directory: Path) -> Iterator[OnCheck]:
    """What writes checks into a new event file in `directory`, which is made if absent.

    Raises:
        OSError: the directory cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    writer = tf.summary.create_file_writer(str(directory))

    pictures = _Pictures()

    def write(check: HoldoutCheck) -> None:
        values = {
            **{METRICS + name: value for name, value in check.metrics.items()},
            LOSS: check.loss,
            PHASE: check.phase,
        }
        if check.learning_rate is not None:
            values[RATE] = check.learning_rate
        records = [(tag, tf.constant(value, tf.float32), SCALARS) for tag, value in values.items()]
        images = pictures.of(check)
        if images:
            records.append((IMAGES, _encoded(images), IMAGE_LISTS))
        with writer.as_default():
            for tag, tensor, kind in records:
                tf.summary.write(tag, tensor, step=check.iteration, metadata=_metadata(*kind))
        # people look while the training runs
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


@dataclass
class _Pictures:
    """Draws holdout images for checks whose weights are kept, the less often the longer a training goes on."""

    due: float = 0.0

    def of(self, check: HoldoutCheck) -> list[np.ndarray]:
        if check.answers is None or not check.kept or check.seconds < self.due:
            return []
        self.due = max(check.seconds + LEAST_WAIT, check.seconds * GROWTH)
        return answers_to(check.answers.objective).draw_holdout(check.answers)


def _encoded(images: Sequence[np.ndarray]) -> tf.Tensor:
    """(height, width, 3) uint8 images of one size as the image plugin has them: width, height, PNG after PNG."""
    height, width = images[0].shape[:2]
    files = [tf.io.encode_png(image).numpy() for image in images]
    return tf.constant([str(width).encode(), str(height).encode(), *files])


def _metadata(plugin_name: str, data_class: int) -> tf.compat.v1.SummaryMetadata:
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin_name)
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
    metadata.data_class = data_class
    return metadata
