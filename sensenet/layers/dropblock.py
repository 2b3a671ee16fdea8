"""DropBlock (Ghiasi, Lin & Le 2018, arXiv 1810.12890): dropout of whole squares of an image."""

from __future__ import annotations

from typing import Any

import keras


def seed_rate(rate: float, sides: tuple[int, int], block: tuple[int, int]) -> float:
    """The probability of a block at each place where a whole one fits (the paper's equation 1, gamma).

    Args:
        rate: the share of numbers to drop, in [0, 1); blocks that overlap make it a little less.
        sides: height and width of the image.
        block: height and width of a block, at most `sides`.
    """
    gamma = rate
    for side, length in zip(sides, block, strict=True):
        gamma *= side / (length * (side - length + 1))
    return gamma


def kept_numbers(seeds: Any, block: tuple[int, int]) -> Any:
    """The mask of a drawing: 0 in every block, 1 elsewhere.

    Args:
        seeds: (rows, height - block height + 1, width - block width + 1, channels) of 0 and 1: the top left
            corners of the blocks.
        block: height and width of a block.

    Returns:
        (rows, height, width, channels), of the dtype of `seeds`.
    """
    margins = [(length - 1, length - 1) for length in block]
    spread = keras.ops.pad(seeds, [(0, 0), *margins, (0, 0)])
    return 1 - keras.ops.max_pool(spread, block, strides=1, padding="valid")


@keras.saving.register_keras_serializable("sensenet")
class DropBlock(keras.layers.Layer):
    """Sets blocks of each channel to zero in training, and scales the rest up so that the mean stays.

    Channels are masked apart, as the paper found best; the scale is one number a batch: all numbers over the kept
    ones (its algorithm 1).
    """

    def __init__(self, rate: float, block_size: int, seed: int | None = None, **kwargs: Any):
        """Take the settings.

        Args:
            rate: the share of numbers to drop, in [0, 1).
            block_size: the side of a block; one larger than the image is cut to it.
            seed: of the draws.
            **kwargs: see `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.rate, self.block_size, self.seed = rate, block_size, seed
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """(rows, height, width, channels) of the same shape and dtype; the inputs themselves in prediction."""
        if not training or self.rate == 0:
            return inputs
        rows, height, width, channels = keras.ops.shape(inputs)
        block = (min(self.block_size, height), min(self.block_size, width))
        places = (rows, height - block[0] + 1, width - block[1] + 1, channels)
        draws = keras.random.uniform(places, seed=self.seed_generator)
        gamma = seed_rate(self.rate, (height, width), block)
        kept = kept_numbers(keras.ops.cast(draws < gamma, "float32"), block)
        scaled = keras.ops.divide_no_nan(kept, keras.ops.mean(kept))
        return inputs * keras.ops.cast(scaled, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The settings, for Keras' own files."""
        settings = {"rate": self.rate, "block_size": self.block_size, "seed": self.seed}
        return {**super().get_config(), **settings}
