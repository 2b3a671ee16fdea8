"""What every kind of answers can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pyramid.report_page.bounds import cut
from pyramid.report_page.pictures import Gallery, Shown, data_uri
from pyramid.train.checks import HoldoutAnswers

N_WORST = 12


@dataclass(frozen=True)
class Answers(ABC):
    """What a network says of the holdout images, beside what is true; values only, in JSON as `asdict` has them.

    Attributes:
        kind: the type of the objective.
        units: a sentence about those of the metrics; may be empty.
        galleries: pictures of some images.
    """

    kind: ClassVar[str]
    units: ClassVar[str] = ""
    galleries: tuple[Gallery, ...]

    @classmethod
    @abstractmethod
    def of(cls, holdout: HoldoutAnswers) -> Self:
        """What is shown of them; its size is bounded.

        Raises:
            InputError: an image that has become unreadable.
        """

    @classmethod
    @abstractmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """What `asdict` gave, also after a way through JSON."""

    @abstractmethod
    def html(self) -> str:
        """All but the galleries, as markup."""

    @staticmethod
    def draw_holdout(holdout: HoldoutAnswers) -> list[np.ndarray]:
        """Some images as (height, width, 3) uint8 with what is true and what was found; none where that is no picture.

        Raises:
            InputError: an image that has become unreadable.
        """
        return []

    @staticmethod
    def draw_label(pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
        """An image of (height, width, 3) uint8 with what can be seen of its label."""
        return pixels


def worst_images(
    holdout: HoldoutAnswers, errors: np.ndarray, told: Callable[[int], tuple[str, str, bool]]
) -> Gallery:
    """The images with the largest errors.

    Args:
        errors: (images,).
        told: truth and prediction of an image in words, and whether this is wrong.
    """
    places = np.argsort(-errors, kind="stable")[:N_WORST]
    pictures = [
        Shown(data_uri(pixels), cut(file), *told(place))
        for place, (file, pixels) in zip(places.tolist(), holdout.look(places), strict=True)
    ]
    return Gallery(
        "worst", "Worst holdout images", "As the network sees them, the worst first.", tuple(pictures)
    )


def parse_galleries(galleries: Sequence[Mapping[str, Any]]) -> tuple[Gallery, ...]:
    """See `Answers.parse`."""
    return tuple(map(Gallery.parse, galleries))
