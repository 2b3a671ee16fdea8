"""What documents say about layers that can be told without building any: names, keys, limits.

It imports neither NumPy nor TensorFlow, so whoever only checks a list of layers starts at once. The codecs of
`sensenet.layers` take their names and limits from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

MAX_LAYERS = 10_000
MAX_NODES = 1_000_000
LINEAR_NAMES = (None, "linear", "identity")

ACTIVATION_NAMES = frozenset(
    {
        *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish"),
        *(
            "hard_tanh",
            "leaky_relu",
            "log_sigmoid",
            "log_softmax",
            "mish",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
        ),
        *("silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid"),
        *("sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold"),
    }
)
"""All but those of `LINEAR_NAMES`."""

INITIALIZER_NAMES = frozenset(
    {
        *("zeros", "ones", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform"),
        *("lecun_normal", "random_uniform", "random_normal"),
    }
)


class Width(Enum):
    """How many numbers come out of a layer that takes rows."""

    SAME = "as many as come in"
    NODES = "its nodes"
    SUM = "those of all inputs"
    PATH = "those of its first path"
    OTHER = "a matter of its own"


@dataclass(frozen=True, kw_only=True)
class RowLayer:
    """A layer type that takes rows of numbers.

    Attributes:
        width: how many numbers come out.
        required: keys that it cannot be without.
        arrays: keys of numbers, or of the name of an initializer.
        paths: keys of lists of layers.
        takes_many: whether it joins any number of inputs.
    """

    width: Width = Width.SAME
    required: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    takes_many: bool = False


def _block(*paths: str) -> RowLayer:
    return RowLayer(width=Width.PATH, required=paths, paths=paths)


_NORMALIZATION = ("gamma", "beta", "mean", "variance")
_CONVOLUTION_BLOCK = _block("convolution_path", "identity_path")

ROW_LAYERS: Mapping[str, RowLayer] = MappingProxyType(
    {
        "activation": RowLayer(required=("activation_function",)),
        "add": RowLayer(takes_many=True),
        "batch_normalization": RowLayer(required=_NORMALIZATION, arrays=_NORMALIZATION),
        "concatenate": RowLayer(width=Width.SUM, takes_many=True),
        "darknet_residual_block": _CONVOLUTION_BLOCK,
        "dense": RowLayer(width=Width.NODES, required=("weights",), arrays=("weights", "offset")),
        "dense_residual_block": _block("dense_path", "identity_path"),
        "dropout": RowLayer(required=("rate",)),
        "flatten": RowLayer(),
        "mobilenet_residual_block": _CONVOLUTION_BLOCK,
        "resnet18_block": _CONVOLUTION_BLOCK,
        "resnet_block": _CONVOLUTION_BLOCK,
        "split_channels": RowLayer(width=Width.OTHER, required=("number_of_splits", "group_index")),
        "xception_block": _block("separable_convolution_path", "single_convolution_path"),
    }
)
"""The layer types that take rows; blocks do as far as the layers in their paths do."""

IMAGE_LAYERS = frozenset(
    {
        *("average_pool_2d", "convolution_2d", "depthwise_convolution_2d", "global_average_pool_2d"),
        *("global_max_pool_2d", "max_pool_2d", "padding_2d", "separable_convolution_2d", "upsampling_2d"),
    }
)
"""The layer types that take images alone."""
