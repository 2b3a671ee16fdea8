"""Gathers what a report shows of a training; everything in it is bounded, so that the page is, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from pyramid.fields import Objective
from pyramid.report_page.data import Augmented, Confusion, Miss, ReportData, Scatter
from pyramid.report_page.pictures import data_uri
from pyramid.report_page.units import in_own_units, shown_number
from pyramid.train.checks import HoldoutCheck

N_WORST = 12
MOST_CLASSES = 24
MOST_POINTS = 1_000
MOST_CHECKS = 400
MOST_TEXT = 160
RESULT_KEYS = ("iterations", "elapsed_time", "base_image_network", "image_training_type")
UNTOLD_SETTINGS = ("image_training_data", "layers", "info_list", "training_options")


class Outputs:
    """What a network says of the holdout images, beside what is true."""

    def __init__(self, truth: np.ndarray, outputs: np.ndarray, objective: Objective):
        """Compare the two.

        Args:
            truth: (images,) labels.
            outputs: (images, outputs) of the network.
        """
        self.objective = objective
        self.compared = objective.compare(truth, outputs)

    def worst(self) -> np.ndarray:
        """At most twelve positions, the least likely truth or the largest error first."""
        return np.argsort(-self.compared.errors, kind="stable")[:N_WORST]

    def wrong(self, position: int) -> bool:
        """Whether another class was predicted for an image; a number is never quite right, nor wrong."""
        truth, predicted = self.compared.truth[position], self.compared.predictions[position]
        return self.objective.has_classes and bool(truth != predicted)

    def words(self, position: int) -> tuple[str, str]:
        """Truth and prediction of one image."""
        truth, predicted = self.compared.truth[position], self.compared.predictions[position]
        if self.compared.shares is None:
            return f"{truth:.5g}", f"{predicted:.5g}"
        share, names = self.compared.shares[position], self.objective.classes
        return (
            f"{cut(names[truth])} ({share[truth]:.1%})",
            f"{cut(names[predicted])} ({share[predicted]:.1%})",
        )

    def answers(self) -> Confusion | Scatter:
        """The confusion matrix of at most 24 classes, or a sample of the points."""
        truth, predictions = self.compared.truth, self.compared.predictions
        if not self.objective.has_classes:
            chosen = _thinned(len(truth), MOST_POINTS)
            points = np.stack([truth, predictions], axis=1)[chosen]
            return Scatter(tuple((float(x), float(y)) for x, y in points), len(truth))
        names, n_classes = self.objective.classes, self.objective.n_outputs
        counts = np.zeros((n_classes, n_classes), np.int64)
        np.add.at(counts, (truth, predictions), 1)
        shown = _most_confused(counts)
        return Confusion(
            tuple(cut(names[place]) for place in shown),
            tuple(tuple(int(count) for count in row) for row in counts[np.ix_(shown, shown)]),
            n_classes,
        )


def collect(
    settings: Mapping[str, Any],
    objective: Objective,
    result: Mapping[str, Any],
    checks: Sequence[HoldoutCheck],
    phases: Sequence[str],
    outputs: Outputs | None,
    worst: Sequence[tuple[str, np.ndarray]],
    augmentations: Sequence[str],
    sheet: Sequence[tuple[str, np.ndarray, np.ndarray]],
) -> ReportData:
    """The data of one training's report.

    Args:
        settings: of the job, by their keys.
        result: of the job.
        outputs: on the holdout images; None if there are none.
        worst: file and (height, width, 3) uint8 pixels of each image of `outputs.worst()`.
        augmentations: of the training images, in words.
        sheet: file, pixels and (versions, height, width, 3) augmented pixels of training images.
    """
    told = _phase_places(checks, phases)
    misses = []
    for (file, pixels), position in zip(worst, [] if outputs is None else outputs.worst(), strict=True):
        assert outputs is not None
        words = outputs.words(position)
        misses.append(Miss(data_uri(pixels), cut(file), *words, wrong=outputs.wrong(position)))
    values = {key: value for key, value in settings.items() if key not in UNTOLD_SETTINGS}
    return ReportData(
        title=settings["job_id"],
        result=tuple(_result(result, objective)),
        checks=tuple(_readable(checks[place], objective) for place in _shown(checks)),
        n_checks=len(checks),
        phases=told,
        answers=None if outputs is None else outputs.answers(),
        worst=tuple(misses),
        augmentations=tuple(augmentations),
        sheet=tuple(
            Augmented(cut(file), data_uri(pixels), tuple(data_uri(version) for version in versions))
            for file, pixels, versions in sheet
        ),
        settings=tuple((key, cut(_text(value))) for key, value in sorted(values.items())),
    )


def cut(text: str) -> str:
    """At most `MOST_TEXT` characters of a text that somebody else wrote; of a longer one its two ends."""
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[: MOST_TEXT // 2]} … {text[-MOST_TEXT // 2 :]}"


def _phase_places(checks: Sequence[HoldoutCheck], phases: Sequence[str]) -> tuple[str, ...]:
    return tuple(phases[: max((check.phase for check in checks), default=0)])


def _readable(check: HoldoutCheck, objective: Objective) -> HoldoutCheck:
    return replace(check, metrics=in_own_units(check.metrics, objective.label_unit))


def _result(result: Mapping[str, Any], objective: Objective) -> list[tuple[str, str]]:
    measured = in_own_units(result["validation_metrics"] or {}, objective.label_unit)
    metrics = [(name, shown_number(value)) for name, value in measured.items()]
    facts = [(key, result[key]) for key in RESULT_KEYS]
    return [*metrics, *((key, f"{v:.1f} s" if isinstance(v, float) else str(v)) for key, v in facts)]


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    )


def _shown(checks: Sequence[HoldoutCheck]) -> np.ndarray:
    """The places of the checks that are drawn: some of many, and always that whose weights were kept."""
    kept = [place for place, check in enumerate(checks) if check.kept][-1:]
    return np.union1d(_thinned(len(checks), MOST_CHECKS), np.array(kept, np.int64))


def _thinned(count: int, most: int) -> np.ndarray:
    """At most `most` of the places below `count`, evenly, with the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _most_confused(counts: np.ndarray) -> np.ndarray:
    """The classes with the most errors, as truth and as prediction, in the order of the classes."""
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-errors, kind="stable")[:MOST_CLASSES])
