"""The published networks, layer by layer, and the order in which their graphs are listed."""

from __future__ import annotations

import doctest
import gzip
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from sensenet.errors import SettingsError
from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import Layers, initialize_layers
from sensenet.pretrained import NETWORKS, image_network, network_document, networks
from sensenet.pretrained.networks.graph import IMAGE, Node, layer, published_order

# of the published networks with their readouts of 1000 classes (arXiv ids in the builders), and (width, outputs)
FACTS = {
    "mobilenet": (4_253_864, 224, 1024),
    "mobilenetv2": (3_538_984, 224, 1280),
    "resnet18": (11_699_112, 224, 512),
    "resnet50": (25_636_712, 224, 2048),
    "xception": (22_910_480, 299, 2048),
    "tinyyolov4": (6_062_814, 416, [(26, 26, 255), (13, 13, 255)]),
    "yolov4": (64_429_405, 416, [(52, 52, 255), (26, 26, 255), (13, 13, 255)]),
}
KERAS_CLASSES = {
    "batch_normalization": "BatchNormalization",
    "convolution_2d": "Conv2D",
    "dense": "Dense",
    "depthwise_convolution_2d": "DepthwiseConv2D",
    "separable_convolution_2d": "SeparableConv2D",
}
KERAS_NAMES = {
    "activation": "activation",
    "add": "add",
    "batch_normalization": "batch_normalization",
    "concatenate": "concatenate",
    "conv2d": "convolution_2d",
    "dense": "dense",
    "depthwise_conv2d": "depthwise_convolution_2d",
    "global_average_pooling2d": "global_average_pool_2d",
    "lambda": "split_channels",
    "max_pooling2d": "max_pool_2d",
    "separable_conv2d": "separable_convolution_2d",
    "up_sampling2d": "upsampling_2d",
    "zero_padding2d": "padding_2d",
}


def without_draws(raw: Any) -> Any:
    """The same layers with zeros for everything random: drawing millions of numbers takes seconds."""
    if isinstance(raw, list):
        return [without_draws(value) for value in raw]
    if isinstance(raw, dict):
        return {key: without_draws(value) for key, value in raw.items()}
    return "zeros" if raw == "glorot_uniform" else raw


def initialized(raw_layers: list[dict[str, Any]], shape: tuple[int, ...]) -> tuple[Layers, tuple[int, ...]]:
    return initialize_layers(parse_layers(without_draws(raw_layers)), shape, (0,), "layers")


def all_layers(name: str) -> tuple[Layers, Layers]:
    """The initialized image layers and readout of a published network."""
    document = network_document(name)
    width, height, channels = document["image_network"]["metadata"]["input_image_shape"]
    image, shape = initialized(document["image_network"]["layers"], (height, width, channels))
    return image, initialized(document["layers"], shape)[0] if document["layers"] else ()


def attributes_of(raw: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The attributes of a JSON layer by the names that Keras has for them."""
    has_bias = raw["type"] == "dense" or raw.get("bias") is not None
    own = {**raw, "use_bias": has_bias, "activation": raw.get("activation_function")}
    return {name: own[name] for name in names}


@pytest.mark.parametrize("name", FACTS)
def test_published_networks_have_their_published_sizes(name: str) -> None:
    n_parameters, side, outputs = FACTS[name]
    image, readout = all_layers(name)
    assert sum(array.size for spec in image + readout for array in spec.arrays().values()) == n_parameters
    metadata = image_network(name)["metadata"]
    assert metadata["input_image_shape"] == [side, side, 3]
    if isinstance(outputs, int):
        assert metadata["outputs"] == outputs
        assert initialize_layers(image, (side, side, 3), (0,), "")[1] == (outputs,)
        assert readout[0].arrays()["weights"].shape == (outputs, 1000)
        return
    for branch, shape in zip(metadata["outputs"], outputs, strict=True):
        assert side // branch["strides"] == shape[0]
        kernel = image[branch["input"]].arrays()["kernel"]
        assert kernel.shape[-1] == shape[-1]


@pytest.mark.parametrize("name", FACTS)
def test_layers_stand_where_the_public_package_has_them(name: str, conformance: Path) -> None:
    layout = json.loads((conformance / "pretrained_layouts.json").read_bytes())[name]
    document = network_document(name)
    image, readout = all_layers(name)
    assert document["image_network"]["metadata"] == layout["metadata"]
    assert len(image) == layout["number_of_image_network_layers"]
    types = [spec.type_name for spec in image + readout]
    public = [re.sub(r"_\d+$", "", layer_name) for layer_name in layout["h5"]["layer_names"]]
    assert types == [KERAS_NAMES[layer_name] for layer_name in public if layer_name in KERAS_NAMES]
    raw_layers = {"image_network": document["image_network"]["layers"], "layers": document["layers"]}
    found = [
        (key, position, spec)
        for key, specs in (("image_network", image), ("layers", readout))
        for position, spec in enumerate(specs)
        if spec.arrays()
    ]
    assert [[key, position] for key, position, _ in found] == layout["position_in_json_model"]
    for (key, position, spec), (kind, shapes), attributes in zip(
        found, layout["weights"], layout["attributes"], strict=True
    ):
        assert KERAS_CLASSES[spec.type_name] == kind
        assert [list(array.shape) for array in spec.arrays().values()] == shapes
        assert attributes_of(raw_layers[key][position], attributes) == attributes


def raw_types(nodes: list[Node]) -> list[str]:
    return [raw["type"] for raw in published_order(nodes)[0]]


def chain(x: Node, *names: str) -> Node:
    for name in names:
        x = layer(name, x)
    return x


def test_layers_of_equal_depth_stand_side_by_side_in_the_order_of_their_sum() -> None:
    stem = chain(IMAGE, "stem")
    total = layer("add", chain(stem, "a1", "a2", "a3"), chain(stem, "b1", "b2"))
    layers, positions = published_order([total])
    assert [raw["type"] for raw in layers] == ["stem", "a1", "a2", "b1", "a3", "b2", "add"]
    assert positions == [6]
    assert "inputs" not in layers[0]
    assert [raw["inputs"] for raw in layers[1:]] == [[0], [1], [0], [2], [3], [4, 5]]


def test_depth_is_the_longest_way_to_any_output() -> None:
    stem = chain(IMAGE, "stem")
    short, long = chain(stem, "s1"), chain(stem, "l1", "l2", "l3")
    assert raw_types([short, long]) == ["stem", "l1", "l2", "s1", "l3"]
    assert raw_types([long, short]) == ["stem", "l1", "l2", "l3", "s1"]
    assert published_order([short, long])[1] == [3, 4]
    assert raw_types([stem, long]) == ["stem", "l1", "l2", "l3"]
    assert published_order([stem, long])[1] == [0, 3]


def test_a_source_may_be_taken_twice_and_in_any_order() -> None:
    stem = chain(IMAGE, "stem")
    branch = chain(stem, "b1")
    total = layer("concatenate", stem, branch, stem, channels=9)
    assert published_order([total])[0][-1]["inputs"] == [0, 1, 0]


def test_only_one_layer_can_take_the_image() -> None:
    with pytest.raises(ValueError, match="first layer alone"):
        published_order([layer("add", chain(IMAGE, "a"), chain(IMAGE, "b"))])


def test_very_deep_graphs_need_no_recursion() -> None:
    deep = chain(IMAGE, *(f"layer {i}" for i in range(5000)))
    assert raw_types([deep]) == [f"layer {i}" for i in range(5000)]


@pytest.mark.parametrize(
    ("width", "height", "filters"),
    [
        (28, 28, [32, 64, 128]),
        (8, 900, [32, 64, 128]),
        (64, 64, [32, 64, 128, 256]),
        (256, 200, [32, 64, 128, 256, 512, 1024]),
        (2000, 2000, [32, 64, 128, 256, 512, 1024]),
    ],
)
def test_simple_residual_grows_with_the_smaller_side(width: int, height: int, filters: list[int]) -> None:
    network = image_network("simple_residual", width, height)
    blocks = [raw for raw in network["layers"] if raw["type"] == "resnet_block"]
    assert [raw["convolution_path"][0]["number_of_filters"] for raw in blocks] == filters
    assert network["metadata"]["outputs"] == filters[-1]
    assert sum(raw["type"] == "max_pool_2d" for raw in network["layers"]) == len(filters) - 1


@pytest.mark.parametrize(("side", "block_size"), [(8, 1), (64, 2), (100, 3), (299, 9)])
def test_simple_residual_drops_blocks_behind_every_convolution(side: int, block_size: int) -> None:
    layers = image_network("simple_residual", side, side)["layers"]
    rows = [layers, *(raw["convolution_path"] for raw in layers if raw["type"] == "resnet_block")]
    convolutions = [(row, i) for row in rows for i, raw in enumerate(row) if raw["type"] == "convolution_2d"]
    assert len(convolutions) == 3 * (len(rows) - 1)
    for row, position in convolutions:
        dropped = {"type": "dropout", "dropout_type": "block", "rate": 0.1, "block_size": block_size}
        assert row[position + 1] == dropped | {"inputs": [position]}


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(FACTS)))
def test_networks_without_published_weights_can_be_fitted(name: str) -> None:
    network = image_network(name, 40, 32)
    _, shape = initialized(network["layers"], (32, 40, 3))
    assert shape == (network["metadata"]["outputs"],) == (128,)
    assert network["metadata"]["loading_method"] == "centering"
    assert network["metadata"]["version"] is None


@pytest.mark.parametrize("name", [name for name in FACTS if "yolo" not in name])
def test_other_sizes_change_the_metadata_only(name: str) -> None:
    small, published = image_network(name, 96, 128), image_network(name)
    assert small["layers"] == published["layers"]
    assert small["metadata"] == published["metadata"] | {"input_image_shape": [96, 128, 3]}


@pytest.mark.parametrize("name", ["tinyyolov4", "yolov4"])
def test_detectors_take_other_classes_and_sizes(name: str) -> None:
    network = image_network(name, 96, 64, n_classes=2)
    for branch in network["metadata"]["outputs"]:
        assert network["layers"][branch["input"]]["number_of_filters"] == 3 * (5 + 2)
    initialized(network["layers"], (64, 96, 3))


def test_documents_name_their_classes() -> None:
    assert len(set(network_document("mobilenet")["output_exposition"]["values"])) == 1000
    boxes = network_document("yolov4")["output_exposition"]
    assert boxes["type"] == "bounding_box"
    assert len(set(boxes["values"])) == 80
    assert (boxes["values"][0], boxes["values"][-1]) == ("person", "toothbrush")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image_network("mobilnet"), 'did you mean "mobilenet"'),
        (lambda: network_document(None), "known are mobilenet"),
        (lambda: network_document("simple"), "simple has no published document"),
        (lambda: image_network("simple"), r"simple: width: expected an integer in \[8, 16384\], got null"),
        (lambda: image_network("resnet50", 224), "resnet50: height"),
        (lambda: image_network("resnet50", 224, True), "resnet50: height.*true"),
        (lambda: image_network("yolov4", 416, 400), "height.*that 32 divides, got 400"),
    ],
)
def test_wrong_names_and_sizes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        call()


def test_every_network_has_a_facts_row_or_is_trained_from_nothing() -> None:
    assert {name for name, network in NETWORKS.items() if network.version} == set(FACTS)


def test_simple_is_the_network_of_an_old_model(conformance: Path) -> None:
    with gzip.open(conformance / "models" / "image_and_category.json.gz") as file:
        old = json.load(file)["deepnet"]["network"]["image_network"]
    network = image_network("simple", *old["metadata"]["input_image_shape"][:2])
    assert old["metadata"] == {"mean_image": None, **network["metadata"]}
    layers, _ = initialized(network["layers"], (256, 256, 3))
    theirs, _ = initialize_layers(parse_layers(old["layers"]), (256, 256, 3), (0,), "")
    assert dump_layers(layers, short=True) == dump_layers(theirs, short=True)


def test_examples_in_docstrings_are_true() -> None:
    results = doctest.testmod(networks)
    assert (results.attempted > 0, results.failed) == (True, 0)
