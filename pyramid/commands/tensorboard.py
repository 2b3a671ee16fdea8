"""Event files for TensorBoard: the checks of a training as they happen, a folder for each candidate.

The records are those that `tf.summary.scalar` writes, which needs TensorBoard to be installed; this does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from pyramid.train.checks import HoldoutCheck, OnCheck

METRICS, LOSS, RATE, PHASE = "holdout/", "loss", "learning_rate", "phase"


@contextmanager
def event_log(directory: Path) -> Iterator[OnCheck]:
    """What writes checks into a new event file in `directory`, which is made if absent.

    Raises:
        OSError: the directory cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    writer = tf.summary.create_file_writer(str(directory))

    def write(check: HoldoutCheck) -> None:
        values = {
            **{METRICS + name: value for name, value in check.metrics.items()},
            LOSS: check.loss,
            PHASE: check.phase,
        }
        if check.learning_rate is not None:
            values[RATE] = check.learning_rate
        with writer.as_default():
            for tag, value in values.items():
                number = tf.constant(value, tf.float32)
                tf.summary.write(tag, number, step=check.iteration, metadata=_scalar())
        # people look while the training runs
        writer.flush()

    try:
        yield write
    finally:
        writer.close()


def _scalar() -> tf.compat.v1.SummaryMetadata:
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
    metadata.data_class = 1  # DATA_CLASS_SCALAR of tensorboard's summary.proto
    return metadata
