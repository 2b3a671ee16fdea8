from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from worker_client import Worker

REJECTION_SECONDS = 0.05


@pytest.fixture(autouse=True)
def _next_job_succeeds(shared: Worker, make_job: Any) -> Any:
    """After every rejection the next good job succeeds."""
    yield
    assert shared.run(make_job(value=5), 10)["value"] == 5


def job_lines(folder: Path) -> dict[str, tuple[str, str]]:
    """Lines that name no job, each with a word of what is said about it."""
    files: dict[str, bytes] = {
        "empty": b"",
        "blanks": b" \n",
        "broken": b'{"job_id": ',
        "nan": b'{"job_id": "a", "learning_rate": NaN}',
        "latin": '{"job_id": "\xe9"}'.encode("latin-1"),
        "deep": b"[" * 100_000,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe")
    words = dict.fromkeys(files, "not valid JSON") | {"empty": "is empty", "blanks": "is empty"}
    lines = {name: (str(folder / name), word) for name, word in words.items()}
    return lines | {
        "missing": (str(folder / "missing"), "No such file"),
        "directory": (str(folder), "it is a directory"),
        "pipe": (str(folder / "pipe"), "regular file"),
        "device": ("/dev/zero", "regular file"),
        "null byte": ("a\0b", "null"),
        "name too long": ("x" * 5000, "too long"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "blanks",
        "broken",
        "nan",
        "latin",
        "deep",
        "missing",
        "directory",
        "pipe",
        "device",
        "null byte",
        "name too long",
    ],
)
def test_a_line_that_names_no_json_file_is_answered(shared: Worker, tmp_path: Path, name: str) -> None:
    line, word = job_lines(tmp_path)[name]
    shared.send(line)
    closing = shared.closing(5)
    assert (closing["job_id"], closing["error_type"]) == (None, "JobFileError")
    assert word in closing["error_message"]
    assert "Traceback" in closing["error"]
    assert "\n" not in closing["error_message"]


@pytest.mark.parametrize("value", [[], [1], "text", 3, None, True])
def test_json_that_is_no_object_is_answered(shared: Worker, value: Any) -> None:
    shared.send(shared.job_file(json.dumps(value)))
    closing = shared.closing(5)
    assert (closing["job_id"], closing["error_type"], closing["error_path"]) == (None, "SettingsError", "")
    assert "JSON object" in closing["error_message"]


def test_an_unknown_key_names_the_nearest(shared: Worker, make_job: Any) -> None:
    closing = shared.run({**make_job(job_id="a1"), "learning_rat": 0.1}, 5)
    assert (closing["job_id"], closing["error_path"]) == ("a1", "/learning_rat")
    assert "did you mean 'learning_rate'" in closing["error_message"]


def test_five_violations_come_at_once(shared: Worker, make_job: Any) -> None:
    broken = {"seed": -1, "batch_size": 0, "patience": "x", "learning_rate": 0, "logging_level": 9}
    closing = shared.run({**make_job(job_id="a2"), **broken}, 5)
    assert all(f"/{key}:" in closing["error_message"] for key in broken)
    assert closing["error_path"] == "/logging_level"


def test_a_loss_of_the_wrong_kind_is_refused(shared: Worker, make_job: Any) -> None:
    training = {
        "job_type": "standard_training",
        "seed": 1,
        "cache_file": "x.npy",
        "tree_embedding": False,
        "tree_inputs": 0,
        "layers": [],
        "batch_size": 1,
        "descent_algorithm": "sgd",
        "learning_rate": 0.1,
        "loss_function": "crossentropy",
    }
    closing = shared.run({**make_job(), **training}, 5)
    assert (closing["error_type"], closing["error_path"]) == ("SettingsError", "/loss_function")


@pytest.mark.parametrize("job_id", ["../x", ".x", "a b", ""])
def test_a_job_id_that_is_no_directory_name_is_refused(shared: Worker, make_job: Any, job_id: str) -> None:
    closing = shared.run(make_job(job_id=job_id), 5)
    assert (closing["job_id"], closing["error_path"]) == (job_id, "/job_id")


IMAGE_TRAINING = {
    "job_type": "image_training",
    "info_list": [{"index": 0, "type": "image"}, {"index": 1, "type": "numeric", "mean": 0, "stdev": 1}],
    "seed": 1,
    "layers": [{"type": "dense", "weights": "zeros", "number_of_nodes": 2}],
    "base_image_network": "yolov4",
    "image_training_type": "fine_tune",
    "input_image_shape": [4, 4, 3],
    "image_augmentations": ["spin"],
    "image_training_data": [],
    "batch_size": 1,
    "descent_algorithm": "sgd",
    "learning_rate": 0.1,
    "loss_function": "huber",
}


@pytest.mark.parametrize(
    "changes", [{"seed": -1}, IMAGE_TRAINING, IMAGE_TRAINING | {"base_image_network": "simple"}]
)
def test_a_rejection_takes_less_than_50_milliseconds(
    shared: Worker, make_job: Any, changes: dict[str, Any]
) -> None:
    path = shared.job_file({**make_job(), **changes})
    seconds = []
    for _ in range(5):
        sent = time.monotonic()
        shared.send(path)
        shared.closing(5)
        seconds.append(time.monotonic() - sent)
    assert min(seconds) < REJECTION_SECONDS, seconds


def test_ten_thousand_lines_at_once_are_answered_in_order(
    shared: Worker, make_job: Any, tmp_path: Path
) -> None:
    good = shared.job_file(make_job(value=1))
    shared.send(*[tmp_path / f"missing_{number}" for number in range(10_000)], good)
    for number in range(10_000):
        assert f"missing_{number}'" in shared.closing(30)["error_message"]
    assert shared.closing(10)["value"] == 1


def test_a_line_of_ten_megabytes_is_one_wrong_line(shared: Worker) -> None:
    shared.write(b"x" * 10_000_000)
    with pytest.raises(TimeoutError):
        shared.next_answer(0.2)
    shared.write(b"\n")
    closing = shared.closing(5)
    assert "10000000 bytes is too long" in closing["error_message"]
    assert len(closing["error"]) < 10_000


def test_binary_junk_is_answered_line_by_line(shared: Worker) -> None:
    junk = bytes(range(256)) * 20
    shared.write(junk + b"\n")
    lines = [line for line in junk.split(b"\n") if line.strip()]
    for _ in lines:
        assert shared.closing(5)["error_type"] == "JobFileError"


def test_blank_lines_are_ignored(shared: Worker) -> None:
    shared.write(b"\n  \n\r\n\t\n")
    with pytest.raises(TimeoutError):
        shared.next_answer(0.2)


def test_a_job_nested_too_deeply_to_hand_on_is_refused_and_the_worker_lives(
    shared: Worker, make_job: Any
) -> None:
    nested: Any = 1
    for _ in range(300):
        nested = [nested]
    closing = shared.run(make_job(job_id="deep") | {"training_options": {"do": "succeed", "deep": nested}})
    assert closing["job_id"] == "deep"
    assert "nested too deep" in closing["error_message"]
    assert closing["error_path"] == "/training_options"
    assert "error" not in shared.run(make_job())
