import array_api_strict
import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scores.probability import rank_histogram

from pipeline.metrics import Case
from pipeline.metrics.diagnostics import BINS, DRAWS, diagnose
from pipeline.prediction import Prediction

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])


def _diagnose(case, seed=0):
    time = np.datetime64("2000-01-01", "h") + np.arange(case.truth.shape[0]) * np.timedelta64(1, "h")
    return diagnose(case, split="test", variable="tas", time=time, weights=WEIGHTS, seed=seed)


def test_a_point_forecast_has_none(make_case):
    assert _diagnose(make_case("point")) is None


@pytest.mark.parametrize("family", ["normal", "mixture", "weighted_mixture", "quantiles", "members"])
def test_everything_is_flat_where_the_distribution_is_true(family, make_case):
    case = make_case(family, n=3000)
    found = _diagnose(case)
    values = int(np.isfinite(case.truth).sum())
    assert len(found.rank_count) == (6 if family == "members" else DRAWS + 1)
    for counts in (found.rank_count, found.pit_count):
        assert counts.sum() == values
        assert scipy.stats.chisquare(counts).pvalue > 1e-3
    # A truth is below all of five members, or above them, in a sixth of the cases each; quantiles lie between.
    between = np.clip(5 * found.level - 0.5, 0, 4)
    expected = (1 + between) / 6 if family == "members" else found.level
    np.testing.assert_allclose(found.observed, expected, atol=0.02)
    assert ((found.low <= found.observed) & (found.observed <= found.high)).all()
    if family != "members":  # five draws know little of a sd: bins by their spread do not tell the error
        np.testing.assert_allclose(found.spread, found.rmse, rtol=0.1)


def test_a_true_chance_of_rain_is_flat_in_spite_of_its_dry_days():
    """Two thirds of the truths are zero: where they stand within the dry days' share is drawn."""
    rng, shape = np.random.default_rng(5), (3000, CELLS)
    wet = rng.uniform(0.1, 0.6, shape)
    truth = np.where(rng.random(shape) < wet, rng.gamma(0.8, 6.0, shape), 0.0)
    parts = {"wet": wet, "shape": np.full(shape, 0.8), "scale": np.full(shape, 6.0)}
    rain = Prediction("bernoulli_gamma", parts)
    found = _diagnose(Case(rain, truth, rain))
    assert (truth == 0).mean() > 0.6
    for counts in (found.pit_count, found.rank_count):
        assert scipy.stats.chisquare(counts).pvalue > 1e-3
    np.testing.assert_allclose(found.observed, found.level, atol=0.02)


def test_too_little_spread_shows_everywhere(make_case):
    case = make_case("normal", n=2000)
    narrow = Prediction("normal", {"mean": case.mean, "sd": 0.3 * case.prediction.parameters["sd"]})
    found = _diagnose(Case(narrow, case.truth, case.climatology))
    assert found.rank_count[0] > 3 * found.rank_count[10]
    assert found.pit_count[0] > 3 * found.pit_count[5]
    assert found.observed[0] > 0.2
    assert (found.rmse > 2 * found.spread).all()


def test_ranks_agree_with_scores(make_case):
    case = make_case("members", n=500, missing=0.0)
    members = case.prediction.parameters["members"]
    expected = rank_histogram(
        xr.DataArray(members, dims=("member", "time", "cell")),
        xr.DataArray(case.truth, dims=("time", "cell")),
        "member",
    )
    np.testing.assert_allclose(_diagnose(case).rank_count / case.truth.size, expected, atol=1e-12)


def test_equal_ranks_are_drawn_at_random():
    # Dry days: members and truth all zero. Every rank is as likely, and the seed decides.
    truth = np.zeros((4000, CELLS))
    case = Case(
        Prediction("members", {"members": np.zeros((4, 4000, CELLS))}), truth, Prediction("point", {"mean": truth})
    )
    found = _diagnose(case)
    assert scipy.stats.chisquare(found.rank_count).pvalue > 1e-3
    np.testing.assert_array_equal(_diagnose(case).rank_count, found.rank_count)
    assert (_diagnose(case, seed=1).rank_count != found.rank_count).any()


def test_calibration_curve_is_the_weighted_share_of_small_transforms(make_case):
    case = make_case("normal")
    p = case.prediction.parameters
    pit = scipy.stats.norm.cdf(case.truth, p["mean"], p["sd"])
    area = np.where(np.isfinite(case.truth), WEIGHTS, 0.0)
    expected = [(area * (pit <= level)).sum() / area.sum() for level in np.arange(1, 20) / 20]
    np.testing.assert_allclose(_diagnose(case).observed, expected, rtol=1e-12)


def test_calibration_curve_of_members_is_that_of_their_quantiles(make_case):
    case = make_case("members")
    area = np.where(np.isfinite(case.truth), WEIGHTS, 0.0)
    quantiles = np.quantile(
        case.prediction.parameters["members"].astype(float), np.arange(1, 20) / 20, axis=0, method="hazen"
    )
    expected = (area * (case.truth <= quantiles)).sum(axis=(1, 2)) / area.sum()
    np.testing.assert_allclose(_diagnose(case).observed, expected, atol=1e-12)


def test_members_that_are_all_the_truth_are_at_every_level_alike():
    members = np.zeros((6, 4000, CELLS))
    members[5] = 2.0  # one wet member of six: dry days reach up to the level 4.5 / 6
    truth = np.zeros((4000, CELLS))
    case = Case(Prediction("members", {"members": members}), truth, Prediction("point", {"mean": truth}))
    np.testing.assert_allclose(_diagnose(case).observed, np.minimum(np.arange(1, 20) / 15, 1.0), atol=0.02)


def test_the_only_member_is_below_or_above():
    truth = np.tile(np.arange(4.0)[:, None], (1000, CELLS))
    case = Case(
        Prediction("members", {"members": np.full((1, 4000, CELLS), 2.5)}), truth, Prediction("point", {"mean": truth})
    )
    np.testing.assert_allclose(_diagnose(case).observed, 0.75)


def test_bins_of_spread_hold_equal_counts(make_case):
    case = make_case("normal", missing=0.0)
    case = Case(case.prediction, case.truth, case.climatology)
    found = _diagnose(case)
    order = np.argsort(case.prediction.parameters["sd"].ravel())
    area = np.broadcast_to(WEIGHTS, case.truth.shape).ravel()
    for number, index in enumerate(np.array_split(order, BINS)):
        for values, got in (
            (case.prediction.parameters["sd"] ** 2, found.spread),
            ((case.mean - case.truth) ** 2, found.rmse),
        ):
            assert got[number] == pytest.approx(np.average(values.ravel()[index], weights=area[index]) ** 0.5, rel=1e-9)


def test_fewer_values_than_bins_leave_bins_empty(make_case):
    case = make_case("normal", n=20, missing=0.0)
    case.truth[1:] = np.nan
    found = _diagnose(case)
    assert np.isfinite(found.rmse).sum() == CELLS
    assert found.rank_count.sum() == CELLS


@pytest.mark.parametrize("family", ["mixture", "quantiles", "members"])
def test_strict_arrays_give_the_same(family, make_case):
    case = make_case(family)
    place = array_api_strict.asarray
    moved = Case(case.prediction.map(place), place(case.truth), case.climatology.map(place))
    one, other = _diagnose(case), _diagnose(moved)
    np.testing.assert_array_equal(one.rank_count, other.rank_count)
    np.testing.assert_allclose(one.rmse, other.rmse, rtol=1e-10)
