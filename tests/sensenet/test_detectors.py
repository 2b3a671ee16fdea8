from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import image_documents as images
import numpy as np
import pytest
from image_documents import assert_same_boxes, painted

import sensenet
from sensenet.errors import InputError, ModelFormatError
from sensenet.models.image import image_model
from sensenet.models.predict.boxes import DEFAULT_MAX_OBJECTS
from sensenet.models.predict.images import CHUNK_IMAGES

# height, width, and a rectangle in the part of the image that crop keeps, at least two cells wide
SCENES = [
    (32, 32, (8, 8, 24, 24)),
    (64, 64, (16, 0, 48, 32)),
    (64, 100, (25, 0, 77, 51)),
    (100, 64, (5, 22, 59, 78)),
    (500, 333, (100, 120, 300, 300)),
    (20, 32, (10, 3, 22, 17)),
    (16, 16, (4, 4, 12, 16)),
]
RESCALE_TYPES = ("pad", "warp", "crop")


@lru_cache
def bright(**settings: Any) -> Any:
    return sensenet.create_model(images.bright_detector(), settings)


def cell_size(height: int, width: int, rescale_type: str) -> np.ndarray:
    """Width and height of a cell in pixels of the original image."""
    cells = images.BRIGHT_SIDE / images.CELL
    if rescale_type == "warp":
        return np.array([width, height]) / cells
    return np.repeat((max if rescale_type == "pad" else min)(height, width) / cells, 2)


@pytest.mark.parametrize("rescale_type", RESCALE_TYPES)
@pytest.mark.parametrize(("height", "width", "square"), SCENES)
def test_boxes_are_around_their_object_in_pixels_of_the_image(
    height: int, width: int, square: tuple[int, int, int, int], rescale_type: str
) -> None:
    found = bright(rescale_type=rescale_type)(painted(height, width, red=square))
    assert found
    assert {box["label"] for box in found} == {"red"}
    corners = np.array([box["box"] for box in found])
    cell = cell_size(height, width, rescale_type)
    # each box is one cell, and all of them together are the object, but for cells that it fills to a small part only
    np.testing.assert_allclose(corners[:, 2:] - corners[:, :2], np.tile(cell, (len(found), 1)), atol=1)
    around = np.concatenate([corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)])
    assert (np.abs(around - square) <= np.tile(0.75 * cell, 2) + 1).all(), (around, square)
    centre = (around[:2] + around[2:]) / 2
    np.testing.assert_allclose(centre, np.reshape(square, (2, 2)).mean(axis=0), atol=cell.max() / 2 + 1)


def test_an_object_that_fills_whole_cells_has_exact_boxes() -> None:
    image = painted(32, 32, red=(8, 16, 16, 24), green=(24, 0, 32, 8))
    for rescale_type in RESCALE_TYPES:
        for factor in (1, 3):
            large = image.repeat(factor, axis=0).repeat(factor, axis=1)
            found = bright(rescale_type=rescale_type)(large)
            boxes = {box["label"]: box["box"] for box in found}
            exact = {"red": [8, 16, 16, 24], "green": [24, 0, 32, 8]}
            assert boxes == {label: [factor * side for side in box] for label, box in exact.items()}
            assert all(type(side) is int for box in boxes.values() for side in box)
            assert all(type(box["score"]) is float and 0.99 < box["score"] <= 1 for box in found)


def test_detectors_pad_unless_the_settings_say_otherwise() -> None:
    image = painted(64, 160, red=(60, 10, 105, 50))
    assert bright()(image) == bright(rescale_type="pad")(image) != bright(rescale_type="warp")(image)
    warping = sensenet.create_model(images.bright_detector(rescale_type="warp"))
    assert warping(image) == bright()(image)


def test_the_best_box_comes_first() -> None:
    image = painted(32, 32, red=(0, 0, 8, 8), green=(16, 16, 24, 24))
    image[0:8, 0:8] //= 2
    labels = [box["label"] for box in bright(bounding_box_threshold=0.1)(image)]
    assert labels == ["green", "red"] or len(labels) == 1
    scores = [
        box["score"]
        for box in sensenet.create_model(images.detector(), {"bounding_box_threshold": 0.05})(image)
    ]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) > 2


def test_several_images_of_different_sizes_are_found_as_one_by_one() -> None:
    scenes = [painted(height, width, red=square) for height, width, square in SCENES]
    for rescale_type in RESCALE_TYPES:
        detector = bright(rescale_type=rescale_type)
        together = detector(scenes)
        assert len(together) == len(scenes)
        assert_same_boxes(together, [detector(scene) for scene in scenes])


def test_more_images_than_fit_into_a_batch() -> None:
    positions = [(8 * (i % 4), 8 * (i // 4 % 4)) for i in range(2 * CHUNK_IMAGES + 3)]
    scenes = [painted(32, 32, red=(x, y, x + 8, y + 8)) for x, y in positions]
    found = bright()(scenes)
    assert [[box["box"] for box in boxes] for boxes in found] == [
        [[x, y, x + 8, y + 8]] for x, y in positions
    ]


def test_nothing_is_found_where_nothing_is() -> None:
    black = painted(20, 30)
    assert bright()(black) == []
    assert bright()([black, black]) == [[], []]
    assert bright()(None) == []
    assert bright()([]) == []
    boxes, scores, classes = bright().arrays(black)
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))
    assert (boxes.dtype, scores.dtype, classes.dtype) == (np.int32, np.float32, np.int32)


def test_one_image_gives_its_boxes_and_rows_give_a_list_a_row() -> None:
    image = painted(32, 32, red=(8, 8, 16, 16))
    detector, found = bright(), bright()(image)
    for one in ([image], (image,), {"photo": image}, {0: image}):
        assert detector(one) == found
    for several in (
        [image, image],
        [[image], [image]],
        [{"photo": image}, {"photo": image}],
        [[image, 3], [image]],
    ):
        assert_same_boxes(detector(several), [found, found])
    for listed in ([[image]], [{"photo": image}]):
        assert detector(listed) == [found]


@pytest.mark.parametrize(
    ("images_", "message"),
    [
        ([painted(8, 8), b"junk"], "image 1: expected an image in one of JPEG"),
        ([[painted(8, 8)], []], 'row 1: field "photo" (index 0) is missing'),
        ({"picture": None}, 'row 0: field "photo" (index 0) is missing'),
        ("gone.png", "image 0: gone.png: No such file"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(images_: Any, message: str) -> None:
    with pytest.raises(InputError, match="^" + re.escape(message)):
        bright()(images_)


def test_boxes_must_score_above_the_threshold() -> None:
    image = painted(32, 32, red=(8, 8, 16, 16))
    image //= 2  # half as bright: the objectness is 40 * 127 / 255 - 24
    (box,) = bright(bounding_box_threshold=0)(image)[:1]
    objectness = 1 / (1 + np.exp(24 - 40 * 127 / 255))
    assert box["score"] == pytest.approx(objectness, rel=1e-3)
    assert bright(bounding_box_threshold=0.9 * objectness)(image) == [box]
    assert bright(bounding_box_threshold=1.1 * objectness)(image) == []
    assert bright()(image) == []


def test_at_most_so_many_objects_are_found() -> None:
    image = np.full((32, 32, 3), (255, 0, 0), np.uint8)
    assert len(bright()(image)) == 16
    all_boxes = bright()(image)
    assert bright(max_objects=5)(image) == all_boxes[:5]
    assert DEFAULT_MAX_OBJECTS == 32


def overlapping() -> dict[str, Any]:
    """The bright detector with boxes of three cells' size: of two neighbours half is common."""
    document = images.bright_detector()
    (branch,) = document["image_network"]["metadata"]["outputs"]
    branch["anchors"] = [[3 * images.CELL, 3 * images.CELL]]
    return document


def test_of_boxes_that_overlap_the_best_is_kept_class_by_class() -> None:
    # neighbours share 2 of 4 cells' widths: their intersection over union is 0.5
    red, green = (0, 8, 16, 16), (16, 8, 24, 16)
    image = painted(32, 32, red=red, green=green)

    def labels(**settings: Any) -> list[str]:
        return [box["label"] for box in sensenet.create_model(overlapping(), settings)(image)]

    assert sorted(labels()) == ["green", "red", "red"]
    assert sorted(labels(iou_threshold=0.49)) == ["green", "red"]
    assert sorted(labels(iou_threshold=0.49, class_agnostic_nms=True)) in (["green", "red"], ["red", "red"])
    assert len(labels(iou_threshold=0.1, class_agnostic_nms=True)) == 1
    assert sorted(labels(iou_threshold=0.1)) == ["green", "red"]


def test_unfiltered_boxes_are_all_boxes_in_order() -> None:
    settings = {"output_unfiltered_boxes": True, "max_objects": 1, "bounding_box_threshold": 1.0}
    detector = sensenet.create_model(images.bright_detector(), settings)
    image = painted(64, 64, red=(16, 0, 32, 16))
    boxes, scores, classes = detector(image)
    assert (boxes.shape, scores.shape, classes.shape) == ((16, 4), (16,), (16,))
    assert (boxes.dtype, scores.dtype, classes.dtype) == (np.int32, np.float32, np.int32)
    grid = [[16 * x, 16 * y, 16 * x + 16, 16 * y + 16] for y in range(4) for x in range(4)]
    np.testing.assert_array_equal(boxes, grid)
    assert scores.argmax() == 1
    several = detector([image, image])
    assert len(several) == 2
    np.testing.assert_array_equal(several[1].boxes, boxes)


def test_padded_arrays_have_always_as_many_rows() -> None:
    settings = {"pad_bounding_box_output": True, "max_objects": 5}
    detector = sensenet.create_model(images.bright_detector(), settings)
    image = painted(32, 32, red=(8, 8, 16, 16), green=(16, 16, 24, 24))
    boxes, scores, classes, valid = detector(image)
    assert valid == 2
    assert (boxes.shape, scores.shape, classes.shape) == ((5, 4), (5,), (5,))
    assert (boxes.dtype, scores.dtype, classes.dtype) == (np.int32, np.float32, np.int32)
    plain = bright().arrays(image)
    for padded, found in zip((boxes, scores, classes), plain, strict=True):
        np.testing.assert_allclose(padded[:valid], found, atol=1e-6)
    first = sensenet.create_model(images.bright_detector(), {"output_unfiltered_boxes": True})(image)
    np.testing.assert_array_equal(boxes[valid:], np.repeat(first.boxes[:1], 3, axis=0))
    np.testing.assert_allclose(scores[valid:], first.scores[0])
    empty = detector([painted(9, 9), image])
    assert [found.valid for found in empty] == [0, 2]
    assert empty[0].boxes.shape == (5, 4)


@pytest.mark.parametrize("name", ["output_unfiltered_boxes", "pad_bounding_box_output"])
def test_settings_that_are_false_change_nothing(name: str) -> None:
    image = painted(32, 32, red=(8, 8, 16, 16))
    assert bright(**{name: False})(image) == bright()(image)


def test_an_image_model_of_a_detector_gives_arrays() -> None:
    model = image_model(images.bright_detector())
    image = painted(32, 32, red=(8, 8, 16, 16), green=(16, 16, 24, 24))
    boxes, scores, classes = model(image)
    assert isinstance(model(image), tuple)
    assert sorted(boxes.tolist()) == [[8, 8, 16, 16], [16, 16, 24, 24]]
    assert [["red", "green"][c] for c in classes] == [box["label"] for box in bright()(image)]
    assert (scores > 0.99).all()
    several = model([image, painted(9, 9)])
    assert [len(found.boxes) for found in several] == [2, 0]


def test_classes_and_fields_are_those_of_the_document() -> None:
    assert bright()._classes == ["red", "green"]
    assert bright()._preprocessors == images.bright_detector()["preprocess"]


def test_two_scales_with_several_anchors_agree_with_the_formula() -> None:
    document = images.detector()
    detector = sensenet.create_model(document, {"output_unfiltered_boxes": True, "rescale_type": "warp"})
    image = images.picture(16, 16)
    found = detector(image)
    maps = detector.keras_model()(image[None].astype(np.float32))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    corners, scores, classes = [], [], []
    for raw, branch in zip(maps, document["image_network"]["metadata"]["outputs"], strict=True):
        raw = np.asarray(raw, np.float64)[0]
        for row, column, anchor in np.ndindex(raw.shape[0], raw.shape[1], 2):
            t = raw[row, column].reshape(2, -1)[anchor]
            shift = (branch["xyscale"] - 1) / 2
            centre = (sigmoid(t[:2]) * branch["xyscale"] - shift + [column, row]) * branch["strides"]
            half = np.exp(t[2:4]) * branch["anchors"][anchor] / 2
            corners.append(np.concatenate([centre - half, centre + half]))
            scores.append(sigmoid(t[4]) * sigmoid(t[5:]).max())
            classes.append(t[5:].argmax())
    np.testing.assert_allclose(found.boxes, corners, atol=0.501)
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)
    np.testing.assert_array_equal(found.classes, classes)


def changed(**metadata: Any) -> dict[str, Any]:
    document = images.bright_detector()
    (branch,) = document["image_network"]["metadata"]["outputs"]
    branch.update(metadata)
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(input=2), "metadata.outputs[0].input: expected a layer below 2, got 2"),
        (changed(input=-1), "metadata.outputs[0].input: expected an integer in [0"),
        (changed(input=0), "metadata.outputs[0].input: expected a map of 7 channels, 5 + 2 for each of 1 anchors"),
        (changed(anchors=[[8, 8], [4, 4]]), "expected a map of 14 channels, 5 + 2 for each of 2 anchors"),
        (changed(anchors=[]), "metadata.outputs[0].anchors: expected"),
        (changed(anchors=[[8, 0]]), "metadata.outputs[0].anchors: expected 1 to 64 pairs [width, height] above 0"),
        (changed(strides=0), "metadata.outputs[0].strides: expected an integer in [1"),
        (changed(xyscale="1"), "metadata.outputs[0].xyscale: expected a number"),
        (images.bright_detector(outputs=[]), "metadata.outputs: expected 1 to 16 branches"),
        (images.bright_detector(outputs=4), '"bounding_box" output and branches in metadata.outputs need each other'),
        (images.bright_detector() | {"image_network": None}, "branches in metadata.outputs need each other"),
        (
            images.bright_detector() | {"output_exposition": {"type": "bounding_box", "values": ["a", "b", "c"]}},
            "expected a map of 8 channels, 5 + 3 for each of 1 anchors",
        ),
        (
            images.bright_detector() | {"output_exposition": {"type": "categorical", "values": ["a", "b"]}},
            "field \"photo\" (index 0): an image field needs an \"image_network\" that gives features",
        ),
        (images.bright_detector() | {"preprocess": images.FIELDS["front"]}, "preprocess: expected a list"),
        (
            images.bright_detector() | {"preprocess": [images.FIELDS["front"], images.FIELDS["size"]]},
            "preprocess: expected one image field, as for every detector",
        ),
        (images.bright_detector() | {"preprocess": [images.FIELDS["size"]]}, "preprocess: expected one image field"),
    ],
)  # fmt: skip
def test_detectors_whose_parts_do_not_fit_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=re.escape(message)):
        sensenet.create_model(document)


def test_a_detectors_document_may_leave_its_layers_out() -> None:
    document = images.bright_detector()
    image = painted(32, 32, red=(8, 8, 16, 16))
    for change in ({"layers": None}, {"layers": []}):
        assert sensenet.create_model(document | change)(image) == bright()(image)
