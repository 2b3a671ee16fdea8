"""The rules of trainings on folds, and the jobs that their variants stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyramid.errors import Violation
from pyramid.settings.wording import found, pointer

Settings = Mapping[str, Any]
Place = tuple[str | int, ...]

FOLD_JOBS = ("standard_training", "search_submodel")
FOLD_LAYERS = ("activation", "batch_normalization", "dense", "dense_residual_block", "dropout")
PATHS = ("dense_path", "identity_path")


def fold_violations(job: Settings) -> Iterator[Violation]:
    """What is wrong with the keys of trainings on folds."""
    if job["job_type"] not in FOLD_JOBS:
        return
    for key in ("refit", "variants"):
        if job.get(key) and "folds" not in job:
            yield Violation("/folds", f"missing; {key} needs it")
    if job.get("variants") and job["job_type"] != "search_submodel":
        yield Violation("/variants", "found variants, but only search_submodel jobs can have them")
    if "folds" in job and job.get("cheat_on_validation"):
        yield Violation(
            "/cheat_on_validation", "found true, but with folds no network is checked on rows it learns"
        )


def variant_violations(job: Settings) -> Iterator[Violation]:
    """What is wrong with the variants of a job."""
    seen: set[str] = set()
    for place, variant in enumerate(job.get("variants", ())):
        job_id = variant["job_id"]
        if job_id in seen:
            yield Violation(f"/variants/{place}/job_id", f"found {found(job_id)} a second time")
        seen.add(job_id)
        if variant.get("dropout_rate") and not _has_dropout(job["layers"]):
            message = f"found {found(variant['dropout_rate'])}, but the layers have no dropout"
            yield Violation(f"/variants/{place}/dropout_rate", message)


def layer_violations(job: Settings) -> Iterator[Violation]:
    """The layers that networks side by side cannot have."""
    if "folds" in job and job["job_type"] in FOLD_JOBS:
        yield from _unknown(job["layers"], ("layers",))


def _unknown(layers: Sequence[Settings], place: Place) -> Iterator[Violation]:
    for position, layer in enumerate(layers):
        kind = layer.get("type", "dense")
        if kind not in FOLD_LAYERS:
            message = f"found {found(kind)}, allowed with folds is one of {', '.join(FOLD_LAYERS)}"
            yield Violation(pointer((*place, position, "type")), message)
            continue
        for path in PATHS:
            yield from _unknown(layer.get(path, ()), (*place, position, path))


def variant_jobs(job: Settings) -> list[dict[str, Any]]:
    """The job of each variant as if it came alone; of a job without variants itself.

    A variant's `dropout_rate` is that of all dropout layers.
    """
    shared = {key: value for key, value in job.items() if key != "variants"}
    if not job.get("variants"):
        return [shared]
    jobs = []
    for variant in job["variants"]:
        own = shared | variant
        if "dropout_rate" in variant:
            own["layers"] = _with_dropout(job["layers"], variant["dropout_rate"])
        jobs.append(own)
    return jobs


def _with_dropout(layers: Sequence[Settings], rate: float) -> list[dict[str, Any]]:
    changed = []
    for layer in layers:
        paths = {path: _with_dropout(layer[path], rate) for path in PATHS if path in layer}
        changed.append({**layer, **paths, **({"rate": rate} if layer.get("type") == "dropout" else {})})
    return changed


def _has_dropout(layers: Sequence[Settings]) -> bool:
    return any(
        layer.get("type") == "dropout" or any(_has_dropout(layer.get(path, ())) for path in PATHS)
        for layer in layers
    )
