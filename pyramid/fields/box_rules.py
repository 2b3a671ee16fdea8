"""What the boxes in a row must be, in the same words for jobs, for configs and for evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyramid.fields.kinds import is_number
from pyramid.settings.wording import found

MOST_BOXES = 128
"""So many boxes an image can have."""

BOX_FORM = "[x1, y1, x2, y2, class] with finite numbers x1 < x2 and y1 < y2"
NAMED_BOX_FORM = f"{BOX_FORM} and a string"
CORNERS, CLASS = slice(0, 4), 4
COLUMNS = 5


def box_problem(box: Any) -> str | None:
    """What is wrong with the form of one box, whose class is a name or a position; None where nothing is."""
    if not isinstance(box, list) or len(box) != COLUMNS or not _can_be_class(box[CLASS]):
        return f"found {found(box)}, allowed is {BOX_FORM}"
    if not all(is_number(side) for side in box[CORNERS]):
        return f"found {found(box)}, allowed is {BOX_FORM}"
    # as they are kept: what differs by less has no area there
    x1, y1, x2, y2 = map(np.float32, box[CORNERS])
    return None if x1 < x2 and y1 < y2 else f"found {found(box)}, which has no area: allowed is {BOX_FORM}"


def named_box_problem(box: Any) -> str | None:
    """As `box_problem`, where the class can only be a name."""
    problem = box_problem(box)
    if problem is None and not isinstance(box[CLASS], str):
        return f"found {found(box)}, allowed is {NAMED_BOX_FORM}"
    return problem


def named_box_problems(boxes: Sequence[Any]) -> list[tuple[str, str]]:
    """The JSON pointers, from the list on, of those boxes that are wrong, and what is wrong with each."""
    problems = ((f"/{place}", named_box_problem(box)) for place, box in enumerate(boxes))
    return [(place, problem) for place, problem in problems if problem is not None]


def count_problem(boxes: Sequence[Any]) -> str | None:
    """What is wrong with how many boxes there are in an image that is to be learnt."""
    if len(boxes) <= MOST_BOXES:
        return None
    return f"found {len(boxes)} boxes, allowed are at most {MOST_BOXES} an image"


def _can_be_class(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
