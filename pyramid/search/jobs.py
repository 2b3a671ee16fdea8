"""The job files of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pyramid.fields.objective import Objective
from pyramid.search.backend import Job
from pyramid.search.candidates import TREES, Candidate
from pyramid.search.choices import LARGEST_SEED, NO_TREES
from pyramid.search.portfolio import (
    PATIENCE,
    REFIT,
    Numbers,
    Structure,
    network_layers,
    rung_iterations,
)
from pyramid.tables.recipe import Layer
from pyramid.workspace import Workspace

MAX_DATA_SIZE = 512_000_000
NEVER_SECONDS = 1e9
FIT_ID = "fit"


@dataclass(frozen=True)
class JobMaker:
    """Makes the jobs of one fit.

    Attributes:
        shared: the keys that all jobs have: fields, objective, directory and the like.
        objective: what is predicted.
        n_rows: of the table.
        folds: of every training.
        tree_inputs: tree features of the cached rows.
        timed: whether a clock may end trainings; without one, nothing of a job depends on how fast it runs.
    """

    shared: Mapping[str, Any]
    workspace: Workspace
    objective: Objective
    n_rows: int
    folds: int
    seed: int
    timed: bool
    tree_inputs: int = 0

    def caching(self, ser: str, tree_kind: str, max_tree_seconds: float | None) -> Job:
        """The job that makes the matrix, the folds and the trees.

        Args:
            ser: path of the rows.
            tree_kind: one of `TREE_KINDS`.
            max_tree_seconds: that learning trees may take.
        """
        has_trees = tree_kind != NO_TREES
        job = {
            **self.shared,
            "job_type": "dataset_caching",
            "job_id": FIT_ID,
            "cache_file": ser,
            "cache_rows": self.n_rows,
            "max_data_size": MAX_DATA_SIZE,
            "parallelism": 1,
            "is_search": has_trees,
            "tree_embedding": has_trees,
            "folds": self.folds,
        }
        if has_trees:
            job["tree_kind"] = tree_kind
        if max_tree_seconds is not None:
            job["max_training_time"] = max_tree_seconds
        return job

    def readout(self, candidate: Candidate, layers: Sequence[Layer]) -> Job:
        """The job of a candidate that passes tree features through: nothing is trained."""
        return {
            **self._training(candidate.number),
            "job_id": candidate.job_id,
            "layers": list(layers),
            "tree_embedding": True,
            "batch_size": 1,
            "descent_algorithm": "sgd",
            "learning_rate": 1.0,
            "max_iterations": 0,
            "refit": True,
            "topology": TREES,
        }

    def networks(
        self,
        job_id: str,
        candidates: Sequence[Candidate],
        max_seconds: float | None = None,
        refit: bool = REFIT,
    ) -> Job:
        """The job of candidates that share a structure and a rung.

        Args:
            max_seconds: after which training ends.
        """
        structure, numbers = candidates[0].structure, candidates[0].numbers
        assert structure is not None
        assert numbers is not None
        seed = self._seed(candidates[0])
        job = {
            **self._training(seed),
            **self._structure(structure),
            "job_id": job_id,
            "layers": network_layers(structure, numbers.dropout_rate, self.objective, seed),
            **self._numbers(structure, numbers),
            "max_iterations": rung_iterations(candidates[0].rung, self.n_rows, structure),
            "patience": PATIENCE,
            "refit": refit,
            "variants": [
                {"job_id": one.job_id, "seed": self._seed(one), **self._numbers(structure, one.numbers)}
                for one in candidates
            ],
        }
        if max_seconds is not None:
            job["max_training_time"] = max_seconds
        return job

    def finalizing(self, max_networks: int) -> Job:
        """The job that makes the document of all submodels."""
        return {
            **self.shared,
            "job_type": "finalize_output",
            "job_id": FIT_ID,
            "is_search": True,
            "selection": "greedy",
            "max_networks": max_networks,
        }

    def _training(self, seed: int) -> Job:
        job = {
            **self.shared,
            "job_type": "search_submodel",
            "seed": seed,
            "cache_file": str(self.workspace.full_dataset),
            "tree_inputs": self.tree_inputs,
            "loss_function": self.objective.losses[0],
            "folds": self.folds,
        }
        return job if self.timed else {**job, "max_seconds_per_update": NEVER_SECONDS}

    def _structure(self, structure: Structure) -> Job:
        keys = {
            "activation_function": structure.activation_function,
            "batch_size": min(structure.batch_size, self.n_rows),
            "descent_algorithm": structure.descent_algorithm,
            "learning_rate_schedule": structure.learning_rate_schedule,
            "tree_embedding": structure.trees,
            "learn_residuals": structure.residual,
            "number_of_layers": structure.layers,
        }
        if structure.layers:
            keys["largest_layer_size"] = structure.width
        if self.objective.has_classes and structure.mixup_alpha:
            keys["mixup_alpha"] = structure.mixup_alpha
        return keys

    def _numbers(self, structure: Structure, numbers: Numbers | None) -> dict[str, float]:
        assert numbers is not None
        keys = asdict(numbers)
        if not self.objective.has_classes:
            del keys["label_smoothing_factor"]
        if not structure.layers:
            del keys["dropout_rate"]
        return keys

    def _seed(self, candidate: Candidate) -> int:
        """Of a candidate that goes on with another one, that one's: it begins the same way."""
        number = candidate.number if candidate.goes_on is None else candidate.goes_on
        return (self.seed + number) % (LARGEST_SEED + 1)
