from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import image_documents as images
import keras
import model_documents as documents
import numpy as np
import pytest

import sensenet
from sensenet.document.model import dump_model, parse_model, shorten
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.formats.h5 import read_weights, stored_weights, write_weights
from sensenet.models.keras_model import with_weights


def small_model() -> keras.Model:
    source = keras.Input((3,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4, activation="relu")(source))
    return keras.Model(source, keras.layers.Dense(2)(keras.layers.Dropout(0.5, seed=1)(x)))


def randomised(model: keras.Model, seed: int) -> keras.Model:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in model.get_weights()])
    return model


def test_weights_survive(tmp_path: Path) -> None:
    model = randomised(small_model(), 0)
    write_weights(model, tmp_path / "w.h5")
    other = randomised(small_model(), 1)
    read_weights(other, tmp_path / "w.h5")
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_keras_itself_reads_what_we_write(tmp_path: Path) -> None:
    model = randomised(small_model(), 0)
    write_weights(model, tmp_path / "w.h5")
    other = randomised(small_model(), 1)
    other.load_weights(tmp_path / "w.h5")
    points = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model(points), other(points))


def test_the_document_of_a_model_follows_its_weights(tmp_path: Path) -> None:
    document = documents.search()
    other = sensenet.create_model(document)
    changed = randomised(other.keras_model(), 1)
    write_weights(changed, tmp_path / "w.h5")
    other.load_weights(tmp_path / "w.h5")
    again = sensenet.create_model(dump_model(other.spec))
    np.testing.assert_array_equal(again(documents.POINTS), other(documents.POINTS))
    assert abs(again(documents.POINTS) - sensenet.create_model(document)(documents.POINTS)).max() > 0.01


@pytest.mark.parametrize(
    "document", [documents.search(), images.mixed("size front kind back")], ids=["table", "images"]
)
def test_an_untrained_document_takes_the_weights_of_a_file(tmp_path: Path, document: dict[str, Any]) -> None:
    sensenet.create_model(document).save_weights(tmp_path / "w.h5")
    filled = with_weights(parse_model(shorten(document)), tmp_path / "w.h5")
    points = documents.POINTS if "networks" in document else images.POINTS
    expected = sensenet.create_model(document)(points)
    np.testing.assert_allclose(
        sensenet.create_model(dump_model(filled))(points), expected, rtol=1e-5, atol=1e-6
    )


def test_the_layout_is_the_legacy_one(tmp_path: Path) -> None:
    write_weights(small_model(), tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        layers = [name.decode() for name in file.attrs["layer_names"]]
        assert file.attrs["backend"] == "tensorflow"
        assert "top_level_model_weights" in file
        assert set(layers) <= set(file)
        names = [list(file[name].attrs["weight_names"]) for name in layers]
        assert [len(found) for found in names] == [0, 2, 4, 0, 2]
        assert file[layers[2]][names[2][0]].dtype == np.float32
        assert [name.decode().split("/")[-1] for name in names[2]] == [
            "gamma:0",
            "beta:0",
            "moving_mean:0",
            "moving_variance:0",
        ]


def test_long_lists_of_names_are_split(tmp_path: Path) -> None:
    source = x = keras.Input((1,))
    for number in range(400):
        x = keras.layers.Activation("relu", name=f"layer_{number:0200}")(x)
    model = keras.Model(source, keras.layers.Dense(1)(x))
    write_weights(model, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert "layer_names" not in file.attrs
        assert sum(len(file.attrs[f"layer_names{part}"]) for part in range(2)) == 402
    assert len(stored_weights(tmp_path / "w.h5")) == 1


def test_a_whole_saved_model_file_is_read_too(tmp_path: Path) -> None:
    model = randomised(small_model(), 0)
    write_weights(model, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as source, h5py.File(tmp_path / "whole.h5", "w") as target:
        group = target.create_group("model_weights")
        for name in source:
            source.copy(name, group)
        group.attrs["layer_names"] = source.attrs["layer_names"]
    other = randomised(small_model(), 1)
    read_weights(other, tmp_path / "whole.h5")
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def spoil(path: Path, kind: str) -> None:
    with h5py.File(path, "r+") as file:
        name = file.attrs["layer_names"][1].decode()
        weight = file[name].attrs["weight_names"][0]
        if kind == "nan":
            file[name][weight][0, 0] = np.nan
        elif kind == "shape":
            del file[name][weight]
            file[name].create_dataset(weight, data=np.zeros((9, 4)))
        elif kind == "text":
            del file[name][weight]
            file[name].create_dataset(weight, data=np.array([b"x"]))
        elif kind == "missing":
            del file[name]
        elif kind == "layer":
            file.attrs["layer_names"] = file.attrs["layer_names"][:2]


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("nan", ModelFormatError, "expected finite numbers"),
        ("shape", WeightsError, r"expected shapes \[\(3, 4\), \(4,\)\]"),
        ("text", ModelFormatError, "something else than numbers"),
        ("missing", ModelFormatError, "not a Keras HDF5 weight file"),
        ("layer", WeightsError, "expected weights of 3 layers, got those of 1"),
    ],
)
def test_spoilt_files_change_nothing(tmp_path: Path, kind: str, error: type, message: str) -> None:
    path = tmp_path / "w.h5"
    write_weights(small_model(), path)
    spoil(path, kind)
    model = randomised(small_model(), 1)
    before = model.get_weights()
    with pytest.raises(error, match=message):
        read_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n junk", b"{}"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.h5").write_bytes(content)
    with pytest.raises(ModelFormatError, match="not a Keras HDF5 weight file"):
        read_weights(small_model(), tmp_path / "w.h5")


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    model = small_model()
    write_weights(model, path)
    write_weights(model, tmp_path / "other.h5")
    with h5py.File(path, "r+") as file:
        name = file.attrs["layer_names"][1].decode()
        del file[name]
        file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), name)
    with pytest.raises(ModelFormatError, match="outside of the file"):
        read_weights(small_model(), path)


def test_networks_side_by_side_are_ordered_by_depth(tmp_path: Path) -> None:
    model: Any = sensenet.create_model(documents.search())
    model.save_weights(tmp_path / "w.h5")
    shapes = [arrays[0].shape for _, arrays in stored_weights(tmp_path / "w.h5")]
    # the deepest network first; where branches have equal depth, networks and paths in their order
    assert shapes == [(7, 4), (4, 6), (6, 4), (4, 4), (7, 3), (3,), (4, 2), (5, 2), (3, 2)]


@pytest.mark.parametrize("storage", ["external", "huge"])
def test_numbers_that_are_not_in_the_file_are_refused(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "w.h5"
    write_weights(small_model(), path)
    (tmp_path / "secret").write_bytes(b"0123456789abcdef" * 3)
    with h5py.File(path, "r+") as file:
        name = file.attrs["layer_names"][1].decode()
        weight = file[name].attrs["weight_names"][0]
        del file[name][weight]
        if storage == "external":
            options = {"shape": (3, 4), "external": str(tmp_path / "secret")}
        else:
            options = {"shape": (10**6, 10**6), "chunks": True, "compression": "gzip"}
        file[name].create_dataset(weight, dtype=np.float32, **options)
    with pytest.raises(ModelFormatError, match="is not stored in this file"):
        read_weights(small_model(), path)


# --- files that ask for more than they hold ----------------------------------------------------------------------


def hostile(path: Path, names: list[bytes] | list[str], **dataset: Any) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["layer_names"] = np.array([b"dense"])
        group = file.create_group("dense")
        data = group.create_dataset("w", **dataset)
        if data.maxshape == (None,):
            data[:] = 1
        text = None if isinstance(names[0], bytes) else h5py.string_dtype()
        group.attrs.create("weight_names", np.array(names) if text is None else names, dtype=text)
    return path


@pytest.mark.parametrize(
    ("names", "dataset", "message"),
    [
        ([b"w"] * 490_000, {"data": np.zeros(3000, np.float32)}, "at most 50000 names"),
        ([b"w"] * 40_000, {"data": np.zeros(3000, np.float32)}, "more data than the .* bytes of the file"),
        ([b"w"] * 60_000, {"data": np.zeros(0, np.float32)}, "at most 50000 names"),
        (
            [b"w"],
            {"shape": (9,), "maxshape": (None,), "chunks": (1 << 24,), "dtype": "f4", "compression": "gzip"},
            "not stored in this file",
        ),
        (["w" * 1_000_000, *["w"] * 3000], {"data": np.zeros(3, np.float32)}, "names are longer than"),
    ],
    ids=["names", "bytes", "nothing", "chunk", "texts"],
)
def test_no_more_is_read_than_a_file_holds(
    tmp_path: Path, names: Any, dataset: dict[str, Any], message: str
) -> None:
    path = hostile(tmp_path / "weights.h5", names, **dataset)
    with pytest.raises(ModelFormatError, match=message):
        stored_weights(path)


def test_names_of_any_length_are_read_beside_any_weights(tmp_path: Path) -> None:
    path = hostile(tmp_path / "weights.h5", ["w"], data=np.ones(3_000_000, np.float32))
    with h5py.File(path, "a") as file:
        file.attrs.create("layer_names", ["dense"] + ["empty"] * 500, dtype=h5py.string_dtype())
        file.create_group("empty").attrs.create("weight_names", [], shape=(0,), dtype=h5py.string_dtype())
    ((name, (array,)),) = stored_weights(path)
    assert (name, array.shape) == ("dense", (3_000_000,))


def test_what_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(ModelFormatError, match=r"pipe\.h5: .*it is a FIFO, expected a regular file"):
        stored_weights(tmp_path / "pipe.h5")
    with pytest.raises(ModelFormatError, match="null"):
        stored_weights("a\0b.h5")
