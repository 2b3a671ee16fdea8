"""A program for a Python of tf-keras 2.16 that has nothing of ours: `python keras_2_networks.py DIRECTORY`.

Builds networks as people write them down in Keras 2, fills each from `NAME.h5` by position, and writes into `NAME.npz`
what it makes of `NAME.npy`, numbers or pixels as the network takes them.
"""

import sys
from pathlib import Path

import numpy as np
import tf_keras as keras
from tf_keras import layers


def table():
    columns = keras.Input((5,))
    hidden = layers.BatchNormalization()(layers.Dense(4, activation="tanh")(columns))
    return keras.Model(columns, layers.Dense(1)(hidden))


def simple():
    pixels = x = keras.Input((32, 32, 3))
    for filters in (32, 64, 128):
        x = x if x is pixels else layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
    return keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x)))


def mobilenetv2():
    return keras.applications.MobileNetV2((64, 64, 3), weights=None, classes=3)


def convolution(x, filters, size, **options):
    given = layers.Conv2D(filters, size, use_bias=False, **{"padding": "same", **options})(x)
    return layers.LeakyReLU(0.1)(layers.BatchNormalization()(given))


def tinyyolov4():
    pixels = x = keras.Input((64, 64, 3))
    for filters in (32, 64):
        padded = layers.ZeroPadding2D(((1, 0), (1, 0)))(x)
        x = convolution(padded, filters, 3, strides=2, padding="valid")
    for filters in (64, 128, 256):
        first = convolution(x, filters, 3)
        half = layers.Lambda(lambda maps, n=filters // 2: maps[..., n:])(first)
        inner = convolution(half, filters // 2, 3)
        both = layers.Concatenate()([convolution(inner, filters // 2, 3), inner])
        lateral = convolution(both, filters, 1)
        x = layers.MaxPooling2D(2)(layers.Concatenate()([first, lateral]))
    large = convolution(convolution(x, 512, 3), 256, 1)
    larger = layers.UpSampling2D(2, interpolation="bilinear")(convolution(large, 128, 1))
    medium = layers.Concatenate()([larger, lateral])
    heads = [convolution(medium, 256, 3), convolution(large, 512, 3)]
    return keras.Model(pixels, [layers.Conv2D(3 * (5 + 2), 1)(head) for head in heads])


if __name__ == "__main__":
    assert keras.__version__.startswith("2.16."), keras.__version__
    directory = Path(sys.argv[1])
    for build in (table, simple, mobilenetv2, tinyyolov4):
        model = build()
        model.load_weights(str(directory / f"{build.__name__}.h5"))
        outputs = model(np.load(directory / f"{build.__name__}.npy"))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        np.savez(directory / f"{build.__name__}.npz", *[output.numpy() for output in outputs])
