"""How a fit begins and ends, with workers that train nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pyramid.errors import PyramidError
from pyramid.frames import TableChoices
from pyramid.search import finishing, fitting
from pyramid.search.backend import Job, JobFailed, Result
from pyramid.search.begun import Begun, FitError, Request, begin
from pyramid.search.candidates import Candidate, Outcome
from pyramid.search.choices import FitChoices
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress
from pyramid.search.interrupts import Interrupts
from pyramid.search.live import Unwatched
from pyramid.search.measuring import Measured
from pyramid.workspace import write_json
from sensenet.errors import SensenetError
from sensenet.tables.source import open_table

FRAME = pl.DataFrame({"x": [float(n) for n in range(12)], "y": ["a", "b"] * 6})
SELECTION = {"weights": {"0000": 1.0}, "metrics": {"accuracy": 0.5}}


class Finalizer:
    """A backend whose only job leaves a selection, and nothing else, or fails."""

    slots = 1

    def __init__(self, begun: Begun, fails: bool = False):
        self._selection, self._fails = begun.workspace.selection, fails

    def submit(self, _job: Job) -> Future[Result]:
        future: Future[Result] = Future()
        if self._fails:
            future.set_exception(JobFailed("OSError", "no space left"))
        else:
            write_json(self._selection, SELECTION)
            future.set_result({"job_id": "fit", "warnings": ["a submodel is left out"]})
        return future


def request(folder: Path, **choices: Any) -> Request:
    path = folder / "table.csv"
    FRAME.write_csv(path)
    output = folder / "out"
    about = TableChoices(image_folder=output / "images")
    return Request(open_table(path), "y", about, FitChoices(**choices), output)


def begun_fit(folder: Path, **choices: Any) -> Begun:
    return begin(request(folder, **choices), Clock(None), Unwatched())


def finished(begun: Begun, fails: bool = False) -> Any:
    progress = Progress()
    metrics = {"accuracy": 0.5, "likelihood": 0.5}
    progress.add([Outcome(Candidate(0, "trees", "random forest"), 0.5, metrics)], 1.0)
    begun.workspace.submodel("0000").root.mkdir()
    return finishing.finish(begun, progress, Finalizer(begun, fails), Interrupts(lambda _: None))


def report(begun: Begun) -> dict[str, Any]:
    return json.loads(begun.workspace.fit_report.read_text(encoding="utf-8"))


def test_what_a_fit_begins_with_is_told(tmp_path: Path) -> None:
    begun = begun_fit(tmp_path, folds=16, test_share=0.25)
    assert begun.warnings == ["there are 9 folds, not 16: no more than rows"]
    assert report(begun)["table"]["source"] == str(tmp_path / "table.csv")
    assert begun.request.test is not None
    assert begun.request.test.folder == tmp_path, "where the images of the test rows are"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objective": "z"}, 'no column "z"'),
        ({"table": TableChoices(ignore=("z",))}, 'no column "z"'),
        ({"table": TableChoices(types={"x": "wood"})}, "wood"),
        ({"test": open_table(FRAME.select("x"))}, 'no column "y"'),
    ],
)
def test_what_the_heading_tells_is_told_before_workers_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    def start(*_: Any, **__: Any) -> None:
        raise AssertionError("workers were started")

    monkeypatch.setattr(fitting, "start_searchers", start)
    wanted = Request(**(vars(request(tmp_path)) | changes))
    with pytest.raises((PyramidError, SensenetError), match=said):
        fitting.fit_table(wanted, Unwatched())
    assert not wanted.output.exists()


def test_a_final_model_that_cannot_be_written_leaves_what_there_is(tmp_path: Path) -> None:
    begun = begun_fit(tmp_path)
    with pytest.raises(FitError, match=r"no space left.*echo .*finalize_output\.json \| pyramid"):
        finished(begun, fails=True)
    assert begun.workspace.submodel("0000").root.is_dir()
    assert "random forest" in begun.workspace.leaderboard.read_text(encoding="utf-8")
    assert len(report(begun)["candidates"]) == 1


def interrupted(*_: Any) -> Measured:
    raise KeyboardInterrupt


def failing(*_: Any) -> Measured:
    raise TypeError("an oddity")


def measured(*_: Any) -> Measured:
    return Measured({"accuracy": 0.25}, ("the test rows: odd",))


@pytest.mark.parametrize(
    ("measuring", "said", "metrics"),
    [
        (interrupted, "interrupted: the final model is there", None),
        (failing, "could not be measured: TypeError: an oddity", None),
        (measured, "the test rows: odd", {"accuracy": 0.25}),
    ],
)
def test_what_follows_the_final_model_does_not_cost_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measuring: Callable[..., Measured],
    said: str,
    metrics: dict[str, float] | None,
) -> None:
    monkeypatch.setattr(finishing.Measuring, "measured", measuring)
    begun = begun_fit(tmp_path, test_share=0.25)
    result = finished(begun)
    told = " ".join(result.warnings)
    assert said in told
    assert "a submodel is left out" in told
    assert measuring is interrupted or "there is no report.html" in told
    assert result.test_metrics == metrics
    assert report(begun)["test_metrics"] == metrics
    assert [entry.share for entry in result.leaderboard] == [1.0]
    assert not begun.workspace.submodels()
