"""What makes a SavedModel of ours a model for Keras 2, which the published package opens bundles with.

Keras 2 looks for a file `keras_metadata.pb` that says which of the SavedModel's objects are models, and for a
function `keras_api.call_and_return_conditional_losses` in each. The file is a protocol buffer, `SavedMetadata` of
tf-keras: a list of nodes {3: path, 4: identifier, 5: JSON, 6: version}; TensorFlow does not bring that type along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import tensorflow as tf

IMAGE_RANK = 4
METADATA_FILE = "keras_metadata.pb"
MODEL_IDENTIFIER = b"_tf_keras_model"
VERSION = b"\x08\x02\x10\x01"  # producer 2, min_consumer 1
METADATA: dict[str, Any] = {
    "name": "deepnet",
    "class_name": "Deepnet",
    "config": {},
    "dtype": "float32",
    "batch_input_shape": None,
    "trainable": True,
    "expects_training_arg": False,
    "is_graph_network": False,
    "must_restore_from_config": False,
}


def keras_api(function: Any, outputs: Sequence[str] | None = None) -> tf.Module:
    """What Keras 2 calls: an object for a model's attribute `keras_api`.

    Args:
        function: a concrete function, or loaded signature, of float32 tensors that gives a dict of tensors. The
            published package passes its inputs as one tensor, or by name as one dict where there are several; images
            (of rank 4 and more) as uint8.
        outputs: their names, in the order that Keras 2 gives them in; None for a function with one output.
    """
    positional, named = function.structured_input_signature
    specs = {spec.name: _passed(spec) for spec in [*positional, *named.values()]}

    def call(inputs: Any) -> tuple[Any, list[Any]]:
        passed = inputs if isinstance(inputs, dict) else dict.fromkeys(specs, inputs)
        tensors = {name: tf.cast(passed[name], tf.float32) for name in specs}
        given = function(*tensors.values()) if positional else function(**tensors)
        return tuple(given[name] for name in outputs) if outputs else next(iter(given.values())), []

    api = tf.Module()
    signature = [specs if len(specs) > 1 else next(iter(specs.values()))]
    api.call_and_return_conditional_losses = tf.function(call, input_signature=signature, autograph=False)
    return api


def _passed(spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec(
        spec.shape, tf.uint8 if spec.shape.rank >= IMAGE_RANK else spec.dtype, name=spec.name
    )


def encoded_metadata() -> bytes:
    """The content of `METADATA_FILE` that declares the root object of a SavedModel a Keras model."""
    texts = {3: b"root", 4: MODEL_IDENTIFIER, 5: orjson.dumps(METADATA), 6: VERSION}
    return _field(1, b"".join(_field(number, content) for number, content in texts.items()))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
