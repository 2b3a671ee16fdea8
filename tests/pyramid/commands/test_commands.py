"""The commands as people run them: small real trainings, evaluations, and what they say of bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pyramid.commands import evaluate, train, training_batches
from pyramid.commands.candidates import Candidate
from pyramid.commands.config import parse_config
from pyramid.commands.console import run_command
from pyramid.jobs import image_training
from pyramid.progress import ignore
from pyramid.train import images
from pyramid.train.prefetch import Prefetcher
from pyramid.workspace import Workspace
from sensenet.models.image import image_model

ROOT = Path(__file__).parents[3]
SIDE, N_IMAGES = 16, 200


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of scanned digits, and the rows with their classes."""
    folder = tmp_path_factory.mktemp("digits")
    scans = load_digits()
    rows = []
    for number in range(N_IMAGES):
        pixels = (scans.images[number] * 15.9).astype(np.uint8)
        name = f"{number:03}.png"
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(folder / name)
        rows.append({"file": name, "label": f"digit {scans.target[number]}"})
    return folder, rows


def make_config(digits, directory, **keys):
    folder, rows = digits
    config = {
        "image_network_candidates": [["simple", "randomly_initialize"]],
        "input_image_shape": [SIDE, SIDE, 3],
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.002,
        "max_iterations": 60,
        "max_total_time": 120,
        "image_root": str(folder),
        "output_directory": str(directory / "out"),
        "training_data": rows,
    } | keys
    path = directory / "config.json"
    path.write_text(json.dumps(config))
    return path


def run(module, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def said(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A real training of two candidates of which one fails: the finished process and its output_directory."""
    directory = tmp_path_factory.mktemp("trained")
    pairs = [["initial_model", str(directory / "none.json")], ["simple", "randomly_initialize"]]
    config = make_config(
        digits, directory, image_network_candidates=pairs, image_augmentations=["width_shift"]
    )
    return run("pyramid.commands.train", config), directory / "out"


@pytest.mark.slow
def test_the_best_candidate_becomes_a_final_model(trained, digits):
    done, out = trained
    assert done.returncode == 0, done.stderr
    checks = [line for line in done.stdout.splitlines() if "  iteration " in line]
    assert checks
    assert all("likelihood" in line and "accuracy" in line for line in checks)
    *_, failed, best, where = done.stdout.splitlines()
    assert failed.split()[:2] == ["initial_model", str(out.parent / "none.json")]
    assert "failed: " in failed
    assert best.startswith("* simple_randomly_initialize")
    assert str(out / "final_model.json") in where
    assert "simple_randomly_initialize" in done.stderr
    assert "%|" in done.stderr
    assert "Traceback" not in done.stderr
    assert "oneDNN" not in done.stderr


@pytest.mark.slow
def test_the_final_model_predicts(trained, digits):
    _, out = trained
    folder, rows = digits
    document = json.loads((out / "final_model.json").read_text())
    assert document["preprocess"] == [{"type": "image", "index": 0}]
    assert document["importances"] == [1.0]
    assert document["output_exposition"]["values"] == sorted({row["label"] for row in rows})
    assert document["training_options"]["batch_size"] == 32
    files = [str(folder / row["file"]) for row in rows[:5]]
    predicted = image_model(str(out / "final_model.json"), None)(files)
    assert predicted.shape == (5, 10)
    assert predicted.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert image_model(str(out / "final_model_bundle.smbundle"))(files) == pytest.approx(predicted, abs=1e-5)


@pytest.mark.slow
def test_evaluate_shows_metrics_and_confusions(trained, digits, tmp_path):
    _, out = trained
    config = make_config(digits, tmp_path)
    done = run("pyramid.commands.evaluate", out / "final_model.json", config)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == [str(N_IMAGES), "rows"]
    assert float(dict(lines[1:6])["accuracy"]) > 0.5
    assert "confusion matrix" in done.stdout
    assert sum(int(cell) for line in lines[-10:] for cell in line[-10:]) == N_IMAGES


@pytest.mark.slow
def test_evaluate_refuses_labels_that_the_model_does_not_know(trained, digits, tmp_path, capsys):
    _, out = trained
    data = tmp_path / "data.json"
    data.write_text(json.dumps([{"file": "000.png", "label": "zebra"}]))
    assert evaluate.main([str(out / "final_model.json"), str(data), "--image-root", str(digits[0])]) == 1
    assert "row 0: zebra" in said(capsys)[-1]
    data.write_text(json.dumps([{"file": "nowhere.png", "label": "digit 1"}]))
    assert evaluate.main([str(out / "final_model.json"), str(data)]) == 1
    assert "nowhere.png" in said(capsys)[-1]


@pytest.mark.slow
def test_numbers_are_learnt_and_evaluated_in_their_own_units(digits, tmp_path):
    folder, rows = digits
    inks = [float(np.asarray(Image.open(folder / row["file"])).mean()) for row in rows]
    numbered = [{"file": row["file"], "label": ink} for row, ink in zip(rows, inks, strict=True)]
    config = make_config(digits, tmp_path, training_data=numbered)
    done = run("pyramid.commands.train", config)
    assert done.returncode == 0, done.stderr
    checks = [line for line in done.stdout.splitlines() if "  iteration " in line]
    shown = [float(line.split("mean_squared_error ")[1]) for line in checks]
    assert 0 < min(shown) < np.var(inks)
    assert max(shown) > 0.05 * np.var(inks), "in the units of the labels"
    assert "errors are negated" not in (tmp_path / "out" / "report.html").read_text()
    done = run("pyramid.commands.evaluate", tmp_path / "out" / "final_model.json", config)
    assert done.returncode == 0, done.stderr
    shown = dict(line.split() for line in done.stdout.splitlines()[1:])
    assert 0 < float(shown["mean_absolute_error"]) < 2 * np.std(inks)


@pytest.mark.slow
def test_a_table_model_is_evaluated_on_rows(tmp_path, capsys):
    model, data = tmp_path / "model.json", tmp_path / "data.json"
    model.write_text(
        json.dumps(
            {
                "preprocess": [{"type": "numeric", "index": 0, "mean": 0.0, "stdev": 1.0}],
                "output_exposition": {"type": "numeric", "mean": 0.0, "stdev": 1.0},
                "layers": [
                    {"type": "dense", "weights": [[2.0]], "offset": [1.0], "activation_function": None}
                ],
                "trees": None,
            }
        )
    )
    for rows in ([[0, 1], [1, 3], [2, 5]], [{"input": [x], "label": 2 * x + 1} for x in range(3)]):
        data.write_text(json.dumps(rows))
        assert evaluate.main([str(model), str(data)]) == 0
        assert "r_squared              1" in capsys.readouterr().out
    model.write_text("{}")
    assert evaluate.main([str(model), str(data)]) == 1
    assert str(model) in said(capsys)[-1]


@pytest.mark.slow
def test_visualize_writes_a_contact_sheet(digits, tmp_path, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    config = make_config(digits, tmp_path, batch_size=6, augmentation_ranges={"horizontal_flip": True})
    sheet = tmp_path / "sheets" / "sheet.png"
    assert train.main(["--visualize=2", "--output", str(sheet), str(config)]) == 0
    assert capsys.readouterr().out.strip() == str(sheet)
    drawn = Image.open(sheet)
    assert min(drawn.size) > 96
    assert len(drawn.getcolors(1 << 20)) > 10
    again = tmp_path / "again.png"
    assert train.main(["--visualize=2", "--output", str(again), str(config)]) == 0
    assert again.read_bytes() == sheet.read_bytes()
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    assert train.main(["--visualize", str(config)]) == 1
    assert "--output FILE.png" in said(capsys)[0]


@pytest.mark.slow
def test_visualize_takes_any_labels_and_leaves_out_what_training_leaves_out(digits, tmp_path, capsys):
    rows = [
        {"file": f"{number:03}.png", "label": label} for number in range(6) for label in ("a\nb", "é" * 3000)
    ]
    rows += [{"file": "none.png", "label": "a\nb"}]
    config = make_config(digits, tmp_path, training_data=rows, skip_invalid_images=True)
    assert train.main(["--visualize", "--output", str(tmp_path / "sheet.png"), str(config)]) == 0
    config = make_config(digits, tmp_path, training_data=[*rows, rows[0] | {"file": "config.json"}])
    (digits[0] / "config.json").write_text("no image")
    (digits[0] / "none.png").write_text("no image")
    assert train.main(["--visualize", "--output", str(tmp_path / "sheet.png"), str(config)]) == 1
    assert "config.json" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"balance_objective": True, "augmentation_ranges": {"brightness": 0.3}, "seed": 9},
        {
            "image_network_candidates": [["mobilenetv2", "use_pretrained"]],
            "image_augmentations": ["rotation"],
        },
    ],
)
def test_visualize_shows_the_bytes_that_training_begins_with(digits, tmp_path, monkeypatch, keys):
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(tmp_path / "no weights are needed"))
    config = make_config(digits, tmp_path, **{"batch_size": 8, "max_iterations": 3} | keys)
    training = parse_config(json.loads(config.read_text()))
    shown = list(training_batches.augmented_batches(training, 3, ignore))
    taken = []

    class Recorded(Prefetcher):
        def take(self):
            taken.append(super().take())
            return taken[-1]

    monkeypatch.setattr(images, "Prefetcher", Recorded)
    candidate = Candidate("simple", "randomly_initialize")
    image_training.run(training.job(candidate, 60), Workspace.create(tmp_path / "out"), ignore)
    assert len(taken) == 3
    for batch, pictures in zip(taken, shown, strict=True):
        assert batch.inputs.numpy().tobytes() == b"".join(picture.pixels.tobytes() for picture in pictures)
        classes = training.images.objective.classes
        assert [classes[place] for place in batch.targets.numpy().argmax(axis=1)] == [
            picture.title for picture in pictures
        ]


def test_a_standard_output_that_takes_no_more_does_not_end_the_work():
    code = "from pyramid.commands.console import answer\nfor _ in range(3): answer('x' * 9999)\nprint('on')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert done.stderr == "warning: standard output takes no more: No space left on device\n"


@pytest.mark.parametrize("lost", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full", "2> >(true)"])
def test_streams_that_are_closed_or_lost_make_no_failure(lost):
    code = (
        "import sys, time; from pyramid.commands.console import answer, run_command\n"
        "from pyramid.search.live import terminal_or_lines\n"
        "def work():\n"
        "    for _ in range(3): terminal_or_lines(sys.stderr).say('x'); time.sleep(.1)\n"
        "    answer('done')\n"
        "sys.exit(run_command('p', False, work))"
    )
    done = subprocess.run(["bash", "-c", f'"$0" -c "$1" {lost}', sys.executable, code], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_an_interrupt_that_a_library_made_an_error_of_is_an_interrupt(capsys):
    def fail():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    assert run_command("p", False, fail) == 130
    assert said(capsys) == ["p: error: interrupted"]


def test_bigmlize_writes_the_labels(digits, tmp_path, capsys):
    config = make_config(digits, tmp_path)
    assert train.main(["--bigmlize", str(config)]) == 0
    path = tmp_path / "out" / "metadata.json"
    assert capsys.readouterr().out == f"{N_IMAGES} images: {path}\n"
    assert json.loads(path.read_text()) == digits[1]


@pytest.mark.parametrize("module", ["train", "evaluate"])
def test_help_is_quick_and_needs_no_tensorflow(module):
    code = (
        f"import sys, pyramid.commands.{module} as m\n"
        "try: m.main(['--help'])\n"
        "finally: assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith(f"usage: pyramid_{module}")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--visualise", "c.json"],
        ["--visualize=0", "c.json"],
        ["--visualize=x", "c.json"],
        ["c.json", "d.json"],
        ["--output", "a.png", "c.json"],
        ["--visualize", "--output", "a.jpg", "c.json"],
        ["--visualize", "--bigmlize", "c.json"],
    ],
)
def test_wrong_arguments_end_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(arguments)
    assert ended.value.code == 2
    assert "pyramid_train: error: " in said(capsys)[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("", "not valid JSON"),
        ('{"batch_size": 1,}', "not valid JSON"),
        ("[]", "a config is a JSON object"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--bigmlize"]])
def test_a_config_that_cannot_be_read_ends_with_1(content, message, flags, tmp_path, capsys):
    config = tmp_path / "config.json"
    if content is not None:
        config.write_text(content)
    assert train.main([*flags, str(config)]) == 1
    (line,) = said(capsys)
    assert line.startswith("pyramid_train: error: ")
    assert message in line


def test_each_broken_rule_is_one_line(digits, tmp_path, capsys):
    config = make_config(digits, tmp_path, batch_size=0, learning_rat=1, training_data=[])
    assert train.main([str(config)]) == 1
    assert [line.split(": ")[2] for line in said(capsys)] == [
        "/batch_size",
        "/training_data",
        "/learning_rat",
    ]
    assert not (tmp_path / "out").exists()


def test_missing_images_are_named_before_anything_is_built(digits, tmp_path, capsys):
    rows = [{"file": f"no{number}.png", "label": "ab"[number % 2]} for number in range(30)]
    assert train.main([str(make_config(digits, tmp_path, training_data=rows))]) == 1
    lines = said(capsys)
    assert lines[0] == "pyramid_train: error: 30 of 30 images cannot be read:"
    assert lines[1].startswith("image 0: ")
    assert lines[1].endswith("no0.png: No such file or directory")
    assert lines[-1] == "... and 10 more"
    assert len(lines) == 22


def test_the_traceback_is_there_for_those_who_ask(tmp_path, capsys):
    assert train.main(["--debug", str(tmp_path / "none.json")]) == 1
    lines = said(capsys)
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("pyramid_train: error: ")


@pytest.mark.slow
def test_an_image_that_is_none_is_named(digits, tmp_path):
    folder, rows = digits
    broken = folder / "broken.png"
    broken.write_bytes(b"no image")
    pairs = [["simple", "randomly_initialize"], ["simple_residual", "randomly_initialize"]]
    config = make_config(
        digits,
        tmp_path,
        training_data=[*rows, {"file": broken.name, "label": "digit 1"}],
        image_network_candidates=pairs,
    )
    done = run("pyramid.commands.train", config)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "broken.png" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("1 of 201 images cannot be read") == 1


@pytest.mark.slow
def test_when_every_candidate_fails_the_table_says_why(digits, tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("one.json", "two.json")]
    Path(paths[1]).write_text("{}")
    config = make_config(
        digits, tmp_path, image_network_candidates=[["initial_model", path] for path in paths]
    )
    assert train.main([str(config)]) == 1
    captured = capsys.readouterr()
    assert [line.split("  failed: ")[0].split()[-1] for line in captured.out.splitlines()[1:]] == paths
    assert captured.err.splitlines()[-1] == "pyramid_train: error: none of the 2 candidates could be trained"


@pytest.mark.slow
def test_weights_that_cannot_be_had_are_an_error(digits, tmp_path):
    config = make_config(digits, tmp_path, image_network_candidates=[["mobilenetv2", "fine_tune"]])
    done = run(
        "pyramid.commands.train",
        config,
        BIGML_SENSENET_WEIGHTS_URL=(tmp_path / "nowhere").as_uri(),
        BIGML_SENSENET_CACHE_PATH=str(tmp_path / "cache"),
    )
    assert done.returncode == 1
    assert "mobilenetv2_weights" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "final_model.json").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("[]", "an empty list"),
        ('[{"file": "a.png", "boxes": [[1, 2]]}]', "row 0/boxes/0: found [1, 2]"),
    ],
)
def test_data_that_cannot_be_evaluated_end_with_1(data, message, tmp_path, capsys):
    model, path = tmp_path / "model.json", tmp_path / "data.json"
    model.write_text("{}")
    if data is not None:
        path.write_text(data)
    assert evaluate.main([str(model), str(path)]) == 1
    assert message in said(capsys)[-1]


def test_a_model_that_is_not_there_is_named(tmp_path, capsys):
    data = tmp_path / "data.json"
    data.write_text('[{"file": "a.png", "label": "b"}]')
    assert evaluate.main([str(tmp_path / "none.json"), str(data)]) == 1
    assert "none.json cannot be read" in said(capsys)[-1]
