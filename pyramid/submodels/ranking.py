"""Which submodels of a search make the final model (docs/training.md, "Searches")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from pyramid.errors import DataError

Evaluations = Sequence[Mapping[str, float]]


def rank_submodels(evaluations: Mapping[str, Evaluations]) -> dict[str, float]:
    """Score each submodel between 0 and 1, larger is better.

    For each metric the results of all models on all samples are ranked together (the worst is 1, equal results
    share their mean rank) and divided by the largest rank. A sample's score is the mean over metrics, a model's
    score that of its worst sample.

    Args:
        evaluations: for each job id the metrics on each sample; at least one sample, the same metrics for all.

    Returns:
        The scores, in the order of `evaluations`.

    Raises:
        DataError: no submodels, no samples, other metrics than another has, or a metric that is no finite number;
            names the job.
    """
    if not evaluations:
        raise DataError("there are no evaluated submodels to rank")
    names = _metric_names(evaluations)
    results = np.array(
        [[sample[name] for name in names] for samples in evaluations.values() for sample in samples]
    )  # (models and samples, metrics)
    ranks = [rankdata(column) for column in results.T]
    scores = np.mean([rank / rank.max() for rank in ranks], axis=0)
    starts = np.cumsum([0, *(len(samples) for samples in evaluations.values())])[:-1]
    return dict(zip(evaluations, np.minimum.reduceat(scores, starts).tolist(), strict=True))


def keep_best(scores: Mapping[str, float], model_fraction: float) -> list[str]:
    """The job ids of the best max(1, int(model_fraction * n)) submodels, the best first.

    Of equal scores the job id that sorts first is the better one.
    """
    best_first = sorted(scores, key=lambda job_id: (-scores[job_id], job_id))
    return best_first[: max(1, int(model_fraction * len(best_first)))]


def _metric_names(evaluations: Mapping[str, Evaluations]) -> list[str]:
    names: list[str] | None = None
    for job_id, samples in evaluations.items():
        if not samples:
            raise DataError(f"the submodel {job_id} was evaluated on no samples")
        for number, sample in enumerate(samples):
            names = sorted(sample) if names is None else names
            if not sample or sorted(sample) != names:
                raise DataError(
                    f"the submodel {job_id}, sample {number}: expected the metrics {', '.join(names)}, "
                    f"got {', '.join(sorted(sample)) or 'none'}"
                )
            for name, value in sample.items():
                if not isinstance(value, (int, float)) or not math.isfinite(value):
                    raise DataError(
                        f"the submodel {job_id}, sample {number}: {name} is {value}, expected a finite number"
                    )
    return names or []
