"""The text of a file, a piece at a time: unpacked, decoded, with one kind of line end."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sensenet.errors import InputError
from sensenet.files import open_regular

GZIP_MAGIC = b"\x1f\x8b"
PIECE_BYTES = 2**23
FALLBACK = "cp1252"
"""How bytes are read that are no UTF-8: as in Western European Windows, which has the letters of Latin-1."""

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 first: its mark begins with that of UTF-16."""

Warn = Callable[[str], None]


def no_warning(_message: str) -> None:
    """What is told of things that nobody wants to hear."""


def first_bytes(path: Path, size: int = 4096) -> bytes:
    """The beginning of a file, unpacked if it is gzipped.

    Raises:
        InputError: it cannot be read.
    """
    with _opened(path) as file:
        return _read(file, size, path, 1)


def read_text(path: Path, encoding: str | None, warn: Warn = no_warning) -> Iterator[str]:
    """The text of a file in pieces of about `PIECE_BYTES`; every line end in it is a newline.

    Args:
        path: a regular file, gzipped or not.
        encoding: None: what a byte order mark says, else UTF-8, in which bytes that cannot be UTF-8 are read as
            cp1252.
        warn: is told of such bytes, once.

    Raises:
        InputError: it cannot be read, is damaged, holds bytes that its encoding does not have, or NUL characters;
            gives the line.
    """
    decode = _Decoder(path, encoding, warn)
    lines = io.IncrementalNewlineDecoder(None, translate=True)
    line = 1
    with _opened(path) as file:
        while data := _read(file, PIECE_BYTES, path, line):
            piece = lines.decode(decode(data, line))
            _refuse_nul(piece, path, line)
            line += piece.count("\n")
            yield piece
        yield lines.decode(decode(b"", line, final=True), final=True)


def check_encoding(name: str) -> None:
    """Refuse the name of an encoding that there is not.

    Raises:
        InputError: says so.
    """
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise InputError(
            f'there is no encoding "{name:.40}"; known are utf-8, utf-16, cp1252, latin-1 ...'
        ) from None


class _Decoder:
    """Decodes the pieces of one file, in their order."""

    def __init__(self, path: Path, encoding: str | None, warn: Warn):
        """Choose the encoding."""
        beginning = first_bytes(path, 4)
        marked = next((name for mark, name in BYTE_ORDER_MARKS if beginning.startswith(mark)), None)
        self._path, self._warn = path, warn
        self._is_lenient = encoding is None and marked is None
        self._encoding = encoding or marked or "utf-8-sig"
        self._decoder = codecs.getincrementaldecoder(self._encoding)()

    def __call__(self, data: bytes, line: int, final: bool = False) -> str:
        """The text of the next piece, which begins in `line`.

        Raises:
            InputError: bytes that the encoding does not have.
        """
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final)
        except UnicodeError as error:
            line += data.count(b"\n", 0, getattr(error, "start", 0))
            at = f"{self._path}, line {line}"
            if not self._is_lenient:
                reason = getattr(error, "reason", error)
                raise InputError(
                    f"{at}: this is no {self._encoding} ({reason}); give another encoding"
                ) from error
        if self._decoder.errors == "strict":
            self._warn(
                f"{at}: a byte that is not UTF-8; such bytes are read as {FALLBACK} (give the encoding if it is not)"
            )
            self._decoder.errors = WESTERN
        self._decoder.setstate(before)
        return self._decoder.decode(data, final)


WESTERN = "sensenet.tables.western"


def _western(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: undecodable bytes as cp1252, those that it lacks as Latin-1."""
    failed = cast(UnicodeDecodeError, error)
    wrong = failed.object[failed.start : failed.end]
    try:
        return wrong.decode(FALLBACK), failed.end
    except UnicodeDecodeError:
        return wrong.decode("latin-1"), failed.end


codecs.register_error(WESTERN, _western)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open_regular(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    with file:
        magic = file.read(len(GZIP_MAGIC))
        file.seek(0)
        if magic != GZIP_MAGIC:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(BinaryIO, unpacked)


def _read(file: BinaryIO, size: int, path: Path, line: int) -> bytes:
    try:
        return file.read(size)
    except EOFError as error:
        raise InputError(
            f"{path}, after line {line}: the gzipped file ends too early, it is not whole"
        ) from error
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}, after line {line}: it cannot be read: {reason}") from error


def _refuse_nul(piece: str, path: Path, line: int) -> None:
    if "\0" in piece:
        line += piece.count("\n", 0, piece.index("\0"))
        raise InputError(
            f"{path}, line {line}: a NUL character, which no table of text has; if the file is UTF-16 without a byte "
            'order mark, give its encoding, "utf-16-le"'
        )
