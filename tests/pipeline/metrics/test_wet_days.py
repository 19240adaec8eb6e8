from dataclasses import replace

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case
from pipeline.metrics.case import Place
from pipeline.metrics.indices import indices_of_years
from pipeline.metrics.wet_days import MEMBERS, wet_quantiles
from pipeline.prediction import Prediction
from pipeline.prediction.members import evenly
from pipeline.units import converted

TIMES, CELLS = 300, 4
TIME = np.datetime64("2001-01-01", "D") + np.arange(TIMES)
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.5])


def _case(family="members", members=7, units="mm d-1", seed=0):
    rng = np.random.default_rng(seed)

    def rain(*lead):
        shape = (*lead, TIMES, CELLS)
        return np.where(rng.random(shape) < 0.5, rng.gamma(0.7, 12.0, shape), 0.0)

    truth, drawn = rain(), rain(members)
    drawn[0, 0], truth[0] = 1.0, 1.0  # the threshold itself is wet
    truth[rng.random(truth.shape) < 0.1] = np.nan
    wet = rng.uniform(0.2, 0.8, truth.shape)
    parameters = {
        "members": {"members": drawn},
        "point": {"mean": drawn[0]},
        "bernoulli_gamma": {"wet": wet, "shape": np.full_like(wet, 0.7), "scale": np.full_like(wet, 12.0)},
    }[family]
    usual = Prediction("point", {"mean": np.zeros_like(truth)})
    return Case(Prediction(family, parameters), truth, usual, units=units, time=TIME, seed=1)


@pytest.mark.parametrize(("name", "limit"), [("brier_r01", 1.0), ("brier_r10", 10.0), ("brier_r20", 20.0)])
@pytest.mark.parametrize("family", ["members", "point", "bernoulli_gamma"])
def test_brier_scores_are_mean_squares_of_probability_less_event(name, limit, family, score):
    case = _case(family)
    if family == "bernoulli_gamma":
        from scipy import stats

        p = case.prediction.parameters
        chance = p["wet"] * stats.gamma.sf(limit, p["shape"], scale=p["scale"])
    else:
        chance = (case.draws >= limit).mean(axis=0)
    square = np.where(case.valid, (chance - (case.truth >= limit)) ** 2, np.nan)
    np.testing.assert_allclose(score(name, case), np.nanmean(square, axis=0), rtol=1e-6)
    weights = np.where(case.valid, WEIGHTS, 0.0)
    expected = np.nansum(square * weights) / weights.sum()
    assert score(name, case, WEIGHTS) == pytest.approx(expected, rel=1e-6)


def test_the_brier_score_is_that_of_the_scores_package(score):
    probability = pytest.importorskip("scores.probability")
    import xarray as xr

    case = _case()
    chance = xr.DataArray((case.draws >= 1.0).mean(axis=0))
    event = xr.DataArray((case.truth >= 1.0).astype(float)).where(case.valid)
    expected = probability.brier_score(chance, event, preserve_dims=["dim_1"], check_args=False)
    np.testing.assert_allclose(score("brier_r01", case), expected, rtol=1e-9)


@pytest.mark.parametrize("family", ["members", "point", "bernoulli_gamma"])
def test_the_share_of_wet_days_is_by_probability(family, score):
    case = _case(family)
    chance = (case.draws >= 1.0).mean(axis=0)
    if family == "bernoulli_gamma":
        chance = (case.prediction.sample(4000, seed=3) >= 1.0).mean(axis=0)
    cells = np.nanmean(np.where(case.valid, chance - (case.truth >= 1.0), np.nan), axis=0)
    tolerance = 2e-3 if family == "bernoulli_gamma" else 1e-9
    np.testing.assert_allclose(score("bias_r01", case), cells, atol=tolerance)
    assert score("bias_r01", case, WEIGHTS) == pytest.approx(np.average(cells, weights=WEIGHTS), abs=tolerance)
    expected = np.average(np.abs(cells), weights=WEIGHTS)
    assert score("abs_bias_r01", case, WEIGHTS) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("family", ["members", "point"])
def test_the_wet_quantile_is_of_all_wet_days_of_some_members_together(family):
    case = _case(family)
    found = np.empty((2, CELLS))
    for cell in range(CELLS):
        days = case.valid[:, cell]
        drawn = case.draws[evenly(len(case.draws), MEMBERS)][:, days, cell]
        truth = case.truth[days & (case.truth[:, cell] >= 1.0), cell]
        found[:, cell] = np.quantile(drawn[drawn >= 1.0], 0.98), np.quantile(truth, 0.98)
    once = np.ones((TIMES, 1), np.int32)
    for name, expected in (
        ("bias_p98_wet", found[0] - found[1]),
        ("abs_bias_p98_wet", found[0] - found[1]),
        ("relative_bias_p98_wet", 100.0 * (found[0] / found[1] - 1.0)),
    ):
        np.testing.assert_allclose(METRICS.get(name)().cells(case, once)[0], expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["bias_p98_wet", "wasserstein"])
def test_an_ensemble_is_not_judged_by_its_first_network(name):
    """Ten members of a dry network, then ten of a wet one: together they have the law of the truth."""
    rng = np.random.default_rng(0)
    scale = np.where(rng.random((TIMES, CELLS)) < 0.5, 2.0, 14.0)
    truth = rng.gamma(0.8, scale)
    members = np.concatenate([rng.gamma(0.8, one, (10, TIMES, CELLS)) for one in (2.0, 14.0)])
    usual = Prediction("point", {"mean": np.zeros_like(truth)})
    once = np.ones((TIMES, 1), np.int32)

    def scored(members):
        case = Case(Prediction("members", {"members": members}), truth, usual, units="mm d-1", time=TIME)
        return np.abs(METRICS.get(name)().cells(case, once).mean())

    assert scored(members) < 0.5 * scored(members[:10])


@pytest.mark.parametrize("units", ["mm d-1", "kg m-2 s-1", "m s-1"])
def test_days_of_exactly_the_threshold_are_wet_in_all_units(units, score):
    """In float32 a flux of 1 mm a day is a little less than the same number in float64."""
    truth = np.random.default_rng(0).integers(0, 4, (TIMES, CELLS)) * 0.5
    values = (truth * converted(1.0, "mm d-1", units)).astype(np.float32)
    point = Prediction("point", {"mean": values})
    place = Place(Grid(np.arange(1.0), np.arange(float(CELLS))), np.ones((1, CELLS), bool))
    case = Case(Prediction("members", {"members": np.stack([values] * 2)}), values, point, units=units, time=TIME,
                place=place)  # fmt: skip
    for name, best in (("bias_r01", 0.0), ("brier_r01", 0.0)):
        np.testing.assert_array_equal(score(name, case), best)
    errors, largest = METRICS.get("fss_r01")().terms(case)
    assert errors.sum() == 0.0
    assert largest.sum() > 0.0
    shares = indices_of_years(["r01"], case.truth, case.time, units)["r01"]
    np.testing.assert_allclose(shares.mean(), (truth >= 1.0).mean(), atol=1e-6)


def test_quantiles_of_resamples_are_kept_apart():
    case = _case()
    counts = np.random.default_rng(0).multinomial(TIMES, np.full(TIMES, 1.0 / TIMES), size=2).T.astype(np.int32)
    first, other = counts[:, :1].copy(), counts[:, 1:].copy()
    found = [wet_quantiles(case, part) for part in (first, other)]
    assert wet_quantiles(case, first)[0] is found[0][0]
    assert (found[0][0] != found[1][0]).any()
    again = np.repeat(np.arange(TIMES), other[:, 0])
    part = case.truth[again, 0]
    assert found[1][1][0, 0] == pytest.approx(np.quantile(part[part >= 1.0], 0.98), rel=1e-9)


def test_a_cell_without_wet_days_has_no_quantile():
    case = _case()
    case.truth[:, 2] = 0.0
    found = METRICS.get("relative_bias_p98_wet")().cells(case, np.ones((TIMES, 1), np.int32))
    assert np.isnan(found[0]).tolist() == [False, False, True, False]


def test_thresholds_are_of_the_units_and_the_quantity_is_rain(score):
    case = _case()
    case.truth[0], case.prediction.parameters["members"][0, 0] = 2.0, 2.0
    other = replace(
        case, prediction=case.prediction.map(lambda x: x / 86400.0), truth=case.truth / 86400.0, units="kg m-2 s-1"
    )
    for name in ("bias_r01", "brier_r10", "brier_r20"):
        np.testing.assert_allclose(score(name, other), score(name, case), rtol=1e-9)
    for name in ("bias_r01", "brier_r10", "bias_p98_wet", "relative_bias_p98_wet"):
        assert METRICS.get(name)().applies(case, "mm d-1")
        assert not METRICS.get(name)().applies(case, "m s-1")
        assert not METRICS.get(name)().applies(replace(case, time=None), "mm d-1")
