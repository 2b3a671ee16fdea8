from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import model_documents as documents
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sensenet
from sensenet.errors import ModelFormatError, SensenetError
from sensenet.formats.smbundle.container import MAGIC, read_bundle, write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "model.smbundle"
    sensenet.create_model(documents.search()).save_bundle(path)
    return path


def packed(header: Any, content: bytes = b"") -> bytes:
    encoded = json.dumps(header).encode()
    units = -(-len(encoded) // 1024)
    return MAGIC + bytes([units]) + encoded.ljust(units * 1024) + content


def files_below(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_folder_survives_packing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name, content in {"a.txt": b"a", "deep/er/b": b"", "deep/c": bytes(range(256)) * 5000}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    path = write_bundle(folder)
    assert path == str(folder) + ".smbundle"
    assert files_below(Path(read_bundle(path, tmp_path / "copy"))) == files_below(folder)
    (tmp_path / "moved").mkdir()
    moved = Path(path).rename(tmp_path / "moved" / "other.smbundle")
    assert read_bundle(moved) == str(tmp_path / "moved" / "other")
    assert files_below(tmp_path / "moved" / "other") == files_below(folder)


def test_the_layout_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "m" / "assets").mkdir(parents=True)
    (tmp_path / "m" / "z.pb").write_bytes(b"zz")
    (tmp_path / "m" / "assets" / "settings.json").write_bytes(b"{}")
    content = Path(write_bundle(tmp_path / "m")).read_bytes()
    header = [[".", ["assets"], [["z.pb", 2]]], ["assets", [], [["settings.json", 2]]]]
    start = len(MAGIC) + 1
    assert content[: len(MAGIC)] == b"bigml_tensorflow_saved_model_bundle"
    assert content[len(MAGIC)] == 1
    assert json.loads(content[start : start + 1024]) == header
    assert content[start + 1024 :] == b"zz{}"


@pytest.mark.parametrize(
    "header",
    [
        [[".", [], [["../evil", 1]]]],
        [["..", [], [["evil", 1]]]],
        [["a/../../b", [], [["evil", 1]]]],
        [["/tmp", [], [["evil", 1]]]],
        [[".", [], [["/tmp/evil", 1]]]],
        [[".", [], [["..\\evil", 1]]]],
        [[".", [], [["a/evil", 1]]]],
        [[".", [], [["..", 1]]]],
        [["../outside", [], []]],
        [[".", [], [["evil\0", 1]]]],
    ],
)
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, header: Any) -> None:
    path = tmp_path / "evil.smbundle"
    path.write_bytes(packed(header, b"x"))
    with pytest.raises(ModelFormatError, match=r"evil\.smbundle: the path '.*' leaves the folder$"):
        read_bundle(path, tmp_path / "target")
    assert list(tmp_path.iterdir()) == [path]


def test_links_that_were_there_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "link").symlink_to(tmp_path / "outside")
    path = tmp_path / "evil.smbundle"
    path.write_bytes(packed([["link", [], [["evil", 1]]]], b"x"))
    with pytest.raises(ModelFormatError, match="leaves the folder"):
        read_bundle(path, tmp_path / "target")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a bundle"),
        (b"bigml_tensorflow", "expected a bundle"),
        (MAGIC + b"\x02" + b" " * 1024, "its header is cut off"),
        (MAGIC + b"\x00", "its header is not a list of folders"),
        (packed({"a": 1}), "its header is not a list of folders"),
        (packed([1]), "its header is not a list of folders"),
        (packed([[".", [], [["a"]]]]), "its header is not a list of folders"),
        (packed([[".", [], [["a", -1]]]]), "expected a size in bytes, got -1"),
        (packed([[".", [], [["a", "1"]]]], b"x"), "expected a size in bytes"),
        (packed([[".", [], [["a", 2]]]], b"x"), "bytes, as its header says, got"),
        (packed([[".", [], [["a", 1]]]], b"xy"), "bytes, as its header says, got"),
        (packed([[".", [], [["a", 10**15]]]], b"xy"), "bytes, as its header says, got"),
        (packed([[".", [], [["a", 1], ["a", 1]]]], b"xy"), "lists a file twice"),
    ],
)
def test_broken_bundles_write_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.smbundle"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        read_bundle(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_without_its_ending_needs_a_target(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(packed([[".", [], []]]))
    with pytest.raises(ModelFormatError, match="without a target"):
        read_bundle(tmp_path / "model")


@given(cut=st.integers(0, 10**6), junk=st.binary(max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bundles_are_always_our_errors(bundle: Path, tmp_path: Path, cut: int, junk: bytes) -> None:
    content = bundle.read_bytes()
    position = cut % len(content)
    for damaged in (content[:position], content[:position] + junk + content[position + len(junk) :] + b"x"):
        (tmp_path / "damaged.smbundle").write_bytes(damaged)
        with pytest.raises(SensenetError):
            sensenet.create_model(tmp_path / "damaged.smbundle")


def rebuilt(bundle: Path, tmp_path: Path, change: Any) -> Path:
    folder = Path(read_bundle(bundle, tmp_path / "changed"))
    change(folder)
    return Path(write_bundle(folder))


def test_a_damaged_graph_is_our_error(bundle: Path, tmp_path: Path) -> None:
    path = rebuilt(bundle, tmp_path, lambda folder: (folder / "saved_model.pb").write_bytes(b"\x0a\xff\xff"))
    with pytest.raises(ModelFormatError, match=r"saved_model.pb: cannot be"):
        sensenet.create_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"deepnet_type": "Tree"}, 'deepnet_type: expected "Deepnet" or "ObjectDetector", got "Tree"'),
        ({"deepnet_type": "ObjectDetector"}, "_preprocessors: expected one image field"),
        ({"_preprocessors": None}, "_preprocessors: expected a list"),
        (
            {"_preprocessors": documents.FIELDS[:1]},
            r"expected a function of 1 columns, got one of the shape \(None, 5\)",
        ),
        ({"_output_exposition": {"type": "numeric"}}, '_output_exposition: "mean" is missing'),
        ({"rescale_type": "stretch"}, "rescale_type: expected"),
    ],
)
def test_settings_of_a_bundle_are_not_trusted(
    bundle: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    def edit(folder: Path) -> None:
        path = folder / "assets" / "settings.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(SensenetError, match=message):
        sensenet.create_model(rebuilt(bundle, tmp_path, edit))


@pytest.mark.parametrize("operation", ["write", "read", "nested", "print"])
def test_a_graph_that_touches_files_is_refused(bundle: Path, tmp_path: Path, operation: str) -> None:
    target = tmp_path / "touched"

    @tf.function(input_signature=[tf.TensorSpec((None, documents.COLUMNS), tf.float32, name="inputs")])
    def evil(inputs: tf.Tensor) -> tf.Tensor:
        if operation == "write":
            tf.io.write_file(str(target), "x")
        elif operation == "read":
            inputs = inputs + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)
        elif operation == "nested":
            tf.cond(tf.size(inputs) > 0, lambda: tf.io.write_file(str(target), "x"), tf.no_op)
        else:
            tf.print("x")
        return inputs[:, :2]

    def replace(folder: Path) -> None:
        kept = (folder / "assets" / "settings.json").read_text()
        signatures = {"serving_default": evil, "preprocessed": evil}
        tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
        (folder / "assets" / "settings.json").write_text(kept)

    with pytest.raises(ModelFormatError, match="has no place in a prediction"):
        sensenet.create_model(rebuilt(bundle, tmp_path, replace))
    assert not target.exists()


def test_a_graph_whose_loading_runs_code_is_refused(bundle: Path, tmp_path: Path) -> None:
    class WithTable(tf.Module):
        def __init__(self) -> None:
            initializer = tf.lookup.KeyValueTensorInitializer(["a"], [1])
            self.table = tf.lookup.StaticHashTable(initializer, 0)

    def replace(folder: Path) -> None:
        tf.saved_model.save(WithTable(), str(folder / "x"))
        (folder / "x" / "saved_model.pb").rename(folder / "saved_model.pb")

    with pytest.raises(ModelFormatError, match="would run code when it is loaded"):
        sensenet.create_model(rebuilt(bundle, tmp_path, replace))


def test_a_bundle_with_the_textbook_form_of_mish_behind_a_convolution_predicts(
    bundle: Path, tmp_path: Path
) -> None:
    def normalised(inputs: tf.Tensor) -> tf.Tensor:
        ones = np.ones(documents.COLUMNS, np.float32)
        images = tf.reshape(inputs, (-1, 1, 1, documents.COLUMNS))
        images = tf.nn.conv2d(images, np.eye(documents.COLUMNS, dtype=np.float32)[None, None], 1, "SAME")
        return tf.compat.v1.nn.fused_batch_norm(images, ones, ones, ones, ones, is_training=False)[0]

    @tf.function(input_signature=[tf.TensorSpec((None, documents.COLUMNS), tf.float32, name="inputs")])
    def network(inputs: tf.Tensor) -> tf.Tensor:
        values = normalised(inputs)
        return tf.reshape(values * tf.tanh(tf.nn.softplus(values)), (-1, documents.COLUMNS))[:, :2]

    def replace(folder: Path) -> None:
        kept = (folder / "assets" / "settings.json").read_text()
        signatures = {"serving_default": network, "preprocessed": network}
        tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
        (folder / "assets" / "settings.json").write_text(kept)

    model = sensenet.create_model(rebuilt(bundle, tmp_path, replace))
    assert model(documents.POINTS).shape == (len(documents.POINTS), 2)


def test_the_serving_signature_takes_raw_columns(bundle: Path, tmp_path: Path) -> None:
    serve = tf.saved_model.load(read_bundle(bundle, tmp_path / "served")).signatures["serving_default"]
    raw = [[1.5, 0, 2], [-3, 2, 1], [0.25, 1, 1.5], [float("nan"), 0, 2], [4, -1, 1], [2.5, 9, 2]]
    served = serve(numeric_inputs=tf.constant(raw, tf.float32))["output"].numpy()
    expected = sensenet.create_model(bundle)(documents.POINTS)
    assert served == pytest.approx(expected, abs=1e-6)


def test_the_serving_function_of_many_fields_is_no_larger_than_that_of_few(tmp_path: Path) -> None:
    def field(index: int, categorical: bool) -> dict[str, Any]:
        kind = {"type": "categorical", "values": ["a", "b", "c"]} if categorical else {"type": "numeric"}
        return {"index": index, "mean": float(index), "stdev": 2.0, **kind}

    operations, rng = [], np.random.default_rng(0)
    for n_fields in (4, 40):
        fields = [field(index, index >= n_fields // 2) for index in range(n_fields)]
        layers = [documents.dense(2 * n_fields, 3, "softmax")]
        document = documents.classifier(preprocess=fields, layers=layers, trees=None)
        model = sensenet.create_model(document)
        folder = read_bundle(model.save_bundle(tmp_path / str(n_fields)), tmp_path / f"of_{n_fields}")
        serve = tf.saved_model.load(folder).signatures["serving_default"]
        numbers, codes = rng.normal(size=(9, n_fields // 2)), rng.integers(-1, 4, (9, n_fields // 2))
        raw = np.concatenate([numbers, codes], axis=1)
        named = [
            [*row, *("abc?"[code] for code in of_row)] for row, of_row in zip(numbers, codes, strict=True)
        ]
        served = serve(numeric_inputs=tf.constant(raw, tf.float32))["output"].numpy()
        assert served == pytest.approx(model(named), abs=1e-6)
        operations.append((Path(folder) / "saved_model.pb").read_bytes().count(b"StridedSlice"))
    assert operations[0] == operations[1]


def test_keras_2_finds_a_model_in_the_bundle(bundle: Path, tmp_path: Path) -> None:
    folder = Path(read_bundle(bundle, tmp_path / "keras"))
    metadata = (folder / "keras_metadata.pb").read_bytes()
    # message 1 of (3: path, 4: identifier, 5: JSON, 6: version), each with its length before it
    assert metadata[:1] == b"\x0a"
    assert b"\x1a\x04root\x22\x0f_tf_keras_model\x2a" in metadata
    assert metadata.endswith(b"\x32\x04\x08\x02\x10\x01")
    call = tf.saved_model.load(str(folder)).keras_api.call_and_return_conditional_losses
    output, losses = call(tf.constant([[1.5, 0, 2]], tf.float32))
    assert output.numpy() == pytest.approx(sensenet.create_model(bundle)(documents.POINTS[0]), abs=1e-6)
    assert losses == []
