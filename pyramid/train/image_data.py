"""The images of a training: their pixels, how they are changed, and what a network says of those held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.fields.boxes import BoxesObjective
from pyramid.images.augment import Augmentations
from pyramid.images.store import ImageStore
from pyramid.train.checks import HoldoutAnswers
from pyramid.train.dataset import Dataset
from pyramid.train.image_loop import Change, augmenter, box_augmenter
from pyramid.train.loop import State


@dataclass(frozen=True)
class ImageData:
    """The images of a training.

    Attributes:
        store: their pixels.
        training, holdout: rows whose inputs are (rows,) positions in `store`.
        augmentations: of the training images.
    """

    store: ImageStore
    training: Dataset
    holdout: Dataset
    augmentations: Augmentations

    def look(self, positions: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """The files and (height, width, 3) uint8 pixels of the images at some positions in `store`.

        Raises:
            InputError: a file that has become unreadable.
        """
        files = [self.store.files[position] for position in positions]
        return list(zip(files, self.store.pixels(positions), strict=True))

    def holdout_answers(self, outputs: Any) -> HoldoutAnswers:
        """What a network says of the holdout images, given for all of them as the objective's `evaluate` takes it."""
        rows = self.holdout
        return HoldoutAnswers(
            rows.objective, rows.truth, outputs, lambda places: self.look(rows.inputs[places])
        )


@dataclass
class HoldoutJudge:
    """Judges weights by the holdout, and remembers what the last ones said of it, for whoever looks at the check."""

    data: ImageData
    predict: Callable[[State], Any]
    answers: HoldoutAnswers | None = None

    def evaluate(self, state: State) -> dict[str, float]:
        """The metrics of weights."""
        self.answers = self.data.holdout_answers(self.predict(state))
        return self.answers.objective.evaluate(self.answers.truth, self.answers.outputs)


def label_augmenter(data: ImageData, seed: int) -> Change | None:
    """What changes training images, and labels that follow them; None where nothing is chosen."""
    make = box_augmenter if isinstance(data.training.objective, BoxesObjective) else augmenter
    return make(data.augmentations, seed)
