"""The optimiser steps of image networks: batches made ahead, one compiled call a step.

Convolutions are the processor library's (oneDNN), which XLA does not use: it is ten times slower on them. Only the
update of the parameters, which walks through several long vectors, is left to XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from pyramid.images.augment import Augmentations, augment
from pyramid.images.store import ImageStore
from pyramid.train.dataset import Dataset
from pyramid.train.loop import FlatNetwork, State, Steps, make_step
from pyramid.train.losses import Loss
from pyramid.train.optimizers import Optimizer
from pyramid.train.prefetch import Prefetcher
from pyramid.train.sampling import Rows, Sampler
from pyramid.train.traced import traced_once
from sensenet.network import Network

PREDICTED_IMAGES = 64

Batch = Rows
"""`Rows` whose inputs are (batch, height, width, 3) uint8 pixels."""


@dataclass(frozen=True)
class ImageTask:
    """What some phase of a training trains, and from what pixels.

    Attributes:
        network: the weights that are trained.
        prepare: uint8 pixels -> what `network` takes, float32: normalised pixels, or the features of a frozen network.
    """

    network: FlatNetwork
    prepare: Callable[[tf.Tensor], tf.Tensor]


def joined(image: Network, readout: Network) -> Network:
    """The readout on the image network as one network that shares their weights."""
    source = keras.Input(image.model.input_shape[1:], dtype="float32")
    features = image.model(source)
    return Network(
        layers=(*image.layers, *readout.layers),
        model=keras.Model(source, readout.model(features)),
        logits_model=keras.Model(source, readout.logits_model(features)),
        final_activation=readout.final_activation,
        parts=(*image.parts, *readout.parts),
    )


def batch_maker(
    store: ImageStore,
    dataset: Dataset,
    row_weights: np.ndarray | None,
    sampler: Sampler,
    augmentations: Augmentations,
    augmentation_seed: int,
) -> Callable[[int], Batch]:
    """The function from the number of a step to its batch; it depends on nothing else.

    Args:
        dataset: training rows, their inputs positions in `store`, their targets as they are learnt.
        row_weights: (rows,) float32, or None.
        sampler: draws one step's rows.
        augmentation_seed: each image is augmented as this seed, the step and its place in the batch say.
    """
    draw = traced_once(tf.function(lambda step: sampler(step).rows[0], autograph=False))

    @traced_once
    @tf.function(autograph=False)
    def change(images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        # by its place in the batch: one that stands in it twice is changed in two ways
        places = tf.range(tf.shape(images)[0])
        return augment(images, tf.constant(augmentation_seed), step, places, augmentations)

    def make(step: int) -> Batch:
        rows = draw(tf.constant(step, tf.int64)).numpy()
        positions = dataset.inputs[rows]
        pixels = tf.constant(store.pixels(positions))
        if augmentations.chosen:
            pixels = change(pixels, tf.constant(step, tf.int32))
        weights = None if row_weights is None else tf.constant(row_weights[rows])
        return Batch(pixels, tf.constant(dataset.targets[rows]), weights)

    return make


def compile_image_steps(
    task: ImageTask,
    batches: Prefetcher[Batch],
    loss: Loss,
    optimizer: Optimizer,
    rate: Callable[[tf.Tensor], tf.Tensor],
    first_step: int,
) -> Steps[State]:
    """The function that runs optimiser steps; its outcome is the state itself, for `compile_predict`.

    Args:
        batches: those of `first_step` and the following ones.
        rate: the learning rate at a float32 iteration, counted from 1 at `first_step`.
    """
    compiled = replace(optimizer, update=tf.function(optimizer.update, jit_compile=True, autograph=False))
    step = make_step(task.network, loss, compiled, rate)

    @traced_once
    @tf.function(autograph=False)
    def run(number: tf.Tensor, state: State, batch: Batch) -> tuple[State, tf.Tensor]:
        return step(number, state, batch._replace(inputs=task.prepare(batch.inputs)))

    def steps(state: State, first: int, n_steps: int) -> tuple[State, tf.Tensor, State]:
        losses = []
        for number in range(first - first_step, first - first_step + n_steps):
            state, mean = run(tf.constant(number, tf.int64), state, batches.take())
            losses.append(mean)
        return state, tf.add_n(losses) / len(losses) if losses else tf.constant(0.0), state

    return steps


def compile_predict(
    task: ImageTask, store: ImageStore, positions: np.ndarray
) -> Callable[[State], np.ndarray]:
    """The function from a state to its predictions for the images at `positions`, (images, outputs) float32."""

    @tf.function(autograph=False)
    def run(parameters: tf.Tensor, buffers: tuple[tf.Tensor, ...], pixels: tf.Tensor) -> tf.Tensor:
        inputs = task.prepare(pixels)
        return task.network.apply(parameters, buffers, inputs, training=False)[0].predictions

    traced: list[Callable[..., tf.Tensor]] = []

    def run_chunk(state: State, pixels: tf.Tensor) -> tf.Tensor:
        if not traced:
            # for any number of images, as the last chunks may be shorter
            chunk = tf.TensorSpec((None, *pixels.shape[1:]), pixels.dtype)
            traced.append(run.get_concrete_function(state.parameters, state.buffers, chunk))
        return traced[0](state.parameters, state.buffers, pixels)

    def predict(state: State) -> np.ndarray:
        chunks = in_chunks(lambda pixels: run_chunk(state, pixels), store, positions)
        return np.concatenate(list(chunks))

    return predict


def in_chunks(
    function: Callable[[tf.Tensor], tf.Tensor], store: ImageStore, positions: np.ndarray
) -> Iterator[np.ndarray]:
    """What a function of (n, height, width, 3) uint8 pixels gives, chunk after chunk; the next is read meanwhile."""
    chunks = np.array_split(positions, -(-len(positions) // PREDICTED_IMAGES))
    with Prefetcher(lambda number: tf.constant(store.pixels(chunks[number])), 1, stop=len(chunks)) as pixels:
        for _ in chunks:
            yield function(pixels.take()).numpy()
