"""Work that scores share is done once, and does not change them."""

import array_api_strict
import numpy as np
import pytest

from pipeline.metrics import METRICS, Metric
from pipeline.metrics.blocks import Blocks
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.groups import Group, make_groups
from pipeline.metrics.resampled import score_sums
from pipeline.metrics.sums import BlockSums, adder, block_sums

WEIGHTS = np.linspace(0.5, 2.0, 6)
ADDED = [name for name in METRICS.names() if issubclass(METRICS.get(name), Metric) and METRICS.get(name).adds_cells]


@pytest.fixture
def group(winters):
    series = np.random.default_rng(0).normal(size=len(winters))
    return make_groups(winters, series, seed=0, purpose="test", resamples=30, seasons=False)[0]


def _terms(name, blocks, cells):
    """Return sums that any score of means bears: positive, the later terms large enough to divide by."""
    rng = np.random.default_rng(1)
    count = rng.integers(1, 9, size=(blocks, cells)).astype(float)
    return BlockSums(count, {name: tuple(count * rng.uniform(1.0, 2.0, count.shape) for _ in range(3))})


@pytest.mark.parametrize("name", ADDED)
def test_cells_that_are_added_up_first_give_the_same(name, group, monkeypatch):
    kind = METRICS.get(name)
    sums = _terms(name, len(group.blocks), len(WEIGHTS))
    if name not in ("acc", "kge"):
        terms = {"crpss": 2, "spread_skill": 2, "cv_spread": 2}.get(name, 1)
        sums = BlockSums(sums.count, {name: sums.terms[name][:terms]})
    added = score_sums([name], sums, group, WEIGHTS, 30)[name]
    monkeypatch.setattr(kind, "adds_cells", False)
    cell_by_cell = score_sums([name], sums, group, WEIGHTS, 30)[name]
    np.testing.assert_allclose(added.value, cell_by_cell.value, rtol=1e-12)
    np.testing.assert_allclose(added.draws, cell_by_cell.draws, rtol=1e-12)


def test_no_resample_of_a_mean_is_made_of_single_cells(group, monkeypatch):
    seen = []
    monkeypatch.setattr(
        METRICS.get("mae"), "value", lambda self, count, sums, weights: seen.append(count.shape) or sums[0][:, 0]
    )
    score_sums(["mae"], BlockSums(np.ones((len(group.blocks), 6)), {"mae": (np.ones((len(group.blocks), 6)),)}),
               group, WEIGHTS, 30)  # fmt: skip
    assert {cells for _, cells in seen} == {1}


def test_a_map_and_a_median_over_series_keep_their_cells(make_case, winters, group):
    case = make_case("point", n=len(winters))
    (sums,) = block_sums(case, ("rmse", "nse"), [group])
    assert score_sums(["rmse"], sums, group, None, 30)["rmse"].draws.shape == (30, 6)
    single = [score_sums(["nse"], sums, group, None, 30)["nse"].value]
    median = score_sums(["nse"], sums, group, WEIGHTS, 30, task="series")["nse"].value
    assert median == pytest.approx(np.median(single))


def test_scores_of_the_same_moments_are_made_of_one_set_of_them(make_case, winters, group, monkeypatch):
    names, kind = ("pearson_r", "sd_ratio", "nse"), METRICS.get("nse").__mro__[1]
    case = make_case("point", n=len(winters))
    (sums,) = block_sums(case, names, [group])
    assert all(one is other for name in names for one, other in zip(sums.terms[name], sums.terms["nse"], strict=True))
    alone = {name: score_sums([name], sums, group, WEIGHTS, 30)[name] for name in names}
    made, shared = [], kind.shared
    monkeypatch.setattr(kind, "shared", lambda *given: made.append(1) or shared(*given))
    together = score_sums(names, sums, group, WEIGHTS, 30)
    assert len(made) == 2  # of the times themselves, and of all resamples
    for name in names:
        np.testing.assert_array_equal(together[name].draws, alone[name].draws)
        np.testing.assert_array_equal(together[name].value, alone[name].value)


@pytest.mark.parametrize("place", [np.asarray, array_api_strict.asarray])
def test_blocks_with_and_without_gaps_are_added_up(place):
    values = np.random.default_rng(0).normal(size=(9, 2))
    index = np.array([0, 1, 2, 4, 6, 7])
    blocks = Blocks("runs", np.array([[0, 3], [3, 6]]), 1.0, 6.0)
    add = adder(Group(("all",), index, blocks, np.ones((1, 2), np.int32)), place(values))
    expected = [values[[0, 1, 2]].sum(axis=0), values[[4, 6, 7]].sum(axis=0)]
    np.testing.assert_allclose(np.asarray(add(place(values))), expected, rtol=1e-14)


def test_what_is_made_of_the_truth_is_made_once_for_all_models(make_case, winters, monkeypatch):
    from pipeline.metrics import extremes

    made, usual = [], extremes.resampled_quantile
    monkeypatch.setattr(extremes, "resampled_quantile", lambda *given: made.append(1) or usual(*given))
    cases = {name: {"tas": make_case("point", n=len(winters))} for name in ("one", "two", "three")}
    over = {"split": "test", "time": winters, "weights": WEIGHTS, "units": {"tas": "K"}, "seed": 0, "seasons": False}
    found = evaluate(cases, metrics=("bias_q02",), resamples=20, **over)
    assert len(made) == 4  # one of the truth, and one of each model
    assert len({(row.value, row.low, row.high) for row in found.scores}) == 1
    alone = evaluate({"one": cases["one"]}, metrics=("bias_q02",), resamples=20, **over)
    assert alone.scores == found.scores[:1]


def test_groups_of_the_same_times_have_resamples_of_their_own(make_case):
    """A season of which there is one month alone: what is kept of the truth for one is not taken for the other."""
    time = np.concatenate([np.arange(f"{y}-01-01", f"{y}-02-01", dtype="datetime64[D]") for y in range(1990, 2002)])
    extra = np.concatenate([np.arange(f"{y}-07-01", f"{y}-08-01", dtype="datetime64[D]") for y in range(1990, 2002)])
    time = np.sort(np.concatenate([time, extra]))
    cases = {"one": {"tas": make_case("point", n=len(time))}}
    over = {"split": "test", "time": time, "weights": WEIGHTS, "units": {"tas": "K"}, "seed": 0, "months": True}
    over |= {"metrics": ("bias_q98",), "month_metrics": ("bias_q98",), "resamples": 50}
    both, months = (evaluate(cases, seasons=seasons, **over).scores for seasons in (True, False))
    assert {row.group for row in both} - {row.group for row in months} == {"season=DJF", "season=JJA"}
    assert [row for row in both if "season" not in row.group] == list(months)
