"""The optimiser steps of image networks: batches made ahead, one compiled call a step.

Convolutions are the processor library's (oneDNN), which XLA does not use: it is ten times slower on them. Only the
update of the parameters, which walks through several long vectors, is left to XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pyramid.fields.boxes import NO_BOX
from pyramid.images.augment import Augmentations, augment, augment_with_boxes
from pyramid.images.store import ImageStore
from pyramid.train.dataset import Dataset
from pyramid.train.loop import FlatNetwork, State, Steps, make_step
from pyramid.train.losses import Loss, Outputs
from pyramid.train.optimizers import Optimizer
from pyramid.train.prefetch import Prefetcher
from pyramid.train.sampling import Rows, Sampler
from pyramid.train.traced import traced_once
from sensenet.network import Network

PREDICTED_PIXELS = 16 * 224 * 224
"""So many pixels are predicted at once at most: the maps of a large network take a thousand bytes for each."""

AVERAGE_DECAY = 0.99
AVERAGE_RAMP = 9.0
"""The mean of weights forgets a hundredth a step, and in the first hundreds as much as their number asks for."""

Batch = Rows
"""`Rows` whose inputs are (batch, height, width, 3) uint8 pixels."""


Change = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(pixels, targets, step) -> both, augmented."""

Answer = Callable[[tf.Tensor, Outputs], Any]
"""(targets, outputs) -> what an objective's `evaluate` takes: tensors whose first axis is the images'."""


def predictions(targets: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """What a network says, whatever is true."""
    return outputs.predictions


@dataclass(frozen=True)
class ImageTask:
    """What some phase of a training trains, and from what pixels.

    Attributes:
        network: the weights that are trained.
        prepare: uint8 pixels -> what `network` takes, float32: normalised pixels, or the features of a frozen network.
        loss: of a batch.
        answer: what is judged of its outputs.
        averaged: whether the mean of the last steps' weights is judged and kept, not those of the last step.
        longest_gradient: longer ones are made as long; None is no limit.
    """

    network: FlatNetwork
    prepare: Callable[[tf.Tensor], tf.Tensor]
    loss: Loss
    answer: Answer = predictions
    averaged: bool = False
    longest_gradient: float | None = None


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
    positions: np.ndarray,
    targets: np.ndarray,
    row_weights: np.ndarray | None,
    sampler: Sampler,
    change: Change | None,
) -> Callable[[int], Batch]:
    """The function from the number of a step to its batch; it depends on nothing else.

    Args:
        positions: (rows,) of the training rows' images in `store`.
        targets: (rows, ...) float32, as they are learnt.
        row_weights: (rows,) float32, or None.
        sampler: draws one step's rows.
        change: augments a batch; None leaves it as it is.
    """
    draw = traced_once(tf.function(lambda step: sampler(step).rows[0], autograph=False))
    changed = None if change is None else traced_once(tf.function(change, autograph=False))

    def make(step: int) -> Batch:
        rows = draw(tf.constant(step, tf.int64)).numpy()
        pixels, learnt = tf.constant(store.pixels(positions[rows])), tf.constant(targets[rows])
        if changed is not None:
            pixels, learnt = changed(pixels, learnt, tf.constant(step, tf.int32))
        weights = None if row_weights is None else tf.constant(row_weights[rows])
        return Batch(pixels, learnt, weights)

    return make


def augmenter(augmentations: Augmentations, seed: int) -> Change | None:
    """What changes images, by the seed, the step and their place in the batch; None where nothing is chosen."""

    def change(images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # by its place in the batch: one that stands in it twice is changed in two ways
        places = tf.range(tf.shape(images)[0])
        return augment(images, tf.constant(seed), step, places, augmentations), targets

    return change if augmentations.chosen else None


def box_augmenter(augmentations: Augmentations, seed: int) -> Change | None:
    """As `augmenter`, for targets that are boxes, which follow their images."""

    def change(images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places, there = tf.range(tf.shape(images)[0]), targets[..., 4] >= 0
        images, corners, left = augment_with_boxes(
            images, targets[..., :4], there, tf.constant(seed), step, places, augmentations
        )
        classes = tf.where(left, targets[..., 4], float(NO_BOX))
        return images, tf.concat([corners, classes[..., None]], axis=-1)

    return change if augmentations.chosen else None


def compile_image_steps(
    task: ImageTask,
    batches: Prefetcher[Batch],
    optimizer: Optimizer,
    rate: Callable[[tf.Tensor], tf.Tensor],
    first_step: int,
) -> Steps[State]:
    """The function that runs optimiser steps; its outcome is the state to judge, for `compile_predict`.

    Args:
        batches: those of `first_step` and the following ones.
        rate: the learning rate at a float32 iteration, counted from 1 at `first_step`.
    """
    compiled = replace(optimizer, update=tf.function(optimizer.update, jit_compile=True, autograph=False))
    step = make_step(task.network, task.loss, compiled, rate)

    @traced_once
    @tf.function(autograph=False)
    def run(number: tf.Tensor, state: State, batch: Batch) -> tuple[State, tf.Tensor]:
        state, mean = step(number, state, batch._replace(inputs=task.prepare(batch.inputs)))
        return (_averaged(state, number) if task.averaged else state), mean

    def steps(state: State, first: int, n_steps: int) -> tuple[State, tf.Tensor, State]:
        losses = []
        if task.averaged and not state.average:
            state = state._replace(average=(state.parameters,))
        for number in range(first - first_step, first - first_step + n_steps):
            state, mean = run(tf.constant(number, tf.int64), state, batches.take())
            losses.append(mean)
        return state, tf.add_n(losses) / len(losses) if losses else tf.constant(0.0), state.judged

    return steps


def _averaged(state: State, number: tf.Tensor) -> State:
    """The state with its parameters taken into the average, whose memory grows with the steps until it is full.

    Moving statistics are means over about as many steps already: taken once more, they would lag behind.
    """
    (mean,) = state.average
    share = tf.maximum(1.0 - AVERAGE_DECAY, AVERAGE_RAMP / (AVERAGE_RAMP + 1.0 + tf.cast(number, tf.float32)))
    return state._replace(average=(mean + share * (state.parameters - mean),))


def compile_predict(task: ImageTask, store: ImageStore, rows: Dataset) -> Callable[[State], Any]:
    """The function from a state to its answers for some rows: arrays as the objective's `evaluate` takes them."""

    @tf.function(autograph=False)
    def run(
        parameters: tf.Tensor, buffers: tuple[tf.Tensor, ...], pixels: tf.Tensor, targets: tf.Tensor
    ) -> Any:
        outputs, _ = task.network.apply(parameters, buffers, task.prepare(pixels), training=False)
        return task.answer(targets, outputs)

    traced: list[Callable[..., Any]] = []

    def run_chunk(state: State, pixels: tf.Tensor, places: np.ndarray) -> Any:
        chunk = (pixels, tf.constant(rows.take(places).targets))
        if not traced:
            # for any number of images, as the last chunks may be shorter
            specs = (tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in chunk)
            traced.append(run.get_concrete_function(state.parameters, state.buffers, *specs))
        return traced[0](state.parameters, state.buffers, *chunk)

    def predict(state: State) -> Any:
        chunks = in_chunks(partial(run_chunk, state), store, rows.inputs)
        return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *chunks)

    return predict


def in_chunks(
    function: Callable[[tf.Tensor, np.ndarray], Any], store: ImageStore, positions: np.ndarray
) -> Iterator[Any]:
    """What a function gives of the images at some positions, chunk after chunk; the next is read meanwhile.

    Args:
        function: of (n, height, width, 3) uint8 pixels and the places of their positions; gives tensors.

    Yields:
        Arrays.
    """
    most = max(1, PREDICTED_PIXELS // (store.loader.height * store.loader.width))
    chunks = np.array_split(np.arange(len(positions)), -(-len(positions) // most))

    def read(number: int) -> tf.Tensor:
        return tf.constant(store.pixels(positions[chunks[number]]))

    with Prefetcher(read, 1, stop=len(chunks)) as pixels:
        for places in chunks:
            yield tf.nest.map_structure(lambda tensor: tensor.numpy(), function(pixels.take(), places))
