"""One decomposition for all penalties, against the closed form and scikit-learn."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from models import _classical
from models._classical import FitData, column_blocks
from models._linear import Basis, Choice, solve
from pipeline.progress import silent


@pytest.fixture(params=[(60, 9), (12, 30)], ids=["more days", "more features"])
def data(request):
    days, features = request.param
    rng = np.random.default_rng(0)
    inputs, check = rng.normal(size=(days, features)) + 3, rng.normal(size=(20, features)) + 3
    inputs[:, 0] = 4.0  # one feature never varies
    slopes = rng.normal(size=(features, 7))
    truth, check_truth = (np.float32(part @ slopes + rng.normal(size=(len(part), 7))) for part in (inputs, check))
    check_truth[rng.random(check_truth.shape) < 0.2] = np.nan
    return FitData(inputs, truth, check, check_truth)


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_the_basis_is_orthonormal_and_complete(data, xp):
    basis = Basis.of(xp.asarray(data.inputs), xp)
    patterns, scores = np.asarray(basis.patterns), np.asarray(basis.scores)
    np.testing.assert_allclose(patterns @ patterns.T, np.eye(len(patterns)), atol=1e-10)
    np.testing.assert_allclose(scores @ patterns + np.asarray(basis.centre), data.inputs, atol=1e-10)
    products = scores.T @ scores
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-9)
    assert (np.diff(np.diag(products)) <= 1e-9).all()


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_all_penalties_are_scikit_learns_ridge(data, xp, monkeypatch):
    from sklearn.linear_model import Ridge

    monkeypatch.setattr(_classical, "COLUMN_BYTES", 1500)  # a few columns at a time
    moved = FitData(*(xp.asarray(part) for part in (data.inputs, data.truth, data.check_inputs, data.check_truth)))
    basis, weight = Basis.of(moved.inputs, xp), np.linspace(0.5, 1.5, 7)
    choices = [Choice(basis.patterns.shape[0], alpha) for alpha in (0.1, 10.0, 1e4)]
    with silent("solve") as step:
        solution = solve(moved, basis, choices, xp.asarray(weight), step, xp)
    known = np.isfinite(data.check_truth)
    errors, means = [], []
    for choice in choices:
        means.append(Ridge(choice.alpha).fit(data.inputs, data.truth.astype(float)).predict(data.check_inputs))
        square = np.where(known, (means[-1] - data.check_truth) ** 2, 0.0) * weight
        errors.append(np.sqrt(square.sum() / (known * weight).sum()))
    np.testing.assert_allclose(solution.errors, errors, rtol=1e-7)
    assert solution.best == int(np.argmin(errors))
    scores = (data.check_inputs - np.asarray(basis.centre)) @ np.asarray(basis.patterns).T
    mean = scores @ np.asarray(solution.slopes, float) + np.asarray(solution.level)
    np.testing.assert_allclose(mean, means[solution.best], atol=1e-4)
    residual = np.sqrt(np.nanmean((means[solution.best] - data.check_truth) ** 2, axis=0))
    np.testing.assert_allclose(np.asarray(solution.sd), residual, rtol=1e-4)


def test_blocks_cover_all_columns_once():
    parts = column_blocks(10**6, 50)
    assert len(parts) > 1
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(50))
