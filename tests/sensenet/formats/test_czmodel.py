"""CZModels: what is in the file, the rules that models have to keep, and what other programs make of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import image_documents as images
import keras
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf

import sensenet
from sensenet.commands import savedmodel2czmodel
from sensenet.errors import ModelFormatError, SettingsError, WeightsError
from sensenet.formats.czmodel import (
    ModelMetadata,
    ModelSpec,
    RgbaToBgra,
    RgbToBgr,
    convert_from_json_spec,
    convert_from_model_spec,
)
from sensenet.formats.czmodel.segmentation import write_segmentation

CLASSES = ["Background", "Interesting <Object>", "Vordergründiges"]
PARAMS = {
    "name": "Cells & more",
    "color_handling": "SplitRgb",
    "pixel_type": "Bgr24",
    "classes": CLASSES,
    "border_size": 90,
}
JSON_SPEC = {
    "BorderSize": 90,
    "ColorHandling": "SplitRgb",
    "PixelType": "Bgr24",
    "Classes": CLASSES,
    "ModelPath": "exported",
}
PIXELS = np.random.default_rng(0).integers(0, 256, (1, 24, 20, 3)).astype(np.float32)
PLAIN_TENSORFLOW = """
import sys, numpy, tensorflow
assert not any(name.partition(".")[0] in ("sensenet", "pyramid") for name in sys.modules)
for folder in sys.argv[1:]:
    function = tensorflow.saved_model.load(folder).signatures["serving_default"]
    (output,) = function(tensorflow.constant(numpy.load(folder + "/pixels.npy"))).values()
    numpy.save(folder + "/output.npy", output.numpy())
"""


def unet(height=16, width=16, channels=3, n_classes=3, batch=None, activation="softmax"):
    """A small network whose layers fit every even height and width."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((height, width, channels), batch_size=batch)
    wide = keras.layers.Conv2D(4, 3, padding="same", activation="gelu")(
        keras.layers.Rescaling(1 / 255)(pixels)
    )
    deep = keras.layers.MaxPooling2D()(keras.layers.BatchNormalization()(wide))
    both = keras.layers.Concatenate()([wide, keras.layers.Conv2DTranspose(4, 2, strides=2)(deep)])
    return keras.Model(pixels, keras.layers.Conv2D(n_classes, 1, activation=activation)(both))


def metadata(**changed):
    return ModelMetadata.from_params(**{**PARAMS, **changed})


def converted(folder, model=None, more=None, **options):
    """The path of a CZModel of `model`."""
    spec = ModelSpec(model=model or unet(), model_metadata=metadata(**(more or {})))
    return convert_from_model_spec(
        model_spec=spec, output_path=folder / "new" / "folder", output_name="cells", **options
    )


def opened(path):
    """The entries of a CZModel, its description, and the folder of its SavedModel."""
    with zipfile.ZipFile(path) as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        entries = {name: archive.read(name) for name in archive.namelist()}
    (described,) = [name for name in entries if name.endswith(".xml")]
    folder = Path(path).with_suffix(".folder")
    with zipfile.ZipFile(io.BytesIO(entries[Path(described).stem + ".model"])) as archive:
        archive.extractall(folder)
    return entries, ElementTree.fromstring(entries[described]), folder


def predicted(pixels_of, tmp_path, python=sys.executable):
    """What plain TensorFlow, without our packages, makes of SavedModels: folder -> pixels, folder -> output."""
    for folder, pixels in pixels_of.items():
        np.save(folder / "pixels.npy", pixels)
    command = [python, "-c", PLAIN_TENSORFLOW, *pixels_of]
    unwanted = ("PYTHONPATH", "XLA_FLAGS")  # flags of today, which older versions refuse
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {folder: np.load(folder / "output.npy") for folder in pixels_of}


def check_prediction(tmp_path, python):
    """A Keras model and a model of ours, run by plain TensorFlow."""
    network = opened(converted(tmp_path, spatial_dims=(24, 20)))[2]
    ours = opened(sensenet.convert(classifier(), None, tmp_path / "model", "czmodel"))[2]
    pixels = images.picture(16, 16)[None].astype(np.float32)
    found = predicted({network: PIXELS, ours: pixels}, tmp_path, python)
    np.testing.assert_allclose(found[network], unet().call(PIXELS).numpy(), atol=1e-5)
    np.testing.assert_allclose(found[ours], served(ours, pixels), atol=1e-5)


def test_tensorflow_alone_predicts_with_it(tmp_path):
    check_prediction(tmp_path, sys.executable)


def served(folder, pixels):
    function = tf.saved_model.load(folder).signatures["serving_default"]
    (output,) = function(tf.constant(pixels)).values()
    return output.numpy()


def test_a_keras_model_becomes_an_archive_of_description_model_id_and_licence(tmp_path):
    licence = tmp_path / "LICENSE.txt"
    licence.write_text("as you like")
    path = converted(tmp_path, more={"license_file": str(licence)}, spatial_dims=(24, 20))
    assert path == str(tmp_path / "new" / "folder" / "cells.czmodel")
    entries, root, folder = opened(path)
    model_id = root.findtext("Id")
    assert list(entries) == [f"{model_id}.xml", f"{model_id}.model", "LICENSE.txt", f"modelid={model_id}"]
    assert (entries["LICENSE.txt"], entries[f"modelid={model_id}"]) == (b"as you like", b"")
    assert entries[f"{model_id}.xml"].startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    assert (root.tag, root.attrib) == ("Model", {"Version": "3.0.0"})
    assert [(child.tag, child.text) for child in root] == [
        ("Id", model_id),
        ("ModelName", "Cells & more"),
        ("Status", "Trained"),
        ("FeatureExtractor", "DeepNeuralNetwork"),
        ("Postprocessing", None),
        ("ColorHandling", "SplitRgb"),
        ("Channels", None),
        ("TrainingClasses", None),
        ("BorderSize", "90"),
    ]
    assert [item.attrib for item in root.find("Channels")] == [{"PixelType": "Bgr24"}]
    classes = list(root.find("TrainingClasses"))
    assert [(item.tag, item.get("Name"), item.get("LabelValue")) for item in classes] == [
        ("Item", name, str(label)) for label, name in enumerate(CLASSES, 1)
    ]
    colors = [tuple(int(item.get(name)) for name in ("colR", "colG", "colB")) for item in classes]
    assert len(set(colors)) == 3
    np.testing.assert_allclose(served(folder, PIXELS), unet().call(PIXELS).numpy(), atol=1e-6)


def test_the_same_model_is_the_same_description_and_another_has_another_id(tmp_path):
    keras.utils.clear_session()
    first = opened(converted(tmp_path / "a"))[1].findtext("Id")
    keras.utils.clear_session()
    assert opened(converted(tmp_path / "b"))[1].findtext("Id") == first
    assert opened(converted(tmp_path / "c", more={"border_size": 1}))[1].findtext("Id") != first


def test_red_and_blue_are_swapped_before_the_model(tmp_path):
    path = converted(tmp_path, preprocessing=RgbToBgr(), spatial_dims=(24, 20))
    expected = unet().call(PIXELS[..., ::-1]).numpy()
    np.testing.assert_allclose(served(opened(path)[2], PIXELS), expected, atol=1e-6)


def test_layers_are_put_before_the_model_in_their_order(tmp_path):
    layers = [RgbaToBgra(), keras.layers.Conv2D(3, 1, kernel_initializer="ones"), RgbToBgr()]
    path = converted(tmp_path, unet(24, 20), {"pixel_type": "Bgra32"}, preprocessing=layers)
    pixels = np.concatenate([PIXELS, PIXELS[..., :1]], axis=-1)
    first = pixels[..., [2, 1, 0, 3]]
    expected = unet().call(layers[1](first)[..., ::-1]).numpy()
    np.testing.assert_allclose(served(opened(path)[2], pixels), expected, atol=1e-6)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a SavedModel of any height and width, and its JSON file."""
    folder = tmp_path_factory.mktemp("exported")
    unet(None, None).export(folder / "exported", verbose=False)
    (folder / "spec.json").write_text(json.dumps({**JSON_SPEC, "LicenseFile": "LICENSE"}))
    (folder / "LICENSE").write_text("yours")
    return folder


def test_the_command_converts_a_savedmodel_beside_its_metadata(exported, tmp_path, capsys):
    arguments = [exported / "spec.json", tmp_path / "out", "cells", "--spatial-dims", "24", "20"]
    assert savedmodel2czmodel.main(list(map(str, arguments))) == 0
    path = tmp_path / "out" / "cells.czmodel"
    assert capsys.readouterr().out == f"{path}\n"
    entries, root, folder = opened(path)
    assert (root.findtext("ModelName"), entries["LICENSE"]) == ("cells", b"yours")
    np.testing.assert_allclose(served(folder, PIXELS), unet().call(PIXELS).numpy(), atol=1e-6)


def test_the_command_tells_what_is_wrong_in_one_line(exported, tmp_path, capsys):
    arguments = [str(exported / "spec.json"), str(tmp_path), "cells"]
    assert savedmodel2czmodel.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected an input of fixed height and width" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"BorderSize": -1}, "BorderSize: expected a whole number of pixels"),
        ({"BorderSize": 9.0}, "BorderSize: expected a whole number"),
        ({"BorderSize": True}, "BorderSize: expected a whole number"),
        ({"ColorHandling": "splitrgb"}, "ColorHandling: expected one of ConvertToMonochrome, SplitRgb"),
        ({"PixelType": "Gray24"}, 'PixelType: expected one of Gray8, Gray16, .*got "Gray24"'),
        ({"Classes": []}, "Classes: expected a list of different names"),
        ({"Classes": "cells"}, "Classes: expected a list"),
        ({"Classes": ["a", 1, "b"]}, "Classes: expected a list"),
        ({"Classes": ["a", "a"]}, "Classes: expected a list of different"),
        ({"Classes": ["a", "\u0001"]}, "Classes: expected .* without control characters"),
        ({"ModelPath": 7}, "ModelPath: expected a path"),
        ({"ModelPath": "missing"}, "missing: expected the folder of a SavedModel"),
        ({"LicenseFile": "missing"}, "license_file: .*missing: No such file"),
        ({"TestImageFile": "exported"}, "test_image_file: .*a directory"),
        ({"Borders": 9}, "no attribute 'Borders'; did you mean \"BorderSize\""),
        ({"PixelType": "Gray8", "ColorHandling": "ConvertToMonochrome"}, "expected an input of 1 channels"),
        ({"Classes": ["a", "b"]}, "expected an output of the shape"),
    ],
)
def test_json_metadata_that_break_a_rule_are_refused(exported, tmp_path, changed, message):
    path = exported / f"{tmp_path.name}.json"
    path.write_text(json.dumps({**JSON_SPEC, **changed}))
    with pytest.raises(ModelFormatError, match=message):
        convert_from_json_spec(path, tmp_path, "cells", spatial_dims=(24, 20))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("attribute", ["BorderSize", "ColorHandling", "PixelType", "Classes", "ModelPath"])
def test_missing_metadata_are_named(exported, tmp_path, attribute):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({name: value for name, value in JSON_SPEC.items() if name != attribute}))
    with pytest.raises(ModelFormatError, match=f'"{attribute}" is missing'):
        convert_from_json_spec(path, tmp_path, "cells")


@pytest.mark.parametrize("text", ["{'BorderSize': 1}", "[1]", '{"BorderSize": NaN}', ""])
def test_a_file_that_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(ModelFormatError, match=r"spec\.json: expected"):
        convert_from_json_spec(path, tmp_path, "cells")


class NewOperation(keras.layers.Layer):
    def call(self, inputs):
        return tf.raw_ops.BatchMatMulV3(x=inputs, y=tf.eye(inputs.shape[-1]), Tout=tf.float32)


def functional(*layers, shape=(16, 16, 3), batch=None):
    pixels = keras.Input(shape, batch_size=batch)
    tensor = pixels
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(pixels, tensor)


def two_outputs():
    pixels = keras.Input((16, 16, 3))
    return keras.Model(pixels, [keras.layers.Softmax()(pixels), pixels])


BROKEN = {
    "two outputs": (two_outputs, "expected one input and one output, got 1 and 2"),
    "flat input": (lambda: functional(keras.layers.Softmax(), shape=(3,)), "expected an input of the shape"),
    "batches of 2": (lambda: unet(batch=2), "batch of 1 or an open one"),
    "open size": (lambda: unet(None, None), "fixed height and width, got .*; spatial_dims gives them"),
    "gray": (lambda: unet(channels=1), "expected an input of 3 channels, as pixel_type Bgr24"),
    "smaller output": (
        lambda: functional(keras.layers.MaxPooling2D()),
        r"expected an output of the shape \[None, 16",
    ),
    "too many classes": (lambda: unet(n_classes=4), "and 3 classes; got"),
    "whole images": (
        lambda: functional(keras.layers.GlobalAveragePooling2D()),
        r"expected an output of the shape \[batch, height",
    ),
    "logits": (lambda: unet(activation=None), "expected probabilities from 0 to 1"),
    "sigmoids": (lambda: unet(activation="sigmoid"), "sum up to 1"),
    "not a number": (lambda: functional(keras.layers.Lambda(lambda x: x * np.nan)), "expected probabilities"),
    "new operations": (lambda: functional(NewOperation(), keras.layers.Softmax()), "got BatchMatMulV3"),
    "layers": (keras.layers.Softmax, "expected a keras.Model or the folder"),
    "open model": (lambda: keras.Sequential([keras.layers.Softmax()]), "whose input is known"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_models_that_break_a_rule_are_refused(tmp_path, name):
    make, message = BROKEN[name]
    with pytest.raises(ModelFormatError, match=message):
        converted(tmp_path, make())
    assert not list(tmp_path.iterdir())


def test_a_batch_of_one_stays_one(tmp_path):
    _, _, folder = opened(converted(tmp_path, unet(batch=1)))
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    (spec,) = signature.structured_input_signature[1].values()
    assert spec.shape == (1, 16, 16, 3)


def test_a_savedmodel_that_is_tied_to_its_size_says_so(tmp_path):
    unet().export(tmp_path / "exported", verbose=False)
    (tmp_path / "spec.json").write_text(json.dumps(JSON_SPEC))
    with pytest.raises(ModelFormatError, match=r"cannot take an input of the shape \[None, 24, 20, 3\]"):
        convert_from_json_spec(tmp_path / "spec.json", tmp_path, "cells", spatial_dims=(24, 20))
    assert Path(convert_from_json_spec(tmp_path / "spec.json", tmp_path, "cells")).exists()


@pytest.mark.parametrize(
    "options",
    [{"spatial_dims": (24,)}, {"spatial_dims": 24}, {"spatial_dims": (24, 0)}, {"preprocessing": "RgbToBgr"}],
)
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(SettingsError, match=next(iter(options))):
        converted(tmp_path, **options)


@pytest.mark.parametrize("name", ["", "a/b", "..", None])
def test_the_name_of_the_file_leads_nowhere_else(tmp_path, name):
    with pytest.raises(SettingsError, match="output_name"):
        convert_from_model_spec(ModelSpec(unet(), metadata()), tmp_path, name)


def classifier(**more):
    """A classifier of one image whose readout tells the places of an image apart."""
    weights = (20 * np.array(documents.numbers(images.FEATURES, 2))).tolist()
    readout = documents.dense(images.FEATURES, 2, "softmax") | {"weights": weights}
    return images.only_image(layers=[readout]) | more


def test_an_image_classifier_becomes_a_classifier_of_pixels(tmp_path):
    path = sensenet.convert(classifier(), None, tmp_path / "model", "czmodel")
    _, root, folder = opened(path)
    assert [item.get("Name") for item in root.find("TrainingClasses")] == list(images.CLASSES)
    assert root.findtext("BorderSize") == "2"
    pixels = images.picture(16, 16)[None].astype(np.float32)
    found = served(folder, pixels[..., ::-1])
    assert found.shape == (1, 16, 16, 2)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    assert found.std() > 1e-3
    # the mean of the places' logits is the logit of the image
    logits = np.log(sensenet.create_model(classifier())(pixels[0].astype(np.uint8)))
    means = np.log(found).mean(axis=(1, 2))
    np.testing.assert_allclose(means[:, 0] - means[:, 1], logits[:, 0] - logits[:, 1], atol=1e-4)


def test_the_halves_of_a_picture_get_the_classes_that_they_have_alone(tmp_path):
    model = sensenet.create_model(classifier())
    path = write_segmentation(model, tmp_path / "wide.v2", spatial_dims=(32, 64), border_size=5)
    _, root, folder = opened(path)
    assert (root.findtext("ModelName"), root.findtext("BorderSize")) == ("wide.v2", "5")
    colours = np.array([(255, 0, 0), (0, 80, 200)], np.float32)
    halves = np.repeat(np.tile(colours[None, :, None], (32, 1, 1, 1)), 32, axis=2).reshape(1, 32, 64, 3)
    found = served(folder, halves[..., ::-1])
    for colour, columns in zip(colours, (slice(12, 20), slice(44, 52)), strict=True):
        alone = served(folder, np.tile(colour[::-1], (1, 32, 64, 1)))
        np.testing.assert_allclose(found[:, 12:20, columns], alone[:, 12:20, 28:36], atol=1e-4)
    assert abs(found[0, 16, 16] - found[0, 16, 48]).max() > 0.02


def flattened():
    document = classifier()
    document["image_network"]["layers"][-1] = {"type": "flatten"}
    document["image_network"]["metadata"]["outputs"] = None
    return {**document, "layers": [documents.dense(256, 2, "softmax")]}


REFUSED = {
    "a table": (documents.classifier, "5 columns|3 fields"),
    "a number": (images.regression, "model of regression"),
    "boxes": (images.bright_detector, "model of detection"),
    "an image and more": (images.classifier, "this model has 2 fields"),
    "another readout": (lambda: classifier(layers=[documents.dense(4, 2, "sigmoid")]), "end with a softmax"),
    "a flattened map": (flattened, "in this one flatten turns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_classify_pixels_is_refused_with_the_reason(tmp_path, name):
    document, message = REFUSED[name]
    with pytest.raises(
        SettingsError, match=f"to_format: czmodel takes classifiers of images only: .*({message})"
    ):
        sensenet.convert(document(), None, tmp_path / "model", "czmodel")
    assert not list(tmp_path.iterdir())


def test_a_bundle_has_no_layers_to_make_a_classifier_of_pixels_of(tmp_path):
    bundle = sensenet.convert(classifier(), None, tmp_path / "model", "smbundle")
    with pytest.raises(WeightsError, match="has no layers"):
        sensenet.convert(bundle, None, tmp_path / "other", "czmodel")


OLD_PYTHON = os.environ.get("TENSORFLOW_2_0_PYTHON")
EXTRACT = """
import sys, pathlib
from czmodel.core.util._extract_model import extract_czseg_model
metadata, model = extract_czseg_model(sys.argv[1], pathlib.Path(sys.argv[2]))
print([one.name for one in metadata.classes], metadata.pixel_types, metadata.border_size, model.name)
"""


def test_the_package_of_the_makers_of_zen_opens_it(consumers_python, tmp_path):
    path = converted(tmp_path)
    command = [consumers_python, "-c", EXTRACT, path, tmp_path / "extracted"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    model_id = opened(path)[1].findtext("Id")
    assert done.stdout.strip() == f"{CLASSES} ['Bgr24'] 90 {model_id}.model"


@pytest.mark.skipif(
    OLD_PYTHON is None, reason="TENSORFLOW_2_0_PYTHON names no Python that has TensorFlow 2.0"
)
def test_tensorflow_2_0_predicts_with_it(tmp_path):
    check_prediction(tmp_path, OLD_PYTHON)
