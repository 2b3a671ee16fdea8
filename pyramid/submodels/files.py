"""What a training job leaves: files that appear together, with digests of each other and of what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyramid.errors import WorkspaceError
from pyramid.storage.digests import digest, layers_digest
from pyramid.storage.files import dumps, read_bytes
from pyramid.workspace import Submodel, whole_files

DIGESTS_KEY = "digests"
CACHED_KEYS = ("trees", "image_features")


def write_submodel(
    submodel: Submodel,
    weights: bytes,
    fit_info: Mapping[str, Any],
    cached: Mapping[str, str | None] | None = None,
    evaluations: Any = None,
) -> None:
    """Leave a trained network: weights, fit info and evaluations, all or, where one cannot be written, none.

    Evaluations of an earlier job are removed before its weights are replaced, and new ones come last: where they are,
    the submodel is whole.

    Args:
        weights: the content of the weight file.
        fit_info: it is written with the digests of what belongs to it.
        cached: the digests of the `CACHED_KEYS` that the network was trained with; None is none of them.
        evaluations: of a search submodel.

    Raises:
        WorkspaceError: a file cannot be written; those of an earlier job are still there.
    """
    digests = dict.fromkeys(CACHED_KEYS) | dict(cached or {})
    digests |= {"weights": digest(weights), "layers": layers_digest(fit_info["layers"])}
    with submodel.made(), whole_files() as together:
        together.new(submodel.weights).write(weights)
        together.new(submodel.fit_info).write(dumps({**fit_info, DIGESTS_KEY: digests}))
        if evaluations is not None:
            together.new(submodel.evaluations).write(dumps(evaluations))
        together.settle()
        submodel.withdraw_evaluations()


def foreign_piece(submodel: Submodel, info: Mapping[str, Any]) -> str | None:
    """What does not belong to a fit info, and what to do about it; None where all does, or nobody has said.

    Fit infos of earlier versions have no digests.

    Raises:
        WorkspaceError: a file cannot be read.
    """
    if DIGESTS_KEY not in info:
        return None
    digests, job = info[DIGESTS_KEY], f"the training job {submodel.job_id}"
    again = f"run {job} again"
    if not isinstance(digests, dict):
        return f"{submodel.fit_info}, which {job} writes, cannot be used: its {DIGESTS_KEY} are no object; {again}"
    if digests.get("layers") != layers_digest(info["layers"]):
        return f"{submodel.fit_info}: its layers are not those that {job} wrote; {again}"
    found = _digest_of(submodel.weights, job.removeprefix("the "))
    if found is None:
        return f"{submodel.weights}, which {job} writes, is gone; {again}"
    if digests.get("weights") != found:
        return f"{submodel.weights} does not belong to {submodel.fit_info}: {job} was interrupted; {again}"
    workspace = submodel.workspace
    for key, path in zip(CACHED_KEYS, (workspace.trees, workspace.image_features), strict=True):
        wanted, found = digests.get(key), _digest_of(path, "dataset_caching")
        if wanted is not None and wanted != found:
            return (
                f"{path}, which a dataset_caching job writes, {'is another one' if found else 'is gone'}: since {job} "
                f"left {submodel.fit_info} the rows were cached again; {again}"
            )
    return None


def check_belonging(submodel: Submodel, info: Mapping[str, Any]) -> None:
    """Refuse a submodel with a `foreign_piece`.

    Raises:
        WorkspaceError: it has one, or a file cannot be read.
    """
    if (problem := foreign_piece(submodel, info)) is not None:
        raise WorkspaceError(problem)


def _digest_of(path: Path, written_by: str) -> str | None:
    return digest(read_bytes(path, written_by)) if path.exists() else None
