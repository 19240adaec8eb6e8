import dataclasses

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Case
from pipeline.metrics.cross_variable import correlation
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0])
TIMES, CELLS = 200, 4


def _pair(seed=0, members=3, missing=0.1, offset=0.0):
    """Return two cases whose variables go with each other, in the truth more than in the members."""
    rng = np.random.default_rng(seed)
    parts = []
    shared = rng.standard_normal((TIMES, CELLS)), rng.standard_normal((members, TIMES, CELLS))
    for sign in (1.0, -1.0):
        truth = offset + sign * shared[0] + 0.5 * rng.standard_normal((TIMES, CELLS))
        truth[rng.random(truth.shape) < missing] = np.nan
        draws = offset + 2.0 + sign * shared[1] + 1.5 * rng.standard_normal((members, TIMES, CELLS))
        usual = Prediction("point", {"mean": np.zeros((TIMES, CELLS))})
        parts.append(Case(Prediction("members", {"members": draws}), truth, usual))
    return parts


def _score(name, first, second, weights=None):
    metric = METRICS.get(name)()
    both = np.isfinite(first.truth) & np.isfinite(second.truth)
    sums = tuple(np.where(both, term, 0.0).sum(axis=0) for term in metric.terms(first, second))
    return metric.value(both.sum(axis=0).astype(float), sums, weights)


def _expected(first, second):
    found = np.empty(CELLS)
    for cell in range(CELLS):
        both = np.isfinite(first.truth[:, cell]) & np.isfinite(second.truth[:, cell])
        x, y = (case.prediction.parameters["members"][:, both, cell].ravel() for case in (first, second))
        truth = np.corrcoef(first.truth[both, cell], second.truth[both, cell])[0, 1]
        found[cell] = np.corrcoef(x, y)[0, 1] - truth
    return found


def test_it_agrees_with_numpy_cell_by_cell_and_is_meant_by_area():
    pair = _pair()
    np.testing.assert_allclose(_score("bias_cross_correlation", *pair), _expected(*pair), rtol=1e-9)
    found = _score("bias_cross_correlation", *pair, WEIGHTS)
    assert found == pytest.approx(np.average(_expected(*pair), weights=WEIGHTS), rel=1e-9)
    assert found > 0.2  # the members' correlation is nearer to 0 than the truth's -0.8


def test_digits_survive_far_from_zero():
    np.testing.assert_allclose(
        _score("bias_cross_correlation", *_pair(offset=1e5)), _score("bias_cross_correlation", *_pair()), rtol=1e-6
    )


def test_the_truth_itself_is_without_bias():
    first, second = _pair(missing=0.0)
    same = [Case(Prediction("point", {"mean": case.truth}), case.truth, case.climatology) for case in (first, second)]
    np.testing.assert_allclose(_score("bias_cross_correlation", *same), 0.0, atol=1e-12)


def test_a_prediction_that_never_varies_has_no_correlation_and_such_a_truth_is_left_out():
    first, second = _pair()
    flat = Case(first.prediction.map(lambda x: np.full_like(x, 4.0)), first.truth.copy(), first.climatology)
    flat.truth[:, 1] = 3.0
    found = _score("bias_cross_correlation", flat, second)
    truth = [
        np.corrcoef(
            *(case.truth[np.isfinite(first.truth[:, cell] + second.truth[:, cell]), cell] for case in (first, second))
        )[0, 1]
        for cell in range(CELLS)
    ]
    np.testing.assert_allclose(np.delete(found, 1), -np.delete(truth, 1), rtol=1e-9)
    assert np.isnan(found[1])
    rest = [0, 2, 3]
    assert _score("bias_cross_correlation", flat, second, WEIGHTS) == pytest.approx(
        np.average(found[rest], weights=WEIGHTS[rest]), rel=1e-12
    )


def test_two_values_at_least():
    sums = tuple(np.array([1.0, 3.0]) for _ in range(5))
    assert np.isnan(correlation(np.array([1.0, 0.0]), sums, constant=0.0)).all()


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    pair = _pair()
    metric = METRICS.get("bias_cross_correlation")()
    moved = [
        dataclasses.replace(
            case,
            prediction=case.prediction.map(place),
            truth=place(case.truth),
            climatology=case.climatology.map(place),
        )
        for case in pair
    ]
    for term, plain in zip(metric.terms(*moved), metric.terms(*pair), strict=True):
        assert type(term) is type(moved[0].truth)
        np.testing.assert_allclose(to_host(term), plain, rtol=1e-12)
    count, sums = np.full(CELLS, 50.0), tuple(np.full(CELLS, value) for value in (1.0, 2.0, 60.0, 70.0, 9.0) * 2)
    found = metric.value(place(count), tuple(place(part) for part in sums), place(WEIGHTS))
    assert float(found) == pytest.approx(float(metric.value(count, sums, WEIGHTS)), abs=1e-12)


def test_draws_of_two_parametric_distributions_do_not_go_together_by_themselves():
    rng = np.random.default_rng(4)
    flat = Prediction("normal", {"mean": np.zeros((TIMES, CELLS)), "sd": np.ones((TIMES, CELLS))})
    cases = {name: Case(flat, rng.standard_normal((TIMES, CELLS)), flat) for name in ("tas", "pr")}
    found = evaluate(
        {"model": cases},
        split="test",
        time=np.datetime64("2001-01-01", "D") + np.arange(TIMES),
        weights=WEIGHTS,
        units={"tas": "1", "pr": "1"},
        seed=0,
        metrics=("bias_cross_correlation",),
        resamples=20,
    ).scores[0]
    assert (found.variable, found.metric) == ("tas~pr", "bias_cross_correlation")
    assert abs(found.value) < 0.15  # on the same random numbers: about 1
