"""The page of a report on made-up data: its sections, its escapes, its bounds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from report_pages import EVIL, Page, checks, made, sections

from pyramid.fields import OBJECTIVES, parse_objective
from pyramid.report_page.answers import ANSWERS, Confusion, Scatter
from pyramid.report_page.answers.classes import MOST_CLASSES
from pyramid.report_page.answers.numbers import MOST_POINTS
from pyramid.report_page.collect import MOST_CHECKS, collect
from pyramid.report_page.data import ReportData, dump_report, parse_report
from pyramid.report_page.pictures import SHOWN_SIDE, data_uri
from pyramid.report_page.render import render
from pyramid.train.checks import HoldoutCheck

SECTIONS = ("curves", "answers", "worst", "augmented", "settings")
NUMBER = {"type": "numeric", "mean": 100.0, "stdev": 10.0}


def categories(values):
    return {"type": "categorical", "values": list(values)}


def numbers(truth, outputs, *arguments, **changes) -> ReportData:
    return made(NUMBER, truth, np.asarray(outputs, np.float32), *arguments, **changes)


def classified(n_images=20, values=("cat", "dog", "owl"), **changes) -> ReportData:
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(len(values)), n_images)
    return made(categories(values), rng.integers(0, len(values), n_images), outputs, **changes)


def worst(data: ReportData):
    (gallery,) = data.answers.galleries
    assert gallery.kind == "worst"
    return gallery.pictures


def test_a_classifier_has_all_sections_and_its_confusions():
    page = Page(render(classified()))
    assert sections(page) == list(SECTIONS)
    assert {"cat", "dog", "owl"} <= set(page.text.split())
    assert "true" in page.text
    assert page.text.count("truth: ") == 12
    assert len(page.all("img")) == 12 + 3
    assert len(page.all("polyline")) == len(("accuracy", "likelihood", "loss", "rate"))
    assert all(f"phase {number}" in page.text for number in (1, 2, 3))
    assert "noise, rotation 0.5" in page.text
    assert "batch_size" in page.text


def test_numbers_are_points_in_their_own_units():
    data = numbers([0.0, 1.0, -1.0], [[0.5], [1.0], [-3.0]], result_metrics=("r_squared",))
    assert data.answers == Scatter(data.answers.galleries, ((100.0, 105.0), (110.0, 110.0), (90.0, 70.0)), 3)
    assert [(miss.truth, miss.prediction) for miss in worst(data)] == [
        ("90", "70"),
        ("100", "105"),
        ("110", "110"),
    ]
    page = Page(render(data))
    assert sections(page) == list(SECTIONS)
    assert sum(attributes["class"] == "point" for attributes in page.all("circle")) == 3


def test_errors_are_positive_and_in_the_units_of_the_labels():
    names = ("r_squared", "mean_squared_error", "mean_absolute_error")
    data = numbers([0.0, 1.0, -1.0], [[0.5], [1.0], [-3.0]], names, result_metrics=names, value=-0.75)
    assert dict(data.result)["r_squared"] == "-0.7500"
    assert dict(data.result)["mean_squared_error"] == "75.0000"
    assert dict(data.result)["mean_absolute_error"] == "7.5000"
    raw = checks(metrics=names)
    assert [check.metrics["mean_squared_error"] for check in data.checks] == pytest.approx(
        [-100 * check.metrics["mean_squared_error"] for check in raw]
    )
    assert data.checks[0].metrics["r_squared"] == raw[0].metrics["r_squared"]
    assert "negated" not in render(data)


def test_the_confusions_are_counted_and_the_least_likely_truth_is_the_worst():
    outputs = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    data = made(categories(["x", "y"]), [0, 0, 1], np.array(outputs, np.float32))
    assert data.answers == Confusion(data.answers.galleries, ("x", "y"), ((1, 1), (1, 0)), 2)
    assert [miss.truth for miss in worst(data)] == ["x (20.0%)", "y (40.0%)", "x (90.0%)"]
    assert [miss.wrong for miss in worst(data)] == [True, True, False]


def test_without_holdout_images_checks_or_augmentations_the_sections_say_so():
    data = replace(made(NUMBER, [], None), checks=(), augmentations=(), sheet=(), phases=())
    page = Page(render(data))
    assert sections(page) == ["curves", "answers", "augmented", "settings"]
    assert page.all("img") == []
    for words in ("no check", "no holdout images", "not augmented"):
        assert words in page.text


def test_what_others_wrote_is_text_and_never_markup():
    data = classified(
        values=(EVIL, "b"), name=EVIL, result_metrics=(EVIL,), **{"job_id": EVIL, f"key {EVIL}": EVIL}
    )
    data = replace(data, checks=checks(metrics=(EVIL,)), phases=(EVIL,), augmentations=(EVIL,))
    text = render(data, summary=[(EVIL, EVIL)])
    assert "<script" not in text
    page = Page(text)
    assert page.all("script") == []
    assert EVIL in page.text
    assert all(source["src"].startswith("data:image/") for source in page.all("img"))
    for attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes[1])


def test_nothing_is_loaded_from_elsewhere():
    text = render(classified())
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text


def test_data_comes_back_from_json():
    for data in (classified(), numbers([0.0], [[0.5]]), made(NUMBER, [], None)):
        again = parse_report(json.loads(json.dumps(dump_report(data))))
        assert again == data
        assert render(again) == render(data)


def test_large_trainings_make_a_page_of_bounded_size():
    rng = np.random.default_rng(1)
    values = [f"class {number}" * 40 for number in range(300)]
    data = classified(3_000, values, name="n" * 5_000, note="s" * 100_000)
    assert isinstance(data.answers, Confusion)
    assert (len(data.answers.classes), data.answers.n_classes) == (MOST_CLASSES, 300)
    assert len(render(data)) < 500_000
    data = numbers(rng.normal(size=50_000), rng.normal(size=(50_000, 1)))
    assert isinstance(data.answers, Scatter)
    assert len(data.answers.points) == MOST_POINTS
    many = collect_checks(5_000)
    assert len(many.checks) == MOST_CHECKS + 1
    assert many.checks[-1].iteration == 20_000
    assert [check.iteration for check in many.checks if check.kept][-1] == 4 * 4_999
    assert "at 5000 checks" in render(many)


def collect_checks(count):
    settings = {"job_id": "m"}
    result = dict.fromkeys(("iterations", "elapsed_time", "base_image_network", "image_training_type"), 1) | {
        "validation_metrics": {}
    }
    return collect(settings, parse_objective(NUMBER), result, checks(count), ["all layers"], None, [], [])


@pytest.mark.parametrize("values", [[0.0], [0.5, 0.5], [1e-9, 2e-9], [-1e12, 1e12], [float("nan"), 1.0]])
def test_curves_of_any_range_are_drawn(values):
    made_checks = tuple(HoldoutCheck(i, 0.0, value, {"m": value}, True) for i, value in enumerate(values))
    text = render(replace(classified(), checks=made_checks))
    Page(text)
    assert "nan" not in text.replace("nanum", "")
    assert "inf" not in text.lower().replace("info", "")


def test_pictures_are_small():
    rng = np.random.default_rng(2)
    large = rng.integers(0, 256, (900, 600, 3), np.uint8)
    assert data_uri(large).startswith("data:image/jpeg;base64,")
    assert len(data_uri(large)) < 4 * SHOWN_SIDE * SHOWN_SIDE
    assert data_uri(np.zeros((8, 8, 3), np.uint8)).startswith("data:image/png;base64,")


def test_candidates_stand_in_a_table_before_their_trainings():
    page = Page(
        render(classified(), classified(), summary=[("a", "accuracy 1, the best"), ("b", "failed: no")])
    )
    assert sections(page) == ["candidates", *SECTIONS, *SECTIONS]
    assert "failed: no" in page.text


def test_every_kind_of_objective_has_its_kind_of_answers():
    assert ANSWERS.keys() == OBJECTIVES.keys()
