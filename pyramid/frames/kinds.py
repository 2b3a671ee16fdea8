"""What each column of a table is to a model: a number, a category, a date, an image, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl

from pyramid.frames.facts import ColumnFacts, Seen
from sensenet.document.wording import counted
from sensenet.files import is_file
from sensenet.tables.values import MOSTLY, is_usable

FEW_INTEGERS = 4
"""Up to so many different integers are categories: codes as well as counts can be learnt of one column each, and
of more values a model would no longer know their order."""

MAX_CATEGORIES = 512
MAX_CLASSES = 1000
REGRESSION_VALUES = 20
"""An objective of more different numbers is a quantity."""

MIN_ID_ROWS = 20
"""With fewer rows, all values may well be different by chance."""

MOSTLY_DIFFERENT = 0.9
TEXT_CHARACTERS = 40
TEXT_DIFFERENT = 0.5
TRIED_IMAGES = 50
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Kind:
    """What a column is.

    Attributes:
        name: numeric, categorical, date or image; empty: the column is left out.
        reason: why it is left out.
        warnings: what people should know about it.
        day_first: of dates with the year last, whether the day stands before the month.
    """

    name: str
    reason: str = ""
    warnings: tuple[str, ...] = ()
    day_first: bool = False


def kind_of(facts: ColumnFacts, different: float, n_rows: int, chosen: str | None, image_root: Path) -> Kind:
    """What a column is.

    Args:
        facts: what was seen in it.
        different: how many different values there are, as a share of all; 1: all are.
        n_rows: how many rows the table has.
        chosen: what people say that it is.
        image_root: where image files would be.
    """
    if not is_usable(facts.dtype):
        return _left_out(f"values of the type {facts.dtype} are no input")
    if not facts.n_present:
        return _left_out("all its values are missing")
    if chosen is not None:
        return _chosen_kind(facts, chosen)
    if len(facts.values) == 1 and facts.values.is_complete and facts.n_present == n_rows:
        return _left_out("all its values are the same")
    if len(facts.values) == 1 and facts.values.is_complete:
        return Kind("categorical")
    if facts.dtype == pl.Boolean:
        return Kind("categorical")
    return (
        _kind_of_dates(facts)
        or _kind_of_numbers(facts, different)
        or _kind_of_texts(facts, different, image_root)
    )


def is_image_name(name: str) -> bool:
    """Whether a text ends like the name of an image file."""
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def _left_out(reason: str) -> Kind:
    return Kind("", reason=reason)


def _chosen_kind(facts: ColumnFacts, chosen: str) -> Kind:
    if chosen == "numeric" and not facts.n_numbers:
        return _left_out("none of its values is a number, though it was to be numeric")
    if chosen == "numeric":
        return Kind(chosen, warnings=_told_of_others(facts, "numbers", facts.n_numbers, facts.first_text))
    kind, _, order = chosen.partition(":")
    if kind != "date":
        return Kind(kind)
    day_first = _day_is_first(facts) if not order else order == "day_first"
    if not facts.n_dates[day_first]:
        return _left_out("none of its values is a date, though it was to be one")
    return _dates(facts, day_first, () if order else _told_of_order(facts))


def _kind_of_dates(facts: ColumnFacts) -> Kind | None:
    day_first = _day_is_first(facts)
    if facts.n_dates[day_first] < MOSTLY * facts.n_present:
        return None
    return _dates(facts, day_first, _told_of_order(facts))


def _day_is_first(facts: ColumnFacts) -> bool:
    return facts.n_dates[True] > facts.n_dates[False]


def _dates(facts: ColumnFacts, day_first: bool, told: tuple[str, ...]) -> Kind:
    others = _told_of_others(facts, "dates", facts.n_dates[day_first], facts.first_undated[day_first])
    if len(facts.offsets) > 1:
        listed = ", ".join(offset or "none" for offset in sorted(facts.offsets))
        told = (*told, f'"{facts.name}": its times have different offsets ({listed}), which are left out')
    return Kind("date", warnings=(*others, *told), day_first=day_first)


def _told_of_order(facts: ColumnFacts) -> tuple[str, ...]:
    """That day and month could be exchanged in all dates."""
    if facts.first_ambiguous is None or facts.n_dates[True] != facts.n_dates[False]:
        return ()
    row, text = facts.first_ambiguous
    return (
        f'"{facts.name}": the month is taken to stand first, as in "{text:.40}" in row {row + 1}, though all its dates '
        "could be read with the day first (type date:day_first; date:month_first if this is right)",
    )


def _told_of_others(facts: ColumnFacts, what: str, n_known: int, first: Seen | None) -> tuple[str, ...]:
    """That some values are not what the others are."""
    if n_known == facts.n_present or first is None:
        return ()
    row, text = first
    rows = counted(facts.n_present - n_known, "row")
    return (
        f'"{facts.name}": what is not written as {what} counts as missing in {rows} (the first is "{text:.40}", in row '
        f"{row + 1})",
    )


def _kind_of_numbers(facts: ColumnFacts, different: float) -> Kind | None:
    if facts.dtype == pl.String and not facts.is_numeric:
        return _kind_of_almost_numbers(facts)
    if facts.n_numbers == facts.n_beyond:
        return _left_out("none of its numbers is one that a float32 can be")
    all_whole = facts.n_whole == facts.n_numbers
    if all_whole and facts.values.is_complete and len(facts.values) <= FEW_INTEGERS:
        return Kind("categorical")
    # rows may be missing between them: those without objective, or kept for a test
    is_counter = facts.numbers.high - facts.numbers.low < 2 * facts.n_present
    if all_whole and different == 1 and is_counter and facts.n_present >= MIN_ID_ROWS:
        return _left_out("it numbers the rows")
    return Kind("numeric")


def _kind_of_almost_numbers(facts: ColumnFacts) -> Kind | None:
    """Numbers, and here and there a word for a missing one."""
    if facts.n_padded or facts.n_numbers < MOSTLY * facts.n_present or facts.first_text is None:
        return None
    if len(facts.values) <= REGRESSION_VALUES:
        return None
    return Kind("numeric", warnings=_told_of_others(facts, "numbers", facts.n_numbers, facts.first_text))


def _kind_of_texts(facts: ColumnFacts, different: float, image_root: Path) -> Kind:
    if _are_images(facts, image_root):
        return Kind("image")
    many = facts.n_present >= MIN_ID_ROWS
    mean_length = facts.n_characters / facts.n_present
    if many and mean_length > TEXT_CHARACTERS and different > TEXT_DIFFERENT:
        return _left_out("it is free text")
    if many and different == 1:
        return _left_out("all its values are different, as those of an id" + _as_written(facts))
    if len(facts.values) > MAX_CATEGORIES and different > MOSTLY_DIFFERENT:
        return _left_out("almost all its values are different, as those of an id" + _as_written(facts))
    doubt = _as_written(facts)
    return Kind("categorical", warnings=(f'"{facts.name}" is taken for categories{doubt}',) if doubt else ())


def look_like_numbers(facts: ColumnFacts) -> bool:
    """Whether most values are numbers to people, though not all of them are written as numbers are."""
    of_people = facts.n_numbers + facts.n_written
    return not facts.n_padded and not facts.is_numeric and of_people >= MOSTLY * facts.n_present


def _as_written(facts: ColumnFacts) -> str:
    """What to do about numbers that only people can read, to be appended to a reason."""
    if facts.first_text is None or not look_like_numbers(facts):
        return ""
    row, text = facts.first_text
    return f'; they look like numbers, which "{text:.40}" in row {row + 1} is not written as: convert them'


def _are_images(facts: ColumnFacts, image_root: Path) -> bool:
    some = facts.values.frame["value"].sort().head(TRIED_IMAGES).to_list()
    return all(is_image_name(name) for name in some) and all(is_file(image_root / name) for name in some)
