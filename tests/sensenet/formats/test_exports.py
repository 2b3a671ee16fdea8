"""Each kind of model in each format: an independent program gives the numbers that the model gives."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import import_module
from pathlib import Path

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf
from exported_models import MODELS, cross_fitted
from PIL import Image
from raw_bundles import raw_bundle

import sensenet
from sensenet.errors import ModelFormatError, SettingsError, WeightsError
from sensenet.formats import FORMATS, Consumer, Format
from sensenet.formats.consumers import is_importable
from sensenet.formats.exported import exported
from sensenet.formats.receipt import TOLERANCE, check_export
from sensenet.formats.samples import sample_calls
from sensenet.models.wrappers import tflite_predict

RUN_BY_OTHERS = sorted(name for name, one in FORMATS.items() if one.consumers)
IN_THIS_PROCESS_SECONDS = 5.0
WRITTEN_BEFORE = Path(__file__).parents[2] / "written_before"
LOOPS = {
    "While",
    "StatelessWhile",
    "MapDataset",
    "TensorListReserve",
    "PartitionedCall",
    "StatefulPartitionedCall",
}


@pytest.fixture(scope="module")
def models():
    """Each of MODELS, made once."""
    return {name: make() for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def converted(models, tmp_path_factory):
    """The path of a model of MODELS in a format; each is converted once."""
    folder, paths = tmp_path_factory.mktemp("exports"), {}

    def path_of(name, to_format):
        needed = {"onnx": "tf2onnx"}.get(to_format)
        if needed and not is_importable(needed):
            pytest.skip(f"{needed}, which writes {to_format}, is not installed")
        if (name, to_format) not in paths:
            target = folder / f"{len(paths)}.{to_format}"
            paths[name, to_format] = sensenet.convert(models[name], None, target, to_format)
        return paths[name, to_format]

    return path_of


def confirmed(model, path, to_format, max_start_seconds=IN_THIS_PROCESS_SECONDS):
    receipt = check_export(model, path, to_format, max_start_seconds)
    if receipt.consumer in (None, "sensenet"):
        names = ", ".join(consumer.name for consumer in FORMATS[to_format].consumers)
        pytest.skip(f"none of {names} is installed")
    return receipt


@pytest.mark.parametrize("to_format", RUN_BY_OTHERS)
@pytest.mark.parametrize("name", MODELS)
def test_every_export_says_what_its_model_says(models, converted, name, to_format):
    receipt = confirmed(models[name], converted(name, to_format), to_format)
    assert receipt.largest_difference <= TOLERANCE, receipt
    assert not receipt.moved_boxes
    assert receipt.agrees
    assert receipt.points >= 3


@pytest.mark.parametrize("to_format", ["frozen_graph", "smbundle"])
def test_a_process_without_our_packages_confirms_a_detector(models, converted, to_format):
    receipt = check_export(models["detector"], converted("detector", to_format), to_format)
    assert receipt.consumer == "tensorflow"
    assert receipt.agrees, receipt


@pytest.mark.parametrize("to_format", [*RUN_BY_OTHERS, "h5"])
@pytest.mark.parametrize("name", ["legacy", "detector"])
def test_a_receipt_tells_of_another_model(models, converted, name, to_format):
    path = converted(name, to_format)
    other = MODELS[name]()
    keras_model = other.keras_model()
    keras_model.set_weights([weight * 0.9 for weight in keras_model.get_weights()])
    sensenet.formats.h5.write_weights(keras_model, f"{path}.other.h5")
    other.load_weights(f"{path}.other.h5")
    receipt = check_export(other, path, to_format, IN_THIS_PROCESS_SECONDS)
    if receipt.consumer is None:
        pytest.skip(f"nothing that runs {to_format} is installed")
    assert not receipt.agrees
    assert receipt.largest_difference > 1e-3


def test_a_program_that_fails_is_told_with_its_reason(models, monkeypatch):
    def fail(path, calls, max_seconds):
        raise RuntimeError(f"\nno kernel within {max_seconds} s\nsomewhere")

    stranger = Consumer("stranger", 0.0, lambda: True, fail, can_be_ended=True)
    monkeypatch.setattr(
        "sensenet.formats.receipt.FORMATS", {"other": Format(lambda *_: "", consumers=(stranger,))}
    )
    with pytest.raises(WeightsError, match=r"^path: stranger cannot run it: no kernel within 7 s$"):
        check_export(models["legacy"], "path", "other", max_seconds=7)


def alike(find):
    """Boxes as `find` gives them, all of one score."""
    return lambda points: [one._replace(scores=np.full_like(one.scores, 0.5)) for one in find(points)]


def test_a_receipt_counts_boxes_that_moved_and_not_the_order_of_equal_ones(models, monkeypatch):
    model, asked = models["detector"], []

    def run(path, calls):
        asked.extend(calls)
        found = [model.kept_boxes(list(call["image_pixel_inputs"].astype(np.uint8)))[0] for call in calls]
        return [change({name: getattr(one, name)[None] for name in one._fields}) for one in found]

    stranger = Consumer("stranger", 0.0, lambda: True, run)
    formats = {"other": Format(lambda *_: "", consumers=(stranger,), keeps_boxes=True)}
    monkeypatch.setattr("sensenet.formats.receipt.FORMATS", formats)

    def changed(found, place, by):
        boxes = found["boxes"].copy()
        boxes[0, place] += by
        return {**found, "boxes": boxes}

    monkeypatch.setattr(model, "kept_boxes", alike(model.kept_boxes))
    change = lambda found: {name: array[:, ::-1] for name, array in found.items()}  # noqa: E731
    assert check_export(model, "path", "other").moved_boxes == 0
    change = lambda found: changed(found, 0, 2)  # noqa: E731
    assert check_export(model, "path", "other").moved_boxes == len(asked) // 2
    change = lambda found: changed(found, 0, 1)  # noqa: E731
    assert check_export(model, "path", "other").moved_boxes == len(asked) // 3
    change = lambda found: {name: array[:, 1:] for name, array in found.items()}  # noqa: E731
    receipt = check_export(model, "path", "other")
    assert receipt.largest_difference == np.inf
    assert not receipt.agrees


@pytest.mark.parametrize(("from_half", "moved"), [(1e-4, False), (1e-2, True)])
@pytest.mark.parametrize("find", ["kept_boxes", "all_boxes"])
def test_a_corner_half_way_between_two_pixels_may_be_either(models, monkeypatch, find, from_half, moved):
    model = models["detector"]

    def a_pixel_beside(path, calls):
        found = [getattr(model, find)(list(call["image_pixel_inputs"].astype(np.uint8)))[0] for call in calls]
        return [
            {**{name: getattr(one, name)[None] for name in one._fields}, "boxes": one.boxes[None] + 1}
            for one in found
        ]

    def nearly_half(points):
        return [one.boxes + np.float32(0.5 - from_half) for one in model.all_boxes(points)]

    stranger = Consumer("stranger", 0.0, lambda: True, a_pixel_beside)
    formats = {"other": Format(lambda *_: "", consumers=(stranger,), keeps_boxes=find == "kept_boxes")}
    monkeypatch.setattr("sensenet.formats.receipt.FORMATS", formats)
    monkeypatch.setattr(model, "unrounded_corners", nearly_half)
    receipt = check_export(model, "path", "other")
    assert receipt.largest_difference == 0
    assert bool(receipt.moved_boxes) == moved


@pytest.mark.parametrize("name", MODELS)
def test_the_function_of_a_model_stands_alone(models, name):
    made = exported(models[name])
    definition = made.function.graph.as_graph_def()
    assert not made.function.captured_inputs
    assert not definition.library.function
    assert LOOPS.isdisjoint(node.op for node in definition.node)
    nodes = {node.name: node.op for node in definition.node}
    assert {nodes[name] for name in made.inputs} == {"Placeholder"}
    assert {nodes[name] for name in made.outputs} == {"Identity"}
    assert json.loads(json.dumps(made.facts)) == made.facts


def test_the_facts_say_what_a_consumer_needs(models):
    facts = exported(models["images and fields"]).facts
    assert facts["type"] == "classification"
    assert facts["classes"] == ["cat", "dog"]
    assert [(field["type"], field["input"], field["position"]) for field in facts["fields"]] == [
        ("numeric", "numeric_inputs", 0),
        ("image", "image_pixel_inputs", 0),
        ("categorical", "numeric_inputs", 2),
        ("image", "image_pixel_inputs", 1),
    ]
    assert facts["fields"][0]["mean"] == facts["fields"][0]["missing_value"] == 1.0
    assert facts["image"]["rescale_type"] == "crop"
    detector = exported(models["detector"]).facts
    assert detector["detection"]["threshold"] == 0.05
    assert [output["name"] for output in detector["outputs"]] == ["boxes", "classes", "scores"]
    assert exported(models["image in BGRA"]).facts["image"]["colour_order"] == "bgra"


def test_facts_come_along_in_every_format(models, converted):
    facts = json.loads(json.dumps(exported(models["detector"]).facts))
    with zipfile.ZipFile(converted("detector", "tflite")) as archive:
        assert json.loads(archive.read("facts.json")) == facts
        assert archive.read("labels.txt").decode().split() == facts["classes"]
    for to_format, file in (("savedmodel", "assets.extra/facts.json"), ("frozen_graph", "facts.json")):
        assert json.loads((Path(converted("detector", to_format)) / file).read_bytes()) == facts


def test_facts_are_metadata_of_an_onnx_file_whose_tensors_have_their_names(models, converted):
    path = converted("detector", "onnx")
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["sensenet_facts"])["classes"] == ["cat", "dog"]
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["image_pixel_inputs"]
    assert {value.name for value in model.graph.output} == {"boxes", "classes", "scores"}
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["rows", "height", "width", 3]


@pytest.mark.parametrize("to_format", ["tflite", "onnx"])
@pytest.mark.parametrize("rescale_type", ["warp", "pad", "crop"])
def test_images_of_any_size_are_rescaled_as_here(tmp_path, rescale_type, to_format):
    """Every pixel of the rescaled image shows in the prediction."""
    if to_format == "onnx" and not is_importable("tf2onnx"):
        pytest.skip("tf2onnx is not installed")
    model = sensenet.create_model(images.flat(13), {"rescale_type": rescale_type})
    path = sensenet.convert(model, None, tmp_path / "model", to_format)
    consumer = next((one for one in FORMATS[to_format].consumers if one.is_installed()), None)
    if consumer is None:
        pytest.skip(f"nothing that runs {to_format} is installed")
    rng = np.random.default_rng(0)
    sizes = [(13, 13), (1, 1), (1, 40), (200, 7), (31, 57), (480, 640), *rng.integers(2, 300, (20, 2))]
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    calls = [{"image_pixel_inputs": picture[None].astype(np.float32)} for picture in pictures]
    given = np.concatenate([answer["output"] for answer in consumer.run(path, calls)])
    expected = model([[picture] for picture in pictures])
    np.testing.assert_allclose(given, expected, rtol=TOLERANCE, atol=TOLERANCE * 255)


@pytest.mark.parametrize("to_format", ["tflite", "onnx"])
def test_numbers_are_standardised_to_the_last_bit(tmp_path, to_format):
    """The last bit decides on which side of a tree's threshold a number is; the network passes one column through."""
    if to_format == "onnx" and not is_importable("tf2onnx"):
        pytest.skip("tf2onnx is not installed")
    rng = np.random.default_rng(0)
    fields = [
        {"type": "numeric", "index": i, "mean": float(rng.normal()), "stdev": float(rng.uniform(0.1, 9))}
        for i in range(20)
    ]
    document = documents.regression(
        preprocess=fields,
        output_exposition={"type": "categorical", "values": [str(i) for i in range(20)]},
        layers=[{"type": "dense", "weights": np.eye(20).tolist(), "offset": [0.0] * 20}],
    )
    model = sensenet.create_model(document)
    path = sensenet.convert(model, None, tmp_path / "model", to_format)
    consumer = next((one for one in FORMATS[to_format].consumers if one.is_installed()), None)
    if consumer is None:
        pytest.skip(f"nothing that runs {to_format} is installed")
    values = rng.normal(0, 5, (2000, 20)).astype(np.float32)
    (answer,) = consumer.run(path, [{"numeric_inputs": values}])
    np.testing.assert_array_equal(answer["output"], model(values))


@pytest.mark.parametrize("name", ["image in BGRA", "detector"])
def test_a_savedmodel_takes_compressed_images_of_several_sizes(models, converted, name):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((30, 41), (7, 19))]
    texts = []
    for picture in pictures:
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "PNG")
        texts.append(content.getvalue())
    loaded = tf.saved_model.load(converted(name, "savedmodel"))
    found = loaded.signatures["image_bytes"](image_bytes=tf.constant(texts))
    if name == "detector":
        for kept, boxes, scores in zip(
            models[name].kept_boxes(pictures), found["boxes"], found["scores"], strict=True
        ):
            n = len(kept.scores)
            # padding looks alike everywhere: of boxes with equal scores any may be the first
            assert sorted(boxes[:n].numpy().tolist()) == sorted(kept.boxes.tolist())
            np.testing.assert_allclose(scores[:n], kept.scores, atol=TOLERANCE)
            assert not scores[n:].numpy().any()
        return
    expected = models[name]([[text] for text in texts])
    np.testing.assert_allclose(found["output"], expected, rtol=TOLERANCE)


def test_a_savedmodel_of_two_signatures_holds_the_weights_once(models, converted):
    content = (Path(converted("detector", "savedmodel")) / "saved_model.pb").read_bytes()
    largest = max(models["detector"].keras_model().get_weights(), key=np.size)
    assert content.count(largest.tobytes()) == 1
    assert content.count(b"image_bytes") >= 1


def test_tflite_predicts_an_image_file(models, converted, tmp_path):
    file = tmp_path / "picture.png"
    Image.fromarray(images.picture(33, 47)).save(file)
    boxes, scores, classes = tflite_predict(converted("detector", "tflite"), file)
    (expected,) = models["detector"].all_boxes([str(file)])
    np.testing.assert_array_equal(boxes[0], expected.boxes)
    np.testing.assert_allclose(scores[0], expected.scores, atol=TOLERANCE)
    np.testing.assert_array_equal(classes[0], expected.classes)
    (output,) = tflite_predict(converted("simple", "tflite"), file)
    np.testing.assert_allclose(output, models["simple"](str(file)), atol=TOLERANCE)
    with pytest.raises(ModelFormatError, match="one image and nothing else"):
        tflite_predict(converted("legacy", "tflite"), file)
    with pytest.raises(ModelFormatError, match="not a TFLite file that was written here"):
        tflite_predict(file, file)


def narrow_tensors(path, interpreter):
    details = interpreter(model_path=str(path)).get_tensor_details()
    return [one["name"] for one in details if one["dtype"] in (np.int8, np.float16)]


@pytest.mark.parametrize(("quantize", "share", "tolerance"), [("float16", 0.62, 1e-3), ("int8", 0.4, 0.03)])
def test_quantized_weights_are_smaller_and_say_almost_the_same(models, tmp_path, quantize, share, tolerance):
    model = models["simple"]
    full = Path(sensenet.convert(model, None, tmp_path / "full", "tflite"))
    small = Path(sensenet.convert(model, None, tmp_path / "small", "tflite", quantize=quantize))
    assert small.stat().st_size < share * full.stat().st_size
    receipt = confirmed(model, small, "tflite")
    assert 0 < receipt.largest_difference < tolerance


@pytest.mark.parametrize("quantize", ["float16", "int8"])
def test_forests_and_statistics_stay_as_they_are_where_weights_are_quantized(tmp_path, quantize):
    """Numbers beyond what float16 can hold, and 1,000 thresholds; the readout's weights are 0 and 1."""
    document = cross_fitted()
    document["preprocess"] = [{**document["preprocess"][0], "mean": 100_000.25}, *document["preprocess"][1:]]
    passes = np.eye(documents.COLUMNS + 7, 3).tolist()
    readout = {"type": "dense", "weights": passes, "offset": [0.0] * 3, "activation_function": None}
    document["networks"] = [{"layers": [readout], "trees": True}]
    model = sensenet.create_model(document)
    path = sensenet.convert(model, None, tmp_path / "model", "tflite", quantize=quantize)
    assert confirmed(model, path, "tflite").agrees
    if is_importable("ai_edge_litert"):
        interpreter = import_module("ai_edge_litert.interpreter").Interpreter
        assert all("Const" not in name for name in narrow_tensors(path, interpreter))


def test_weights_that_float16_cannot_hold_stay_as_they_are(tmp_path):
    layers = [
        documents.dense(documents.COLUMNS, 40),
        {**documents.dense(40, 1), "weights": np.full((40, 1), 70_000.0).tolist()},
    ]
    model = sensenet.create_model(documents.regression(layers=layers))
    path = sensenet.convert(model, None, tmp_path / "model", "tflite", quantize="float16")
    assert confirmed(model, path, "tflite").largest_difference < 0.1


def test_facts_that_unfold_are_not_read(models, converted, tmp_path):
    content = Path(converted("simple", "tflite")).read_bytes()
    file = tmp_path / "model.tflite"
    file.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("facts.json", json.dumps(models["simple"].facts()))
    with pytest.raises(
        ModelFormatError, match=r"not a TFLite file that was written here: facts\.json is compressed"
    ):
        tflite_predict(file, images.picture(8, 8))


@pytest.mark.parametrize(("to_format", "file"), [("tfjs", "model.json"), ("savedmodel", "saved_model.pb")])
def test_what_another_program_wrote_is_not_replaced(tmp_path, to_format, file):
    """A document may be called model.json, too, and stand among whatever else."""
    (tmp_path / file).write_text(json.dumps(documents.classifier()))
    with pytest.raises(OSError, match="expected a new or empty directory, or an earlier export"):
        sensenet.convert(documents.classifier(), None, tmp_path, to_format)
    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("to_format", ["frozen_graph", "savedmodel"])
def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path, to_format):
    model = sensenet.create_model(documents.classifier())
    target = tmp_path / "new" / "model"
    sensenet.convert(model, None, target, to_format)
    (target / "stale").write_text("from before")
    assert sensenet.convert(model, None, target, to_format) == str(target)
    assert not (target / "stale").exists()
    assert [path.name for path in target.parent.iterdir()] == ["model"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(OSError, match="expected a new or empty directory, or an earlier export"):
        sensenet.convert(model, None, tmp_path / "mine", to_format)
    with pytest.raises(OSError, match="there is something else"):
        sensenet.convert(model, None, tmp_path / "mine" / "thesis.txt", to_format)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new"]


@pytest.mark.parametrize("name", ["classifier", "image_and_number"])
def test_models_from_our_bundles_are_exported(tmp_path, name):
    model = sensenet.create_model(WRITTEN_BEFORE / f"{name}.smbundle")
    path = sensenet.convert(model, None, tmp_path / "model", "tflite")
    assert confirmed(model, path, "tflite").agrees


@pytest.mark.parametrize("document", [documents.classifier(), images.only_image(), images.bright_detector()])
def test_finished_functions_of_the_published_package_are_refused(tmp_path, document):
    model = sensenet.create_model(raw_bundle(document, tmp_path))
    with pytest.raises(
        ModelFormatError, match=r"holds one finished function.*convert the model's JSON document"
    ):
        sensenet.convert(model, None, tmp_path / "model", "tflite")


def test_samples_try_every_category_and_missing_values_and_are_drawn_from_a_seed(models):
    facts = models["windowed trees, search"].facts()
    (call,) = sample_calls(facts, seed=3)
    numbers = call.inputs["numeric_inputs"]
    assert set(numbers[:, 1]) == {-1.0, 0.0, 1.0, 2.0}
    assert np.isnan(numbers[:, 0]).any()
    assert {point[1] for point in call.points} == {None, "a", "b", "c"}
    (again,) = sample_calls(facts, seed=3)
    np.testing.assert_array_equal(again.inputs["numeric_inputs"], numbers)
    (other,) = sample_calls(facts, seed=4)
    assert not np.array_equal(other.inputs["numeric_inputs"], numbers, equal_nan=True)


def test_samples_of_fields_far_apart_and_of_many_are_bounded(monkeypatch):
    """A field may stand anywhere below 2^31, and rows as long as that fit into no memory."""
    fields = [{**documents.FIELDS[0], "index": index} for index in (0, 2**31 - 1)]
    layers = [documents.dense(2, 1)]
    facts = sensenet.create_model(documents.regression(preprocess=fields, layers=layers)).facts()
    (call,) = sample_calls(facts)
    assert all(point.keys() == {0, 2**31 - 1} for point in call.points)
    monkeypatch.setattr("sensenet.formats.samples.MAX_NUMBERS", 10)
    (call,) = sample_calls(facts)
    assert call.inputs["numeric_inputs"].shape == (5, 2)


@pytest.mark.parametrize("to_format", RUN_BY_OTHERS)
def test_numbers_of_no_category_are_none_however_large(converted, models, to_format):
    """Made integers of 32 bits, 2^32 would be 0 in one runtime, and infinity the largest in another."""
    consumer = next((one for one in reversed(FORMATS[to_format].consumers) if one.is_installed()), None)
    if consumer is None:
        pytest.skip(f"nothing that runs {to_format} is installed")
    strange = [-1, 2.0**31, 2.0**32, 2.0**33 + 2048, -(2.0**32), np.inf, -np.inf, np.nan, 0.5, 1e30]
    numbers = np.zeros((len(strange), len(models["legacy"].fields)), np.float32)
    numbers[:, 1] = strange
    (answer,) = consumer.run(converted("legacy", to_format), [{"numeric_inputs": numbers}])
    expected = models["legacy"]({0: 0.0, 1: None, 3: 0.0})
    np.testing.assert_allclose(answer["output"], np.repeat(expected, len(strange), axis=0), rtol=1e-5)


def test_a_name_of_several_lines_is_one_line_of_labels(tmp_path):
    names = ["two\nlines", "old\r\nand\u2028new", "plain"]
    document = documents.classifier(output_exposition={"type": "categorical", "values": names})
    path = sensenet.convert(document, None, tmp_path / "model", "tflite")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode() == "two lines\nold and new\nplain\n"
        assert json.loads(archive.read("facts.json"))["classes"] == names


def test_weights_are_not_written_under_a_name_by_which_keras_could_not_read_them(tmp_path):
    with pytest.raises(SettingsError, match=r"output_path: .*Keras 3 .*write .*/model\.h5 instead"):
        sensenet.convert(documents.classifier(), None, tmp_path / "model.weights.h5", "h5")
    assert not list(tmp_path.iterdir())


def with_activation(name):
    layers = [documents.dense(documents.COLUMNS, 4, name), documents.dense(4, 3, "softmax")]
    return sensenet.create_model(documents.classifier(layers=layers))


@pytest.mark.parametrize("to_format", ["tflite", "onnx"])
@pytest.mark.parametrize("activation", ["gelu", "swish"])
def test_activations_that_converters_stumble_over_are_exported(tmp_path, activation, to_format):
    """The exact gelu has an operation that tf2onnx does not know, swish a gradient of its own."""
    if to_format == "onnx" and not is_importable("tf2onnx"):
        pytest.skip("tf2onnx is not installed")
    model = with_activation(activation)
    path = sensenet.convert(model, None, tmp_path / "model", to_format)
    assert confirmed(model, path, to_format).agrees


def test_operations_that_tf2onnx_leaves_as_they_are_are_named(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")
    monkeypatch.setattr("sensenet.formats.onnx._convert_erfc", lambda *_: None)
    with pytest.raises(SettingsError, match="ONNX lacks operations that this model needs: Erfc"):
        sensenet.convert(with_activation("gelu"), None, tmp_path / "model", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_converter_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sensenet.formats.onnx.is_importable", lambda module: False)
    with pytest.raises(SettingsError, match=r'pip install "pyramid\[onnx\]"'):
        sensenet.convert(documents.classifier(), None, tmp_path / "model", "onnx")
