"""What a greedy selection looks at: the rows' truth and folds, and what submodels say of rows they did not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.fields import Objective
from pyramid.finalize.readout import Attempt
from pyramid.submodels.files import DIGESTS_KEY
from pyramid.submodels.greedy import RowLosses, log_losses, squared_errors
from pyramid.tables.cached_data import CACHING, ROW_KEYS, CachedData, row_digests
from pyramid.tables.splits import default_folds, stratified_folds, stratified_sample
from pyramid.workspace import Workspace, read_array

SEARCH_JOB = "search_submodel with folds"
MAX_ROWS = 50_000
SEED = 0
# what each random generator is for; a number of its own keeps their streams apart
ROWS_DRAW, FOLDS_DRAW = 1, 2


@dataclass(frozen=True)
class JudgedRows:
    """The rows of the full matrix, and those of them that candidates are judged by.

    Attributes:
        objective: of the rows.
        truth: (rows,) classes, or standardised numbers.
        folds: (rows,) int, the fold of each row.
        judged: sorted numbers of at most `MAX_ROWS` rows, a stratified sample.
        digests: by `ROW_KEYS` those of the matrix and its folds.
    """

    objective: Objective
    truth: np.ndarray
    folds: np.ndarray
    judged: np.ndarray
    digests: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def loss_name(self) -> str:
        """What `losses` are called."""
        return "log_loss" if self.objective.has_classes else "squared_error"

    @property
    def losses(self) -> RowLosses:
        """The losses of `answers`."""
        return log_losses if self.objective.has_classes else squared_errors

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """(judged,) float32: the probability of each row's class, or how much a number is above the truth.

        Args:
            outputs: (rows, outputs) probabilities, or standardised numbers.
        """
        truth = self.truth[self.judged]
        if self.objective.has_classes:
            return np.asarray(outputs[self.judged, truth], np.float32)
        return np.asarray(outputs[self.judged, 0] - truth, np.float32)


def read_judged_rows(workspace: Workspace, objective: Objective) -> JudgedRows:
    """The rows of a workspace's full matrix; without `folds.npy` their folds are drawn.

    Raises:
        WorkspaceError: the matrix or the folds are missing, broken, or do not belong together; names the file.
    """
    cached = CachedData.of(workspace)
    matrix = read_array(workspace.full_dataset, CACHING, mmap=True)
    if matrix.ndim != 2 or not len(matrix) or matrix.shape[1] <= objective.n_outputs:
        raise WorkspaceError(
            f"{workspace.full_dataset}: expected rows of more than {objective.n_outputs} columns, got an array of "
            f"shape {list(matrix.shape)}"
        )
    cached.check_array(workspace.full_dataset, matrix)
    truth = objective.truth(np.ascontiguousarray(matrix[:, -objective.n_outputs :]))
    strata = objective.strata(truth)
    judged = stratified_sample(strata, MAX_ROWS, np.random.default_rng([SEED, ROWS_DRAW]))
    folds = _folds(workspace, cached, strata)
    if len(np.unique(folds[judged])) < 2:
        raise WorkspaceError(
            f"the rows of {workspace.full_dataset} are in one fold: a greedy selection needs two at least"
        )
    return JudgedRows(objective, truth, folds, judged, row_digests(workspace.full_dataset))


def read_out_of_fold(
    attempts: Mapping[str, Attempt], rows: JudgedRows, warn: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Of each submodel the (rows, outputs) float32 predictions of rows that it did not see, left on disk, by job id.

    Args:
        warn: told of each submodel that is left out, as it has none that can be used.

    Raises:
        WorkspaceError: a file is broken, or none is left.
    """
    expected = (len(rows.truth), rows.objective.n_outputs)
    found = {}
    for job_id, attempt in attempts.items():
        path = attempt.submodel.out_of_fold
        if not path.exists():
            warn(f"warning: a submodel is left out: {path} is not there, which {SEARCH_JOB} writes")
            continue
        outputs = read_array(path, SEARCH_JOB, mmap=True)
        if outputs.shape != expected:
            warn(
                f"warning: a submodel is left out: {path} is of shape {list(outputs.shape)}, expected {list(expected)} "
                "as the full matrix has rows and its objective outputs"
            )
        elif (other := _other_rows(attempt, rows)) is not None:
            warn(
                f"warning: a submodel is left out: {path} is of other {other} than those that are cached now; run "
                f"the training job {job_id} again"
            )
        elif not np.isfinite(outputs).all():
            warn(f"warning: a submodel is left out: {path} holds numbers that are not finite")
        else:
            found[job_id] = outputs
    if not found:
        raise WorkspaceError(
            "a greedy selection needs a submodel_* directory with an out_of_fold.npy of the full matrix, which "
            f"{SEARCH_JOB} writes; there is none"
        )
    return found


def _other_rows(attempt: Attempt, rows: JudgedRows) -> str | None:
    """Which of the `ROW_KEYS` a submodel was trained with are others; None where none is, or nobody has said."""
    said = attempt.info.get(DIGESTS_KEY, {})
    return next((key for key in ROW_KEYS if key in said and said[key] != rows.digests.get(key)), None)


def _folds(workspace: Workspace, cached: CachedData, strata: np.ndarray) -> np.ndarray:
    if not workspace.folds.exists():
        return stratified_folds(strata, default_folds(len(strata)), np.random.default_rng([SEED, FOLDS_DRAW]))
    folds = read_array(workspace.folds, CACHING)
    cached.check_array(workspace.folds, folds)
    if folds.shape != strata.shape or folds.dtype.kind not in "iu":
        raise WorkspaceError(
            f"{workspace.folds}: expected a whole number for each of {len(strata)} rows, got {folds.dtype.name} of "
            f"shape {list(folds.shape)}"
        )
    return folds
