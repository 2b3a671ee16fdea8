"""What a consumer of an exported model needs to know of it, as JSON: fields, classes, images, thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sensenet.detection import Suppression
from sensenet.document.fields import (
    BinaryField,
    CategoricalField,
    CategoricalOutput,
    Field,
    ImageField,
    NumericField,
    NumericOutput,
    Output,
)
from sensenet.formats.smbundle.serving import IMAGE_INPUT, NUMERIC_INPUT
from sensenet.preprocess.reading import ImageLoader

FACTS_VERSION = 1
FACTS_BEGINNING = b'{"facts_version":'
"""Of the facts as JSON."""
PIXEL_RANGE = (0, 255)
UNKNOWN_CATEGORY = -1


def model_facts(
    fields: Sequence[Field],
    output: Output,
    loader: ImageLoader | None = None,
    rule: Suppression | None = None,
    normalized: bool = False,
) -> dict[str, Any]:
    """The facts of a model, see docs/exports.md.

    Args:
        fields: of the model.
        output: of the model.
        loader: how images are brought to the network's size; None without images.
        rule: which boxes a detector keeps; None of other models.
        normalized: whether a numeric output stays standardised.
    """
    return {
        "facts_version": FACTS_VERSION,
        "type": _kind(output),
        "objective": output.name,
        "classes": None if isinstance(output, NumericOutput) else list(output.values),
        "standardised_output": {"mean": output.mean, "stdev": output.stdev}
        if isinstance(output, NumericOutput) and normalized
        else None,
        "fields": _field_facts(fields),
        "image": None if loader is None else _image_facts(loader),
        "detection": None if rule is None else asdict(rule),
    }


def tensor_facts(specs: Sequence[Any]) -> list[dict[str, Any]]:
    """Name, type and shape of tensors; a size that is open is None."""
    return [{"name": spec.name, "dtype": spec.dtype.name, "shape": spec.shape.as_list()} for spec in specs]


def _kind(output: Output) -> str:
    if isinstance(output, NumericOutput):
        return "regression"
    return "classification" if isinstance(output, CategoricalOutput) else "detection"


def _field_facts(fields: Sequence[Field]) -> list[dict[str, Any]]:
    facts, n_images = [], 0
    for position, field in enumerate(fields):
        is_image = isinstance(field, ImageField)
        place = {"input": IMAGE_INPUT, "position": n_images} if is_image else _column(position)
        n_images += is_image
        facts.append({"name": field.name, "index": field.index, **place, **_values(field)})
    return facts


def _column(position: int) -> dict[str, Any]:
    return {"input": NUMERIC_INPUT, "position": position}


def _values(field: Field) -> dict[str, Any]:
    """The kind of a field, what its numbers mean, and what a missing value counts as."""
    if isinstance(field, NumericField):
        date = {} if field.date is None else {"date": field.date.dump()}
        numbers = {"mean": field.mean, "stdev": field.stdev, **date}
        return {"type": "numeric", **numbers, "missing_value": field.mean}
    if isinstance(field, BinaryField):
        numbers = {"zero_value": field.zero_value, "one_value": field.one_value}
        return {"type": "numeric", **numbers, "missing_value": field.zero_value}
    if isinstance(field, CategoricalField):
        return {"type": "categorical", "values": list(field.values), "missing_value": UNKNOWN_CATEGORY}
    return {"type": "image", "missing_value": "one black pixel"}


def _image_facts(loader: ImageLoader) -> dict[str, Any]:
    return {
        "width": loader.width,
        "height": loader.height,
        "rescale_type": loader.rescale_type,
        "colour_order": loader.reading.color_space,
        "value_range": list(PIXEL_RANGE),
        "exif_rotation": loader.reading.exif_rotation,
    }
