"""Where everything stands in a row of the cached matrix: [tree features][inputs][weight][objective]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from pyramid.errors import DataError

IMAGE_SEAM = "image fields are not supported by this build: it caches numeric and categorical fields only"
BOX_SEAM = "bounding boxes are not cached as rows: image_training learns them from the images"


@dataclass(frozen=True)
class Layout:
    """Where everything stands in a row of the cached matrix.

    Attributes:
        tree_inputs: number of tree features; they are the first columns.
        inputs: the columns of the encoded input fields, behind the tree features.
        fields: for each input field its position in `info_list` and its columns, counted from the first
            input.
        weight: the column of the row's weight, or None.
        objective: the columns of the objective: one per class, or a single one for a number.
        n_outputs: how many numbers a network answers with.
    """

    tree_inputs: int
    inputs: slice
    fields: tuple[tuple[int, slice], ...]
    weight: int | None
    objective: slice
    n_outputs: int

    @classmethod
    def from_info_list(
        cls, info_list: Sequence[Mapping[str, Any]], instance_weights: bool, tree_inputs: int
    ) -> Layout:
        """The layout of the rows that `info_list` describes.

        Raises:
            DataError: a field of a type that is not cached as columns, or no objective.
        """
        n_inputs = len(info_list) - (2 if instance_weights else 1)
        if n_inputs < 0:
            raise DataError(
                f"info_list has {len(info_list)} fields: the objective (or the weight) is missing"
            )
        ends = list(accumulate((_width(field) for field in info_list[:n_inputs]), initial=0))
        fields = tuple((i, slice(start, end)) for i, (start, end) in enumerate(pairwise(ends)))
        first_objective = tree_inputs + ends[-1] + int(instance_weights)
        n_outputs = _width(info_list[-1])
        return cls(
            tree_inputs=tree_inputs,
            inputs=slice(tree_inputs, tree_inputs + ends[-1]),
            fields=fields,
            weight=first_objective - 1 if instance_weights else None,
            objective=slice(first_objective, first_objective + n_outputs),
            n_outputs=n_outputs,
        )

    @property
    def input_size(self) -> int:
        """Number of columns of the encoded inputs, without tree features."""
        return self.inputs.stop - self.inputs.start

    @property
    def row_columns(self) -> int:
        """Number of columns of a whole row."""
        return self.objective.stop


def _width(field: Mapping[str, Any]) -> int:
    match field["type"]:
        case "numeric":
            return 1
        case "categorical":
            return len(field["values"])
        case "image":
            raise DataError(IMAGE_SEAM)
        case "bounding_box":
            raise DataError(BOX_SEAM)
    raise DataError(f"a field has the unknown type {field['type']!r}")
