"""What goes into which image: all draws but those that change pixels.

An image's plan is a function of the seed and its number. Labels are dealt like cards: every round is all labels in a
new order, so that after any number of images no label is more than one ahead of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pyramid.generation.options import GenerationOptions
from pyramid.generation.sources import NO_LABEL, Sources

MOST_FOREGROUNDS = 32
PLAN, DECISIVE, OTHERS, BACKGROUND = range(4)
"""What draws are for: each purpose has its own stream."""


class Paste(NamedTuple):
    """One foreground in an image.

    Attributes:
        foreground: its position in `Sources.foregrounds`.
        occupancy: the share of the image that it takes.
        across, down: where it is put, from 0, leftmost or topmost, up to 1.
    """

    foreground: int
    occupancy: float
    across: float
    down: float


@dataclass(frozen=True)
class ImagePlan:
    """One image.

    Attributes:
        number: its place in the data set, from 0.
        background: a position in `Sources.backgrounds`; None: it is drawn.
        pastes: the foregrounds, the last one on top.
    """

    number: int
    background: int | None
    pastes: tuple[Paste, ...]


class _Drawn(NamedTuple):
    """The independent draws of an image; `pastes` is (foregrounds, 4) of 0..1."""

    background: int | None
    pastes: np.ndarray


def plan_images(options: GenerationOptions, sources: Sources, count: int) -> list[ImagePlan]:
    """The plans of the first `count` images; of a larger count, the first are the same."""
    drawn = [_draw(number, options, len(sources.backgrounds)) for number in range(count)]
    chooser = _Chooser(options, sources.labels)
    return [
        ImagePlan(number, one.background, tuple(_pastes(one.pastes, options, chooser)))
        for number, one in enumerate(drawn)
    ]


def only_used(sources: Sources, plans: Sequence[ImagePlan]) -> tuple[Sources, list[ImagePlan]]:
    """The files that some plans use, and the plans over these: their images are the same."""
    foregrounds = sorted({paste.foreground for plan in plans for paste in plan.pastes})
    backgrounds = sorted({plan.background for plan in plans if plan.background is not None})
    new_foreground = {old: new for new, old in enumerate(foregrounds)}
    new_background: dict[int | None, int | None] = {old: new for new, old in enumerate(backgrounds)}
    used = Sources(
        tuple(sources.foregrounds[place] for place in foregrounds),
        tuple(sources.labels[place] for place in foregrounds),
        tuple(sources.backgrounds[place] for place in backgrounds),
    )
    return used, [
        ImagePlan(
            plan.number,
            new_background.get(plan.background),
            tuple(paste._replace(foreground=new_foreground[paste.foreground]) for paste in plan.pastes),
        )
        for plan in plans
    ]


def label_of(plan: ImagePlan, options: GenerationOptions, sources: Sources) -> str:
    """The label of an image: that of the foreground on top."""
    if plan.pastes:
        return sources.labels[plan.pastes[-1].foreground]
    return NO_LABEL if options.background_label is None else options.background_label


def _draw(number: int, options: GenerationOptions, n_backgrounds: int) -> _Drawn:
    rng = np.random.default_rng([options.seed, PLAN, number])
    chance_of_empty, chance_of_random, background, amount = rng.random(4)
    is_empty = chance_of_empty < options.empty_rate
    count = 0 if is_empty else min(1 + int(amount * options.max_foregrounds), options.max_foregrounds)
    is_random = chance_of_random < options.random_background_rate
    return _Drawn(None if is_random else int(background * n_backgrounds), rng.random((count, 4)))


def _pastes(draws: np.ndarray, options: GenerationOptions, chooser: _Chooser) -> Iterator[Paste]:
    least, most = options.occupancy
    for place, (file, share, across, down) in enumerate(draws.tolist()):
        decides = options.has_boxes or place == len(draws) - 1
        yield Paste(chooser.choose(file, decides), least + (most - least) * share, across, down)


class _Chooser:
    """Chooses files. Where labels are balanced it remembers which one is next, for labels that count and others."""

    def __init__(self, options: GenerationOptions, labels: Sequence[str]):
        members: dict[str, list[int]] = {}
        for position, label in enumerate(labels):
            members.setdefault(label if options.is_balanced else NO_LABEL, []).append(position)
        self._members = [members[label] for label in sorted(members)]
        self._deals = {
            decides: _deal(len(self._members), np.random.default_rng([options.seed, purpose]))
            for decides, purpose in ((True, DECISIVE), (False, OTHERS))
        }

    def choose(self, chance: float, decides: bool) -> int:
        """A file's position.

        Args:
            chance: 0 to 1, which of the files of the label.
            decides: whether its label is a truth of the image.
        """
        members = self._members[next(self._deals[decides])]
        return members[int(chance * len(members))]


def _deal(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below `count` for ever: all of them in one order, then in another."""
    while True:
        yield from rng.permutation(count).tolist()
