from __future__ import annotations

from dataclasses import replace
from functools import cache

import image_documents as images
import numpy as np
import pytest
import tensorflow as tf

from pyramid.errors import SettingsError
from pyramid.fields.boxes import NO_BOX, BoxesObjective
from pyramid.settings.options import LossOptions, NetworkOptions
from pyramid.train.box_loss import CLASS_SMOOTHING
from pyramid.train.box_matching import LEAST_SCORE, MOST_FOUND
from pyramid.train.dataset import Dataset
from pyramid.train.detector import (
    SUPPRESSED_IOU,
    box_answers,
    box_loss,
    connect_detector,
    detector_grid,
    head_places,
    train_only,
)
from pyramid.train.detector_start import LEAST_PRIOR, start_detector, with_new_heads, with_priors
from sensenet.detection import Decoded, Suppression, decode_numbers, find_objects
from sensenet.document.image_network import parse_image_network
from sensenet.document.model import parse_model
from sensenet.models.predict.boxes import compile_boxes
from sensenet.preprocess.image import normalize, placement
from sensenet.pretrained import image_network

OBJECTIVE = BoxesObjective(index=1, values=images.CLASSES)
COLOURS = BoxesObjective(index=1, values=tuple(images.COLOURS))


def spec_of(document):
    return parse_image_network(document["image_network"]).initialize(0)


def reversed_branches(spec):
    return replace(spec, metadata=replace(spec.metadata, outputs=spec.branches[::-1]))


DETECTORS = {
    "two branches": lambda: spec_of(images.detector()),
    "coarse before fine": lambda: reversed_branches(spec_of(images.detector())),
    "one branch": lambda: spec_of(images.bright_detector()),
    "tinyyolov4": lambda: parse_image_network(image_network("tinyyolov4", 64, 96)).initialize(1),
}


@pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS)
def test_numbers_stand_in_the_order_of_the_detector_that_predicts(make):
    spec = make()
    metadata = spec.metadata
    pixels = (
        np.random.default_rng(0).integers(0, 256, (3, metadata.height, metadata.width, 3)).astype(np.float32)
    )
    expected = compile_boxes(spec)(tf.constant(pixels))
    network = connect_detector(spec)
    numbers = network.logits_model(
        normalize(pixels, metadata.loading_method, metadata.mean_image), training=False
    )
    assert network.model.output_shape == (None, *numbers.shape[1:])
    found = decode_numbers(numbers, detector_grid(spec))
    np.testing.assert_allclose(found.corners, expected["corners"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    agree = np.asarray(found.classes) == expected["classes"].numpy()
    logits = np.sort(numbers[..., 5:], axis=-1)
    # where two classes are as likely, rounding decides
    assert agree[logits[..., -1] - logits[..., -2] > 1e-4].all()


def test_a_new_detector_says_how_often_boxes_and_classes_are_seen():
    spec = spec_of(images.detector())
    shares = np.array([0.7, 0.3])
    begun = with_priors(with_new_heads(spec, spec.branches, 2).initialize(1), 2.5, shares)
    # a black image gives zeros before the last convolutions, so that their offsets alone speak
    numbers = connect_detector(begun).model(np.zeros((1, images.SIDE, images.SIDE, 3), np.float32)).numpy()
    n_boxes = numbers.shape[1]
    assert n_boxes == 2 * (2 * 2 + 1)
    assert not numbers[..., :4].any()
    said = tf.sigmoid(numbers[0, :, 4:]).numpy()
    np.testing.assert_allclose(said, np.tile([2.5 / n_boxes, *shares], (n_boxes, 1)), rtol=1e-5)


@pytest.mark.parametrize(("boxes_per_image", "expected"), [(0.0, LEAST_PRIOR), (1e6, 1 - LEAST_PRIOR)])
def test_what_is_never_or_always_seen_can_still_be_learnt(boxes_per_image, expected):
    begun = with_priors(spec_of(images.detector()), boxes_per_image, np.array([0.0, 1.0]))
    for branch in begun.branches:
        said = tf.sigmoid(begun.layers[branch.input].bias.reshape(len(branch.anchors), -1)[:, 4:]).numpy()
        np.testing.assert_allclose(said, [[expected, LEAST_PRIOR, 1 - LEAST_PRIOR]] * len(said), rtol=1e-4)


def test_new_heads_leave_all_other_layers_as_they_are():
    spec = spec_of(images.detector())
    branches = tuple(
        replace(branch, anchors=((3.0, 4.0), (5.0, 6.0), (9.0, 7.0))) for branch in spec.branches
    )
    changed = with_new_heads(spec, branches, 5)
    heads = {branch.input for branch in branches}
    assert changed.branches == branches
    assert [layer.inputs for layer in changed.layers] == [layer.inputs for layer in spec.layers]
    drawn = changed.initialize(3)
    drawn.check_branches(5)
    for place, (before, after) in enumerate(zip(spec.layers, drawn.layers, strict=True)):
        if place in heads:
            assert after.kernel.shape == (1, 1, 4, 3 * (5 + 5))
            continue
        for name, array in before.arrays().items():
            np.testing.assert_array_equal(array, after.arrays()[name])


def training_of(objective, sizes, classes):
    """One image a box."""
    targets = np.zeros((len(sizes), 2, 5), np.float32)
    targets[:, 0, 2:4], targets[:, 0, 4], targets[:, 1, 4] = sizes, classes, NO_BOX
    return Dataset(np.arange(len(sizes)), targets, None, objective)


TRAINING = training_of(OBJECTIVE, [(3, 3), (5, 4), (9, 9), (12, 14)] * 3, [0, 1, 0, 0] * 3)


def started(spec, initial=None, training=TRAINING, training_type="randomly_initialize", **more):
    """The detector that a job begins with, and what it warned of."""
    options = NetworkOptions(image_training_type=training_type, **more)
    warnings: list[str] = []
    return start_detector(spec, initial, options, 4, training, warnings.append), warnings


@pytest.mark.parametrize("order", [lambda spec: spec, reversed_branches], ids=["fine first", "coarse first"])
@pytest.mark.parametrize("given", [None, [[12, 14], [3, 3], [9, 9], [5, 4]]], ids=["fitted", "given"])
def test_the_smallest_anchors_are_those_of_the_finest_branch(order, given):
    begun, warnings = started(order(spec_of(images.detector())), bounding_box_anchors=given)
    anchors = {branch.strides: branch.anchors for branch in begun.branches}
    assert anchors == {8: ((3, 3), (5, 4)), 16: ((9, 9), (12, 14))}
    assert warnings == []
    begun.check_branches(2)


def test_a_new_detector_begins_with_the_shares_of_its_training():
    begun, _ = started(spec_of(images.detector()))
    first = begun.layers[begun.branches[0].input].bias
    # one box an image, at ten places; three of four are of the first class
    np.testing.assert_allclose(tf.sigmoid(first[4:7]), [1 / 10, 3 / 4, 1 / 4], rtol=1e-5)


@pytest.mark.parametrize("given", [[[3, 3]], [[3, 3]] * 5])
def test_anchors_that_do_not_fit_are_refused(given):
    with pytest.raises(SettingsError, match=r"bounding_box_anchors.*allowed are 4 pairs \[width, height\]"):
        started(spec_of(images.detector()), bounding_box_anchors=given)


def test_an_initial_model_of_the_same_classes_goes_on_as_it_is():
    initial = parse_model(images.detector())
    begun, warnings = started(initial.image_network, initial, training_type="fine_tune")
    assert warnings == []
    assert begun.branches == initial.image_network.branches
    for mine, theirs in zip(begun.layers, initial.image_network.initialize(0).layers, strict=True):
        for name, array in theirs.arrays().items():
            np.testing.assert_array_equal(mine.arrays()[name], array)


def test_an_initial_model_of_other_classes_gets_new_heads_and_a_warning():
    initial = parse_model(images.detector())
    objective = BoxesObjective(index=1, values=("dog", "cat"))
    training = replace(TRAINING, objective=objective)
    begun, (warning,) = started(initial.image_network, initial, training, "fine_tune")
    assert warning.startswith("warning: the last convolutions are drawn anew")
    assert "in another order" in warning
    assert begun.branches != initial.image_network.branches
    np.testing.assert_array_equal(begun.layers[0].kernel, initial.image_network.layers[0].kernel)


def test_heads_are_trained_alone_or_with_all_others():
    spec = spec_of(images.detector())
    network = connect_detector(spec)
    n_weights = {}
    for alone in (True, False):
        train_only(network, head_places(spec) if alone else range(len(network.parts)))
        n_weights[alone] = [tuple(weight.shape) for weight in network.model.trainable_variables]
    first, *heads = n_weights[False]
    assert first == (3, 3, 3, 4)
    assert n_weights[True] == heads


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), [1, 1]),
        ((("cat", 3.0), ("dog", 1.0)), [1.5, 0.5]),
        ((("cat", 3.0),), [1, 1]),
        ((("dog", 0.0), ("cat", 8.0)), [2, 0]),
    ],
)
def test_weights_of_classes_have_a_mean_of_one(given, expected):
    loss = box_loss(spec_of(images.detector()), OBJECTIVE, LossOptions(class_weights=given))
    np.testing.assert_allclose(loss.class_weights, expected)
    assert loss.area == images.SIDE**2
    assert loss.smoothing == CLASS_SMOOTHING


def test_smoothing_is_that_of_the_job():
    assert (
        box_loss(spec_of(images.detector()), OBJECTIVE, LossOptions(label_smoothing_factor=0.2)).smoothing
        == 0.2
    )


NO_TRUTH = tf.constant([[[0.0, 0, 0, 0, NO_BOX]]])


def tiny_loss(width, height):
    spec = parse_image_network(image_network("tinyyolov4", width, height, 2)).initialize(0)
    return box_loss(spec, OBJECTIVE, LossOptions())


def found_in(answers):
    """The boxes of the only image."""
    (boxes,) = tf.nest.map_structure(np.asarray, answers).boxes()
    return boxes


@pytest.mark.parametrize("seed", range(3))
def test_what_is_judged_is_what_a_detector_finds(seed):
    """Of boxes of whole pixels, for predictions are rounded before they are suppressed."""
    loss = tiny_loss(64, 96)
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(1, len(loss.grid.cells), 7)).astype(np.float32)
    numbers[..., :4] = 0
    sizes = 2 * rng.integers(2, 20, loss.grid.anchors.shape)
    loss = replace(loss, grid=loss.grid._replace(anchors=sizes.astype(np.float32)))
    decoded = Decoded(*(each[0].numpy() for each in decode_numbers(tf.constant(numbers), loss.grid)))
    assert (decoded.corners == decoded.corners.round()).all()
    rule = Suppression(LEAST_SCORE, SUPPRESSED_IOU, MOST_FOUND)
    expected = find_objects(decoded, placement(96, 64, 96, 64, "pad"), rule)
    found = found_in(box_answers(tf.constant(numbers), NO_TRUTH, loss))
    assert len(decoded.scores) > len(expected) > 20
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
    np.testing.assert_array_equal(found.corners, expected.corners)
    np.testing.assert_array_equal(found.classes, expected.classes)


def test_what_is_judged_of_a_picture_is_what_a_detector_finds_in_it():
    document = images.bright_detector()
    spec = spec_of(document)
    picture = images.painted(32, 32, red=(8, 16, 16, 24), green=(24, 0, 32, 8))
    pixels = normalize(picture[None], spec.metadata.loading_method)
    truths = tf.constant([[[8.0, 16, 16, 24, 0], [24, 0, 32, 8, 1], [0, 0, 0, 0, NO_BOX]]])
    loss = box_loss(spec, COLOURS, LossOptions())
    answers = box_answers(connect_detector(spec).model(pixels), truths, loss)
    boxes = found_in(answers)
    sure = boxes.scores > 0.5
    assert sorted(map(tuple, boxes.corners[sure].tolist())) == [(8, 16, 16, 24), (24, 0, 32, 8)]
    assert {COLOURS.values[label] for label in boxes.classes[sure]} == {"red", "green"}
    measured = COLOURS.evaluate(truths.numpy(), tf.nest.map_structure(np.asarray, answers))
    assert measured["mAP_50"] == measured["mAP_50_95"] == 1.0
    assert measured["ciou_loss"] == pytest.approx(0, abs=1e-4)


def test_the_best_boxes_of_all_classes_together_are_found():
    loss = tiny_loss(128, 96)
    numbers = np.full((1, len(loss.grid.cells), 7), 3.0, np.float32)
    numbers[..., 2:4] = -9  # so small that none touches another
    numbers[0, ::2, 5], numbers[0, 1::2, 6] = 4.0, 4.0
    numbers[0, :, 4] = np.linspace(-3, 3, len(loss.grid.cells))
    found = found_in(box_answers(tf.constant(numbers), NO_TRUTH, loss))
    best = np.sort(decode_numbers(tf.constant(numbers), loss.grid).scores[0])[::-1]
    assert len(best) > MOST_FOUND
    np.testing.assert_allclose(found.scores, best[:MOST_FOUND], rtol=1e-6)
    assert set(found.classes.tolist()) == {0, 1}


@cache
def compiled_answers():
    loss = box_loss(spec_of(images.detector()), OBJECTIVE, LossOptions())
    return tf.function(lambda numbers, truths: box_answers(numbers, truths, loss)), len(loss.grid.cells)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("column", [0, 2, 4, 5, slice(None)])
@pytest.mark.parametrize("places", [slice(0, 3), slice(None)], ids=["some", "all"])
def test_broken_numbers_are_no_boxes_and_break_nothing(broken, column, places):
    run, n_boxes = compiled_answers()
    numbers = np.zeros((2, n_boxes, 7), np.float32)
    numbers[1, places, column] = broken
    truths = np.tile([[[2.0, 2, 6, 6, 0]]], (2, 1, 1)).astype(np.float32)
    answers = tf.nest.map_structure(np.asarray, run(numbers, truths))
    whole, damaged = answers.boxes()
    alone = found_in(run(numbers[:1], truths[:1]))
    np.testing.assert_array_equal(whole.corners, alone.corners)
    assert np.isfinite(answers.losses[0]).all()
    assert np.isfinite(damaged.corners).all()
    assert np.isfinite(damaged.scores).all()
    measured = OBJECTIVE.evaluate(truths, answers)
    finite = np.isfinite(answers.losses).all()
    assert np.isfinite(list(measured.values())).all() == finite
