"""What people see of a search, and what their signals do to it."""

from __future__ import annotations

import csv
import fcntl
import io
import os
import pty
import signal
import struct
import termios
import threading
from pathlib import Path

import polars as pl
import pytest

import pyramid
from pyramid.errors import WorkspaceError
from pyramid.fields import parse_objective
from pyramid.search.candidates import Candidate, Outcome
from pyramid.search.choices import ChoiceError, FitChoices, n_processors
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress
from pyramid.search.interrupts import watched_interrupts
from pyramid.search.leaderboard import leaderboard, shown_leaderboard, write_leaderboard
from pyramid.search.live import LiveTable, PlainLines, Watcher, terminal_or_lines
from pyramid.search.output_folder import check_model_replaced, check_output, open_output, reserved, table_name
from pyramid.search.portfolio import Numbers, Structure
from pyramid.workspace import write_json
from sensenet.tables.source import open_table

OBJECTIVE = parse_objective({"index": 0, "type": "numeric", "mean": 10.0, "stdev": 2.0})


def outcome(number: int, loss: float, r_squared: float = 0.5) -> Outcome:
    candidate = Candidate(number, "network", "2 x 8 relu", Structure(2, 8), Numbers(0.01))
    return Outcome(candidate, loss, {"mean_squared_error": -loss, "r_squared": r_squared}, 100, 1.5)


def failed(number: int) -> Outcome:
    return Outcome(Candidate(number, "trees", "random forest"), reason="out of\nmemory")


def progress() -> Progress:
    made = Progress(running=8)
    made.add([outcome(0, 0.5), outcome(1, 0.25)], 2.0)
    made.add([failed(2)], 3.0)
    return made


def test_the_leaderboard_has_the_lowest_loss_first_and_failures_last() -> None:
    outcomes = [failed(0), outcome(1, 0.5, 0.9), outcome(2, 0.25, 0.1), outcome(3, 0.5, 0.8)]
    by_loss = leaderboard(outcomes, OBJECTIVE, None, {"0002": 0.75, "0003": 0.25})
    assert [entry.job_id for entry in by_loss] == ["0002", "0001", "0003", "0000"]
    by_metric = leaderboard(outcomes, OBJECTIVE, "r_squared", {})
    assert [entry.job_id for entry in by_metric] == ["0001", "0003", "0002", "0000"]
    shown = shown_leaderboard(by_loss, ["r_squared"])
    assert "75.0%" in shown.splitlines()[1]
    assert "failed" in shown.splitlines()[-1]


def test_the_file_of_the_leaderboard_is_a_table_in_the_units_of_the_objective(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.csv"
    write_leaderboard(path, leaderboard([outcome(1, 0.25), failed(2)], OBJECTIVE, None, {"0001": 1.0}))
    best, worst = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    assert (best["job_id"], best["share"], best["status"]) == ("0001", "1.0", "done")
    assert float(best["mean_squared_error"]) == pytest.approx(0.25 * 2.0**2)
    assert (best["layers"], best["learning_rate"]) == ("2", "0.01")
    assert (worst["status"], worst["reason"], worst["loss"]) == ("failed", "out of\nmemory", "")


def test_lines_for_no_terminal_tell_what_is_new_from_time_to_time() -> None:
    stream = io.StringIO()
    watcher = terminal_or_lines(stream)
    assert isinstance(watcher, PlainLines)
    watcher.phase("learning trees")
    for _ in range(3):
        watcher.show(progress(), Clock(60.0, began=-1e9))
    watcher.close()
    assert stream.getvalue() == "learning trees ...\n"


def test_the_live_table_is_drawn_over_itself_and_messages_stay_above_it() -> None:
    stream = io.StringIO()
    table = LiveTable(stream)
    table.show(progress(), Clock(None))
    first = stream.getvalue()
    assert "0.2500  0001 2 x 8 relu" in first
    assert first.count("\n") == 2
    table.say("a warning")
    again = stream.getvalue().removeprefix(first)
    assert again.startswith("\x1b[2A\r\x1b[J")
    assert "a warning\n" in again
    table.close()
    assert stream.getvalue().endswith("\x1b[2A\r\x1b[J")


class Gone(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("watcher", [LiveTable(Gone()), PlainLines(Gone()), terminal_or_lines(None)])
def test_nothing_is_lost_but_words_where_nobody_reads(watcher: Watcher) -> None:
    watcher.say("a warning")
    watcher.phase("learning trees")
    watcher.show(progress(), Clock(60.0))
    watcher.close()


def test_the_live_table_is_as_wide_as_its_terminal() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        LiveTable(stream).show(progress(), Clock(None))
        drawn = os.read(ours, 4096).decode()
    os.close(ours)
    assert max(map(len, drawn.removeprefix("\r\x1b[J").splitlines())) == 29


def test_the_first_signal_asks_once_something_can_be_finished_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGTERM)
    told: list[str] = []
    with watched_interrupts(told.append) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        interrupts.patient = True
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.asked
        assert ["once more gives up" in one for one in told] == [True]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_thread_leaves_signals_alone() -> None:
    seen = []

    def run() -> None:
        with watched_interrupts(print) as interrupts:
            seen.append((interrupts.asked, signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def test_an_output_directory_of_others_is_refused_and_our_own_is_emptied(tmp_path: Path) -> None:
    root = tmp_path / "out"
    workspace = open_output(root)
    for path in (
        workspace.final_model,
        workspace.leaderboard,
        root / "jobs" / "0000.json",
        root / "notes.txt",
    ):
        path.write_text("x", encoding="utf-8")
    workspace.submodel("0000").root.mkdir()
    open_output(root)
    assert {path.name for path in root.iterdir()} == {"fit_report.json", "jobs", "notes.txt"}
    assert not list((root / "jobs").iterdir())
    workspace.fit_report.unlink()
    with pytest.raises(WorkspaceError, match="--output"):
        open_output(root)
    with pytest.raises(WorkspaceError, match="no directory"):
        open_output(root / "notes.txt")


def test_a_directory_that_holds_a_table_which_is_read_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "out"
    held_back = open_output(root).test_rows
    pl.DataFrame({"a": [1]}).write_parquet(held_back)
    with pytest.raises(WorkspaceError, match=r"test_rows\.parquet lies in .*--output"):
        check_output(root, [open_table(held_back)])
    check_output(root, [open_table(pl.DataFrame({"a": [1]}))])
    with pytest.raises(WorkspaceError, match="line break"):
        check_output(tmp_path / "two\nlines")


def test_one_fit_at_a_time_writes_into_a_directory(tmp_path: Path) -> None:
    root = tmp_path / "out"
    with reserved(root):
        with pytest.raises(WorkspaceError, match="another pyramid_fit writes into"), reserved(root):
            pass
        check_output(root)
    assert not root.exists(), "nothing has come into it"
    with reserved(root):
        open_output(root)
    assert root.exists()


def test_only_images_with_short_names_are_removed_with_an_earlier_fit(tmp_path: Path) -> None:
    open_output(tmp_path / "out")
    images = tmp_path / "out" / "images"
    images.mkdir()
    for name in ("0123456789abcdef0123.png", "mine.png"):
        (images / name).touch()
    open_output(tmp_path / "out")
    assert [path.name for path in images.iterdir()] == ["mine.png"]


@pytest.mark.parametrize(
    ("file", "objective", "folder"),
    [
        ("sales.2023.csv", "a/b", "sales.2023_model"),
        ("sales.JSONL.gz", "x", "sales_model"),
        (None, "a/b", "a_b_model"),
    ],
)
def test_the_model_of_something_else_is_replaced_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, objective: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"x": [1, 2], "a/b": [1, 2]})
    if file is not None:
        Path(file).write_text(
            '{"x": 1, "a/b": 2}\n' if "JSON" in file else frame.write_csv(), encoding="utf-8"
        )
    workspace = open_output(Path(folder))
    workspace.final_model.touch()
    source = open_table(frame if file is None else file)
    earlier = {"source": table_name(source), "objective": objective}
    write_json(workspace.fit_report, {"table": earlier})
    check_model_replaced(Path(folder), source, objective)
    write_json(workspace.fit_report, {"table": earlier | {"objective": "other"}})
    with pytest.raises(WorkspaceError, match=r'holds a model of "other" from .*--output'):
        pyramid.fit(frame if file is None else file, objective)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"time": 0}, "time: expected seconds greater than 0, got 0"),
        ({"workers": 0}, "workers: expected at least 1"),
        ({"folds": 1}, "folds: expected 2 to 16"),
        ({"test_share": 1.0}, "test_share: "),
        ({"trees": "oak"}, "trees: expected one of cross_fitted, windows, none, got oak"),
        ({"max_candidates": 0}, "max_candidates: "),
        ({"seed": -1}, "seed: "),
    ],
)
def test_a_choice_that_cannot_be_says_what_could(choice: dict[str, object], said: str) -> None:
    with pytest.raises(ChoiceError, match=said.replace("(", r"\(")):
        FitChoices(**choice)


def test_only_a_search_that_nothing_else_ends_has_a_time_by_itself() -> None:
    assert FitChoices().seconds == 60
    assert FitChoices(max_candidates=5).seconds is None
    assert FitChoices(quick=True).seconds is None
    assert FitChoices(max_candidates=5, time=7).seconds == 7
    assert FitChoices(workers=10**6).threads == 1


def test_there_are_no_more_workers_than_jobs_at_once() -> None:
    assert FitChoices(workers=64).n_workers == 64
    assert FitChoices(workers=64, max_candidates=100).n_workers == 16
    assert FitChoices(workers=64, max_candidates=100, time=9).n_workers == 64
    assert FitChoices(workers=64, max_candidates=3).n_workers == 3
    quick = FitChoices(workers=64, quick=True)
    assert (quick.n_workers, quick.threads) == (1, n_processors())


def test_a_slow_machine_has_more_time_kept_for_finalizing() -> None:
    clock = Clock(200.0)
    quick, slow, very_slow = (clock.after_waiting(seconds).search_left for seconds in (3.0, 20.0, 1000.0))
    assert quick == pytest.approx(194, abs=1)
    assert slow == pytest.approx(180, abs=1)
    assert very_slow == pytest.approx(160, abs=1)
    assert Clock(None).after_waiting(20.0).job_seconds(1.0) is None
