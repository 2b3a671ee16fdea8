"""A detector as what an image job trains: one network from pixels to the numbers of all boxes, and what these say."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pyramid.fields import Objective
from pyramid.fields.boxes import BoxAnswers
from pyramid.settings.options import LossOptions
from pyramid.train.box_loss import CLASS_SMOOTHING, BoxLoss
from pyramid.train.box_matching import LEAST_SCORE, MOST_FOUND
from sensenet.detection import Grid, decode_numbers, make_grid
from sensenet.document.image_network import Branch, ImageNetworkSpec, layer_shapes
from sensenet.layers.base import build_all
from sensenet.network import Network

SUPPRESSED_IOU = 0.5


def connect_detector(spec: ImageNetworkSpec) -> Network:
    """The network (n, height, width, 3) normalised pixels -> (n, boxes, 5 + classes), all branches in their order.

    Args:
        spec: initialized.
    """
    source = keras.Input(spec.input_shape, dtype="float32")
    built = build_all(spec.layers, source)
    flat = [_flattened(built[branch.input].output, branch) for branch in spec.branches or ()]
    numbers = flat[0] if len(flat) == 1 else keras.layers.Concatenate(axis=1)(flat)
    model = keras.Model(source, numbers)
    return Network(spec.layers, model, model, None, tuple(one.parts for one in built))


def _flattened(branch_map: Any, branch: Branch) -> Any:
    rows, columns, channels = branch_map.shape[1:]
    n_anchors = len(branch.anchors)
    return keras.layers.Reshape((rows * columns * n_anchors, channels // n_anchors))(branch_map)


def detector_grid(spec: ImageNetworkSpec) -> Grid:
    """Where the boxes of an (initialized) detector are."""
    shapes = layer_shapes(spec.layers, spec.input_shape)
    branches = spec.branches or ()
    sizes = [(shapes[branch.input][0], shapes[branch.input][1]) for branch in branches]
    return make_grid(sizes, branches)


def head_places(spec: ImageNetworkSpec) -> frozenset[int]:
    """Which layers of a detector give its maps."""
    return frozenset(branch.input for branch in spec.branches or ())


def train_only(network: Network, places: Container[int]) -> None:
    """Let the layers at some places be trained, and all others be fixed."""
    for place, parts in enumerate(network.parts):
        for layer in keras.tree.flatten(parts):
            layer.trainable = place in places


def box_loss(spec: ImageNetworkSpec, objective: Objective, options: LossOptions) -> BoxLoss:
    """The losses of an (initialized) detector; a class without a weight counts as the mean of those given."""
    given = dict(options.class_weights)
    mean = sum(given.values()) / max(len(given), 1)
    weights = np.array([given.get(name, mean) for name in objective.classes], np.float32) if given else None
    return BoxLoss(
        grid=detector_grid(spec),
        area=float(spec.metadata.width * spec.metadata.height),
        n_classes=len(objective.classes),
        class_weights=np.ones(len(objective.classes), np.float32)
        if weights is None
        else weights / weights.mean(),
        smoothing=options.label_smoothing_factor or CLASS_SMOOTHING,
    )


def box_answers(numbers: tf.Tensor, truths: tf.Tensor, loss: BoxLoss) -> BoxAnswers:
    """What (n, boxes, 5 + classes) numbers say of n images whose boxes are `truths`."""
    corners, scores, classes = decode_numbers(numbers, loss.grid)
    by_class = tf.one_hot(classes, loss.n_classes) * scores[..., None]
    kept, scores, classes, _ = tf.image.combined_non_max_suppression(
        tf.where(tf.math.is_finite(corners), corners, 0.0)[:, :, None],
        by_class,
        max_output_size_per_class=MOST_FOUND,
        max_total_size=MOST_FOUND,
        iou_threshold=SUPPRESSED_IOU,
        score_threshold=LEAST_SCORE,
        clip_boxes=False,
    )
    return BoxAnswers(tf.stack(loss(numbers, truths), axis=1), kept, scores, tf.cast(classes, tf.int32))
