"""Image networks by name: their layers come from short builders, after the tables of their papers.

>>> network = image_network("mobilenetv2")
>>> len(network["layers"]), network["metadata"]["outputs"]
(160, 1280)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sensenet.document.wording import hint, shown
from sensenet.errors import SettingsError
from sensenet.pretrained.networks.classes import COCO_CLASSES, IMAGENET_CLASSES
from sensenet.pretrained.networks.graph import published_order
from sensenet.pretrained.networks.mobilenets import MOBILENET, MOBILENETV2
from sensenet.pretrained.networks.network import Branch, Network, Request
from sensenet.pretrained.networks.resnets import RESNET18, RESNET50
from sensenet.pretrained.networks.simple import SIMPLE, SIMPLE_RESIDUAL
from sensenet.pretrained.networks.xception import XCEPTION
from sensenet.pretrained.networks.yolo import TINYYOLOV4, YOLOV4

__all__ = [
    "COCO_CLASSES",
    "IMAGENET_CLASSES",
    "NETWORKS",
    "Branch",
    "Network",
    "find",
    "image_network",
    "network_document",
]

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "mobilenet": MOBILENET,
        "mobilenetv2": MOBILENETV2,
        "resnet18": RESNET18,
        "resnet50": RESNET50,
        "simple": SIMPLE,
        "simple_residual": SIMPLE_RESIDUAL,
        "tinyyolov4": TINYYOLOV4,
        "xception": XCEPTION,
        "yolov4": YOLOV4,
    }
)
"""All networks; those with a `version` have published weights."""

CHANNELS = 3
MIN_SIDE = 8
MAX_SIDE = 16_384


def find(name: Any) -> Network:
    """The network of that name.

    Raises:
        SettingsError: an unknown name; gives the nearest.
    """
    if not isinstance(name, str) or name not in NETWORKS:
        raise SettingsError(f"expected the name of an image network{hint(name, NETWORKS)}, got {shown(name)}")
    return NETWORKS[name]


def image_network(
    name: str, width: int | None = None, height: int | None = None, n_classes: int = len(COCO_CLASSES)
) -> dict[str, Any]:
    """The `image_network` of a document: `layers` with initializers' names for arrays, and `metadata`.

    Args:
        name: one of `NETWORKS`.
        width, height: of the input, in pixels; by default those of the published network.
        n_classes: of a detector.

    Raises:
        SettingsError: an unknown name, or a size that the network cannot have.
    """
    network = find(name)
    width, height = _input_size(name, network, width, height)
    outputs = network.build(Request(width, height, n_classes))
    layers, positions = published_order(outputs)
    branches = [
        {
            "anchors": [list(anchor) for anchor in branch.anchors],
            "strides": branch.strides,
            "xyscale": branch.xyscale,
            "input": position,
        }
        for branch, position in zip(network.branches, positions, strict=False)
    ]
    metadata = {
        "base_image_network": name,
        "input_image_shape": [width, height, CHANNELS],
        "loading_method": network.loading_method,
        "outputs": branches or outputs[0].channels,
        "version": network.version,
        "rescale_type": network.rescale_type,
    }
    return {"layers": layers, "metadata": metadata}


def _input_size(name: str, network: Network, width: int | None, height: int | None) -> tuple[int, int]:
    if width is None and height is None and network.side is not None:
        return network.side, network.side
    # the maps of a detector's branches only fit on each other where every stride divides the input
    step = max((branch.strides for branch in network.branches), default=1)
    for key, side in (("width", width), ("height", height)):
        is_integer = isinstance(side, int) and not isinstance(side, bool)
        if side is None or not is_integer or not MIN_SIDE <= side <= MAX_SIDE or side % step:
            multiple = f" that {step} divides" if step > 1 else ""
            raise SettingsError(
                f"{name}: {key}: expected an integer in [{MIN_SIDE}, {MAX_SIDE}]{multiple}, got {shown(side)}"
            )
    assert width is not None
    assert height is not None
    return width, height


def network_document(name: str) -> dict[str, Any]:
    """The whole document of a published network, with initializers' names for arrays.

    Classifiers tell the 1000 classes of ImageNet apart (by their numbers: "class 0", ...), detectors the 80 of COCO.

    Raises:
        SettingsError: an unknown name, or a network that was never published with a readout.
    """
    network = find(name)
    if network.version is None:
        published = ", ".join(known for known, entry in NETWORKS.items() if entry.version)
        raise SettingsError(f"{name} has no published document; those that have are {published}")
    kind, classes = ("bounding_box", COCO_CLASSES) if network.branches else ("categorical", IMAGENET_CLASSES)
    return {
        "preprocess": [{"type": "image", "index": 0}],
        "trees": None,
        "image_network": image_network(name),
        "layers": [] if network.branches else _readout(len(classes), network.has_softmax_layer),
        "output_exposition": {"type": kind, "values": list(classes)},
    }


def _readout(n_classes: int, has_softmax_layer: bool) -> list[dict[str, Any]]:
    dense = {
        "type": "dense",
        "weights": "glorot_uniform",
        "offset": "zeros",
        "number_of_nodes": n_classes,
        "activation_function": "linear" if has_softmax_layer else "softmax",
    }
    softmax = {"type": "activation", "activation_function": "softmax", "inputs": [0]}
    return [dense, softmax] if has_softmax_layer else [dense]
