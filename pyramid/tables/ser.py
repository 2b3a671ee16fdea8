"""`.ser` files, the raw rows that an orchestrator writes.

One byte `D`, then rows of one fixed size, little endian, no padding: a float64 for each numeric or
categorical field (of a categorical field the index into its `values`), a 32-byte Pascal string (a length
byte, then up to 31 bytes of UTF-8) for each image.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.fields import Field, ImageField, RawField, parse_columns
from pyramid.storage.npy import forget_pages
from sensenet.files import open_regular, whole_file

MARK = b"D"
NAME_BYTES = 31


@dataclass(frozen=True)
class SerRows:
    """The rows of one file, left on disk until they are used.

    Attributes:
        records: (rows,) structured and memory-mapped, one member `f0`, `f1`, ... for each field of
            `info_list`: a float64, or the 32 bytes of an image's name.
        image_fields: the positions of the image fields.
    """

    records: np.ndarray
    image_fields: tuple[int, ...]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.records)

    @property
    def numbers(self) -> np.ndarray:
        """(rows, fields) float64, a view of the file; only where no field is an image.

        Raises:
            DataError: there is an image field.
        """
        if self.image_fields:
            raise DataError(f"field {self.image_fields[0]} holds image names, not numbers")
        return self.records.view("<f8").reshape(len(self.records), -1)

    def forget_pages(self) -> None:
        """Let go of the memory behind rows that were read; they come back from the file when read again."""
        forget_pages(self.records)

    def column(self, field: int) -> np.ndarray:
        """(rows,) float64: the numbers of one numeric or categorical field."""
        return self.records[f"f{field}"]

    def image_names(self, field: int) -> list[str]:
        """The file names in one image field.

        Raises:
            DataError: a name that is longer than its 31 bytes or is not UTF-8; names the row.
        """
        names = np.ascontiguousarray(self.records[f"f{field}"]).view(np.uint8).reshape(-1, 1 + NAME_BYTES)
        return [_name(bytes(name), row, field) for row, name in enumerate(names)]

    def with_image_positions(self) -> tuple[np.ndarray, list[str]]:
        """All fields as numbers: an image is its position among the distinct names, which are sorted.

        Returns:
            (rows, fields) float64, a copy; and the names, of which an empty one is a missing image.

        Raises:
            DataError: as `image_names`.
        """
        numbers = np.empty((len(self), len(self.records.dtype.names or ())), np.float64)
        for field in range(numbers.shape[1]):
            if field not in self.image_fields:
                numbers[:, field] = self.column(field)
        per_field = [self._distinct(field) for field in self.image_fields]
        names = sorted({name for distinct, _ in per_field for name in distinct})
        position = {name: number for number, name in enumerate(names)}
        for field, (distinct, inverse) in zip(self.image_fields, per_field, strict=True):
            numbers[:, field] = np.array([position[name] for name in distinct])[inverse]
        return numbers, names

    def _distinct(self, field: int) -> tuple[list[str], np.ndarray]:
        """Names in a field without most of their repetitions, and for each row which of them it has."""
        # as text that may end with null characters: the length byte keeps names apart
        raw = np.ascontiguousarray(self.records[f"f{field}"]).view(f"S{1 + NAME_BYTES}")
        distinct, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
        found = zip(distinct, first, strict=True)
        return [
            _name(bytes(name).ljust(1 + NAME_BYTES, b"\0"), int(row), field) for name, row in found
        ], inverse.reshape(-1)


def row_dtype(columns: Sequence[Field]) -> np.dtype:
    """The structured type of one row."""
    return np.dtype([(f"f{i}", _member(field)) for i, field in enumerate(columns)])


def write_ser(
    path: str | os.PathLike[str],
    rows: Iterable[Sequence[Any]] | np.ndarray,
    info_list: Sequence[RawField],
) -> None:
    """Write `rows` as a `.ser` file.

    Args:
        rows: (rows, fields) in the order of `info_list`: an array of numbers, or sequences of numbers, class
            indices and image names; None is a missing number.

    Raises:
        DataError: a row of another length, or an image name of more than 31 bytes; names the row. Or a field of an
            unknown type.
        OSError: the file cannot be written.
    """
    columns = parse_columns(info_list)
    images = image_columns(columns)
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "biuf" and not images:
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise DataError(f"rows have the shape {rows.shape}, expected (rows, {len(columns)})")
        body = np.ascontiguousarray(rows, "<f8")
    else:
        records = [_record(row, i, len(columns), images) for i, row in enumerate(rows)]
        body = np.array(records, row_dtype(columns))
    with whole_file(path) as file:
        file.write(MARK)
        file.write(body)


def read_ser(path: str | os.PathLike[str], columns: Sequence[Field], cache_rows: int | None) -> SerRows:
    """Map the rows of a `.ser` file into memory.

    Args:
        columns: the fields in the order of the data.
        cache_rows: how many rows there should be; None takes what there is.

    Raises:
        DataError: the file cannot be read, does not begin with `D`, ends within a row, or holds another
            number of rows.
    """
    dtype = row_dtype(columns)
    file = Path(path)
    try:
        with open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            mark = opened.read(1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise DataError(f"{file} cannot be read: {reason or error}") from error
    if mark != MARK:
        found = f"the byte {mark[0]}" if mark else "nothing"
        raise DataError(f"{file}: expected the first byte {MARK[0]} (D) of a .ser file, found {found}")
    n_rows, rest = divmod(size - 1, dtype.itemsize)
    if rest:
        raise DataError(
            f"{file}: {size - 1} bytes of rows are not a whole number of rows of {dtype.itemsize} bytes: "
            f"{n_rows} rows and {rest} bytes"
        )
    if cache_rows is not None and n_rows != cache_rows:
        raise DataError(f"{file}: expected cache_rows = {cache_rows} rows, found {n_rows}")
    if n_rows == 0:
        raise DataError(f"{file}: expected at least one row, found 0")
    records = np.memmap(file, dtype, "r", offset=1, shape=(n_rows,))
    return SerRows(records, image_columns(columns))


def image_columns(columns: Sequence[Field]) -> tuple[int, ...]:
    """The positions of the image fields."""
    return tuple(i for i, field in enumerate(columns) if isinstance(field, ImageField))


def _member(field: Field) -> str:
    return f"V{1 + NAME_BYTES}" if isinstance(field, ImageField) else "<f8"


def _record(row: Sequence[Any], number: int, n_fields: int, images: tuple[int, ...]) -> tuple[Any, ...]:
    if len(row) != n_fields:
        raise DataError(f"row {number} has {len(row)} fields, expected {n_fields}")
    return tuple(
        _checked_name(value, number) if i in images else np.nan if value is None else value
        for i, value in enumerate(row)
    )


def pascal_name(name: str) -> bytes:
    """An image's name as a row holds it.

    Raises:
        DataError: it is too long.
    """
    encoded = name.encode("utf-8")
    if len(encoded) > NAME_BYTES:
        raise DataError(f"the image name {name!r} has {len(encoded)} bytes, at most {NAME_BYTES} fit")
    return bytes([len(encoded)]) + encoded.ljust(NAME_BYTES, b"\0")


def _checked_name(name: str, row: int) -> bytes:
    try:
        return pascal_name(name)
    except DataError as error:
        raise DataError(f"row {row}: {error}") from None


def _name(pascal: bytes, row: int, field: int) -> str:
    length = pascal[0]
    if length > NAME_BYTES:
        raise DataError(f"row {row}: the image name in field {field} claims {length} of {NAME_BYTES} bytes")
    try:
        return pascal[1 : 1 + length].decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"row {row}: the image name in field {field} is not UTF-8 ({error})") from error
