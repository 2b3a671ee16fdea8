"""Reports of trainings that never were, and their pages taken apart."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np

from pyramid.fields import parse_objective
from pyramid.report_page.answers import answers_to
from pyramid.report_page.collect import collect
from pyramid.report_page.data import ReportData
from pyramid.train.checks import HoldoutAnswers, HoldoutCheck

EVIL = '<script>alert("x")</script>&\'"'
VOID = {"meta", "img"}
PIXELS = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)


class Page(HTMLParser):
    """The elements of a page; every one that is opened must be closed."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def checks(count=9, metrics=("accuracy", "likelihood")):
    return tuple(
        HoldoutCheck(
            4 * i, i / 2, 1 / i, dict.fromkeys(metrics, i / count), i < count, 1 + i // 4, 0.1 / (1 + i // 4)
        )
        for i in range(1, count + 1)
    )


def made(
    raw_objective: dict[str, Any],
    truth: Any,
    outputs: Any,
    check_metrics=("accuracy", "likelihood"),
    name="a.png",
    result_metrics=("accuracy",),
    value=0.75,
    pixels=PIXELS,
    **changes,
) -> ReportData:
    """The report on a holdout; there is none where `outputs` are None."""
    objective = parse_objective(raw_objective)
    settings = {"job_id": "simple_fine_tune", "batch_size": 8, "image_root": name, "layers": [1]} | changes
    answers = None
    if outputs is not None:
        look = lambda places: [(name, pixels)] * len(places)  # noqa: E731
        answers = answers_to(objective).of(HoldoutAnswers(objective, np.asarray(truth), outputs, look))
    result = {
        "validation_metrics": dict.fromkeys(result_metrics, value),
        "iterations": 36,
        "elapsed_time": 4.5,
        "base_image_network": "simple",
        "image_training_type": "fine_tune",
    }
    return collect(
        settings,
        objective,
        result,
        checks(metrics=check_metrics),
        ["the readout", "all layers", "all layers"],
        answers,
        ["noise", "rotation 0.5"],
        [(name, PIXELS, np.stack([PIXELS, PIXELS]))],
    )


def sections(page: Page) -> list[str | None]:
    return [attributes["class"] for attributes in page.all("section")]
