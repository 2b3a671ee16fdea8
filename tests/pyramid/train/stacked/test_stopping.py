"""When networks on folds stop, and which of their states are kept: with losses that are made up."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pyramid.progress import ignore
from pyramid.train.limits import TrainingLimits
from pyramid.train.loop import State
from pyramid.train.stacked import snapshots
from pyramid.train.stacked.architecture import Weights
from pyramid.train.stacked.fit import fit_stack
from pyramid.train.stacked.places import Stack

STEPS = 4  # between checks


def fitted(
    losses, patience=3, refit=False, max_iterations=None, variants=1, sizes=None, train_loss=None, calls=None
):
    """Fit networks whose only weight is the number of steps taken.

    Args:
        losses: (checks, variants * folds); the last check repeats for ever.
        calls: a list that is given the steps of each call.
    """
    losses = np.asarray(losses, float)
    folds = losses.shape[1] // variants
    stack = Stack(variants, folds, refit)
    nets = stack.numbers.size

    def steps(state: State, first: int, count: int):
        if calls is not None:
            calls.append(count)
        assert float(state.parameters[0, 0]) == first
        means = np.ones(nets) if train_loss is None else train_loss(first)
        return state._replace(parameters=state.parameters + count), tf.constant(means, tf.float32)

    checks = iter(range(10_000))
    limits = TrainingLimits(
        holdout_rows=1,
        batch_size=100,
        patience=patience,
        max_iterations=max_iterations,
        started=0.0,
        max_training_time=None,
        max_seconds_per_update=60,
        warmup_iterations=0,
    )
    start = Weights(np.zeros((nets, 1), np.float32), np.zeros((nets, 0), np.float32))
    return fit_stack(
        stack,
        start,
        lambda parameters: (),
        steps,
        lambda weights: losses[min(next(checks), len(losses) - 1)],
        np.ones(folds) if sizes is None else sizes,
        limits,
        lambda loss: {},
        ignore,
    )


def test_a_fold_keeps_the_state_that_is_best_for_the_others():
    # at the second check the networks of folds 1 and 2 are best, at the third that of fold 0
    losses = [[9, 9, 9], [9, 1, 1], [1, 5, 5], [9, 9, 9]]
    (fit,) = fitted(losses)
    assert fit.kept == (8, 12, 12)
    np.testing.assert_array_equal(fit.folds.parameters[:, 0], fit.kept)
    assert fit.stopped_by == "patience"


checks_of_folds = st.lists(st.lists(st.floats(0.1, 9), min_size=3, max_size=3), min_size=1, max_size=12)


@given(checks_of_folds, st.integers(0, 2), st.lists(st.floats(0.1, 9), min_size=12, max_size=12))
def test_the_losses_on_a_fold_have_no_say_in_its_own_weights(losses, fold, others):
    changed = [list(row) for row in losses]
    for row, other in zip(changed, others, strict=False):
        row[fold] = other
    (first,), (second,) = fitted(losses), fitted(changed)
    assert first.kept[fold] == second.kept[fold]


def test_what_is_better_by_less_than_a_thousandth_is_noise():
    (fit,) = fitted([[1.0, 1.0], [0.9995, 0.9995], [0.5, 0.5]])
    assert fit.kept == (12, 12)
    (fit,) = fitted([[1.0, 1.0], [0.9995, 0.9995]])
    assert fit.kept == (4, 4)


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_counts_checks_in_a_row(patience):
    (fit,) = fitted([[3, 3], [2, 2], [1, 1], [4, 4]], patience)
    assert fit.kept == (12, 12)
    assert fit.iterations == (3 + patience) * STEPS


def test_variants_stop_by_themselves_and_change_no_more():
    early, late = [[1, 1]] * 9, [[9 - check] * 2 for check in range(9)]
    revived = [[0.01, 0.01] if check == 7 else row for check, row in enumerate(early)]
    both = [[*one, *other] for one, other in zip(revived, late, strict=True)]
    first, second = fitted(both, variants=2)
    assert (first.kept, first.iterations) == ((4, 4), 16)
    assert (second.kept, second.iterations) == ((36, 36), 48)


def test_refitting_takes_the_mean_of_the_kept_iterations():
    losses = [[9, 9, 9], [9, 1, 1], [1, 5, 5], [9, 9, 9]]
    (fit,) = fitted(losses, refit=True)
    assert fit.kept == (8, 12, 12)
    assert fit.refitted.parameters.tolist() == [[11.0]]


@given(checks_of_folds, checks_of_folds)
def test_every_variant_is_refitted_for_its_own_iterations(one, other):
    size = max(len(one), len(other))
    both = [[*one[min(i, len(one) - 1)], *other[min(i, len(other) - 1)]] for i in range(size)]
    for fit in fitted(both, variants=2, refit=True):
        assert fit.refitted.parameters[0, 0] == round(np.mean(fit.kept))


def test_a_refitted_network_that_is_not_finite_is_none(monkeypatch):
    def weights_of(state: State) -> Weights:
        parameters = state.parameters.numpy().copy()
        parameters[-1] = np.inf
        return Weights(parameters, state.buffers[0].numpy())

    monkeypatch.setattr("pyramid.train.stacked.fit.weights_of", weights_of)
    (fit,) = fitted([[3, 3], [2, 2], [9, 9]], refit=True)
    assert fit.refitted is None
    assert fit.kept == (8, 8)


def test_refitting_many_variants_repeats_the_training_once_at_most(monkeypatch):
    monkeypatch.setattr(snapshots, "MAX_SNAPSHOT_BYTES", 1)
    lows = (9, 4, 7)
    losses = [[20 - check if check <= low else 20 for low in lows for _ in range(2)] for check in range(12)]
    calls: list[int] = []
    fits = fitted(losses, variants=3, refit=True, calls=calls)
    assert [fit.refitted.parameters[0, 0] for fit in fits] == [STEPS * (low + 1) for low in lows]
    assert sum(calls) <= 2 * max(fit.iterations for fit in fits)


def test_max_iterations_end_and_none_train_nothing():
    (fit,) = fitted([[3, 3], [2, 2]], patience=99, max_iterations=7)
    assert (fit.iterations, fit.kept, fit.stopped_by) == (7, (7, 7), "max_iterations")
    (fit,) = fitted([[3, 3]], max_iterations=0, refit=True)
    assert (fit.iterations, fit.kept, fit.loss) == (0, (0, 0), None)
    assert fit.refitted.parameters.tolist() == [[0.0]]


@pytest.mark.parametrize("where", ["check", "training"])
def test_a_variant_that_is_not_finite_keeps_what_was_and_the_others_go_on(where):
    first = [[3, 3], [2, 2], [np.nan if where == "check" else 1, 1], [1, 1]]
    both = [[*row, 9 - check, 9 - check] for check, row in enumerate(first)]

    def loss(step: int) -> np.ndarray:
        return np.array([np.inf if where == "training" and step >= 8 else 1.0, 1.0, 1.0, 1.0])

    broken, whole = fitted(both, variants=2, train_loss=loss)
    assert (broken.kept, broken.stopped_by) == ((8, 8), "non_finite")
    assert (whole.kept, whole.stopped_by) == ((16, 16), "patience")


@pytest.mark.parametrize("first_step", [0, 4])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_variant_does_not_feel_when_another_one_breaks(first_step, value):
    losses = [[9, 9], [5, 6], [7, 3], [4, 8], [9, 9]]

    def loss(step: int) -> np.ndarray:
        return np.array([value if step >= first_step else 1.0, 1.0, 1.0, 1.0])

    broken, whole = fitted([[*row, *row] for row in losses], variants=2, train_loss=loss)
    (alone,) = fitted(losses)
    assert broken is None or broken.stopped_by == "non_finite"
    assert (whole.kept, whole.iterations, whole.loss) == (alone.kept, alone.iterations, alone.loss)
    np.testing.assert_array_equal(whole.folds.parameters, alone.folds.parameters)


def test_a_variant_that_never_was_finite_leaves_nothing():
    broken, whole = fitted([[np.nan, 1, 2, 2]], variants=2)
    assert broken is None
    assert whole.kept == (4, 4)


def test_a_fold_without_rows_has_no_say():
    losses = [[3, 3, 0], [2, 2, 0], [1, 4, 0], [9, 9, 0]]
    (fit,) = fitted(losses, sizes=np.array([5, 5, 0]))
    assert fit.kept == (8, 12, 8)
