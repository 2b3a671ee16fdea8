from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import model_documents as documents
import numpy as np
import pytest

import sensenet
from sensenet.document.model import dump_model, dumps, parse_model, shorten
from sensenet.errors import ModelFormatError, SettingsError, WeightsError
from sensenet.formats import FORMATS
from sensenet.layers import to_legacy
from sensenet.models.predict.tables import compile_model, initialize_model

MODELS = {
    "classifier": documents.classifier(),
    "regression": documents.regression(),
    "search": documents.search(),
    "trees": documents.regression(
        layers=[documents.dense(documents.COLUMNS + documents.TREE_OUTPUTS, 1)], trees=documents.FOREST
    ),
    "repeated": documents.repeated([3, 1, 2]),
}


def written(model: Any, directory: Path) -> Any:
    """The model through a document file, its bundle, and its weights beside its short document."""
    document, bundle, weights = directory / "model.json", directory / "model", directory / "model.h5"
    document.write_bytes(dumps(model))
    made = sensenet.create_model(document)
    yield "json", made
    yield "bundle", sensenet.create_model(made.save_bundle(bundle))
    made.save_weights(weights)
    short = sensenet.create_model(json.loads(dumps(shorten(model))))
    short.load_weights(weights)
    yield "h5", short
    yield "dumped", sensenet.create_model(json.loads(dumps(dump_model(parse_model(model)))))


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_plain_numpy(name: str) -> None:
    expected = documents.reference(MODELS[name], documents.MATRIX)
    predicted = sensenet.create_model(MODELS[name])(documents.POINTS)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_every_way_of_writing_keeps_the_predictions(name: str, tmp_path: Path) -> None:
    expected = documents.reference(MODELS[name], documents.MATRIX)
    for way, model in written(MODELS[name], tmp_path):
        np.testing.assert_allclose(model(documents.POINTS), expected, rtol=1e-5, atol=1e-6, err_msg=way)


@pytest.mark.parametrize("name", MODELS)
def test_the_keras_model_predicts_the_same(name: str) -> None:
    model = sensenet.create_model(MODELS[name], {"regression_normalize": True})
    np.testing.assert_allclose(model.keras_model()(documents.MATRIX), model(documents.POINTS), atol=1e-6)


def test_equal_networks_are_computed_once() -> None:
    def products(document: dict[str, Any]) -> int:
        function = compile_model(initialize_model(parse_model(document)))
        return sum(operation.type == "MatMul" for operation in function.graph.get_operations())

    assert products(documents.repeated([3, 1, 2])) == products(documents.search())


def test_one_point_is_predicted_as_among_many() -> None:
    model = sensenet.create_model(MODELS["search"])
    single = np.concatenate([model(point) for point in documents.POINTS])
    np.testing.assert_allclose(single, model(documents.POINTS), atol=1e-6)
    assert model(documents.POINTS[0]).shape == (1, 2)


def test_many_rows_are_predicted_in_pieces_as_one() -> None:
    fields = [{"type": "numeric", "index": i, "mean": 0.0, "stdev": 1.0} for i in range(5)]
    model = sensenet.create_model(documents.classifier(preprocess=fields))
    points = np.random.default_rng(0).normal(size=(20_001, 5))
    predicted = model(points)
    assert predicted.shape == (20_001, 3)
    np.testing.assert_allclose(
        predicted[[0, 8191, 8192, 20_000]], model(points[[0, 8191, 8192, 20_000]]), atol=1e-6
    )


def test_a_numeric_output_can_stay_standardised(tmp_path: Path) -> None:
    plain = sensenet.create_model(documents.regression())
    raw = sensenet.create_model(documents.regression(), {"regression_normalize": True})
    np.testing.assert_allclose(raw(documents.POINTS) * 3 + 10, plain(documents.POINTS), rtol=1e-6)
    bundle = raw.save_bundle(tmp_path / "raw")
    np.testing.assert_allclose(
        sensenet.create_model(bundle)(documents.POINTS), raw(documents.POINTS), rtol=1e-6
    )
    turned = sensenet.create_model(bundle, {"regression_normalize": False})
    np.testing.assert_allclose(turned(documents.POINTS), plain(documents.POINTS), rtol=1e-6)


def test_a_model_tells_its_fields_and_classes() -> None:
    model = sensenet.create_model(documents.classifier())
    assert model._preprocessors == documents.FIELDS
    assert model._classes == ["yes", "no", "maybe"]
    assert sensenet.create_model(documents.regression())._classes is None


def test_a_model_tells_its_fields_and_classes_in_public(tmp_path: Path) -> None:
    made = sensenet.create_model(documents.classifier())
    for model in (made, sensenet.create_model(made.save_bundle(tmp_path / "model"))):
        assert model.classes == ("yes", "no", "maybe")
        told = [(field.name, field.type, field.index, field.values) for field in model.fields]
        assert told == [
            ("size", "numeric", 0, None),
            ("kind", "categorical", 1, ("a", "b", "c")),
            (None, "numeric", 3, None),
        ]
    assert sensenet.create_model(documents.regression()).classes is None


def resource(fields: Any, preprocess: Any) -> dict[str, Any]:
    network = documents.classifier(preprocess=preprocess)
    return {"object": {"deepnet": {"network": network, "fields": fields}}, "resource": "deepnet/1"}


def test_a_resource_names_the_fields_that_the_network_does_not(tmp_path: Path) -> None:
    nameless = [{key: value for key, value in field.items() if key != "name"} for field in documents.FIELDS]
    fields = {
        "000001": {"name": "kind", "column_number": 1, "optype": "categorical"},
        "000002": {"name": "not used", "column_number": 2},
        "000000": {"name": "size", "column_number": 0},
        "000003": {"name": "flag", "column_number": 3},
    }
    made = sensenet.create_model(resource(fields, nameless))
    (tmp_path / "again.json").write_bytes(dumps(dump_model(made.spec)))
    row = {"flag": 2.0, "kind": "a", "size": 1.5}
    models = [
        made,
        sensenet.create_model(made.save_bundle(tmp_path / "model")),
        sensenet.create_model(tmp_path / "again.json"),
    ]
    for model in models:
        assert [field.name for field in model.fields] == ["size", "kind", "flag"]
        np.testing.assert_allclose(model(row), made([1.5, "a", None, 2.0]), rtol=1e-6)
    own = sensenet.create_model(
        resource({**fields, "000000": {"name": "x", "column_number": 0}}, documents.FIELDS)
    )
    assert [field.name for field in own.fields] == ["size", "kind", "flag"]


@pytest.mark.parametrize(
    "fields", [None, [], {"a": None}, {"a": {"name": 3, "column_number": 0}}, {"a": {"name": "x"}}]
)
def test_other_fields_of_a_resource_name_nothing(fields: Any) -> None:
    model = sensenet.create_model(resource(fields, documents.FIELDS[:2] + documents.FIELDS[2:]))
    assert [field.name for field in model.fields] == ["size", "kind", None]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: {"network": model},
        lambda model: {"deepnet": {"network": model, "network_structure": {"layers": []}}},
        lambda model: {"object": {"deepnet": {"network": model}}, "resource": "deepnet/1"},
        lambda model: {"model": model, "validation": []},
    ],
)
def test_the_network_is_found_in_a_resource(wrap: Any) -> None:
    model = sensenet.create_model(wrap(documents.classifier()))
    assert model([1.5, "a", None, 2.0]).shape == (1, 3)


def test_no_network_is_an_error_that_lists_the_keys() -> None:
    with pytest.raises(ModelFormatError, match=r"deepnet: expected a network.*the keys are name, status"):
        sensenet.create_model({"deepnet": {"status": 1, "name": "x"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preprocess": []}, "preprocess: expected at least one field"),
        ({"preprocess": [{"type": "numeric", "index": 0}]}, r'preprocess\[0\]: "mean" is missing'),
        ({"preprocess": [{"type": "text", "index": 0}]}, r"preprocess\[0\].type: expected"),
        ({"preprocess": [*documents.FIELDS, {"type": "image", "index": 4}]}, "field 4: an image field needs"),
        ({"image_network": {"layers": []}}, 'image_network: "metadata" is missing'),
        ({"output_exposition": None}, '"output_exposition" is missing'),
        (
            {"output_exposition": {"type": "categorical", "values": ["a", "b"]}},
            r"layers\[3\]: expected 2 outputs",
        ),
        ({"trees": [[[0, 9], [[0, 0.5, [[1.0], None], [[2.0], None]]]]]}, r"layers\[0\].weights: expected"),
        ({"trees": 3}, "trees: expected a list"),
        ({"layers": None, "networks": []}, "networks: expected at least one network"),
        ({"layers": []}, "layers: expected at least one layer"),
        ({"networks": [{"layers": [], "trees": 1}]}, r"networks\[0\].trees: expected true or false, got 1"),
    ],
)
def test_a_document_that_cannot_be_run_says_where(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        sensenet.create_model(documents.classifier(**change))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.json", b"", "not valid JSON"),
        ("list.json", b"[1]", "document: expected an object"),
        ("cut.json.gz", gzip.compress(b'{"layers": []}' * 99, mtime=0)[:-20], "not a whole gzip file"),
        ("junk.smbundle", b"PK\x03\x04", "not valid JSON"),
        ("cut.smbundle", b"bigml_tensorflow_saved_model_bundle", "expected a bundle"),
    ],
)
def test_a_broken_file_is_refused_by_its_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFormatError, match=message) as caught:
        sensenet.create_model(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_and_a_wrong_type_are_format_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="No such file"):
        sensenet.create_model(tmp_path / "none.json")
    with pytest.raises(ModelFormatError, match=r"expected a document \(a dict\) or a path, got 3"):
        sensenet.create_model(3)


def test_compressed_documents_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.json.gz"
    path.write_bytes(gzip.compress(dumps(documents.classifier())))
    assert sensenet.create_model(str(path))(documents.POINTS).shape == (6, 3)


@pytest.mark.parametrize("to_format", sorted(FORMATS.keys() - {"czmodel"}))  # which takes no tables
def test_convert_writes_every_format(tmp_path: Path, to_format: str) -> None:
    path = Path(sensenet.convert(documents.classifier(), None, tmp_path / f"model.{to_format}", to_format))
    assert path.stat().st_size > 1000
    assert [path] == list(tmp_path.iterdir())


def test_convert_refuses_unknown_formats_and_settings_that_come_too_late(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r'to_format: expected one of .*onnx, .*, got "onyx"'):
        sensenet.convert(documents.classifier(), None, tmp_path / "x", "onyx")
    made = sensenet.create_model(documents.regression())
    with pytest.raises(SettingsError, match="made already"):
        sensenet.convert(made, {"regression_normalize": True}, tmp_path / "x", "h5")


def test_a_bundle_has_no_layers_to_write_or_fill(tmp_path: Path) -> None:
    model = sensenet.create_model(sensenet.create_model(documents.classifier()).save_bundle(tmp_path / "m"))
    with pytest.raises(WeightsError, match="no layers"):
        model.save_weights(tmp_path / "m.h5")
    with pytest.raises(WeightsError, match="no layers"):
        model.load_weights(tmp_path / "m.h5")
    again = sensenet.create_model(model.save_bundle(tmp_path / "again.smbundle"))
    np.testing.assert_array_equal(again(documents.POINTS), model(documents.POINTS))


REGRESSION_ENTRIES = range(6)


def recorded(conformance: Path, number: int) -> dict[str, Any]:
    with gzip.open(conformance / "models" / "regression.json.gz") as file:
        return json.load(file)[number]


@pytest.mark.parametrize("number", REGRESSION_ENTRIES)
def test_recorded_models_predict_their_own_validation_points(
    conformance: Path, number: int, tmp_path: Path
) -> None:
    entry = recorded(conformance, number)
    points = [case["input"] for case in entry["validation"]]
    expected = [case["output"] for case in entry["validation"]]
    for way, model in written(entry["model"], tmp_path):
        np.testing.assert_allclose(model(points), expected, atol=1e-6, err_msg=way)


@pytest.mark.parametrize("number", REGRESSION_ENTRIES)
def test_recorded_models_predict_the_same_in_the_legacy_form(conformance: Path, number: int) -> None:
    entry = recorded(conformance, number)
    spec = parse_model(entry["model"])
    columns = spec.input_size + spec.tree_outputs
    legacy = {**entry["model"], "layers": to_legacy(spec.networks[0].layers, columns)}
    model = sensenet.create_model(json.loads(dumps(legacy)))
    points = [case["input"] for case in entry["validation"]]
    expected = [case["output"] for case in entry["validation"]]
    np.testing.assert_allclose(model(points), expected, atol=1e-6)


@pytest.mark.parametrize("number", REGRESSION_ENTRIES)
def test_missing_and_unknown_values_predict_as_recorded(conformance: Path, number: int) -> None:
    model = sensenet.create_model(recorded(conformance, number)["model"])
    entries = json.loads((conformance / "predictions.json").read_text())["regression.json.gz"]["entries"]
    (entry,) = [entry for entry in entries if entry["entry"] == number]
    for case in entry["cases"]:
        if "output" in case:  # the public package cannot predict the others
            np.testing.assert_allclose(model(case["input"])[0], case["output"], atol=1e-6)
        else:
            assert np.isfinite(model(case["input"])).all()
