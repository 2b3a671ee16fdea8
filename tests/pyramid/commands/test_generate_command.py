"""pyramid_generate as people run it: files, processes, pictures, and what it says of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from generation_folders import COLOURS, TRAINING, build_folder, cut_out, generated, write_config
from PIL import Image

from pyramid.commands import generate, train

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    return build_folder(tmp_path)


def said(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]


def test_bigmlize_writes_the_metadata_too(folder, capsys):
    config, _ = generated(folder, "--bigmlize")
    written = json.loads((folder / "out" / "metadata.json").read_text())
    (x1, y1, x2, y2, label) = config["training_data"][0]["boxes"][0]
    assert written[0] == {
        "file": "00000000.png",
        "boxes": [{"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2, "label": label}],
    }
    assert len(written) == 12


def test_the_training_command_takes_what_was_written(folder, capsys):
    generated(folder, objective_type="categorical", **TRAINING)
    sheet = folder / "batch.png"
    assert train.main(["--visualize", "--output", str(sheet), str(folder / "out" / "config.json")]) == 0
    assert sheet.exists()


def test_keys_that_a_training_still_needs_are_told(folder, capsys):
    generated(folder, batch_size=4)
    assert "note: before training it still needs descent_algorithm" in capsys.readouterr().err


def test_visualize_shows_the_first_images_and_writes_no_data_set(folder, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    config = write_config(folder, batch_size=4, occupancy_range=[0.8, 0.8])
    sheet = folder / "sheets" / "sheet.png"
    assert generate.main(["--visualize=2", "--output", str(sheet), str(config)]) == 0
    assert capsys.readouterr().out.strip() == str(sheet)
    assert not (folder / "out").exists()
    shown = np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 3)
    assert all((shown == colour).all(axis=1).sum() > 400 for colour in COLOURS.values())
    assert generate.main(["--visualize", str(config)]) == 1
    assert "--output FILE.png" in said(capsys)[0]


@pytest.mark.slow
def test_a_seed_gives_the_same_bytes_whatever_the_number_of_processes(folder):
    cut_out(folder)
    keys = {
        "foreground_image_augmentations": ["rotation", "gaussian_noise"],
        "background_image_augmentations": ["brightness"],
        "generated_dataset_size": 70,
        "max_foreground_images": 3,
        "random_background_rate": 0.5,
    }
    written = []
    for processes, seed in ((1, 5), (2, 5), (1, 6)):
        config = write_config(folder, seed=seed, **keys)
        done = run(config, "--processes", str(processes))
        assert done.returncode == 0, done.stderr
        assert "generating: made 70 of 70 images" in done.stderr
        out = folder / "out"
        written.append({path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()})
        out.rename(folder / f"out {len(written)}")
    one, two, other = written
    assert len(one) == 71
    assert one == two
    assert all(one[name] != other[name] for name in one)


@pytest.mark.parametrize(
    ("processors", "gigabytes", "count", "processes"),
    [(8, 100, 10**6, 8), (8, 3.5, 10**6, 3), (8, 0.5, 10**6, 1), (8, 100, 1000, 2), (8, 100, 1, 1)],
)
def test_there_are_no_more_processes_than_pay_and_have_memory(
    processors, gigabytes, count, processes, monkeypatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    monkeypatch.setattr(generate, "memory_bytes", lambda: gigabytes * 1e9)
    assert generate.usual_processes(count) == processes


def run(config, *flags):
    return subprocess.run(
        [sys.executable, "-m", "pyramid.commands.generate", *flags, str(config)],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_behind(folder):
    config = write_config(folder, generated_dataset_size=200_000)
    command = [sys.executable, "-m", "pyramid.commands.generate", "--processes", "2", str(config)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    end = time.monotonic() + 120
    while not list((folder / "out").glob(".train.*/images/*.png")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert b"pyramid_generate: error: interrupted" in process.stderr.read()
    assert list((folder / "out").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(folder, mount, capsys):
    out = mount("size=300k")
    config = write_config(
        folder, output_directory=str(out), random_background_rate=1, generated_dataset_size=400
    )
    assert generate.main(["--processes", "1", str(config)]) == 1
    assert "No space left" in said(capsys)[0]
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "names", [["train"], ["config.json"], ["metadata.json"], ["train", "config.json", "metadata.json"]]
)
def test_nothing_is_overwritten(folder, names, capsys):
    (folder / "out").mkdir()
    for name in names:
        (folder / "out" / name).write_text("kept")
    assert generate.main(["--bigmlize", str(write_config(folder))]) == 1
    (line,) = said(capsys)
    assert f"already there: {', '.join(str(folder / 'out' / name) for name in names)}; remove" in line
    assert {path.name: path.read_text() for path in (folder / "out").iterdir()} == dict.fromkeys(
        names, "kept"
    )


def test_metadata_that_are_not_written_anew_may_be_there(folder):
    (folder / "out").mkdir()
    (folder / "out" / "metadata.json").write_text("kept")
    generated(folder)
    assert (folder / "out" / "metadata.json").read_text() == "kept"


def test_the_config_given_is_not_overwritten(folder, capsys):
    (folder / "out").mkdir()
    write_config(folder).rename(folder / "out" / "config.json")
    assert generate.main([str(folder / "out" / "config.json")]) == 1
    assert "would be overwritten" in said(capsys)[0]
    assert [path.name for path in (folder / "out").iterdir()] == ["config.json"]


def test_all_images_that_cannot_be_read_are_told_before_anything_is_made(folder, capsys):
    broken = folder / "backgrounds" / "notes.txt"
    broken.write_text("no image")
    whole = (folder / "cutouts" / "red" / "0.png").read_bytes()
    (folder / "cutouts" / "red" / "cut.png").write_bytes(whole[:60])
    Image.new("RGBA", (5, 5)).save(folder / "cutouts" / "red" / "nothing.png")
    assert generate.main([str(write_config(folder))]) == 1
    text = capsys.readouterr().err
    assert "3 of 8 images cannot be read" in text
    assert all(name in text for name in (str(broken), "red/cut.png", "nothing.png: it is wholly transparent"))
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("cutouts", "cutouts cannot be read: No such file"),
        ("backgrounds", "backgrounds cannot be read: No such file"),
        ("cutouts/red/0.png", "red, a label of foreground_image_root, holds no images"),
        ("cutouts/*", "cutouts, the foreground_image_root, holds no images"),
        (
            "backgrounds/*.png",
            "backgrounds, the background_image_root, holds no images (those in sub-directories",
        ),
    ],
)
def test_directories_without_images_are_told(folder, remove, message, capsys):
    for path in sorted(folder.glob(remove)):
        subprocess.run(["rm", "-r", str(path)], check=True)
    assert generate.main([str(write_config(folder))]) == 1
    (line,) = said(capsys)
    assert message in line
    assert not (folder / "out").exists()


def test_a_directory_whose_name_is_no_text_is_told(folder, capsys):
    strange = Path(os.fsdecode(os.fsencode(folder / "cutouts") + b"/\xff"))
    (folder / "cutouts" / "red").rename(strange)
    assert generate.main([str(write_config(folder))]) == 1
    (line,) = said(capsys)
    assert "not valid UTF-8" in line


@pytest.mark.parametrize(
    "arguments",
    [[], ["--processes", "0", "c.json"], ["--visualize", "--bigmlize", "c.json"], ["--what", "c.json"]],
)
def test_wrong_arguments_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        generate.main(arguments)
    assert ended.value.code == 2
    assert "pyramid_generate: error: " in capsys.readouterr().err
