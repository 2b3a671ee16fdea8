"""What a report shows of a training, as values and as JSON: a page can be made again from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyramid.train.checks import HoldoutCheck


@dataclass(frozen=True)
class Confusion:
    """Truth against prediction of a classifier.

    Attributes:
        classes: names of the ones shown.
        counts: for each true class how many images were predicted as each class.
        n_classes: classes in all.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n_classes: int


@dataclass(frozen=True)
class Scatter:
    """Truth against prediction of a number.

    Attributes:
        points: (truth, prediction) pairs in the objective's units.
        n_images: images in all, of which the points are a sample.
    """

    points: tuple[tuple[float, float], ...]
    n_images: int


@dataclass(frozen=True)
class Miss:
    """A holdout image with its truth and what was predicted, in words; `wrong` where another class was."""

    picture: str
    file: str
    truth: str
    prediction: str
    wrong: bool


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
        worst: the worst predictions first.
        augmentations: names of the augmentations.
        sheet: training images, augmented.
        settings: keys and values of the job, as text.
    """

    title: str
    result: tuple[tuple[str, str], ...]
    checks: tuple[HoldoutCheck, ...]
    n_checks: int
    phases: tuple[str, ...]
    answers: Confusion | Scatter | None
    worst: tuple[Miss, ...]
    augmentations: tuple[str, ...]
    sheet: tuple[Augmented, ...]
    settings: tuple[tuple[str, str], ...]


def dump_report(data: ReportData) -> dict[str, Any]:
    """The data as a JSON object."""
    return asdict(data)


def parse_report(value: Mapping[str, Any]) -> ReportData:
    """The data in what `dump_report` gave, also after a way through JSON."""
    return ReportData(
        title=value["title"],
        result=_pairs(value["result"]),
        checks=tuple(HoldoutCheck(**check) for check in value["checks"]),
        n_checks=value["n_checks"],
        phases=tuple(value["phases"]),
        answers=_answers(value["answers"]),
        worst=tuple(Miss(**miss) for miss in value["worst"]),
        augmentations=tuple(value["augmentations"]),
        sheet=tuple(Augmented(**row | {"versions": tuple(row["versions"])}) for row in value["sheet"]),
        settings=_pairs(value["settings"]),
    )


def _answers(value: Mapping[str, Any] | None) -> Confusion | Scatter | None:
    if value is None:
        return None
    if "points" in value:
        return Scatter(tuple((truth, predicted) for truth, predicted in value["points"]), value["n_images"])
    counts = tuple(tuple(row) for row in value["counts"])
    return Confusion(tuple(value["classes"]), counts, value["n_classes"])


def _pairs(pairs: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs)
