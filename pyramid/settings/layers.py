"""What is wrong with the layers of a job, as far as it can be told without building them: keys, names, widths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyramid.errors import Violation
from pyramid.settings.wording import found, nearest, pointer
from sensenet.document.layer_facts import (
    ACTIVATION_NAMES,
    IMAGE_LAYERS,
    INITIALIZER_NAMES,
    LINEAR_NAMES,
    MAX_LAYERS,
    MAX_NODES,
    ROW_LAYERS,
    RowLayer,
    Width,
)

Layer = Mapping[str, Any]
Place = tuple[str | int, ...]
Checked = tuple[list[Violation], int | None]
"""What is wrong, and how many numbers come out: None where that cannot be told."""

LEGACY = RowLayer(
    width=Width.NODES, required=("weights",), arrays=("weights", "offset", "scale", "mean", "stdev")
)
NORMALIZED = ("scale", "mean")


def check_layers(layers: Sequence[Layer], place: Place = ("layers",), taken: int | None = None) -> Checked:
    """Check a list of layers that rows of numbers go through.

    Args:
        layers: as the schema allows them.
        place: of the list in the job.
        taken: the width of the rows, where it is known.
    """
    if len(layers) > MAX_LAYERS:
        return [Violation(pointer(place), f"found {len(layers)} layers, allowed are {MAX_LAYERS}")], None
    if any("type" not in layer for layer in layers):
        return _check_legacy(layers, place, taken)
    problems: list[Violation] = []
    widths: list[int | None] = []
    for position, layer in enumerate(layers):
        here = (*place, position)
        wrong = list(_input_problems(layer, position, here))
        inputs = [taken] if position == 0 else [widths[-1]]
        if position and "inputs" in layer and not wrong:
            inputs = [widths[index] for index in layer["inputs"]]
        more, width = _check_layer(layer, here, [None] if wrong else inputs)
        problems += [*wrong, *more]
        widths.append(width)
    return problems, widths[-1] if widths else taken


def _check_layer(layer: Layer, here: Place, inputs: Sequence[int | None]) -> Checked:
    kind = layer["type"]
    if kind in IMAGE_LAYERS or layer.get("dropout_type") == "block":
        key = "type" if kind in IMAGE_LAYERS else "dropout_type"
        message = f'found "{layer[key]}", which takes images, but the layers of a job take rows of numbers'
        return [Violation(pointer((*here, key)), message)], None
    facts = ROW_LAYERS[kind]
    problems = list(_key_problems(layer, facts, here, kind))
    if facts.width is Width.NODES:
        problems += _node_problems(layer, here, kind)
        problems += _matrix_problems(layer, here, inputs[0], transposed=False)
        return problems, _nodes(layer, transposed=False)
    if facts.paths:
        return _check_block(layer, facts, here, inputs[0], problems)
    if facts.width is Width.SUM:
        known = [width for width in inputs if width is not None]
        return problems, sum(known) if len(known) == len(inputs) else None
    if len({width for width in inputs if width is not None}) > 1:
        return [*problems, _unequal(here, "inputs", inputs)], None
    return problems, inputs[0] if facts.width is Width.SAME else None


def _check_block(
    layer: Layer, facts: RowLayer, here: Place, taken: int | None, problems: list[Violation]
) -> Checked:
    ends = []
    for path in facts.paths:
        wrong, end = check_layers(layer.get(path, []), (*here, path), taken)
        problems += wrong
        ends.append(end)
    if None not in ends and len(set(ends)) > 1:
        return [*problems, _unequal(here, "paths", ends)], None
    return problems, ends[0]


def _check_legacy(layers: Sequence[Layer], place: Place, taken: int | None) -> Checked:
    """A list in which not every layer has a type: all are dense, perhaps normalised, and follow on each other."""
    problems: list[Violation] = []
    width = taken
    for position, layer in enumerate(layers):
        here = (*place, position)
        if "type" in layer and "weights" not in layer:
            message = (
                f'found "{layer["type"]}", allowed is a dense layer: the list is of the legacy form '
                "(not all of it has types)"
            )
            problems.append(Violation(pointer((*here, "type")), message))
            width = None
            continue
        problems += _key_problems(layer, LEGACY, here, "legacy")
        if layer.get("stdev") is not None:
            problems += (_missing(here, key, "normalised") for key in NORMALIZED if key not in layer)
        problems += _node_problems(layer, here, "legacy")
        problems += _matrix_problems(layer, here, width, transposed=True)
        width = _nodes(layer, transposed=True)
    return problems, width


def _input_problems(layer: Layer, position: int, here: Place) -> Iterator[Violation]:
    """What is wrong with `inputs`; those of the first layer say nothing."""
    if position == 0 or "inputs" not in layer:
        return
    inputs = layer["inputs"]
    facts = ROW_LAYERS.get(layer["type"])
    many = facts is not None and facts.takes_many
    if not inputs or (len(inputs) > 1 and not many):
        message = f"found {len(inputs)} layers, allowed is {'at least one' if many else 'one'}"
        yield Violation(pointer((*here, "inputs")), message)
    for number, index in enumerate(inputs):
        if index >= position:
            message = f"found {index}, allowed is an earlier layer: an integer from 0 to {position - 1}"
            yield Violation(pointer((*here, "inputs", number)), message)


def _key_problems(layer: Layer, facts: RowLayer, here: Place, kind: str) -> Iterator[Violation]:
    yield from (_missing(here, key, kind) for key in facts.required if key not in layer)
    for key in facts.arrays:
        value = layer.get(key)
        if isinstance(value, str) and value not in INITIALIZER_NAMES:
            yield _unknown_name((*here, key), value, "numbers or", sorted(INITIALIZER_NAMES))
    activation = layer.get("activation_function")
    if activation not in LINEAR_NAMES and activation not in ACTIVATION_NAMES:
        yield _unknown_name(
            (*here, "activation_function"), activation, 'null, "linear" or', sorted(ACTIVATION_NAMES)
        )


def _node_problems(layer: Layer, here: Place, kind: str) -> Iterator[Violation]:
    if not isinstance(layer.get("weights"), str):
        return
    nodes = layer.get("number_of_nodes")
    if nodes is None:
        yield _missing(here, "number_of_nodes", f"{kind} layer without numbers for weights")
    elif nodes > MAX_NODES:
        yield Violation(
            pointer((*here, "number_of_nodes")), f"found {nodes}, allowed is an integer from 1 to {MAX_NODES}"
        )


def _matrix_problems(layer: Layer, here: Place, taken: int | None, transposed: bool) -> Iterator[Violation]:
    rows, columns = _shape(layer.get("weights"))
    wanted = columns if transposed else rows
    if taken is not None and wanted is not None and taken != wanted:
        message = f"found weights of {wanted} inputs, but the layer before has {taken} outputs"
        yield Violation(pointer((*here, "weights")), message)


def _nodes(layer: Layer, transposed: bool) -> int | None:
    weights = layer.get("weights")
    if isinstance(weights, str):
        nodes: int | None = layer.get("number_of_nodes")
        return nodes
    rows, columns = _shape(weights)
    return rows if transposed else columns


def _shape(weights: Any) -> tuple[int | None, int | None]:
    """Rows and columns of a list of lists; None of anything else."""
    if not isinstance(weights, list) or not weights or not isinstance(weights[0], list):
        return None, None
    return len(weights), len(weights[0])


def _missing(here: Place, key: str, kind: str) -> Violation:
    owner = kind if kind.endswith("weights") else f"{kind} layer"
    return Violation(pointer((*here, key)), f"missing; a {owner} needs it")


def _unknown_name(place: Place, value: Any, other: str, names: Sequence[str]) -> Violation:
    message = f"found {found(value)}, allowed is {other} one of {', '.join(names)}{nearest(value, names)}"
    return Violation(pointer(place), message)


def _unequal(here: Place, what: str, widths: Sequence[int | None]) -> Violation:
    numbers = " and ".join("unknown" if width is None else str(width) for width in widths)
    return Violation(
        pointer(here), f"found {what} of {numbers} numbers; they are added, so all must be alike"
    )
