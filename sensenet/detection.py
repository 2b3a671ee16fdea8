"""From a detector's maps to boxes: YOLO decoding (arXiv 1804.02767, 2004.10934) and non-maximum suppression.

`decode` is TensorFlow, and goes into exports. What follows depends on each picture's size and is NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensenet.document.image_network import Branch
from sensenet.preprocess.image import Placement

MAX_COORDINATE = 2.0**30


class Decoded(NamedTuple):
    """All boxes of a batch of n images, in the order: branches, rows, columns, anchors.

    Attributes:
        corners: (n, boxes, 4) float32, x1, y1, x2, y2 in pixels of the network's input, neither rounded nor clipped.
        scores: (n, boxes) float32 in [0, 1], that it is an object times that it is one of its class.
        classes: (n, boxes) int32, the best class.
    """

    corners: Any
    scores: Any
    classes: Any


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one image.

    Attributes:
        corners: (k, 4) int32, x1, y1, x2, y2 in pixels of the original image. They are not clipped: a box may reach
            beyond a picture that shows a part of its object.
        scores: (k,) float32.
        classes: (k,) int32.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        """How many there are."""
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> Boxes:
        """Those at the positions, or of the truth values, in `chosen`."""
        return Boxes(self.corners[chosen], self.scores[chosen], self.classes[chosen])


@dataclass(frozen=True)
class Suppression:
    """Which boxes are kept.

    Attributes:
        threshold: a box's score must be above it.
        iou_threshold: of two boxes that overlap by a greater share of their union, the better is kept.
        max_objects: at most so many are kept, the best.
        class_agnostic: whether boxes of different classes compete, too.
    """

    threshold: float = 0.5
    iou_threshold: float = 0.5
    max_objects: int = 32
    class_agnostic: bool = False


class Grid(NamedTuple):
    """Where a detector predicts, for each of its boxes in the order: branches, rows, columns, anchors.

    Attributes:
        cells: (boxes, 2) float32, column and row in the branch's map.
        strides: (boxes, 1) float32, pixels a cell.
        scales: (boxes, 1) float32, the branch's xyscale.
        anchors: (boxes, 2) float32, width and height in pixels.
    """

    cells: np.ndarray
    strides: np.ndarray
    scales: np.ndarray
    anchors: np.ndarray


def make_grid(map_sizes: Sequence[tuple[int, int]], branches: Sequence[Branch]) -> Grid:
    """The grid of a detector whose branches have maps of these (rows, columns)."""
    parts = []
    for (rows, columns), branch in zip(map_sizes, branches, strict=True):
        n_anchors = len(branch.anchors)
        n_boxes = rows * columns * n_anchors
        cells = np.repeat([(x, y) for y in range(rows) for x in range(columns)], n_anchors, axis=0)
        strides, scales = np.full((n_boxes, 1), branch.strides), np.full((n_boxes, 1), branch.xyscale)
        parts.append((cells, strides, scales, np.tile(branch.anchors, (rows * columns, 1))))
    return Grid(*(np.concatenate(column).astype(np.float32) for column in zip(*parts, strict=True)))


def box_corners(numbers: tf.Tensor, grid: Grid) -> tf.Tensor:
    """(..., boxes, 4) float32 corners, in pixels of the network's input, of (..., boxes, 5 + classes) numbers."""
    stride, scale = grid.strides, grid.scales
    centre = (tf.sigmoid(numbers[..., :2]) * scale - (scale - 1) / 2 + grid.cells) * stride
    half = tf.exp(numbers[..., 2:4]) * grid.anchors / 2
    return tf.concat([centre - half, centre + half], axis=-1)


def decode_numbers(numbers: tf.Tensor, grid: Grid) -> Decoded:
    """The boxes that (n, boxes, 5 + classes) numbers say, see `decode`."""
    # the best class before the sigmoid is the best behind it: one sigmoid a box in place of one a class
    logits = numbers[..., 5:]
    score = tf.sigmoid(numbers[..., 4]) * tf.sigmoid(tf.reduce_max(logits, axis=-1))
    best = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return Decoded(box_corners(numbers, grid), score, best)


def decode(maps: Sequence[tf.Tensor], branches: Sequence[Branch]) -> Decoded:
    """The boxes that a detector's maps say.

    A cell of a map has, for each anchor a, x, y, w, h, objectness and one number a class, all before their
    functions. With the stride s and the xyscale k of the branch:
    centre = (sigmoid(xy) k - (k - 1) / 2 + cell) s, size = exp(wh) a, score = sigmoid(objectness) sigmoid(class).

    Args:
        maps: one a branch, (n, rows, columns, anchors * (5 + classes)) float32; all but n known beforehand.
        branches: what `image_network.metadata.outputs` says of them.
    """
    parts = []
    for raw, branch in zip(maps, branches, strict=True):
        rows, columns, channels = raw.shape[1:]
        n_anchors = len(branch.anchors)
        parts.append(tf.reshape(raw, (-1, rows * columns * n_anchors, channels // n_anchors)))
    grid = make_grid([tuple(raw.shape[1:3]) for raw in maps], branches)
    return decode_numbers(tf.concat(parts, axis=1), grid)


def in_original(decoded: Decoded, placement: Placement) -> Boxes:
    """All boxes of one image in pixels of the original image, rounded half to even.

    Args:
        decoded: of that image: NumPy arrays without the axis n.
        placement: how the image was brought to the network's size.
    """
    corners = np.rint(unrounded_corners(decoded.corners, placement)).astype(np.int32)
    return Boxes(corners, decoded.scores, decoded.classes)


def unrounded_corners(corners: np.ndarray, placement: Placement) -> np.ndarray:
    """Corners (..., 4) of the network's input in pixels of the original image, float32 and finite."""
    # a far too large exponent gives infinity, and damaged weights NaN
    finite = np.nan_to_num(placement.to_original(corners), nan=0.0)
    return np.clip(finite, -MAX_COORDINATE, MAX_COORDINATE)


def find_objects(decoded: Decoded, placement: Placement, rule: Suppression) -> Boxes:
    """The boxes of one image that are kept, best first, in pixels of the original image.

    Args:
        decoded: of that image: NumPy arrays without the axis n.
        placement: how the image was brought to the network's size.
        rule: which are kept.
    """
    likely = decoded.scores > np.float32(rule.threshold)
    boxes = in_original(Decoded(*(each[likely] for each in decoded)), placement)
    return boxes.take(non_max_suppression(boxes, rule))


def non_max_suppression(boxes: Boxes, rule: Suppression) -> np.ndarray:
    """Greedy non-maximum suppression: the positions of the boxes kept, best first; of equal ones the earlier.

    Boxes without an area overlap nothing.

    Returns:
        (kept,) int64.
    """
    likely = np.flatnonzero(boxes.scores > np.float32(rule.threshold))
    order = likely[np.argsort(-boxes.scores[likely], kind="stable")]
    sides = boxes.corners[order].T.astype(np.float64)  # (4, candidates): exact for all that int32 holds
    size = np.maximum(sides[2:] - sides[:2], 0)
    areas = size[0] * size[1]
    if not rule.class_agnostic and order.size:
        # every class in a place of its own: then no two boxes of different classes touch
        sides = sides + boxes.classes[order] * (sides.max() - sides.min() + 1)
    kept: list[int] = []
    while order.size and len(kept) < rule.max_objects:
        kept.append(int(order[0]))
        best, area = sides[:, :1], areas[0]
        order, sides, areas = order[1:], sides[:, 1:], areas[1:]
        if area > 0:
            far = _overlap(best, area, sides, areas) <= rule.iou_threshold
            if not far.all():
                order, sides, areas = order[far], sides[:, far], areas[far]
    return np.array(kept, np.int64)


def _overlap(best: np.ndarray, area: float, sides: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Intersection over union of one box, which has an area, with others: (others,)."""
    width = np.minimum(best[2], sides[2]) - np.maximum(best[0], sides[0])
    height = np.minimum(best[3], sides[3]) - np.maximum(best[1], sides[1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    return common / (area + areas - common)


def padded(objects: Boxes, filler: Boxes, max_objects: int) -> tuple[Boxes, int]:
    """Always `max_objects` rows, and how many of them are objects.

    Args:
        objects: at most `max_objects`.
        filler: one box, which fills the other rows: by custom the first of all boxes.
        max_objects: rows of the result.
    """
    missing = max_objects - len(objects)
    columns = (
        np.concatenate([getattr(objects, name), np.repeat(getattr(filler, name), missing, axis=0)])
        for name in ("corners", "scores", "classes")
    )
    return Boxes(*columns), len(objects)


def as_dicts(boxes: Boxes, values: Sequence[str]) -> list[dict[str, Any]]:
    """`[{"box": [x1, y1, x2, y2], "label", "score"}, ...]` in plain Python types, in the order of `boxes`.

    Args:
        boxes: those of one image.
        values: the names of the classes.
    """
    columns = zip(boxes.corners.tolist(), boxes.classes.tolist(), boxes.scores.tolist(), strict=True)
    return [{"box": box, "label": values[label], "score": score} for box, label, score in columns]
