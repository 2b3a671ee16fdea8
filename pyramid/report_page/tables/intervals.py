"""How far the metrics of some rows may be from those of all that there could be: a bootstrap."""

from __future__ import annotations

import numpy as np

from pyramid.report_page.tables.sources import OutOfFold

REPEATS = 200
MOST_ROWS, LEAST_ROWS, MOST_CELLS = 10_000, 200, 100_000
LEAST_CLASS = 20
"""A class of fewer rows may vanish from a resample, and a mean over the classes with it."""

CONFIDENCE = 0.95


def bootstrap_deviations(answers: OutOfFold, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """What to add to a metric for the ends of its 95% interval, the lower one first.

    Rows are drawn with replacement, `REPEATS` times (Efron and Tibshirani 1993, chapter 13). Of many rows a sample is
    drawn from, and the deviations made smaller as the root of their number says. Where a class is rare only the
    objective's headline metrics have an interval: the others are means over classes.
    """
    n_rows, n_outputs = answers.outputs.shape
    n_drawn = min(n_rows, MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // n_outputs))
    sample = np.sort(rng.choice(n_rows, n_drawn, replace=False))
    truth, outputs = answers.truth[sample], np.asarray(answers.outputs[sample])
    evaluate = answers.objective.evaluate
    whole = evaluate(truth, outputs)
    drawn = [rng.integers(0, n_drawn, n_drawn) for _ in range(REPEATS)]
    repeats = [evaluate(truth[rows], outputs[rows]) for rows in drawn]
    smaller = np.sqrt(n_drawn / n_rows)
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    names = whole if _are_frequent(answers, truth) else answers.objective.headline
    deviations = {
        name: smaller * (np.quantile([one[name] for one in repeats], tails) - whole[name]) for name in names
    }
    return {name: (float(low), float(high)) for name, (low, high) in deviations.items()}


def _are_frequent(answers: OutOfFold, truth: np.ndarray) -> bool:
    classes = answers.objective.class_of(truth)
    return bool(np.bincount(classes, minlength=len(answers.objective.classes)).min() >= LEAST_CLASS)
