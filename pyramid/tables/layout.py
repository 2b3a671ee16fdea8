"""Where everything stands in a row of the cached matrix: [tree features][inputs][weight][objective]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from pyramid.errors import DataError

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
        cls,
        info_list: Sequence[Mapping[str, Any]],
        instance_weights: bool,
        tree_inputs: int,
        image_features: int = 0,
    ) -> Layout:
        """The layout of the rows that `info_list` describes.

        Args:
            image_features: the columns of each image field: the features that the image network gives.

        Raises:
            DataError: a field of a type that is not cached as columns, or no objective.
        """
        n_inputs = len(info_list) - (2 if instance_weights else 1)
        if n_inputs < 0:
            raise DataError(
                f"info_list has {len(info_list)} fields: the objective (or the weight) is missing"
            )
        ends = list(accumulate((_width(field, image_features) for field in info_list[:n_inputs]), initial=0))
        fields = tuple((i, slice(start, end)) for i, (start, end) in enumerate(pairwise(ends)))
        first_objective = tree_inputs + ends[-1] + int(instance_weights)
        n_outputs = _width(info_list[-1], 0)
        return cls(
            tree_inputs=tree_inputs,
            inputs=slice(tree_inputs, tree_inputs + ends[-1]),
            fields=fields,
            weight=first_objective - 1 if instance_weights else None,
            objective=slice(first_objective, first_objective + n_outputs),
            n_outputs=n_outputs,
        )

    @classmethod
    def of_width(
        cls,
        info_list: Sequence[Mapping[str, Any]],
        instance_weights: bool,
        tree_inputs: int,
        row_columns: int,
    ) -> Layout:
        """The layout of a matrix of `row_columns` columns: what no other field takes are features of images.

        Raises:
            DataError: as `from_info_list`; or the width leaves no columns that the image fields could share.
        """
        n_images = sum(field["type"] == "image" for field in info_list)
        if not n_images:
            return cls.from_info_list(info_list, instance_weights, tree_inputs)
        single = cls.from_info_list(info_list, instance_weights, tree_inputs, image_features=1)
        others = single.row_columns - n_images
        image_features, rest = divmod(row_columns - others, n_images)
        if rest or image_features < 1:
            raise DataError(
                f"expected {others} columns and for each of {n_images} image fields equally many, at least one, got "
                f"{row_columns} columns"
            )
        return cls.from_info_list(info_list, instance_weights, tree_inputs, image_features)

    @property
    def input_size(self) -> int:
        """Number of columns of the encoded inputs, without tree features."""
        return self.inputs.stop - self.inputs.start

    @property
    def row_columns(self) -> int:
        """Number of columns of a whole row."""
        return self.objective.stop


def _width(field: Mapping[str, Any], image_features: int) -> int:
    match field["type"]:
        case "numeric":
            return 1
        case "categorical":
            return len(field["values"])
        case "image":
            if image_features < 1:
                raise DataError("an image field takes as many columns as its image network gives features")
            return image_features
        case "bounding_box":
            raise DataError(BOX_SEAM)
    raise DataError(f"a field has the unknown type {field['type']!r}")
