"""The `dataset_caching` job: a `.ser` file becomes the float32 matrices that training jobs read.

Rows are encoded block by block and appended to every file that wants them, so that memory holds some blocks,
never the matrix. Images go through the image network before, each file once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyramid.data.encode import Encoding
from pyramid.data.image_features import image_features
from pyramid.data.representatives import representatives
from pyramid.data.ser import SerRows, read_ser
from pyramid.data.splits import numeric_strata, stratified_sample
from pyramid.data.streaming import Target, in_order, write_matrices
from pyramid.embedding import MAX_LEARNING_ROWS, Embedding, learn_embedding
from pyramid.errors import DataError, WorkspaceError
from pyramid.image_result import FoundNetwork, find_network, has_images, record_network
from pyramid.report import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.workspace import MAX_SUBSETS, Workspace, read_array, write_array, write_json
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


@dataclass(frozen=True)
class _Source:
    """The rows of one job: checked, and with the labels that samples are stratified by."""

    rows: SerRows
    numbers: np.ndarray  # (rows, fields) float64; an image is the position of its features
    encoding: Encoding
    labels: np.ndarray  # (rows,)
    network: FoundNetwork | None  # of the image fields

    @property
    def is_classification(self) -> bool:
        return self.encoding.n_classes is not None

    def strata(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        labels = self.labels[rows]
        return labels if self.is_classification else numeric_strata(labels)


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
    report(0.0, message="reading the rows")
    source = _open_source(settings, workspace, report)
    if source.network:
        report = _within(report, IMAGES_SHARE, 1.0)
    wants_trees = bool(settings.tree_embedding or settings.is_search)
    embedding, learning_rows = None, np.zeros(0, np.int64)
    if wants_trees:
        report(0.05, message="learning trees")
        learning_rows = stratified_sample(source.strata(), MAX_LEARNING_ROWS, _stream(settings, LEARNING))
        embedding = _learn(source, learning_rows, _stream(settings, LEARNING))
    tree_inputs = embedding.n_features if embedding else 0
    encoding = Encoding.from_info_list(
        settings.info_list, bool(settings.instance_weights), tree_inputs, source.encoding.features
    )
    row_size = encoding.layout.row_columns * np.dtype(np.float32).itemsize
    targets = _targets(settings, workspace, len(source.rows), row_size)
    blocks = _matrix_blocks(replace(source, encoding=encoding), embedding, learning_rows, report)
    write_matrices(targets, blocks, len(source.rows), encoding.layout.row_columns)
    report(0.9, message="choosing rows for evaluations and importances")
    _write_samples(settings, workspace, source, encoding, targets[0].rows)
    if embedding:
        write_json(workspace.trees, dump_forests(embedding.forests))
        write_json(workspace.tree_importances, embedding.importances)
    if source.network:
        record_network(source.network, workspace)
    _remove_stale(workspace, wants_trees, source.network is not None, len(targets) - 1)
    return {
        "datasets": [str(target.path) for target in targets],
        "full_data_size": len(source.rows) * row_size,
        "full_data_shape": [len(source.rows), encoding.layout.row_columns],
        "row_size": row_size,
        "tree_inputs": tree_inputs,
    }


def _stream(settings: BaseSettings, purpose: int) -> np.random.Generator:
    return np.random.default_rng([settings.seed, purpose])


def _open_source(settings: BaseSettings, workspace: Workspace, report: Report) -> _Source:
    """Everything about the rows that can be wrong is found here, the cheapest first."""
    rows = read_ser(settings.cache_file, settings.info_list, settings.cache_rows)
    images = has_images(settings.info_list)
    no_features = np.zeros((0, 1), np.float32) if images else None
    encoding = Encoding.from_info_list(
        settings.info_list, bool(settings.instance_weights), features=no_features
    )
    names: list[str] = []
    try:
        if images:
            numbers, names = rows.with_image_positions()
        else:
            numbers = rows.numbers
        labels = encoding.labels(numbers)
        if encoding.weight is not None:
            encoding.weights(numbers)
    except DataError as error:
        raise DataError(f"{settings.cache_file}: {error}") from error
    if not images:
        return _Source(rows, numbers, encoding, labels, None)
    network = find_network(settings, workspace)
    features = image_features(
        names, network.spec, settings, workspace.root, _within(report, 0.0, IMAGES_SHARE)
    )
    encoding = Encoding.from_info_list(settings.info_list, bool(settings.instance_weights), features=features)
    return _Source(rows, numbers, encoding, labels, network)


def _within(report: Report, start: float, end: float) -> Report:
    """The report of a part of the job."""
    return lambda progress, **facts: report(start + (end - start) * progress, **facts)


def _learn(source: _Source, rows: np.ndarray, rng: np.random.Generator) -> Embedding:
    layout = source.encoding.layout
    inputs = source.encoding.encode(source.numbers[rows])[:, layout.inputs]
    return learn_embedding(
        np.ascontiguousarray(inputs),
        source.labels[rows],
        source.strata(rows),
        layout,
        source.is_classification,
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
    source: _Source, embedding: Embedding | None, learning_rows: np.ndarray, report: Report
) -> Iterator[tuple[int, np.ndarray]]:
    """The whole matrix in blocks, in order: the number of the first row, and (block rows, columns)."""
    layout = source.encoding.layout
    n_rows = len(source.rows)
    transform = _tree_transform(embedding, layout.input_size, n_rows)

    def make(start: int) -> tuple[int, np.ndarray]:
        # a copy, as numbers in the file do not lie on addresses that vector instructions like
        raw = np.array(source.numbers[start : start + ROWS_AT_ONCE])
        block = np.zeros((len(raw), layout.row_columns), np.float32)
        source.encoding.encode_into(raw, block, start)
        if embedding and layout.tree_inputs:
            first, last = np.searchsorted(learning_rows, (start, start + len(raw)))
            if last - first < len(raw):
                block[:, : layout.tree_inputs] = transform(block[:, layout.inputs])
            block[learning_rows[first:last] - start, : layout.tree_inputs] = embedding.features[first:last]
        return start, block

    for number, made in enumerate(in_order(make, range(0, n_rows, ROWS_AT_ONCE))):
        if number % BLOCKS_PER_REPORT == 0:
            source.rows.forget_pages()
            report(0.3 + 0.6 * made[0] / n_rows, message=f"encoded {made[0]} of {n_rows} rows")
        yield made


def _tree_transform(embedding: Embedding | None, columns: int, n_rows: int) -> TreeTransform:
    forests = embedding.forests if embedding else ()
    if n_rows >= COMPILED_FROM_ROWS:
        return block_transform(forests, columns, ROWS_AT_ONCE)
    return lambda inputs: tree_features(forests, np.ascontiguousarray(inputs)).numpy()


def _write_samples(
    settings: BaseSettings,
    workspace: Workspace,
    source: _Source,
    encoding: Encoding,
    full_rows: np.ndarray | None,
) -> None:
    full = read_array(workspace.full_dataset, settings.job_type, mmap=True)
    strata = source.strata(slice(None) if full_rows is None else full_rows)
    chosen = stratified_sample(strata, EVALUATION_ROWS, _stream(settings, EVALUATION))
    evaluation = full[chosen]
    write_array(workspace.evaluation_dataset, evaluation)
    classes = strata[chosen] if source.is_classification else np.zeros(len(chosen), np.int64)
    representative = representatives(
        evaluation[:, encoding.layout.inputs],
        classes,
        _stream(settings, REPRESENTATIVES),
        equal_classes=bool(settings.balance_objective),
    )
    write_array(workspace.importance_dataset, evaluation[representative])


def _remove_stale(workspace: Workspace, has_trees: bool, has_images: bool, n_subsets: int) -> None:
    """Remove what the last caching job left and this one did not replace."""
    stale = [workspace.data_subset(i) for i in range(n_subsets, MAX_SUBSETS)]
    if not has_trees:
        stale += [workspace.trees, workspace.tree_importances]
    if not has_images:
        stale.append(workspace.image_features)
    for path in stale:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{path} cannot be removed: {error.strerror or error}") from error
