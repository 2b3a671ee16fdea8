"""Where everything stands in a row of the cached matrix: [tree features][inputs][weight][objective]."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

from pyramid.errors import DataError
from pyramid.fields import CategoricalField, Field, Fields, ImageField


@dataclass(frozen=True)
class Layout:
    """Where everything stands in a row of the cached matrix.

    Attributes:
        tree_inputs: number of tree features; they are the first columns.
        inputs: the columns of the encoded input fields, behind the tree features.
        fields: for each input field its position among them and its columns, counted from the first
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
    def of(cls, fields: Fields, tree_inputs: int = 0, image_features: int = 0) -> Layout:
        """The layout of the rows of a job.

        Args:
            image_features: the columns of each image field: the features that the image network gives.

        Raises:
            DataError: there are image fields, and no features.
        """
        ends = list(accumulate((_width(field, image_features) for field in fields.inputs), initial=0))
        columns = tuple((i, slice(start, end)) for i, (start, end) in enumerate(pairwise(ends)))
        has_weight = fields.weight is not None
        first_objective = tree_inputs + ends[-1] + int(has_weight)
        n_outputs = fields.objective.n_outputs
        return cls(
            tree_inputs=tree_inputs,
            inputs=slice(tree_inputs, tree_inputs + ends[-1]),
            fields=columns,
            weight=first_objective - 1 if has_weight else None,
            objective=slice(first_objective, first_objective + n_outputs),
            n_outputs=n_outputs,
        )

    @classmethod
    def of_width(cls, fields: Fields, tree_inputs: int, row_columns: int) -> Layout:
        """The layout of a matrix of `row_columns` columns: what no other field takes are features of images.

        Raises:
            DataError: the width leaves no columns that the image fields could share.
        """
        n_images = len(fields.images)
        if not n_images:
            return cls.of(fields, tree_inputs)
        others = cls.of(fields, tree_inputs, image_features=1).row_columns - n_images
        image_features, rest = divmod(row_columns - others, n_images)
        if rest or image_features < 1:
            raise DataError(
                f"expected {others} columns and for each of {n_images} image fields equally many, at least one, got "
                f"{row_columns} columns"
            )
        return cls.of(fields, tree_inputs, image_features)

    @property
    def input_size(self) -> int:
        """Number of columns of the encoded inputs, without tree features."""
        return self.inputs.stop - self.inputs.start

    @property
    def row_columns(self) -> int:
        """Number of columns of a whole row."""
        return self.objective.stop


def _width(field: Field, image_features: int) -> int:
    if isinstance(field, CategoricalField):
        return len(field.values)
    if not isinstance(field, ImageField):
        return 1
    if image_features < 1:
        raise DataError("an image field takes as many columns as its image network gives features")
    return image_features
