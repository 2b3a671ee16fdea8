"""The `dataset_caching` job: a `.ser` file becomes the float32 matrices that training jobs read.

Rows are encoded block by block and appended to every file that wants them, so that memory holds some blocks,
never the matrix. Images go through the image network before, each file once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import DataError
from pyramid.images.origin import network_record
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import TableOptions
from pyramid.storage.digests import array_digest, digest
from pyramid.storage.files import dumps, naming_file, put_array, remove
from pyramid.storage.npy import read_npy
from pyramid.submodels.holdout_images import row_files_document
from pyramid.tables.cached_data import DIGESTS_KEY
from pyramid.tables.encode import Encoding
from pyramid.tables.representatives import representatives
from pyramid.tables.row_trees import ROWS_AT_ONCE, RowTrees, learn_cross_fitted, learn_windows
from pyramid.tables.rows import JobRows, open_rows, within
from pyramid.tables.splits import default_folds, stratified_folds, stratified_sample
from pyramid.tables.streaming import MATRIX_TYPE, Target, in_order, write_matrices
from pyramid.workspace import MAX_SUBSETS, Workspace, check_there, whole_files
from sensenet.files import WholeFile
from sensenet.forest import dump_forests

MAX_FULL_BYTES = 512_000_000
NPY_HEADER_BYTES = 128
EVALUATION_ROWS = 4096
BLOCKS_PER_REPORT = 16
IMAGES_SHARE = 0.7  # of the job's progress, where there are images

# what a random stream is for: with the job's seed it starts the stream
LEARNING, FULL_SAMPLE, SUBSETS, EVALUATION, REPRESENTATIVES, FOLDS = range(6)


def run(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    """Cache the rows of `cache_file`.

    `full_data_size` and `full_data_shape` are those of the whole matrix, also where `full_dataset.npy` is a
    sample of it because it would be larger than 512,000,000 bytes. Results of the last time are replaced
    at the end, so that a job that fails leaves them whole.

    Raises:
        DataError: the file breaks the format, or a row's objective or weight is missing; names file and row. Or
            images cannot be read; names them.
        SettingsError, WorkspaceError: there is no image network for image fields, or a result cannot be written.
        sensenet.errors.WeightsError: pretrained weights that cannot be had.
    """
    try:
        return _cache(settings, workspace, report)
    except MemoryError as error:
        raise DataError(
            f"{settings.cache_file}: there is not enough memory for its rows ({error})"
        ) from error


def _cache(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    started = time.monotonic()
    report(0.0, message="reading the rows")
    job_rows = open_rows(TableOptions.of(settings), workspace, report, IMAGES_SHARE)
    if job_rows.network:
        report = within(report, IMAGES_SHARE, 1.0)
    folds = _folds(settings, job_rows)
    trees = None
    if _wants_trees(settings):
        report(0.05, message="learning trees")
        trees = _learn(settings, job_rows, folds, started)
    tree_inputs = trees.embedding.n_features if trees else 0
    encoding = Encoding.of(job_rows.encoding.fields, tree_inputs, job_rows.encoding.features)
    row_size = encoding.layout.row_columns * MATRIX_TYPE.itemsize
    targets = _targets(settings, workspace, len(job_rows.rows), row_size)
    job_rows = replace(job_rows, encoding=encoding)
    check_there(_write_all(settings, workspace, job_rows, targets, trees, folds, report))
    result = {
        "datasets": [str(target.path) for target in targets],
        "full_data_size": len(job_rows.rows) * row_size,
        "full_data_shape": [len(job_rows.rows), encoding.layout.row_columns],
        "row_size": row_size,
        "tree_inputs": tree_inputs,
    }
    if _is_cross_fitted(settings) and trees:
        result["tree_ensembles"] = list(trees.embedding.ensembles)
    return result


def _wants_trees(settings: BaseSettings) -> bool:
    return bool(settings.tree_embedding or settings.is_search)


def _is_cross_fitted(settings: BaseSettings) -> bool:
    return _wants_trees(settings) and settings.tree_kind == "cross_fitted"


def _folds(settings: BaseSettings, job_rows: JobRows) -> np.ndarray | None:
    """(rows,) int8: the fold of each row, where somebody asks for folds."""
    if not (settings.folds or _is_cross_fitted(settings)):
        return None
    n_folds = settings.folds or default_folds(len(job_rows.rows))
    return stratified_folds(job_rows.strata(), n_folds, _stream(settings, FOLDS))


def _learn(settings: BaseSettings, job_rows: JobRows, folds: np.ndarray | None, started: float) -> RowTrees:
    rng = _stream(settings, LEARNING)
    if folds is None or not _is_cross_fitted(settings):
        return learn_windows(job_rows, rng)
    seconds = settings.max_training_time
    left = None if seconds is None else seconds - (time.monotonic() - started)
    return learn_cross_fitted(job_rows, folds, left, rng)


def _write_all(
    settings: BaseSettings,
    workspace: Workspace,
    job_rows: JobRows,
    targets: Sequence[Target],
    trees: RowTrees | None,
    folds: np.ndarray | None,
    report: Report,
) -> list[Path]:
    """Write all files under temporary names, then rename them: what tells of the others comes first."""
    with whole_files() as together:
        info = together.new(workspace.dataset_info)
        blocks = _matrix_blocks(job_rows, trees, report)
        matrices = write_matrices(
            together, targets, blocks, len(job_rows.rows), job_rows.encoding.layout.row_columns
        )
        report(0.9, message="choosing rows for evaluations and importances")
        written = {
            target.path: _read_back(target, file) for target, file in zip(targets, matrices, strict=True)
        }
        samples = _samples(settings, workspace, job_rows, written[workspace.full_dataset], targets[0].rows)
        if folds is not None:
            samples |= _fold_files(workspace, folds, targets[0].rows)
        for path, array in samples.items():
            put_array(together.new(path), array)
        documents = _documents(workspace, job_rows, trees)
        if job_rows.network and settings.return_holdout_images:
            documents[workspace.image_files] = dumps(row_files_document(job_rows.rows, targets))
        for path, content in documents.items():
            together.new(path).write(content)
        digests = {path: array_digest(array) for path, array in {**written, **samples}.items()}
        digests |= {path: digest(content) for path, content in documents.items()}
        info.write(dumps({DIGESTS_KEY: {path.name: found for path, found in digests.items()}}))
    for path in workspace.cached_files():
        if path not in digests:  # the last caching job left it
            remove(path)
    return [workspace.dataset_info, *digests]


def _read_back(target: Target, file: WholeFile) -> np.ndarray:
    with naming_file(target.path):
        return read_npy(file.path, mmap=True)


def _documents(workspace: Workspace, job_rows: JobRows, trees: RowTrees | None) -> dict[Path, bytes]:
    documents = {}
    if trees:
        documents[workspace.trees] = dumps(dump_forests(trees.embedding.forests))
        documents[workspace.tree_importances] = dumps(trees.embedding.importances)
    if job_rows.network:
        documents[workspace.image_features] = dumps(network_record(job_rows.network))
    return documents


def _stream(settings: BaseSettings, purpose: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, purpose])


def _fold_files(
    workspace: Workspace, folds: np.ndarray, full_rows: np.ndarray | None
) -> dict[Path, np.ndarray]:
    if full_rows is None:
        return {workspace.folds: folds}
    return {workspace.folds: folds[full_rows], workspace.full_rows: full_rows.astype(np.int64)}


def _targets(settings: BaseSettings, workspace: Workspace, n_rows: int, row_size: int) -> list[Target]:
    """The full set first, then the subsets, where the matrix is too large for the jobs that will share it."""
    most_rows = (MAX_FULL_BYTES - NPY_HEADER_BYTES) // row_size
    full = _sample(n_rows, most_rows, _stream(settings, FULL_SAMPLE))
    targets = [Target(workspace.full_dataset, full)]
    limit = MAX_FULL_BYTES
    if settings.max_data_size is not None:
        limit = min(limit, settings.max_data_size // (settings.parallelism or 1))
    if n_rows * row_size > limit:
        rng = _stream(settings, SUBSETS)
        subset_rows = max(1, min(most_rows, limit // row_size))
        subsets = [_sample(n_rows, subset_rows, rng) for _ in range(MAX_SUBSETS)]
        targets += [Target(workspace.data_subset(i), rows) for i, rows in enumerate(subsets)]
    return targets


def _sample(n_rows: int, size: int, rng: np.random.Generator) -> np.ndarray | None:
    if n_rows <= size:
        return None
    return np.sort(rng.choice(n_rows, size, replace=False, shuffle=False))


def _matrix_blocks(
    job_rows: JobRows, trees: RowTrees | None, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    """The whole matrix in blocks, in order: the number of the first row, and (block rows, columns)."""
    layout = job_rows.encoding.layout
    n_rows = len(job_rows.rows)

    def make(start: int) -> tuple[int, np.ndarray]:
        # a copy, as numbers in the file do not lie on addresses that vector instructions like
        raw = np.array(job_rows.numbers[start : start + ROWS_AT_ONCE])
        block = np.zeros((len(raw), layout.row_columns), np.float32)
        job_rows.encoding.encode_into(raw, block, start)
        if trees:
            trees.fill(block, start, layout)
        return start, block

    for number, made in enumerate(in_order(make, range(0, n_rows, ROWS_AT_ONCE))):
        if number % BLOCKS_PER_REPORT == 0:
            job_rows.rows.forget_pages()
            report(0.3 + 0.6 * made[0] / n_rows, message=f"encoded {made[0]} of {n_rows} rows")
        yield made


def _samples(
    settings: BaseSettings,
    workspace: Workspace,
    job_rows: JobRows,
    full: np.ndarray,
    full_rows: np.ndarray | None,
) -> dict[Path, np.ndarray]:
    """Rows of the full matrix: those that attempts are compared on, and some that represent them."""
    strata = job_rows.strata(slice(None) if full_rows is None else full_rows)
    chosen = stratified_sample(strata, EVALUATION_ROWS, _stream(settings, EVALUATION))
    evaluation = full[chosen]
    classes = job_rows.objective.class_of(strata[chosen])
    representative = representatives(
        evaluation[:, job_rows.encoding.layout.inputs],
        classes,
        _stream(settings, REPRESENTATIVES),
        equal_classes=bool(settings.balance_objective),
    )
    return {
        workspace.evaluation_dataset: evaluation,
        workspace.importance_dataset: evaluation[representative],
    }
