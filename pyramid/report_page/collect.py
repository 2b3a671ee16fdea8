"""Gathers what a report shows of a training; everything in it is bounded, so that the page is, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from pyramid.fields import Objective
from pyramid.report_page.answers import Answers
from pyramid.report_page.bounds import cut, thinned
from pyramid.report_page.data import Augmented, ReportData
from pyramid.report_page.pictures import data_uri
from pyramid.report_page.units import in_own_units, shown_number
from pyramid.train.checks import HoldoutCheck

MOST_CHECKS = 400
RESULT_KEYS = ("iterations", "elapsed_time", "base_image_network", "image_training_type")
UNTOLD_SETTINGS = ("image_training_data", "image_holdout_data", "layers", "info_list", "training_options")


def collect(
    settings: Mapping[str, Any],
    objective: Objective,
    result: Mapping[str, Any],
    checks: Sequence[HoldoutCheck],
    phases: Sequence[str],
    answers: Answers | None,
    augmentations: Sequence[str],
    sheet: Sequence[tuple[str, np.ndarray, np.ndarray]],
) -> ReportData:
    """The data of one training's report.

    Args:
        settings: of the job, by their keys.
        result: of the job.
        answers: on the holdout images; None if there are none.
        augmentations: of the training images, in words.
        sheet: file, pixels and (versions, height, width, 3) augmented pixels of training images.
    """
    values = {key: value for key, value in settings.items() if key not in UNTOLD_SETTINGS}
    return ReportData(
        title=settings["job_id"],
        result=tuple(_result(result, objective)),
        checks=tuple(_readable(checks[place], objective) for place in _shown(checks)),
        n_checks=len(checks),
        phases=_phase_places(checks, phases),
        answers=answers,
        augmentations=tuple(augmentations),
        sheet=tuple(
            Augmented(cut(file), data_uri(pixels), tuple(data_uri(version) for version in versions))
            for file, pixels, versions in sheet
        ),
        settings=tuple((key, cut(_text(value))) for key, value in sorted(values.items())),
    )


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
    return np.union1d(thinned(len(checks), MOST_CHECKS), np.array(kept, np.int64))
