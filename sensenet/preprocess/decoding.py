"""The bytes of image files, which nobody vouches for, become 8-bit RGB pixels.

What a file is, its content says, never its name. JPEG and PNG go through TensorFlow's decoder, which is up to three
times as fast as Pillow and gives identical pixels; the other formats through Pillow. Alpha is dropped without
blending, of 16 bits the high byte is kept, of an animation the first frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from sensenet.preprocess.limits import check_size
from sensenet.preprocess.pillow_decoding import (
    checked_format,
    decode_with_pillow,
    file_is_turned,
    image_format,
    refusing,
)

_PNG_SIZE = slice(16, 24)


def _decode_jpeg(data: bytes) -> tf.Tensor:
    contents = tf.constant(data)
    height, width, _ = tf.io.extract_jpeg_shape(contents).numpy().tolist()
    check_size(height, width, len(data))
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(data: bytes) -> tf.Tensor:
    size = data[_PNG_SIZE]
    check_size(int.from_bytes(size[4:], "big"), int.from_bytes(size[:4], "big"), len(data))
    return tf.io.decode_png(data, channels=3)


DECODERS: Mapping[str, Callable[[bytes], tf.Tensor]] = MappingProxyType(
    {"JPEG": _decode_jpeg, "PNG": _decode_png}
)
"""The formats that TensorFlow decodes: bytes as (h, w, 3) uint8."""


def decode_image(data: bytes, exif_rotation: bool = False) -> Any:
    """The pixels of a compressed image, (h, w, 3) uint8, as a tensor or a NumPy array.

    Args:
        data: the bytes of a file in one of `pillow_decoding.FORMATS`.
        exif_rotation: whether the EXIF orientation is applied. It is ignored otherwise, but for TIFF: there it always
            is, as in the published package, whose TIFF reader (Pillow) knows no other way.

    Raises:
        InputError: not an image, a damaged one, or one that is too large; says which.
    """
    name = checked_format(data)
    decode = DECODERS.get(name)
    if decode is None or (exif_rotation and file_is_turned(data, name)):
        return decode_with_pillow(data, name, exif_rotation)
    with refusing(f"the {name} data"):
        return decode(data)


def asks_for_rotation(data: bytes) -> bool:
    """Whether `decode_image` turns this file if, and only if, `exif_rotation` is on.

    TIFF files never do: they are always turned. Bytes that are no image ask for nothing.
    """
    name = image_format(data)
    return name not in (None, "TIFF") and file_is_turned(data, str(name))
