"""How a file of delimited values is written: what stands between values, and whether a header comes first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sensenet.errors import InputError

DELIMITERS = ("\t", ";", "|", ",", ":")
"""What is looked for, the best first where several would do: a comma also stands in numbers, a colon in times."""

NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":", "space": " "}
QUOTE = '"'
LOOKED_AT_RECORDS = 100
MAX_RECORD_BYTES = 2**26


@dataclass(frozen=True)
class Dialect:
    """How the values of one file are written.

    Attributes:
        delimiter: the character between values.
        names: of the columns.
        has_header: whether the first record is no row.
        renamed: what was done to names that stood twice, for people.
    """

    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    renamed: tuple[str, ...] = ()

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers may have decimal commas: where semicolons stand between values."""
        return self.delimiter == ";"


def delimiter_named(name: str) -> str:
    """The delimiter that a person asks for.

    Raises:
        InputError: not one character.
    """
    delimiter = NAMED.get(name.lower(), name)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\n\r"\0':
        raise InputError(
            f"a delimiter is one ASCII character, or one of {', '.join(sorted(NAMED))}, got {name!r:.40}"
        )
    return delimiter


def detect_dialect(beginning: str, is_whole: bool, delimiter: str | None, has_header: bool) -> Dialect | None:
    """The dialect of a file; None where there is no record in its beginning.

    Args:
        beginning: the first text of the file.
        is_whole: whether that is all; else its last record may be cut.
        delimiter: None: the one of `DELIMITERS` that divides most records into as many values as the first.
        has_header: whether the first record tells the names; else they are `column_1`, ...
    """
    chosen = delimiter or max(DELIMITERS, key=lambda candidate: _agreement(beginning, is_whole, candidate))
    found = _records(beginning, is_whole, chosen)
    if not found:
        return None
    if not has_header:
        return Dialect(chosen, tuple(f"column_{i}" for i in range(1, 1 + len(found[0]))), has_header=False)
    names, renamed = unique_names(found[0])
    return Dialect(chosen, names, has_header=True, renamed=renamed)


def unique_names(given: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of columns that are all different, and what had to be done to some, for people."""
    names: list[str] = []
    taken, told = {name.strip() for name in given}, []
    seen: set[str] = set()
    for position, name in enumerate(given, 1):
        plain = name.strip() or f"column_{position}"
        unique, number = plain, 2
        while unique in seen or (unique != plain and unique in taken):
            unique, number = f"{plain}_{number}", number + 1
        if unique != plain:
            told.append(
                f'column {position} has the name "{plain:.60}" of another: it is called "{unique:.60}"'
            )
        seen.add(unique)
        names.append(unique)
    return tuple(names), tuple(told)


def records_of(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """The records that Python's csv module finds in lines, which end with newlines."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    return csv.reader(lines, delimiter=delimiter, quotechar=QUOTE, skipinitialspace=delimiter != " ")


def _agreement(beginning: str, is_whole: bool, delimiter: str) -> float:
    """The share of records with as many values as the first; 0 where that has only one."""
    records = _records(beginning, is_whole, delimiter)
    if not records or len(records[0]) < 2:
        return 0.0
    return sum(len(record) == len(records[0]) for record in records) / len(records)


def _records(beginning: str, is_whole: bool, delimiter: str) -> list[list[str]]:
    reader = records_of(io.StringIO(beginning), delimiter)
    records: list[list[str]] = []
    for record in reader:
        if record:
            records.append(record)
        if len(records) > LOOKED_AT_RECORDS:
            return records[:-1]
    return records if is_whole else records[:-1]
