from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf

import sensenet
from sensenet.errors import SettingsError
from sensenet.formats.tfjs.files import SHARD_BYTES, model_files, shard_names
from sensenet.formats.tfjs.operations import OPERATIONS, REASONS


def concrete(function: Any, *specs: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=specs, autograph=False).get_concrete_function()


def parsed(files: dict[str, bytes]) -> dict[str, Any]:
    return json.loads(files["model.json"])


def test_a_directory_has_a_document_and_its_weights(tmp_path: Path) -> None:
    model = sensenet.create_model(documents.classifier())
    model.save_tfjs(tmp_path / "model")
    document = json.loads((tmp_path / "model" / "model.json").read_text())
    assert document["format"] == "graph-model"
    assert list(document["signature"]["inputs"]) == ["numeric_inputs"]
    assert document["signature"]["outputs"]["output"]["tensorShape"] == {
        "dim": [{"size": "-1"}, {"size": "3"}]
    }
    facts = document["userDefinedMetadata"]["sensenet"]
    assert facts["classes"] == list(model.classes)
    assert [field["name"] for field in facts["fields"]] == ["size", "kind", None]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        *shard_names(document),
        "model.json",
    ]


def test_weights_lie_end_to_end_in_shards_of_four_megabytes() -> None:
    large = np.arange(SHARD_BYTES // 2, dtype=np.float32)
    function = concrete(lambda x: {"y": x * tf.constant(large)}, tf.TensorSpec((len(large),), name="x"))
    files = model_files(function, {})
    document = parsed(files)
    (group,) = document["weightsManifest"]
    assert group["paths"] == [f"group1-shard{i}of2.bin" for i in (1, 2)]
    assert [len(files[name]) for name in group["paths"]] == [SHARD_BYTES, SHARD_BYTES]
    (entry,) = group["weights"]
    assert entry["shape"] == [len(large)]
    np.testing.assert_array_equal(
        np.frombuffer(b"".join(files[name] for name in group["paths"]), np.float32), large
    )
    values = [n["attr"]["value"]["tensor"] for n in document["modelTopology"]["node"] if n["op"] == "Const"]
    assert all("tensorContent" not in value for value in values)


def test_wide_types_are_narrowed_and_each_output_stands_for_itself() -> None:
    def function(x: tf.Tensor) -> dict[str, tf.Tensor]:
        wide = tf.cast(x, tf.float64) * np.pi
        return {"b": wide, "a": wide, "n": tf.argmax(x, axis=0) + (1 << 40)}

    document = parsed(model_files(concrete(function, tf.TensorSpec((3,), name="x")), {}))
    outputs = document["signature"]["outputs"]
    assert {name: one["dtype"] for name, one in outputs.items()} == {
        "a": "DT_FLOAT",
        "b": "DT_FLOAT",
        "n": "DT_INT32",
    }
    assert len({one["name"] for one in outputs.values()}) == 3
    assert document["userDefinedMetadata"]["structuredOutputKeys"] == ["a", "b", "n"]
    assert not {"DT_INT64", "DT_DOUBLE"} & set(json.dumps(document).replace('"', " ").split())
    types = {entry["dtype"] for entry in document["weightsManifest"][0]["weights"]}
    assert types <= {"float32", "int32"}


def test_what_only_tensorflow_reads_is_left_out() -> None:
    def function(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.print(x)]):
            return {"y": tf.ensure_shape(x, (None, 2)) + 1}

    nodes = parsed(model_files(concrete(function, tf.TensorSpec((None, 2), name="x")), {}))["modelTopology"][
        "node"
    ]
    assert {node["op"] for node in nodes} <= {"Placeholder", "Const", "Identity", "AddV2"}
    assert not any(name.startswith("^") for node in nodes for name in node.get("input", []))


def grouped(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(x, np.ones((1, 1, 2, 4), np.float32), 1, "SAME")


REFUSED = {
    "sparsemax": (tf.cumsum, r"Cumsum \(it takes a last axis that is given as -1 for another one\)"),
    "area": (lambda x: tf.image.resize(x, (3, 3), "area"), r"ResizeArea \(it resizes bilinearly"),
    "unknown": (tf.math.lgamma, "needs: Lgamma"),
    "two": (lambda x: tf.math.lgamma(tf.math.digamma(x)), "needs: Digamma; Lgamma"),
    "grouped convolution": (grouped, "no grouped convolution: .*Conv2D takes 2 channels at a time of 4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tensorflow_js_lacks_is_refused_by_name(name: str) -> None:
    operation, message = REFUSED[name]
    function = concrete(lambda x: {"y": operation(x)}, tf.TensorSpec((1, 6, 6, 4), name="x"))
    with pytest.raises(SettingsError, match=message):
        model_files(function, {})


def test_reasons_are_given_for_what_is_refused_only() -> None:
    assert not set(REASONS) & OPERATIONS


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    layers = [documents.dense(5, 3, "sparsemax")]
    model = sensenet.create_model(documents.classifier(layers=layers))
    with pytest.raises(SettingsError, match="Cumsum"):
        model.save_bundle(tmp_path / "model", tfjs_path=tmp_path / "js")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("document", [documents.classifier, images.bright_detector])
def test_a_bundle_is_accompanied_by_a_javascript_copy(tmp_path: Path, document: Any) -> None:
    sensenet.create_model(document()).save_bundle(tmp_path / "model", tfjs_path=tmp_path / "js")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["js", "model.smbundle"]
    assert (tmp_path / "js" / "model.json").is_file()


def test_a_model_is_written_again_in_place_of_an_older_one_and_of_nothing_else(tmp_path: Path) -> None:
    model = sensenet.create_model(documents.classifier())
    (tmp_path / "model").mkdir()
    model.save_tfjs(tmp_path / "model")
    (tmp_path / "model" / "group1-shard9of9.bin").write_bytes(b"of an older one")
    model.save_tfjs(tmp_path / "model")
    assert not (tmp_path / "model" / "group1-shard9of9.bin").exists()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_bytes(b"1")
    (tmp_path / "file").write_bytes(b"1")
    for name, reason in (("photos", "which has model.json"), ("file", "there is something else")):
        with pytest.raises(OSError, match=reason):
            model.save_tfjs(tmp_path / name)
    assert (tmp_path / "photos" / "me.png").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model", "photos"]
