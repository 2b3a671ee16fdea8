"""What a detector begins with: its anchors, and last convolutions that are taken over or drawn anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyramid.fields import Objective
from pyramid.fields.boxes import BoxesObjective, true_boxes
from pyramid.images.anchors import fit_anchors, sort_anchors
from pyramid.images.networks import wrong_setting
from pyramid.settings.image_networks import anchors_count_problem
from pyramid.settings.options import NetworkOptions
from pyramid.train.dataset import Dataset
from pyramid.train.detector import detector_grid
from sensenet.document.image_network import NUMBERS_A_BOX, Branch, ImageNetworkSpec
from sensenet.document.model import ModelSpec
from sensenet.errors import ModelFormatError
from sensenet.layers import dump_layers, parse_layers
from sensenet.pretrained.networks import COCO_CLASSES

XYSCALE = 2.0
"""How far the boxes of new detectors reach: each cell also answers for what lies in the next half of its neighbours.

Three to four times as many boxes learn from each truth as with the published 1.05 to 1.2.
"""

LEAST_PRIOR = 1e-3


def start_detector(
    spec: ImageNetworkSpec,
    initial: ModelSpec | None,
    options: NetworkOptions,
    seed: int,
    training: Dataset,
    warn: Callable[[str], None],
) -> ImageNetworkSpec:
    """The (initialized) detector that a job begins with.

    Where a trained network knows the same classes, its last convolutions go on with their anchors. Else they are drawn
    anew, with anchors that fit the boxes of the training, and begin by saying how often each class is seen.

    Args:
        spec, initial: see `network_to_train`.
        training: its targets are boxes.
        warn: told where the last convolutions of an initial model are not taken over.

    Raises:
        SettingsError: anchors that are not as many as the detector has.
        ModelFormatError: layers that do not fit together.
    """
    objective = training.objective
    assert isinstance(objective, BoxesObjective)
    obstacle = _obstacle(initial, options, objective)
    if obstacle is None:
        given = _given_anchors(spec, options)
        if given is not None:
            spec = replace(spec, metadata=replace(spec.metadata, outputs=_with_anchors(spec, given)))
        spec = spec.initialize(seed)
        spec.check_branches(len(objective.classes))
        return spec
    if initial is not None and options.training_type.starts_trained:
        warn(
            "warning: the last convolutions are drawn anew, as those of the initial_model cannot be taken over: "
            f"{obstacle}"
        )
    n_images, counts = len(training), objective.count(training.targets)
    spec = with_new_heads(spec, _new_branches(spec, options, seed, training), len(objective.classes))
    spec = spec.initialize(seed)
    spec.check_branches(len(objective.classes))
    return with_priors(spec, counts.sum() / n_images, counts / counts.sum())


def _obstacle(initial: ModelSpec | None, options: NetworkOptions, objective: Objective) -> str | None:
    """Why the last convolutions cannot be taken over; None where they can."""
    if not options.training_type.starts_trained:
        return "nothing is trained yet"
    if initial is not None:
        return objective.difference_from(initial.output.dump())
    return None if objective.classes == COCO_CLASSES else "the published ones know the classes of COCO"


def _new_branches(
    spec: ImageNetworkSpec, options: NetworkOptions, seed: int, training: Dataset
) -> tuple[Branch, ...]:
    anchors: Sequence[Sequence[float]] | None = _given_anchors(spec, options)
    if anchors is None:
        corners = np.concatenate([each.corners for each in true_boxes(training.targets)])
        anchors = fit_anchors(corners[:, 2:] - corners[:, :2], _n_anchors(spec), seed)
    return tuple(replace(branch, xyscale=XYSCALE) for branch in _with_anchors(spec, anchors))


def _given_anchors(spec: ImageNetworkSpec, options: NetworkOptions) -> Sequence[Sequence[float]] | None:
    given = options.bounding_box_anchors
    if given is None:
        return None
    name = spec.metadata.base_image_network or "the initial_model"
    if problem := anchors_count_problem(name, _n_anchors(spec), given):
        raise wrong_setting("bounding_box_anchors", problem)
    return sort_anchors(given)


def _n_anchors(spec: ImageNetworkSpec) -> int:
    return sum(len(branch.anchors) for branch in spec.branches or ())


def _with_anchors(spec: ImageNetworkSpec, anchors: Sequence[Sequence[float]]) -> tuple[Branch, ...]:
    """The branches with the smallest anchors at the finest."""
    left, branches = [(width, height) for width, height in anchors], {}
    for branch in sorted(spec.branches or (), key=lambda branch: branch.strides):
        count = len(branch.anchors)
        branches[branch.input] = replace(branch, anchors=tuple(left[:count]))
        left = left[count:]
    return tuple(branches[branch.input] for branch in spec.branches or ())


def with_new_heads(spec: ImageNetworkSpec, branches: Sequence[Branch], n_classes: int) -> ImageNetworkSpec:
    """A detector whose last convolutions are untrained, for these branches and so many classes.

    Raises:
        ModelFormatError: a branch that no convolution feeds, or that another branch has, too.
    """
    layers = list(spec.layers)
    if len({branch.input for branch in branches}) < len(branches):
        raise ModelFormatError("image_network.metadata.outputs: expected a layer of its own for each branch")
    for place, branch in enumerate(branches):
        kind = layers[branch.input].type_name if branch.input < len(layers) else "nothing"
        if kind != "convolution_2d":
            raise ModelFormatError(
                f"image_network.metadata.outputs[{place}].input: expected a convolution_2d, to be drawn anew, "
                f"got {kind}"
            )
        n_filters = len(branch.anchors) * (NUMBERS_A_BOX + n_classes)
        (raw,) = dump_layers(spec.layers[branch.input : branch.input + 1], short=True)
        (head,) = parse_layers([{**raw, "number_of_filters": n_filters, "inputs": []}])
        layers[branch.input] = replace(head, inputs=spec.layers[branch.input].inputs)
    return replace(spec, layers=tuple(layers), metadata=replace(spec.metadata, outputs=tuple(branches)))


def with_priors(spec: ImageNetworkSpec, boxes_per_image: float, class_shares: np.ndarray) -> ImageNetworkSpec:
    """An (initialized) detector that begins by saying how often boxes and classes are seen (arXiv 1708.02002, 3.3).

    Args:
        boxes_per_image: their mean number.
        class_shares: (classes,) share of each class among the boxes.
    """
    n_boxes = len(detector_grid(spec).cells)
    per_box = [0.0] * 4 + [_logit(boxes_per_image / n_boxes), *map(_logit, class_shares.tolist())]
    layers = list(spec.layers)
    for branch in spec.branches or ():
        head: Any = layers[branch.input]
        bias = np.tile(np.array(per_box, np.float32), len(branch.anchors))
        layers[branch.input] = replace(head, bias=bias)
    return replace(spec, layers=tuple(layers))


def _logit(share: float) -> float:
    bounded = min(max(share, LEAST_PRIOR), 1.0 - LEAST_PRIOR)
    return math.log(bounded / (1.0 - bounded))
