"""What a training job leaves: files that appear together, with digests of each other and of what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.storage.digests import array_digest, digest, layers_digest
from pyramid.storage.files import dumps, put_array, read_array, read_bytes, remove
from pyramid.workspace import Submodel, whole_files

DIGESTS_KEY = "digests"
CACHED_KEYS = ("trees", "image_features")
MAX_WEIGHT_SETS = 16


def write_submodel(
    submodel: Submodel,
    weights: Sequence[bytes],
    fit_info: Mapping[str, Any],
    cached: Mapping[str, str | None] | None = None,
    evaluations: Any = None,
    out_of_fold: np.ndarray | None = None,
) -> None:
    """Leave trained networks: weights, fit info and evaluations, all or, where one cannot be written, none.

    Evaluations of an earlier job are removed before its weights are replaced, and new ones come last: where they are,
    the submodel is whole.

    Args:
        weights: the content of the weight file of each network; at least one.
        fit_info: it is written with the digests of what belongs to it.
        cached: the digests of the `CACHED_KEYS` that the network was trained with, and of a training with folds of its
            rows and their folds; None is none of them.
        evaluations: of a search submodel.
        out_of_fold: (rows, outputs) float32, of a training with folds.

    Raises:
        WorkspaceError: a file cannot be written; those of an earlier job are still there.
    """
    paths = submodel.weight_files(len(weights))
    digests: dict[str, Any] = dict.fromkeys(CACHED_KEYS) | dict(cached or {})
    found = [digest(content) for content in weights]
    digests |= {
        "weights": found[0] if len(found) == 1 else found,
        "layers": layers_digest(fit_info["layers"]),
    }
    if out_of_fold is not None:
        digests["out_of_fold"] = array_digest(out_of_fold)
    with submodel.made(), whole_files() as together:
        for path, content in zip(paths, weights, strict=True):
            together.new(path).write(content)
        together.new(submodel.fit_info).write(dumps({**fit_info, DIGESTS_KEY: digests}))
        if out_of_fold is not None:
            put_array(together.new(submodel.out_of_fold), out_of_fold)
        if evaluations is not None:
            together.new(submodel.evaluations).write(dumps(evaluations))
        together.settle()
        submodel.withdraw_evaluations()
    for path in set(submodel.root.glob("model_weights*.h5")).difference(paths):
        remove(path)


def trained_weights(submodel: Submodel, info: Mapping[str, Any]) -> list[Path]:
    """The weight files that belong to a fit info, one for each network; those of earlier versions tell of one.

    Raises:
        WorkspaceError: it does not say how many there are.
    """
    count = info.get("weight_sets", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_WEIGHT_SETS:
        raise WorkspaceError(
            f"{submodel.fit_info}, which the training job {submodel.job_id} writes, cannot be used: weight_sets is "
            f"{count}, expected an integer from 1 to {MAX_WEIGHT_SETS}"
        )
    return submodel.weight_files(count)


def cached_digest(path: Path) -> str | None:
    """The digest of a file that a caching job left; None where it is not there.

    Raises:
        WorkspaceError: it cannot be read.
    """
    return _digest_of(path, "dataset_caching")


def foreign_piece(
    submodel: Submodel,
    info: Mapping[str, Any],
    digest_of: Callable[[Path], str | None] = cached_digest,
) -> str | None:
    """What does not belong to a fit info, and what to do about it; None where all does, or nobody has said.

    Fit infos of earlier versions have no digests.

    Args:
        digest_of: `cached_digest`, which for many submodels can remember what it has found.

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
    for path, wanted, found in _own_digests(submodel, info, digests):
        if found is None:
            return f"{path}, which {job} writes, is gone; {again}"
        if wanted != found:
            return f"{path} does not belong to {submodel.fit_info}: {job} was interrupted; {again}"
    workspace = submodel.workspace
    for key, path in zip(CACHED_KEYS, (workspace.trees, workspace.image_features), strict=True):
        wanted = digests.get(key)
        if wanted is not None and wanted != (found := digest_of(path)):
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


def _own_digests(
    submodel: Submodel, info: Mapping[str, Any], digests: Mapping[str, Any]
) -> Iterator[tuple[Path, Any, str | None]]:
    """What the job itself left beside its fit info: each file, its digest as that says, and as it is."""
    written_by = f"training job {submodel.job_id}"
    said = digests.get("weights")
    paths = trained_weights(submodel, info)
    for number, path in enumerate(paths):
        wanted = said if len(paths) == 1 else said[number] if isinstance(said, list) else None
        yield path, wanted, _digest_of(path, written_by)
    if "out_of_fold" in digests:
        path = submodel.out_of_fold
        found = array_digest(read_array(path, written_by, mmap=True)) if path.exists() else None
        yield path, digests["out_of_fold"], found


def _digest_of(path: Path, written_by: str) -> str | None:
    return digest(read_bytes(path, written_by)) if path.exists() else None
