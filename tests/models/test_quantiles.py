"""Mapping of quantiles against numpy.interp in loops, ties, ends, windows and dry days."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from models._quantiles import QuantileMap, day_ranks, fill_empty, map_quantiles
from pipeline.prepare.quantiles import column_quantiles, midpoints
from pipeline.rows import parts as arrays

BOTH = pytest.mark.parametrize("xp", [np, array_api_strict])


def mapped(xp, values, source, target, *, ratio=False, slope=1.0, rank=None):
    columns = source.shape[1]
    given = [xp.asarray(part) for part in (values, source, target)]
    found = map_quantiles(
        *given,
        ratio=xp.asarray(np.full(columns, ratio)),
        slope=xp.asarray(np.full(columns, slope)),
        rank=None if rank is None else xp.asarray(rank),
    )
    return np.asarray(found)


@BOTH
def test_between_the_ends_it_is_numpys_interpolation_column_by_column(xp, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 200)  # a few rows at a time
    rng = np.random.default_rng(0)
    source, target = (np.sort(rng.normal(size=(9, 4)), axis=0) for _ in range(2))
    values = rng.uniform(source[0], source[-1], (50, 4))
    values[:9] = source
    expected = np.stack([np.interp(values[:, k], source[:, k], target[:, k]) for k in range(4)], axis=1)
    np.testing.assert_allclose(mapped(xp, values, source, target), expected, atol=1e-12)


@BOTH
def test_beyond_the_ends_the_outermost_correction_holds(xp):
    source, target = np.array([[1.0], [2.0], [4.0]]), np.array([[3.0], [5.0], [6.0]])
    values = np.array([[0.5], [-1.0], [5.0]])
    np.testing.assert_allclose(mapped(xp, values, source, target)[:, 0], [2.5, 1.0, 7.0])
    np.testing.assert_allclose(mapped(xp, values, source, target, slope=2.0)[:, 0], [2.0, -1.0, 8.0])
    np.testing.assert_allclose(mapped(xp, values, source, target, ratio=True)[:, 0], [1.5, -3.0, 7.5])
    # Where the source's end is zero there is no ratio: always dry so far, now wet.
    dry = np.zeros((3, 1))
    np.testing.assert_allclose(mapped(xp, np.array([[2.0]]), dry, target, ratio=True)[:, 0], [8.0])


def tie_in_a_loop(value, source, target, rank):
    """The level of a value in the midst of equal quantiles, then linear between levels."""
    places = np.flatnonzero(source == value)
    low, high = places[0], places[-1]
    place = np.clip(low - 0.5 + rank * (high - low + 1), low, high)
    return np.interp(place, np.arange(len(target)), target)


@BOTH
@pytest.mark.parametrize("rank", [None, 0.0, 0.2, 0.9, 1.0])
def test_a_value_that_quantiles_share_takes_its_place_among_their_levels(xp, rank):
    source = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 5.0, 9.0])[:, None]
    target = np.array([0.0, 0.0, 0.3, 0.7, 1.0, 2.0, 3.0, 7.0, 11.0, 13.0])[:, None]
    values = np.array([[0.0], [2.0], [5.0]])
    given = None if rank is None else np.full((3, 1), rank)
    expected = [tie_in_a_loop(v, source[:, 0], target[:, 0], 0.5 if rank is None else rank) for v in values[:, 0]]
    np.testing.assert_allclose(mapped(xp, values, source, target, rank=given)[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("rank", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ratio", [True, False])
def test_it_never_falls(rank, ratio):
    rng = np.random.default_rng(3)
    source, target = (np.sort(np.maximum(rng.normal(size=(12, 30)), 0) * 3, axis=0) for _ in range(2))
    values = np.sort(np.concatenate([source, rng.uniform(0, 12, (60, 30))]), axis=0)
    found = mapped(np, values, source, target, ratio=ratio, rank=np.full((len(values), 1), rank))
    assert (np.diff(found, axis=0) >= -1e-12).all()


def test_two_quantiles_are_a_line_and_one_is_a_shift():
    line = mapped(np, np.array([[1.0], [3.0]]), np.array([[0.0], [2.0]]), np.array([[10.0], [14.0]]))
    np.testing.assert_allclose(line[:, 0], [12.0, 15.0])
    shift = mapped(np, np.array([[1.0], [5.0]]), np.array([[2.0]]), np.array([[7.0]]))
    np.testing.assert_allclose(shift[:, 0], [6.0, 10.0])


def time(count):
    return np.datetime64("2000-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")


def fit(xp, coarse, truth, *, wet=True, window="none", quantiles=50, slope=None, groups=1):
    columns = coarse.shape[1]
    phase = np.arange(len(coarse)) % 365 / 365
    made = QuantileMap.fit(
        xp.asarray(coarse),
        xp.asarray(truth),
        phase,
        quantiles=quantiles,
        window=window,
        ratio=xp.asarray(np.full(columns, wet)),
        slope=None if slope is None else xp.asarray(np.full(columns, slope)),
        groups=groups,
    )
    return np.asarray(made(xp.asarray(coarse), phase, time(len(coarse)))), made


def rain(dry, scale, seed, columns=6, count=2000):
    rng = np.random.default_rng(seed)
    amount = rng.gamma(0.8, scale, (count, columns))
    return np.where(rng.random((count, columns)) < dry, 0.0, amount).astype(np.float32)


@BOTH
@pytest.mark.parametrize(("coarse_dry", "true_dry"), [(0.2, 0.6), (0.7, 0.3)])
def test_dry_days_become_as_many_as_in_the_truth(xp, coarse_dry, true_dry):
    coarse, truth = rain(coarse_dry, 2.0, 0), rain(true_dry, 5.0, 1)
    found, _ = fit(xp, coarse, truth)
    assert (found >= 0).all()
    np.testing.assert_allclose((found == 0).mean(axis=0), (truth == 0).mean(axis=0), atol=0.04)
    for level in (0.8, 0.95, 0.99):
        want = np.quantile(truth, level, axis=0)
        np.testing.assert_allclose(np.quantile(found, level, axis=0), want, rtol=0.06)


def test_a_dry_day_is_made_wet_at_all_cells_or_at_none_and_always_the_same_day():
    coarse, truth = rain(0.7, 2.0, 0, columns=1), rain(0.3, 5.0, 1, columns=1)
    both, made = fit(np, np.repeat(coarse, 2, axis=1), np.repeat(truth, 2, axis=1))
    np.testing.assert_array_equal(both[:, 0], both[:, 1])
    some = np.array([5, 90, 1300])
    again = made(np.repeat(coarse, 2, axis=1)[some], some % 365 / 365, time(2000)[some])
    np.testing.assert_array_equal(again, both[some])


def test_ranks_are_uniform_and_not_those_of_the_day_before():
    ranks = day_ranks(time(4000))
    assert np.abs(np.quantile(ranks, midpoints(20)) - midpoints(20)).max() < 0.03
    assert abs(np.corrcoef(ranks[1:], ranks[:-1])[0, 1]) < 0.05


def test_each_season_has_its_own_map():
    rng = np.random.default_rng(0)
    winter = (np.arange(1460) % 365 / 365 + 1 / 12) % 1 < 0.25  # from December on
    coarse = rng.normal(size=(1460, 2)).astype(np.float32)
    truth = np.where(winter[:, None], 10 + 3 * coarse, -coarse.std() + 0.5 * coarse).astype(np.float32)
    found, made = fit(np, coarse, truth, wet=False, window="season", quantiles=100)
    assert len(made.windows.seen) == 4
    inner = np.abs(coarse) < 1.5
    assert np.abs(found - truth)[inner].max() < 0.2
    everywhere, _ = fit(np, coarse, truth, wet=False)
    assert np.abs(everywhere - truth)[inner].mean() > 1.0


def test_without_a_slope_the_ends_go_on_as_steeply_as_the_whole():
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(3000, 1)).astype(np.float32)
    found, made = fit(np, coarse, 4 * coarse + 1, wet=False)
    np.testing.assert_allclose(found, 4 * coarse + 1, atol=1e-4)
    assert float(made.slope[0]) == pytest.approx(4, rel=1e-6)


def test_missing_truth_takes_the_coarse_days_with_it_and_empty_cells_their_targets_mean():
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(400, 6)).astype(np.float32)
    truth = (coarse + np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0])).astype(np.float32)
    truth[:, 2] = truth[:, 5] = np.nan
    truth[coarse[:, 0] > 0, 0] = np.nan  # warm days without truth are no bias
    found, made = fit(np, coarse, truth, wet=False, slope=1.0, groups=2)
    np.testing.assert_allclose(found[:, 0], coarse[:, 0] + 1, atol=1e-3)
    levels = midpoints(50)
    means = [
        np.mean([column_quantiles(truth[:, [k]], levels) for k in pair], axis=0)[:, 0] for pair in ((0, 1), (3, 4))
    ]
    np.testing.assert_allclose(made.target[0][:, 2], means[0], atol=1e-5)
    np.testing.assert_allclose(made.target[0][:, 5], means[1], atol=1e-5)


@BOTH
def test_empty_columns_take_the_mean_of_their_group(xp):
    table = np.array([[[1.0, np.nan, 3.0, np.nan]], [[2.0, np.nan, np.nan, 5.0]]])
    expected = [[[1.0, 1.0, 3.0, 3.0]], [[2.0, 2.0, 5.0, 5.0]]]
    np.testing.assert_array_equal(np.asarray(fill_empty(xp.asarray(table), 2)), expected)
