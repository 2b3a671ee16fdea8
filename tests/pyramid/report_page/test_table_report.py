"""The page about a search over a table: its sections, its numbers, its escapes, its bounds."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pytest
from browser import browse, needs_browser, screenshot
from report_pages import EVIL, Page, sections
from sklearn.metrics import confusion_matrix, roc_auc_score
from told_searches import SHARES, candidate, fabricate_fit, guesses, write_json

from pyramid.errors import WorkspaceError
from pyramid.fields import OBJECTIVES, parse_objective
from pyramid.report_page.tables import write_table_report
from pyramid.report_page.tables.answers import TABLE_ANSWERS
from pyramid.report_page.tables.columns import MOST_COLUMNS
from pyramid.report_page.tables.importances import column_importances
from pyramid.report_page.tables.intervals import MOST_ROWS, bootstrap_deviations
from pyramid.report_page.tables.leaderboard import in_words
from pyramid.report_page.tables.sources import OutOfFold, read_sources
from pyramid.report_page.units import shown_number
from pyramid.workspace import Workspace

SECTIONS = ["answers", "worst", "importances", "fields", "left_out", "leaderboard", "settings"]
PRICE = {"type": "numeric", "name": "price", "mean": 100.0, "stdev": 20.0}


def kinds(n_classes: int) -> dict:
    values = [f"kind {number}" for number in range(n_classes)]
    return {"type": "categorical", "name": "what", "values": values}


def classified(directory, n_classes=3, n_rows=400, strength=2.0, **changes) -> Workspace:
    truth = np.random.default_rng(0).integers(0, n_classes, n_rows)
    shares = guesses(truth, n_classes, strength)
    return fabricate_fit(directory, kinds(n_classes), truth, shares, **changes)


def numbers(directory, n_rows=400, **changes) -> Workspace:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=n_rows).astype(np.float32)
    outputs = (truth + rng.normal(0, 0.3, n_rows)).astype(np.float32)[:, None]
    return fabricate_fit(directory, PRICE, truth, outputs, **changes)


def text_of(workspace: Workspace) -> str:
    write_table_report(workspace.root)
    return workspace.report.read_text()


def truth_and_outputs(workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
    answers = read_sources(workspace).answers
    assert answers is not None
    return answers.truth, np.asarray(answers.outputs)


def cells(text: str, section: str) -> list[list[str]]:
    """The rows of the tables in a section, without markup."""
    (part,) = re.findall(rf'<section class="{section}">.*?</section>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    found = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]*>", " ", cell)).strip() for cell in row] for row in found]


@pytest.mark.parametrize("n_classes", [2, 3, 10, 60])
def test_classes_have_all_sections_and_their_numbers(tmp_path, n_classes):
    workspace = classified(tmp_path, n_classes, n_rows=1_200)
    text = text_of(workspace)
    page = Page(text)
    assert sections(page) == SECTIONS
    truth, shares = truth_and_outputs(workspace)
    shown = {row[0]: row for row in cells(text, "answers") if row[0].startswith("kind") and len(row) == 6}
    assert len(shown) == min(n_classes, 20)
    counts = confusion_matrix(truth, shares.argmax(axis=1))
    for name, row in shown.items():
        one = int(name.split()[1])
        assert int(row[1]) == counts[one].sum()
        assert float(row[2]) == pytest.approx(counts[one, one] / counts[one].sum(), abs=1e-4)
        assert float(row[3]) == pytest.approx(counts[one, one] / counts[:, one].sum(), abs=1e-4)
        assert float(row[4]) == pytest.approx(roc_auc_score(truth == one, shares[:, one]), abs=2e-3)
        told = f"kind {one} predicted as kind {one}: {counts[one, one]}"
        assert told in page.text


def test_many_classes_have_their_largest_confusions_and_worst_curves(tmp_path):
    workspace = classified(tmp_path, 30, n_rows=1_500)
    text = text_of(workspace)
    truth, shares = truth_and_outputs(workspace)
    wrong = confusion_matrix(truth, shares.argmax(axis=1))
    np.fill_diagonal(wrong, 0)
    pairs = [row for row in cells(text, "answers") if len(row) == 4 and row[0].startswith("kind")]
    assert [int(row[2]) for row in pairs] == sorted(wrong.reshape(-1).tolist(), reverse=True)[: len(pairs)]
    assert all(wrong[int(a.split()[1]), int(b.split()[1])] == int(count) for a, b, count, _ in pairs)
    areas = [roc_auc_score(truth == one, shares[:, one]) for one in range(30)]
    worst = set(re.findall(r'<li class="series\d">kind (\d+):', text))
    assert worst == {str(one) for one in np.argsort(areas)[:5]}
    assert text.count('<li class="mean">') == 2
    assert "20 most frequent of 30 classes" in text


def test_numbers_have_all_sections_and_errors_in_their_own_units(tmp_path):
    workspace = numbers(tmp_path)
    text = text_of(workspace)
    assert sections(Page(text)) == SECTIONS
    truth, outputs = truth_and_outputs(workspace)
    errors = np.abs(outputs[:, 0] - truth) * 20
    assert f"<b>{shown_number(errors.mean())}</b><span>mean absolute error" in text
    (row,) = [row for row in cells(text, "answers") if row[0] == "error"]
    shares = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
    assert [float(cell) for cell in row[1:]] == pytest.approx(np.quantile(errors, shares), rel=1e-3)
    tenths = [row for row in cells(text, "answers") if len(row) == 5][1:]
    assert [int(row[1]) for row in tenths] == [40] * 10
    last = np.sort(truth)[-40:]
    at_the_top = truth >= last[0]
    assert float(tenths[-1][3]) == pytest.approx(np.median(errors[at_the_top]), rel=1e-3)


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0, 0.0], [1e9, -1e9, 0.0, 3.0]])
def test_any_numbers_are_drawn(tmp_path, values):
    truth = np.array(values, np.float32)
    text = text_of(fabricate_fit(tmp_path, PRICE, truth, truth[:, None] * 0.5))
    assert "nan" not in text
    assert sections(Page(text)) == SECTIONS


def test_rows_of_one_class_have_no_curves(tmp_path):
    shares = np.full((20, 2), 0.5, np.float32)
    text = text_of(fabricate_fit(tmp_path, kinds(2), np.zeros(20, np.int64), shares))
    assert "all rows are of one class" in text
    assert sections(Page(text)) == SECTIONS


def test_the_worst_rows_are_told_by_their_numbers_in_the_table(tmp_path):
    workspace = classified(tmp_path, n_rows=50)
    truth, shares = truth_and_outputs(workspace)
    worst = int(np.argmin(shares[np.arange(50), truth]))
    first = cells(text_of(workspace), "worst")[1]
    assert first[0] == str(worst + 1)
    assert first[1] == f"kind {truth[worst]} ({shares[worst, truth[worst]]:.1%})"
    sources = read_sources(workspace)
    assert sources.rows is not None
    names = cells(text_of(workspace), "worst")[0]
    assert float(first[names.index("size 0")]) == pytest.approx(sources.rows.rows.column(0)[worst], rel=1e-5)
    colour = ["red", "green", "blue"][int(sources.rows.rows.column(1)[worst])]
    assert first[names.index("colour 1")] == colour
    # the matrix has the rows of the .ser upside down, and of the table every second one was left out
    np.save(workspace.full_rows, np.arange(50)[::-1])
    np.save(workspace.row_numbers, np.arange(50) * 2)
    assert cells(text_of(workspace), "worst")[1][0] == str(2 * (49 - worst) + 1)
    workspace.table_rows.unlink()
    assert cells(text_of(workspace), "worst")[0] == ["row", "truth", "prediction"]


@pytest.mark.parametrize("n_rows", [2_000, 3 * MOST_ROWS])
def test_intervals_of_accuracies_are_binomial(n_rows):
    truth = np.random.default_rng(0).integers(0, 2, n_rows)
    shares = guesses(truth, 2, 1.0)
    objective = parse_objective(kinds(2))
    deviations = bootstrap_deviations(OutOfFold(objective, truth, shares), np.random.default_rng(0))
    accuracy = (shares.argmax(axis=1) == truth).mean()
    expected = 1.96 * np.sqrt(accuracy * (1 - accuracy) / n_rows)
    assert deviations["accuracy"] == pytest.approx((-expected, expected), rel=0.2)
    assert set(deviations) == set(objective.evaluate(truth, shares))


def test_means_over_rare_classes_have_no_interval():
    truth = np.array([0] * 300 + [1] * 3)
    answers = OutOfFold(parse_objective(kinds(2)), truth, guesses(truth, 2, 1.0))
    assert set(bootstrap_deviations(answers, np.random.default_rng(0))) == {"accuracy", "likelihood"}


def test_importances_of_parts_of_a_date_are_those_of_its_column(tmp_path):
    workspace = classified(tmp_path)
    document = json.loads(workspace.short_model.read_text())
    for place in (0, 2):
        document["preprocess"][place] |= {"column": "when", "part": "year"}
    write_json(workspace.short_model, document)
    sources = read_sources(workspace)
    found = {one.column: one for one in column_importances(sources)}
    assert found.keys() == {"when", "colour 1", "colour 3"}
    own = [shares[0] + shares[2] for shares in sources.importances.values()]
    assert found["when"].mean == pytest.approx(np.mean(own))
    assert (found["when"].least, found["when"].most) == pytest.approx((min(own), max(own)))
    assert "any of the 3 submodels" in text_of(workspace)


def test_candidates_are_ranked_with_their_shares_and_failures_come_last(tmp_path):
    workspace = classified(tmp_path)
    head, *rows = cells(text_of(workspace), "leaderboard")
    best_first = ["network_5", "network_4", "network_3", "tree_0", "network_2", "network_1", "network_6"]
    assert [row[1] for row in rows] == best_first
    shares = {row[1]: row[head.index("share")] for row in rows if row[head.index("share")]}
    assert shares == {job_id: f"{share:.1%}" for job_id, share in SHARES.items()}
    assert rows[-1][head.index("settings")] == "failed: WorkerDied: the process died"


def test_candidates_of_the_final_model_are_shown_however_many_were_better(tmp_path):
    many = [candidate(number, "network", {}, {}, number / 100) for number in range(2, 200)]
    rows = cells(
        text_of(classified(tmp_path, candidates=[*many, candidate(1, "network", {}, {}, 9.0)])), "leaderboard"
    )
    assert len(rows) == 1 + 50 + 1
    assert (rows[-1][0], rows[-1][1]) == ("199", "network_1")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"what": "a small one", "nodes": [64, 32]}, "a small one, nodes 64 x 32"),
        ({"dropout_rate": 0.25, "trees": True, "residual": False, "mixup": None}, "dropout rate 0.25, trees"),
        ({}, ""),
    ],
)
def test_settings_are_words(settings, words):
    assert in_words(settings) == words


def test_metrics_of_test_rows_are_shown_as_they_are(tmp_path):
    text = text_of(numbers(tmp_path, test_metrics={"r_squared": 0.5, "mean_absolute_error": -12.5}))
    assert "<b>12.5000</b><span>mean absolute error</span>" in text
    assert "On the test rows" in text
    assert "On the test rows" not in text_of(numbers(tmp_path))


def test_what_others_wrote_is_text_and_never_markup(tmp_path):
    bold = "<b>bold</b>"
    objective = kinds(3) | {"name": bold, "values": [EVIL, "x", bold]}
    truth = np.random.default_rng(0).integers(0, 3, 60)
    column = {"name": bold, "kind": EVIL, "role": "input", "missing": 1, "distinct": 2}
    workspace = fabricate_fit(
        tmp_path,
        objective,
        truth,
        guesses(truth, 3, 1.0),
        columns=[column | {"top": [[EVIL, 3]], "edges": None, "counts": None}],
        left_out={EVIL: bold},
        warnings=[EVIL],
        candidates=[
            candidate(1, EVIL, {EVIL: bold}, {EVIL: 0.5}, 0.1),
            candidate(2, EVIL, {}, {}, None, EVIL, EVIL),
        ],
        options={EVIL: [bold]},
        test_metrics={EVIL: 0.5},
    )
    document = json.loads(workspace.short_model.read_text())
    document["preprocess"][0]["name"] = bold
    document["preprocess"][1]["values"] = [EVIL, bold, "z"]
    write_json(workspace.short_model, document)
    text = text_of(workspace)
    assert "<script" not in text
    assert "<b>bold" not in text
    page = Page(text)
    assert EVIL in page.text
    assert bold in page.text
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    text = text_of(classified(tmp_path))
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|<link|<img|<a ", text)


def test_many_fields_and_classes_make_a_page_of_bounded_size(tmp_path):
    left_out = {f"left {number}": "constant" for number in range(5_000)}
    workspace = classified(tmp_path, 300, n_rows=900, n_fields=2_000, left_out=left_out)
    text = text_of(workspace)
    assert len(text) < 300_000
    assert len(cells(text, "fields")) == 1 + MOST_COLUMNS
    assert f"the other {2_001 - MOST_COLUMNS} are not shown" in text
    assert "And 4950 others" in text
    importances = sorted(json.loads(workspace.short_model.read_text())["importances"], reverse=True)
    shares = [row[-1] for row in cells(text, "fields")[2:]]
    assert shares == [f"{share:.2%}" for share in importances[: MOST_COLUMNS - 1]]


def test_the_same_search_has_the_same_page(tmp_path):
    workspace = classified(tmp_path)
    assert text_of(workspace) == text_of(workspace)


def test_what_is_not_there_is_said(tmp_path):
    workspace = classified(tmp_path, history=[], warnings=[], left_out={}, rows_without_objective=0)
    workspace.final_out_of_fold.unlink()
    workspace.selection.unlink()
    page = Page(text_of(workspace))
    assert sections(page) == [one for one in SECTIONS if one != "worst"]
    for words in ("no predictions out of fold", "ranked by their evaluations", "Nothing was left out"):
        assert words in page.text


@pytest.mark.parametrize(
    ("content", "said"), [("{}", "has no 'table'"), ("[1]", "cannot be used"), ("{", "not valid JSON")]
)
def test_a_report_that_is_none_is_named(tmp_path, content, said):
    workspace = classified(tmp_path)
    workspace.fit_report.write_text(content)
    with pytest.raises(WorkspaceError, match=f"fit_report.json.*{re.escape(said)}"):
        write_table_report(workspace.root)


def test_predictions_of_other_rows_are_refused(tmp_path):
    workspace = classified(tmp_path)
    np.save(workspace.final_out_of_fold, np.zeros((7, 3), np.float32))
    with pytest.raises(
        WorkspaceError, match=r"final_out_of_fold.npy has the shape \(7, 3\), expected \(400, 3\)"
    ):
        write_table_report(workspace.root)


def test_rows_of_another_table_are_refused(tmp_path):
    workspace = classified(tmp_path)
    np.save(workspace.row_numbers, np.arange(399))
    with pytest.raises(WorkspaceError, match=r"rows\.ser has 400 rows, which are not those of"):
        write_table_report(workspace.root)


def test_every_kind_of_objective_that_tables_can_have_is_shown():
    assert TABLE_ANSWERS.keys() == OBJECTIVES.keys() - {"bounding_box"}


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1300])
@pytest.mark.parametrize("make", [lambda path: classified(path, 25, 900, n_fields=12), numbers])
def test_a_browser_shows_the_page_within_its_width(tmp_path, make, width):
    workspace = make(tmp_path / "out")
    write_table_report(workspace.root)
    document = browse(workspace.report, tmp_path, "--dump-dom")
    for heading in ("Truth and prediction", "Worst rows", "Importances", "Fields", "Leaderboard", "Settings"):
        assert f"<h2>{heading}</h2>" in document
    pixels = screenshot(workspace.report, tmp_path, width, 6_000)
    inked = (pixels != pixels[0, 0]).any(axis=2)
    assert inked.any(axis=1).sum() > 2_000
    # the margin beside a scroll bar, if there is one
    assert not inked[:, width - 30 : width - 20].any()
