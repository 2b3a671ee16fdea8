"""Weight files of ours in Keras 2, in networks that were built there, without our packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
from exported_models import simple

import sensenet
from sensenet.formats.h5 import write_weights
from sensenet.pretrained.networks import image_network

PROGRAM = Path(__file__).parents[1] / "keras_2_networks.py"
TOLERANCE = 1e-5


def pretrained_type():
    """A classifier of a published topology, depthwise convolutions among its layers."""
    return simple() | {"image_network": image_network("mobilenetv2", width=64, height=64)}


def detector():
    network = image_network("tinyyolov4", width=64, height=64, n_classes=2)
    boxes = {"type": "bounding_box", "values": ["cat", "dog"]}
    return simple() | {"image_network": network, "layers": [], "output_exposition": boxes}


def drawn(weight, rng):
    """Offsets and statistics near those that a network begins with; kernels that keep the size of what they take."""
    if weight.ndim == 1:
        return weight * rng.uniform(0.8, 1.2, weight.shape) + rng.normal(0, 0.02, weight.shape)
    # a depthwise kernel sees one channel at a time
    seen = weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1]
    return rng.normal(0, np.sqrt(1.6 / np.prod(seen)), weight.shape)


def changed(model):
    """Keras' form of a model, with other weights."""
    rng = np.random.default_rng(0)
    network = model.keras_model()
    network.set_weights([drawn(weight, rng) for weight in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def in_keras_2(consumers_python, tmp_path_factory):
    """What Keras 2 makes of each network, and what is expected, by names: lists of arrays."""
    folder, expected = tmp_path_factory.mktemp("keras_2"), {}

    def write(name, document, points, taken, settings=None):
        model = sensenet.create_model(document, settings)
        network = changed(model)
        write_weights(network, folder / f"{name}.changed.h5")
        model.load_weights(folder / f"{name}.changed.h5")
        assert sensenet.convert(model, None, folder / f"{name}.h5", "h5") == str(folder / f"{name}.h5")
        np.save(folder / f"{name}.npy", taken.astype(np.float32))
        if document["layers"]:
            expected[name] = [model(points)]
        else:  # the maps that boxes are read off
            expected[name] = [maps.numpy() for maps in network(points)]

    write("table", documents.regression(), documents.POINTS, documents.MATRIX, {"regression_normalize": True})
    pictures = {side: np.stack([images.picture(side, side, seed) for seed in range(3)]) for side in (32, 64)}
    small, large = pictures[32].astype(np.float32), pictures[64].astype(np.float32)
    write("simple", simple(), list(pictures[32]), (small - 127.5) / 127.5)
    write("mobilenetv2", pretrained_type(), list(pictures[64]), (large - 128) / 128)
    write("tinyyolov4", detector(), large, large / 255)
    unwanted = ("PYTHONPATH", "XLA_FLAGS")  # flags of today, which older versions refuse
    done = subprocess.run(
        [consumers_python, "-P", PROGRAM, folder],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in unwanted},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return {
        name: (list(np.load(folder / f"{name}.npz").values()), arrays) for name, arrays in expected.items()
    }


@pytest.mark.parametrize("name", ["table", "simple", "mobilenetv2", "tinyyolov4"])
def test_networks_of_keras_2_take_our_weights_by_position(in_keras_2, name):
    given, expected = in_keras_2[name]
    assert len(given) == len(expected)
    for theirs, ours in zip(given, expected, strict=True):
        assert np.ptp(ours, axis=0).max() > 1e-3, "outputs that differ between points"
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=TOLERANCE)
