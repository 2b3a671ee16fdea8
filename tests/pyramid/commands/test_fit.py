"""`pyramid_fit` and `pyramid.fit`, with real workers."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from worker_client import inherited_environment, is_alive, wait_until

import pyramid
import sensenet
from pyramid.commands.fit import main, named_columns, types_of_columns
from pyramid.errors import PyramidError
from pyramid.search.local import JOBS_FOLDER
from sensenet.errors import SensenetError

FEW = ("--max-candidates", "6")
END_SECONDS = 90


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows with two numbers, a category, and a class that hangs on all three."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 300))
    colour = rng.choice(["red", "green", "blue"], 300)
    score = x + y * (colour == "red") + rng.normal(0, 0.4, 300)
    kind = np.where(score > 0.4, "large", np.where(score < -0.4, "small", "medium"))
    path = tmp_path_factory.mktemp("tables") / "things.csv"
    pl.DataFrame({"x": x, "y": y, "colour": colour, "kind": kind}).write_csv(path)
    return path


@contextmanager
def running(table: Path, output: Path, told: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own, whose standard error goes to the file `told`."""
    command = [sys.executable, "-m", "pyramid.commands.fit", str(table), "--objective", "kind"]
    with told.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--output", str(output), "--workers", "2", *options],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            env=inherited_environment(),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def search_workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The supervisors; the first one is the one that caches and finalizes."""
    there = [one for one in psutil.Process(process.pid).children() if "pyramid.worker" in one.cmdline()]
    return sorted(there, key=lambda one: one.pid)


def networks(document: Path) -> Any:
    return json.loads(document.read_text(encoding="utf-8"))["networks"]


@pytest.mark.slow
def test_a_table_becomes_a_model_and_all_that_is_told_of_it(table: Path, tmp_path: Path, capfd) -> None:
    output = tmp_path / "out"
    arguments = [str(table), "--objective", "kind", "--output", str(output), "--workers", "2"]
    assert main([*arguments, *FEW, "--test-share", "0.2"]) == 0
    told = capfd.readouterr()
    assert "random forest" in told.out
    assert "on the test rows" in told.out
    assert "240 rows" in told.err
    lines = list(csv.DictReader((output / "leaderboard.csv").open(encoding="utf-8")))
    assert len(lines) == 6
    assert sum(float(line["share"]) for line in lines) == pytest.approx(1, abs=1e-4)
    report = json.loads((output / "fit_report.json").read_text(encoding="utf-8"))
    assert {one["job_id"] for one in report["candidates"]} == {line["job_id"] for line in lines}
    assert "accuracy" in report["test_metrics"]
    assert 'aria-label="from ' in (output / "report.html").read_text(encoding="utf-8"), "bars of a number"
    assert not list(output.glob("submodel_*"))
    jobs = {path.stem for path in (output / JOBS_FOLDER).iterdir()}
    assert {"dataset_caching", "finalize_output", "0000"} <= jobs
    model = sensenet.create_model(output / "final_model.json")
    assert np.asarray(model([{"x": 3.0, "y": 3.0, "colour": "red"}])).argmax() == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_whatever_the_workers(table: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        output = tmp_path / str(workers)
        pyramid.fit(table, "kind", output=output, workers=workers, trees="windows", folds=2, max_candidates=8)
    assert networks(tmp_path / "1" / "final_model.json") == networks(tmp_path / "3" / "final_model.json")


@pytest.mark.slow
def test_frames_are_fitted_and_submodels_kept(table: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(table).with_columns(big=pl.col("x") * 100)
    test = frame.head(50).with_columns(big=pl.when(pl.col("x") > 1).then(None).otherwise(pl.col("big")))
    result = pyramid.fit(frame, "big", output=tmp_path / "out", quick=True, keep=True, test=test)
    assert any("left out for want of the objective" in warning for warning in result.warnings)
    assert result.document.is_file()
    assert [entry.share for entry in result.leaderboard if entry.share] == [1.0]
    assert len(list(result.output.glob("submodel_*"))) == len(result.leaderboard)
    assert result.metrics["r_squared"] > 0.5
    assert result.test_metrics is not None
    assert result.test_metrics["r_squared"] > 0.5
    assert len(networks(result.document)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("reading the table", 130),
        (f"{JOBS_FOLDER}/dataset_caching.json", 130),
        (f"{JOBS_FOLDER}/job_0002.json", 0),  # of two at once, one has ended
    ],
)
def test_interrupted_at_any_moment_there_is_a_model_or_a_sentence(
    table: Path, tmp_path: Path, moment: str, code: int
) -> None:
    output, told = tmp_path / "out", tmp_path / "told"
    with running(table, output, told, "--time", "600", "--trees", "none") as process:
        wait_until(lambda: list(output.glob(moment)) or moment in told.read_text(), END_SECONDS, moment)
        left = descendants(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_SECONDS) == code, told.read_text()
    if code:
        assert "interrupted" in told.read_text()
        assert not (output / "final_model.json").exists()
    else:
        assert "once more gives up" in told.read_text()
        sensenet.create_model(output / "final_model.json")
    wait_until(lambda: not any(is_alive(one.pid) for one in left), 10, "all processes are gone")
    assert not list(output.rglob("*.partial"))


@pytest.mark.slow
def test_a_search_outlives_its_workers(table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    told = tmp_path / "told"
    with running(table, output, told, "--max-candidates", "8", "--trees", "none") as process:
        wait_until(lambda: list((output / JOBS_FOLDER).glob("job_*.json")), END_SECONDS, "the search begins")
        for worker in search_workers(process)[1:]:
            os.kill(worker.pid, signal.SIGKILL)
        assert process.wait(2 * END_SECONDS) == 0, told.read_text()
    lines = list(csv.DictReader((output / "leaderboard.csv").open(encoding="utf-8")))
    assert [line["status"] for line in lines] == ["done"] * 8


@pytest.mark.slow
def test_nothing_outlives_a_fit_that_is_killed(table: Path, tmp_path: Path) -> None:
    with running(table, tmp_path / "out", tmp_path / "told", "--time", "600") as process:
        wait_until(lambda: len(descendants(process)) >= 6, END_SECONDS, "three workers have children")
        left = descendants(process)
        process.kill()
        process.wait()
    wait_until(lambda: not any(is_alive(one.pid) for one in left), 10, "all are gone")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.csv", "--objective", "kind"], "no.csv"),
        (["TABLE", "--objective", "kin"], 'no column "kin"'),
        (
            ["TABLE", "--objective", "kind", "--metric", "r_squared"],
            "metric: of this objective expected one of accuracy",
        ),
        (["TABLE", "--objective", "kind", "--time", "-1"], "time: expected seconds greater than 0"),
        (["TABLE", "--objective", "kind", "--types", "x=wood"], "wood"),
        (["TABLE", "--objective", "kind", "--types", "x"], "types: expected COLUMN=KIND,..., got 'x'"),
        (["TABLE", "--objective", "kind", "--output", "FULL"], "--output"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    table: Path, tmp_path: Path, monkeypatch, capfd, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine", encoding="utf-8")
    places = {"TABLE": str(table), "FULL": str(tmp_path / "full")}
    assert main([places.get(word, word) for word in arguments]) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_column_whose_name_has_a_comma_or_blanks_can_be_named() -> None:
    columns = ("a", "b", "a,b", " c ")
    assert named_columns(["a, b", "a,b", " c "], columns) == ["a", "b", "a,b", " c "]
    assert types_of_columns(["a=numeric,b=date", "a,b=image", " c =date"], columns) == {
        "a": "numeric",
        "b": "date",
        "a,b": "image",
        " c ": "date",
    }


def test_an_option_that_there_is_not_is_an_error(table: Path) -> None:
    with pytest.raises(TypeError, match="speed"):
        pyramid.fit(table, "kind", speed=2)
    with pytest.raises((PyramidError, SensenetError), match="nothing"):
        pyramid.fit(table, "nothing")
