"""The `dataset_caching` job: a `.ser` file becomes the float32 matrices that training jobs read.

Rows are encoded block by block and appended to every file that wants them, so that memory holds some blocks,
never the matrix. Images go through the image network before, each file once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from pyramid.tables.rows import JobRows, open_rows, within
from pyramid.tables.splits import stratified_sample
from pyramid.tables.streaming import MATRIX_TYPE, Target, in_order, write_matrices
from pyramid.tables.tree_embedding.learn import MAX_LEARNING_ROWS, Embedding, learn_embedding
from pyramid.workspace import MAX_SUBSETS, Workspace, check_there, whole_files
from sensenet.files import WholeFile
from sensenet.forest import block_transform, dump_forests, tree_features

MAX_FULL_BYTES = 512_000_000
NPY_HEADER_BYTES = 128
EVALUATION_ROWS = 4096
ROWS_AT_ONCE = 4096
COMPILED_FROM_ROWS = 16_384
BLOCKS_PER_REPORT = 16
IMAGES_SHARE = 0.7  # of the job's progress, where there are images

# what a random stream is for: with the job's seed it starts the stream
LEARNING, FULL_SAMPLE, SUBSETS, EVALUATION, REPRESENTATIVES = range(5)

TreeTransform = Callable[[np.ndarray], np.ndarray]


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
    report(0.0, message="reading the rows")
    job_rows = open_rows(TableOptions.of(settings), workspace, report, IMAGES_SHARE)
    if job_rows.network:
        report = within(report, IMAGES_SHARE, 1.0)
    embedding, learning_rows = None, np.zeros(0, np.int64)
    if settings.tree_embedding or settings.is_search:
        report(0.05, message="learning trees")
        learning_rows = stratified_sample(job_rows.strata(), MAX_LEARNING_ROWS, _stream(settings, LEARNING))
        embedding = _learn(job_rows, learning_rows, _stream(settings, LEARNING))
    tree_inputs = embedding.n_features if embedding else 0
    encoding = Encoding.of(job_rows.encoding.fields, tree_inputs, job_rows.encoding.features)
    row_size = encoding.layout.row_columns * MATRIX_TYPE.itemsize
    targets = _targets(settings, workspace, len(job_rows.rows), row_size)
    job_rows = replace(job_rows, encoding=encoding)
    blocks = _matrix_blocks(job_rows, embedding, learning_rows, report)
    check_there(_write_all(settings, workspace, job_rows, targets, blocks, embedding, report))
    return {
        "datasets": [str(target.path) for target in targets],
        "full_data_size": len(job_rows.rows) * row_size,
        "full_data_shape": [len(job_rows.rows), encoding.layout.row_columns],
        "row_size": row_size,
        "tree_inputs": tree_inputs,
    }


def _write_all(
    settings: BaseSettings,
    workspace: Workspace,
    job_rows: JobRows,
    targets: Sequence[Target],
    blocks: Iterator[tuple[int, np.ndarray]],
    embedding: Embedding | None,
    report: Report,
) -> list[Path]:
    """Write all files under temporary names, then rename them: what tells of the others comes first."""
    with whole_files() as together:
        info = together.new(workspace.dataset_info)
        matrices = write_matrices(
            together, targets, blocks, len(job_rows.rows), job_rows.encoding.layout.row_columns
        )
        report(0.9, message="choosing rows for evaluations and importances")
        written = {
            target.path: _read_back(target, file) for target, file in zip(targets, matrices, strict=True)
        }
        samples = _samples(settings, workspace, job_rows, written[workspace.full_dataset], targets[0].rows)
        for path, array in samples.items():
            put_array(together.new(path), array)
        documents = _documents(workspace, job_rows, embedding)
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


def _documents(workspace: Workspace, job_rows: JobRows, embedding: Embedding | None) -> dict[Path, bytes]:
    documents = {}
    if embedding:
        documents[workspace.trees] = dumps(dump_forests(embedding.forests))
        documents[workspace.tree_importances] = dumps(embedding.importances)
    if job_rows.network:
        documents[workspace.image_features] = dumps(network_record(job_rows.network))
    return documents


def _stream(settings: BaseSettings, purpose: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, purpose])


def _learn(job_rows: JobRows, rows: np.ndarray, rng: np.random.Generator) -> Embedding:
    layout = job_rows.encoding.layout
    inputs = job_rows.encoding.encode(job_rows.numbers[rows])[:, layout.inputs]
    return learn_embedding(
        np.ascontiguousarray(inputs),
        job_rows.labels[rows],
        job_rows.strata(rows),
        layout,
        job_rows.objective.has_classes,
        rng,
    )


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
    job_rows: JobRows, embedding: Embedding | None, learning_rows: np.ndarray, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    """The whole matrix in blocks, in order: the number of the first row, and (block rows, columns)."""
    layout = job_rows.encoding.layout
    n_rows = len(job_rows.rows)
    transform = _tree_transform(embedding, layout.input_size, n_rows)

    def make(start: int) -> tuple[int, np.ndarray]:
        # a copy, as numbers in the file do not lie on addresses that vector instructions like
        raw = np.array(job_rows.numbers[start : start + ROWS_AT_ONCE])
        block = np.zeros((len(raw), layout.row_columns), np.float32)
        job_rows.encoding.encode_into(raw, block, start)
        if embedding and layout.tree_inputs:
            first, last = np.searchsorted(learning_rows, (start, start + len(raw)))
            if last - first < len(raw):
                block[:, : layout.tree_inputs] = transform(block[:, layout.inputs])
            block[learning_rows[first:last] - start, : layout.tree_inputs] = embedding.features[first:last]
        return start, block

    for number, made in enumerate(in_order(make, range(0, n_rows, ROWS_AT_ONCE))):
        if number % BLOCKS_PER_REPORT == 0:
            job_rows.rows.forget_pages()
            report(0.3 + 0.6 * made[0] / n_rows, message=f"encoded {made[0]} of {n_rows} rows")
        yield made


def _tree_transform(embedding: Embedding | None, columns: int, n_rows: int) -> TreeTransform:
    forests = embedding.forests if embedding else ()
    if n_rows >= COMPILED_FROM_ROWS:
        return block_transform(forests, columns, ROWS_AT_ONCE)
    return lambda inputs: tree_features(forests, np.ascontiguousarray(inputs)).numpy()


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
