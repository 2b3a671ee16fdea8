"""Files of `tf.train.Example`s, read and written with TensorFlow: features by name, each a list of values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from pyramid.errors import DataError, WorkspaceError
from sensenet.files import check_regular, open_regular
from sensenet.partial_files import remove, temporary_path

GZIP_MAGIC = b"\x1f\x8b"


def read_features(path: Path) -> Iterator[dict[str, Sequence[Any]]]:
    """The features of each record of a file, which may be gzipped: bytes, floats or integers.

    Raises:
        DataError: it cannot be read, is damaged, or a record is no example; says which.
    """
    try:
        with open_regular(path) as file:
            compression = "GZIP" if file.read(len(GZIP_MAGIC)) == GZIP_MAGIC else ""
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    records = iter(tf.data.TFRecordDataset(str(path), compression_type=compression).as_numpy_iterator())
    place = 0
    while True:
        try:
            record = next(records, None)
        except tf.errors.OpError as error:
            raise DataError(
                f"{path}, record {place}: expected TFRecords, but the file is damaged here"
            ) from error
        if record is None:
            return
        try:
            example = tf.train.Example.FromString(record)
        except DecodeError as error:
            raise DataError(f"{path}, record {place}: expected a tf.train.Example") from error
        yield {name: _values(feature) for name, feature in example.features.feature.items()}
        place += 1


def _values(feature: Any) -> Sequence[Any]:
    kind = feature.WhichOneof("kind")
    return () if kind is None else tuple(getattr(feature, kind).value)


def write_features(paths: Sequence[Path], examples: Iterable[Mapping[str, Sequence[Any]]]) -> None:
    """Write records, one after the other into the next of some files; these appear at the end, all or none.

    The same examples give the same bytes.

    Raises:
        WorkspaceError: they cannot be written.
    """
    temporary = [temporary_path(path) for path in paths]
    try:
        with ExitStack() as stack:
            writers = [stack.enter_context(tf.io.TFRecordWriter(str(path))) for path in temporary]
            for place, features in enumerate(examples):
                writers[place % len(writers)].write(_serialized(features))
        for path in temporary:
            _settle(path)
        for path, final in zip(temporary, paths, strict=True):
            path.replace(final)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
        raise WorkspaceError(f"{paths[0]} cannot be written: {reason}") from error
    finally:
        for path in temporary:
            remove(path)


def _serialized(features: Mapping[str, Sequence[Any]]) -> bytes:
    named = {name: _feature(values) for name, values in features.items()}
    example = tf.train.Example(features=tf.train.Features(feature=named))
    return bytes(example.SerializeToString(deterministic=True))


def _feature(values: Sequence[Any]) -> Any:
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _settle(path: Path) -> None:
    check_regular(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
