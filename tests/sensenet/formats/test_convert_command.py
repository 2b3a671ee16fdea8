"""sensenet_convert, as people call it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import image_documents as images
import model_documents as documents
import pytest

from sensenet.commands import convert
from sensenet.formats.receipt import Receipt


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.json"
    path.write_text(json.dumps(documents.classifier()))
    return path


def test_a_line_of_json_says_what_was_written_and_what_confirmed_it(document, tmp_path, capsys):
    target = tmp_path / "model.tflite"
    assert convert.main([str(document), str(target), "--format", "tflite", "--verify"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert (result["path"], result["format"]) == (str(target), "tflite")
    assert result["size_bytes"] == target.stat().st_size
    assert result["verified"]["agrees"]
    assert result["verified"]["largest_difference"] < 1e-5


def test_settings_are_those_of_the_model(tmp_path, capsys):
    source = tmp_path / "detector.json"
    source.write_text(json.dumps(images.detector()))
    arguments = ["--format", "frozen_graph", "--set", "max_objects=3", "--set", "rescale_type=warp"]
    assert convert.main([str(source), str(tmp_path / "graph"), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["size_bytes"] == sum(path.stat().st_size for path in Path(result["path"]).iterdir())
    facts = json.loads((tmp_path / "graph" / "facts.json").read_bytes())
    assert facts["detection"]["max_objects"] == 3
    assert facts["image"]["rescale_type"] == "warp"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tflight"], "to_format: expected one of czmodel, frozen_graph, h5, "),
        (["--format", "czmodel", "--page"], "page: czmodel has no such option; it has none"),
        (["--format", "h5", "--quantize", "int8"], "quantize: h5 has no such option"),
        (["--format", "tfjs", "--runtime", "tf.js"], "runtime: it is for a page, which was not asked for"),
        (["--format", "h5", "--set", "max_objects"], "--set: expected NAME=VALUE, got 'max_objects'"),
        (
            ["--format", "h5", "--set", "rescale_type=pat"],
            'rescale_type: expected one of "warp", "pad", "crop"',
        ),
    ],
)
def test_wrong_arguments_are_one_line_each(document, tmp_path, capsys, arguments, message):
    assert convert.main([str(document), str(tmp_path / "model"), *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not list(tmp_path.iterdir())


def test_the_model_itself_is_not_replaced(document, capsys, monkeypatch):
    before = document.read_bytes()
    monkeypatch.chdir(document.parent)
    assert convert.main([str(document), f"./{document.name}", "--format", "tflite"]) == 1
    assert capsys.readouterr().err == (
        f"sensenet_convert: error: output_path: {document.name} is the model itself; name another file\n"
    )
    assert document.read_bytes() == before


def test_what_is_no_file_is_not_replaced(document, tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert convert.main([str(document), str(pipe), "--format", "tflite"]) == 1
    message = f"sensenet_convert: error: {pipe}: it is a FIFO, expected a regular file\n"
    assert capsys.readouterr().err == message
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize(("difference", "code"), [(0.5, 0), (float("inf"), 1), (None, 1)])
def test_smaller_weights_may_differ_but_give_numbers(
    document, tmp_path, capsys, monkeypatch, difference, code
):
    differs = Receipt(
        "tflite", "model.tflite", None if difference is None else "litert", 24, difference, None, 0.1
    )
    monkeypatch.setattr("sensenet.formats.receipt.check_export", lambda *_: differs)
    arguments = ["--format", "tflite", "--quantize", "float16", "--verify"]
    assert convert.main([str(document), str(tmp_path / "m.tflite"), *arguments]) == code
    assert json.loads(capsys.readouterr().out)["verified"]["agrees"] is (
        None if difference is None else False
    )


def test_an_export_that_differs_is_an_error(document, tmp_path, capsys, monkeypatch):
    differs = Receipt("h5", "model.h5", "sensenet", 24, 0.5, None, 0.1)
    monkeypatch.setattr("sensenet.formats.receipt.check_export", lambda *_: differs)
    assert convert.main([str(document), str(tmp_path / "m.h5"), "--format", "h5", "--verify"]) == 1
    captured = capsys.readouterr()
    assert "sensenet says something else than the model" in captured.err
    assert json.loads(captured.out)["verified"]["largest_difference"] == 0.5


@pytest.mark.parametrize(
    ("to_format", "message"), [("tflite", "Is a directory"), ("tfjs", "expected the name of a new directory")]
)
def test_the_current_directory_is_not_replaced(document, tmp_path, capsys, monkeypatch, to_format, message):
    monkeypatch.chdir(tmp_path)
    assert convert.main([str(document), ".", "--format", to_format]) == 1
    assert capsys.readouterr().err == f"sensenet_convert: error: .: {message}\n"
    assert not list(tmp_path.iterdir())
