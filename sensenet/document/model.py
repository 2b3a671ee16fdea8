"""The BigML model document: where the network is in it, its parts parsed once, and writing it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson

from sensenet.document.fields import (
    BinaryField,
    BoxOutput,
    CategoricalField,
    CategoricalOutput,
    Field,
    ImageField,
    NumericField,
    NumericOutput,
    Output,
    n_columns,
    parse_fields,
    parse_output,
)
from sensenet.document.image_network import ImageNetworkSpec, parse_image_network
from sensenet.document.parsing import expected, mapping, sequence
from sensenet.document.trees import Forest, dump_forests, parse_forests
from sensenet.errors import ModelFormatError
from sensenet.layers import dump_layers, parse_layers
from sensenet.layers.base import Layers
from sensenet.layers.legacy import shorten_legacy

__all__ = [
    "BinaryField",
    "BoxOutput",
    "CategoricalField",
    "CategoricalOutput",
    "Field",
    "ImageField",
    "ModelSpec",
    "NetworkSpec",
    "NumericField",
    "NumericOutput",
    "Output",
    "dump_model",
    "dumps",
    "parse_model",
    "shorten",
]

WRAPPERS = ("object", "deepnet", "model", "network")
MAX_WRAPPING = 8
PARSED_KEYS = frozenset({"preprocess", "output_exposition", "layers", "networks", "trees", "image_network"})


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """One network of a model.

    Attributes:
        layers: its layers.
        uses_trees: whether it takes the tree features before the preprocessed fields.
    """

    layers: Layers
    uses_trees: bool


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """A whole model document, parsed.

    Attributes:
        preprocess: the input fields in the order of their columns.
        output: what a prediction is.
        networks: the prediction is the mean of theirs.
        forests: what makes the tree features; None where the document has no trees.
        image_network: what turns the image fields into features, or an image into boxes; None without images.
        is_search: whether the document has `networks` in place of `layers`.
        raw: the document's other keys as they stand, which orchestrators show.
    """

    preprocess: tuple[Field, ...]
    output: Output
    networks: tuple[NetworkSpec, ...]
    forests: tuple[Forest, ...] | None
    image_network: ImageNetworkSpec | None
    is_search: bool
    raw: dict[str, Any]

    @property
    def has_images(self) -> bool:
        """Whether one of the fields is an image."""
        return any(isinstance(field, ImageField) for field in self.preprocess)

    @property
    def image_features(self) -> int:
        """Columns of an image field; 0 where there is no image network that gives features."""
        outputs = None if self.image_network is None else self.image_network.metadata.outputs
        return outputs if isinstance(outputs, int) else 0

    @property
    def input_size(self) -> int:
        """Columns of the preprocessed fields, tree features not counted.

        Raises:
            ModelFormatError: one of the fields is an image, and there is no image network.
        """
        return sum(n_columns(field, self.image_features) for field in self.preprocess)

    @property
    def tree_outputs(self) -> int:
        """Columns of the tree features."""
        return sum(forest.n_outputs for forest in self.forests or ())

    def network_path(self, position: int) -> str:
        """The place of a network's layers in the document."""
        return f"networks[{position}].layers" if self.is_search else "layers"


def _find_network(document: Any) -> tuple[dict[str, Any], dict[int, str]]:
    """The network inside `document`, and the names by column that the resource around it gives its fields.

    The network is the document itself, or below `object`, `deepnet`, `model` and `network`.

    Raises:
        ModelFormatError: there is none; lists the keys found.
    """
    current, path = mapping(document, "document"), ""
    names: dict[int, str] = {}
    for _ in range(MAX_WRAPPING):
        if "layers" in current or "networks" in current:
            return dict(current), names
        names |= _column_names(current.get("fields"))
        inner = next((key for key in WRAPPERS if isinstance(current.get(key), Mapping)), None)
        if inner is None:
            break
        current, path = current[inner], f"{path}.{inner}" if path else inner
    keys = ", ".join(sorted(map(str, current))) or "none"
    place = f"{path}: " if path else ""
    raise ModelFormatError(
        f'{place}expected a network, which has "layers" or "networks"; the keys are {keys}'
    )


def _column_names(fields: Any) -> dict[int, str]:
    """The names in a resource's `{id: {"name", "column_number", ...}, ...}`; what has another form has none."""
    entries = fields.values() if isinstance(fields, Mapping) else ()
    places = [
        (entry.get("column_number"), entry.get("name")) for entry in entries if isinstance(entry, Mapping)
    ]
    return {column: name for column, name in places if type(column) is int and isinstance(name, str)}


def parse_model(document: Any) -> ModelSpec:
    """Parse a model document.

    Args:
        document: the network, or a BigML resource around it, whose `fields` name those that `preprocess` does not;
            arrays may be nested lists or NumPy arrays.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    raw, names = _find_network(document)
    is_search = raw.get("networks") is not None
    forests = None if raw.get("trees") is None else parse_forests(raw["trees"])
    images = None if raw.get("image_network") is None else parse_image_network(raw["image_network"])
    if is_search:
        entries = [
            mapping(entry, f"networks[{i}]") for i, entry in enumerate(sequence(raw["networks"], "networks"))
        ]
        networks = tuple(_parse_network(entry, f"networks[{i}]") for i, entry in enumerate(entries))
    else:
        entries = []
        no_readout = raw.get("layers") is None and images is not None and images.branches is not None
        layers = () if no_readout else parse_layers(raw.get("layers"))
        networks = (NetworkSpec(layers, uses_trees=forests is not None),)
    if not networks:
        raise ModelFormatError("networks: expected at least one network, got none")
    if "preprocess" not in raw:
        raise ModelFormatError('document: "preprocess" is missing')
    return ModelSpec(
        preprocess=tuple(
            field if field.name is not None else replace(field, name=names.get(field.index))
            for field in parse_fields(raw["preprocess"])
        ),
        output=_find_output(raw, entries),
        networks=networks,
        forests=forests,
        image_network=images,
        is_search=is_search,
        raw={key: value for key, value in raw.items() if key not in PARSED_KEYS},
    )


def _parse_network(raw: Mapping[str, Any], path: str) -> NetworkSpec:
    uses_trees = raw.get("trees")
    if uses_trees is not None and not isinstance(uses_trees, bool):
        expected(f"{path}.trees", "true or false", uses_trees)
    return NetworkSpec(parse_layers(raw.get("layers"), f"{path}.layers"), uses_trees=bool(uses_trees))


def _find_output(raw: Mapping[str, Any], entries: list[Mapping[str, Any]]) -> Output:
    if raw.get("output_exposition") is not None:
        return parse_output(raw["output_exposition"])
    if entries and entries[0].get("output_exposition") is not None:
        return parse_output(entries[0]["output_exposition"], "networks[0].output_exposition")
    raise ModelFormatError('document: "output_exposition" is missing')


def dump_model(spec: ModelSpec) -> dict[str, Any]:
    """The document of a parsed model, layers in the modern form; arrays are NumPy float32 (see `dumps`)."""
    document = dict(spec.raw)
    document["preprocess"] = [field.dump() for field in spec.preprocess]
    document["output_exposition"] = spec.output.dump()
    document["trees"] = None if spec.forests is None else dump_forests(spec.forests)
    document["image_network"] = None if spec.image_network is None else spec.image_network.dump()
    if spec.is_search:
        document["networks"] = [
            {"layers": dump_layers(network.layers), "trees": network.uses_trees} for network in spec.networks
        ]
    else:
        document["layers"] = dump_layers(spec.networks[0].layers)
    return document


def shorten(document: Mapping[str, Any]) -> dict[str, Any]:
    """A network document with initializers' names, and sizes, in place of its layers' arrays; trees stay.

    Args:
        document: the network itself, its layers in the modern or the legacy form.

    Raises:
        ModelFormatError: layers that break the format.
    """
    short = dict(document)
    if short.get("layers") is not None:
        short["layers"] = _shorten_layers(short["layers"], "layers")
    if short.get("networks") is not None:
        short["networks"] = [
            {**network, "layers": _shorten_layers(network["layers"], f"networks[{i}].layers")}
            for i, network in enumerate(short["networks"])
        ]
    if short.get("image_network") is not None:
        parsed = parse_image_network(short["image_network"])
        short["image_network"] = {**short["image_network"], "layers": dump_layers(parsed.layers, short=True)}
    return short


def _shorten_layers(raw_layers: Any, path: str) -> list[dict[str, Any]]:
    layers = parse_layers(raw_layers, path)
    if any("type" not in raw for raw in raw_layers):
        return [shorten_legacy(raw) for raw in raw_layers]
    return dump_layers(layers, short=True)


def dumps(document: Any) -> bytes:
    """`document` as strict JSON; NumPy arrays become lists, each float32 its shortest text.

    Raises:
        ModelFormatError: something that JSON cannot say, such as NaN; gives its place.
    """
    _check_finite(document, "")
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise ModelFormatError(f"document: cannot be written as JSON: {error}") from error


def _check_finite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ModelFormatError(f"{path}: expected a finite number, got {value}")
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ModelFormatError(f"{path}: expected finite numbers, got NaN or infinity")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for position, inner in enumerate(value):
            _check_finite(inner, f"{path}[{position}]")
