"""One rival of `pyramid_fit`: python table_rivals.py RIVAL TRAIN.csv TEST.csv CLASSES_OR_NUMBERS SECONDS OUTPUT.npy.

Runs with whatever Python has the rival installed, and writes what it predicts of the test rows: (rows, classes)
probabilities in the order of the classes' names, or (rows,) numbers.
"""

from __future__ import annotations

import sys
import tempfile

import numpy as np
import pandas as pd

OBJECTIVE = "objective"
SEED = 0


def read(path: str, has_classes: bool) -> tuple[pd.DataFrame, pd.Series]:
    """Inputs and objective."""
    frame = pd.read_csv(path)
    objective = frame.pop(OBJECTIVE)
    return frame, objective.astype(str) if has_classes else objective


def kinds(inputs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The columns of text, and those of numbers."""
    texts = [column for column in inputs if not pd.api.types.is_numeric_dtype(inputs[column])]
    return texts, [column for column in inputs if column not in texts]


def sklearn_model(rival: str, inputs: pd.DataFrame, has_classes: bool):
    """One of scikit-learn's, behind the usual preparation: medians for what is missing, one-hot categories."""
    from sklearn import ensemble
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    kind = "Classifier" if has_classes else "Regressor"
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=255)
    texts, numbers = kinds(inputs)
    if rival == "hist_gradient_boosting":
        model = getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=SEED)
        return make_pipeline(ColumnTransformer([("t", encode, texts), ("n", "passthrough", numbers)]), model)
    name = {"random_forest": "RandomForest", "extra_trees": "ExtraTrees"}[rival]
    model = getattr(ensemble, f"{name}{kind}")(n_estimators=300, n_jobs=2, random_state=SEED)
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(ColumnTransformer([("t", encode, texts), ("n", filled, numbers)]), model)


def predict_sklearn(rival: str, train, test, has_classes: bool) -> np.ndarray:
    """Learn and predict with one of scikit-learn's ensembles."""
    model = sklearn_model(rival, train[0], has_classes).fit(*train)
    return model.predict_proba(test[0]) if has_classes else model.predict(test[0])


def predict_autogluon(train, test, has_classes: bool, seconds: float) -> np.ndarray:
    """Learn and predict with AutoGluon's `medium_quality`."""
    from autogluon.tabular import TabularPredictor

    n_classes = train[1].nunique()
    problem = ("binary" if n_classes == 2 else "multiclass") if has_classes else "regression"
    metric = "log_loss" if has_classes else "r2"
    with tempfile.TemporaryDirectory() as directory:
        predictor = TabularPredictor(OBJECTIVE, problem, eval_metric=metric, path=directory, verbosity=0)
        frame = train[0].assign(**{OBJECTIVE: train[1]})
        predictor.fit(frame, presets="medium_quality", time_limit=seconds, num_cpus=2)
        if not has_classes:
            return predictor.predict(test[0]).to_numpy()
        predicted = predictor.predict_proba(test[0])
        return predicted[sorted(predicted.columns)].to_numpy()


def predict_realmlp(train, test, has_classes: bool) -> np.ndarray:
    """Learn and predict with one RealMLP-TD."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if has_classes else RealMLP_TD_Regressor
    texts, numbers = kinds(train[0])
    medians = train[0][numbers].median().fillna(0)  # it refuses what is missing in numbers

    def prepared(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(**{column: frame[column].fillna("missing").astype(str) for column in texts})
        return frame.assign(**frame[numbers].fillna(medians).astype(float))

    model = kind(random_state=SEED, device="cpu", n_threads=2).fit(
        prepared(train[0]), train[1].to_numpy(), cat_col_names=texts
    )
    inputs = prepared(test[0])
    return model.predict_proba(inputs) if has_classes else model.predict(inputs).ravel()


def main(rival: str, train_path: str, test_path: str, kind: str, seconds: str, output: str) -> None:
    """Measure one rival on one split."""
    has_classes = kind == "classes"
    train, test = read(train_path, has_classes), read(test_path, has_classes)
    if rival == "autogluon":
        predicted = predict_autogluon(train, test, has_classes, float(seconds))
    elif rival == "realmlp":
        predicted = predict_realmlp(train, test, has_classes)
    else:
        predicted = predict_sklearn(rival, train, test, has_classes)
    np.save(output, np.asarray(predicted, np.float64))


if __name__ == "__main__":
    main(*sys.argv[1:])
