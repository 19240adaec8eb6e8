"""Ensembles that lack members at some values: scored with those that are there, and counted."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
import scipy.stats

from pipeline.errors import DataError
from pipeline.metrics import Case
from pipeline.metrics.diagnostics import diagnose
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.pit import pit_sums, steps
from pipeline.prediction import Prediction

CELLS, SIZE = 6, 5
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])


def _broken(case, share=0.2, seed=3):
    """Return the case without a share of the members' values; two at least are left everywhere."""
    members = case.prediction.parameters["members"].copy()
    members[2:][np.random.default_rng(seed).random(members[2:].shape) < share] = np.nan
    return replace(case, prediction=Prediction("members", {"members": members}))


def _evaluate(case, time, **options):
    found = evaluate(
        {"unet+deep_ensemble": {"tas": case}}, split="test", time=time, weights=WEIGHTS, units={"tas": "degC"}, seed=4,
        resamples=20, **options,
    )  # fmt: skip
    return found, {row.metric: row for row in found.scores if row.group == "all"}


@pytest.fixture
def case(make_case, winters):
    return _broken(make_case("members", n=len(winters), members=SIZE))


def test_scores_are_those_of_the_members_that_are_there(case, winters):
    _, rows = _evaluate(case, winters, metrics=("crps", "crps_fair", "rmse", "spread_skill", "coverage_50"))
    members, total = case.prediction.parameters["members"], dict.fromkeys(("w", "crps", "fair", "se", "var", "in"), 0.0)
    for time, cell in zip(*np.nonzero(np.isfinite(case.truth)), strict=True):
        x, y, weight = members[:, time, cell], case.truth[time, cell], WEIGHTS[cell]
        x = x[~np.isnan(x)]
        pairs, size = np.abs(x[:, None] - x).sum() / 2, len(x)
        low, high = np.quantile(x, (0.25, 0.75), method="hazen")
        parts = {
            "w": 1.0,
            "crps": np.abs(x - y).mean() - pairs / size**2,
            "fair": np.abs(x - y).mean() - pairs / (size * (size - 1)),
            "se": (x.mean() - y) ** 2,
            "var": x.var(ddof=1) * (size + 1) / size,
            "in": low <= y <= high,
        }
        total = {name: value + weight * parts[name] for name, value in total.items()}
    mean = {name: value / total["w"] for name, value in total.items()}
    expected = {
        "crps": mean["crps"], "crps_fair": mean["fair"], "rmse": mean["se"] ** 0.5, "coverage_50": mean["in"],
        "spread_skill": (mean["var"] / mean["se"]) ** 0.5,
    }  # fmt: skip
    assert {name: row.value for name, row in rows.items()} == pytest.approx(expected, rel=1e-10)


def test_they_are_counted_and_said(case, winters):
    found, _ = _evaluate(case, winters, metrics=("rmse",))
    known = np.isfinite(case.truth)
    gone = np.isnan(case.prediction.parameters["members"]).any(axis=0) & known
    (lacking,) = found.missing
    assert (lacking.members, lacking.values, lacking.lacking, lacking.alone) == (SIZE, known.sum(), gone.sum(), 0)
    assert lacking.warning == found.warnings[0]
    assert lacking.warning == (
        f"{100 * gone.sum() / known.sum():.1f} % of the values of tas from unet+deep_ensemble on 'test' lack one or "
        "more of their 5 members: scored with those that are there."
    )
    assert replace(lacking, lacking=1, values=10**6).warning.startswith("Less than 0.1 % of the values of tas from")
    assert replace(lacking, lacking=7, values=7).warning.startswith("100.0 % of")


def test_one_member_alone_has_no_spread_and_no_fair_score(case, winters):
    case.truth[3, 2] = 8.0
    case.prediction.parameters["members"][:, 3, 2] = [np.nan, 7.0, np.nan, np.nan, np.nan]
    found, rows = _evaluate(case, winters, metrics=("crps", "crps_fair", "spread_skill"))
    assert np.isfinite(rows["crps"].value)
    assert np.isnan([rows["crps_fair"].value, rows["spread_skill"].value]).all()
    assert found.missing[0].alone == 1
    assert found.warnings[0].endswith(
        " 1 of them have a single member, so that fair CRPS and spread / skill are not known."
    )


@pytest.mark.parametrize("values", [[np.nan] * 5, [1.0, np.nan, np.inf, 2.0, 3.0]])
def test_values_without_any_member_or_with_infinite_ones_are_refused(case, winters, values):
    case.truth[3, 2] = 8.0
    case.prediction.parameters["members"][:, 3, 2] = values
    message = (
        r"^expected finite members, one at least, of tas from 'unet\+deep_ensemble' wherever 'test' has truth, got 1 "
        r"values without\. A model must predict every cell of the mask\.$"
    )
    with pytest.raises(DataError, match=message):
        _evaluate(case, winters)


def test_nothing_is_said_where_none_is_missing_or_nothing_is_asked(make_case, winters):
    whole = make_case("members", n=len(winters))
    assert whole.missing is None
    assert _evaluate(whole, winters, metrics=("rmse",))[0].missing == ()
    assert make_case("mixture").missing is None
    whole.prediction.parameters["members"][:, np.isnan(whole.truth)] = np.nan  # where there is no truth
    fresh = replace(whole)
    assert _evaluate(fresh, winters, metrics=("rmse",))[0].missing == ()


def test_all_scores_of_draws_are_finite_and_near_those_of_the_whole(make_case, winters):
    whole = make_case("members", n=len(winters), members=SIZE)
    _, before = _evaluate(whole, winters)
    _, after = _evaluate(_broken(whole, share=0.02), winters)
    assert set(before) == set(after)
    for name, row in before.items():
        assert after[name].value == pytest.approx(row.value, rel=0.1, abs=0.1, nan_ok=True)
        assert np.isfinite(after[name].value) == np.isfinite(row.value)


def test_strict_arrays_give_the_same(case, winters):
    place = array_api_strict.asarray
    moved = Case(case.prediction.map(place), place(case.truth), case.climatology.map(place))
    names = ("crps", "crps_fair", "spread_skill", "bias_q98", "wasserstein", "sd_ratio_draws", "width_90")
    one, other = (_evaluate(each, winters, metrics=names) for each in (case, moved))
    assert other[0].missing == one[0].missing
    for name in names:
        assert other[1][name].value == pytest.approx(one[1][name].value, rel=1e-9)


def test_histograms_of_a_true_ensemble_stay_flat(make_case):
    case = _broken(make_case("members", n=4000, members=SIZE, missing=0.0), share=0.5)
    time = np.datetime64("2000-01-01", "h") + np.arange(4000) * np.timedelta64(1, "h")
    found = diagnose(case, split="test", variable="tas", time=time, weights=WEIGHTS, seed=0)
    assert len(found.rank_count) == SIZE + 1
    for counts in (found.rank_count, found.pit_count):
        assert counts.sum() == case.truth.size
        assert scipy.stats.chisquare(counts).pvalue > 1e-3
    # Below the k-th of n members in k / (n + 1) of the cases; the quantile at p is the member p n + 1/2, between the ends.
    there = (SIZE - np.isnan(case.prediction.parameters["members"]).sum(axis=0))[..., None]
    below = np.clip(there * found.level + 0.5, 1, there) / (there + 1)
    np.testing.assert_allclose(found.observed, np.average(below.mean(axis=0), axis=0, weights=WEIGHTS), atol=0.02)


def test_pit_of_a_true_ensemble_is_even_by_the_members_that_are_there(make_case, winters):
    whole = make_case("members", n=len(winters), members=SIZE, missing=0.0)
    rng = np.random.default_rng(5)
    drawn = Prediction("members", {"members": rng.normal(size=(SIZE, *whole.truth.shape))})
    case = _broken(replace(whole, prediction=drawn, truth=rng.normal(size=whole.truth.shape)), share=0.7)
    low, high = steps(case)
    members, truth = case.prediction.parameters["members"], case.truth
    for time, cell in ((0, 0), (7, 3), (11, 5)):
        x = members[:, time, cell][~np.isnan(members[:, time, cell])]
        rank = int((x < truth[time, cell]).sum())
        assert (low[time, cell], high[time, cell]) == (rank / (len(x) + 1), (rank + 1) / (len(x) + 1))
    _, rows = _evaluate(case, winters, metrics=("pit_coverage_90", "pit_index", "miscalibration_area"))
    assert rows["pit_coverage_90"].value == pytest.approx(0.9, abs=0.02)
    assert rows["pit_index"].value < 0.1
    assert rows["miscalibration_area"].value < 0.02


def test_pit_without_any_member_is_not_known(case):
    case.truth[3, 2] = 8.0
    case.prediction.parameters["members"][:, 3, 2] = np.nan
    sums = pit_sums(case)
    assert np.isnan(sums[3, :-1]).all()
    assert np.isfinite(np.delete(sums, 3, axis=0)).all()
