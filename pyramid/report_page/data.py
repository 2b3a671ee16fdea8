"""What a report shows of a training, as values and as JSON: a page can be made again from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyramid.report_page.answers import ANSWERS, Answers
from pyramid.train.checks import HoldoutCheck


@dataclass(frozen=True)
class Augmented:
    """A training image as it is, and versions of it as training sees them; pictures are data URIs."""

    file: str
    picture: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class ReportData:
    """All that one training has to tell.

    Attributes:
        title: the id of the job.
        result: names of facts and their values, as text.
        checks: the holdout checks in their order; of very many some.
        n_checks: how many there were.
        phases: what each phase that was begun trained, in words.
        answers: truth against prediction on the holdout; None without holdout images.
        augmentations: names of the augmentations.
        sheet: training images, augmented.
        settings: keys and values of the job, as text.
    """

    title: str
    result: tuple[tuple[str, str], ...]
    checks: tuple[HoldoutCheck, ...]
    n_checks: int
    phases: tuple[str, ...]
    answers: Answers | None
    augmentations: tuple[str, ...]
    sheet: tuple[Augmented, ...]
    settings: tuple[tuple[str, str], ...]


def dump_report(data: ReportData) -> dict[str, Any]:
    """The data as a JSON object."""
    dumped = asdict(data)
    if data.answers is not None:
        dumped["answers"]["kind"] = data.answers.kind
    for check in dumped["checks"]:
        # of single checks a page shows no pictures
        del check["answers"]
    return dumped


def parse_report(value: Mapping[str, Any]) -> ReportData:
    """The data in what `dump_report` gave, also after a way through JSON."""
    return ReportData(
        title=value["title"],
        result=_pairs(value["result"]),
        checks=tuple(HoldoutCheck(**check) for check in value["checks"]),
        n_checks=value["n_checks"],
        phases=tuple(value["phases"]),
        answers=_answers(value["answers"]),
        augmentations=tuple(value["augmentations"]),
        sheet=tuple(Augmented(**row | {"versions": tuple(row["versions"])}) for row in value["sheet"]),
        settings=_pairs(value["settings"]),
    )


def _answers(value: Mapping[str, Any] | None) -> Answers | None:
    return None if value is None else ANSWERS[value["kind"]].parse(value)


def _pairs(pairs: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)
