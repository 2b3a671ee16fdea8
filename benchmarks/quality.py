"""How good the whole pipeline's models are, beside scikit-learn's: cached with trees, trained, finalized, predicted.

python benchmarks/quality.py        # the mean over 5 seeded splits, 80% to learn from; AUC, or R² of a number
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn import datasets, ensemble, neural_network
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import print_table

import sensenet
from pyramid.jobs import load_job
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs
from pyramid.workspace import Workspace

SPLITS = 5
TEST_SHARE = 0.2
DATASETS = {
    "breast cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


def run_jobs(directory: Path, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Run caching, training and finalizing in this process; gives the last result."""
    results: dict[str, Any] = {}
    for job in jobs:
        if job["job_type"] == "standard_training":
            job = job | {"tree_inputs": results["tree_inputs"]}
        settings = BaseSettings(job)
        results = load_job(settings.job_type)(settings, Workspace.create(directory), ignore)
    return results


def ours(x: np.ndarray, y: np.ndarray, test: np.ndarray, numeric: bool, seed: int) -> np.ndarray:
    """The predictions of a finalized model for the test rows."""
    fields = [numeric_field(i, column) for i, column in enumerate(x.T)]
    last = len(fields)
    objective = numeric_field(last, y) if numeric else categorical_field(last, [str(c) for c in np.unique(y)])
    with tempfile.TemporaryDirectory() as directory:
        jobs = tabular_jobs(directory, np.column_stack([x, y]).astype(float), [*fields, objective], seed)
        final = run_jobs(Path(directory), jobs)
        predictions = sensenet.create_model(final["final_model_path"])(test)
    return predictions[:, 0] if numeric else predictions


def rivals(numeric: bool, seed: int) -> dict[str, Any]:
    """scikit-learn's models; the network with standardised inputs and early stopping, as people use it."""
    kind = "Regressor" if numeric else "Classifier"
    network = getattr(neural_network, f"MLP{kind}")(early_stopping=True, max_iter=1000, random_state=seed)
    return {
        "MLP": make_pipeline(StandardScaler(), network),
        "RandomForest": getattr(ensemble, f"RandomForest{kind}")(random_state=seed),
        "HistGradientBoosting": getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=seed),
    }


def score(truth: np.ndarray, predictions: np.ndarray, numeric: bool) -> float:
    """R², or the area under the ROC curve (one against the rest, macro)."""
    if numeric:
        return r2_score(truth, predictions)
    if predictions.shape[1] == 2:
        return roc_auc_score(truth, predictions[:, 1])
    return roc_auc_score(truth, predictions / predictions.sum(1, keepdims=True), multi_class="ovr")


def scores(name: str) -> dict[str, float]:
    """The mean score of each contestant on one data set."""
    bunch = DATASETS[name]()
    numeric = name == "diabetes"
    found: dict[str, list[float]] = {}
    for seed in range(SPLITS):
        x, test, y, truth = train_test_split(
            bunch.data,
            bunch.target,
            test_size=TEST_SHARE,
            random_state=seed,
            stratify=None if numeric else bunch.target,
        )
        found.setdefault("ours", []).append(score(truth, ours(x, y, test, numeric, seed), numeric))
        for rival, model in rivals(numeric, seed).items():
            model.fit(x, y)
            predictions = model.predict(test) if numeric else model.predict_proba(test)
            found.setdefault(rival, []).append(score(truth, predictions, numeric))
    return {contestant: float(np.mean(values)) for contestant, values in found.items()}


def main() -> None:
    rows, behind_mlp = [], []
    for name in DATASETS:
        found = scores(name)
        trees = max(found["RandomForest"], found["HistGradientBoosting"])
        behind_mlp.append(found["MLP"] - found["ours"])
        rows.append(
            (
                name,
                *(f"{v:.4f}" for v in found.values()),
                f"{behind_mlp[-1]:+.4f}",
                f"{trees - found['ours']:+.4f}",
            )
        )
    names = ("data", "ours", "MLP", "RandomForest", "HistGradientBoosting")
    print_table((*names, "behind MLP (goal <= 0.003)", "behind trees (goal <= 0.01)"), rows)
    print(f"behind MLP on average: {np.mean(behind_mlp):+.4f} (goal < 0)")


if __name__ == "__main__":
    main()
