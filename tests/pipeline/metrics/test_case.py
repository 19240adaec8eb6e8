import array_api_strict
import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.metrics import DRAWS, Case, Place
from pipeline.prediction import Prediction

MASK = np.array([[True, False, True], [True, True, False]])
GRID = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0]))


def test_draws_are_members_points_or_a_few_samples(make_case):
    members, point, normal = (make_case(family) for family in ("members", "point", "normal"))
    assert members.draws is members.prediction.parameters["members"]
    np.testing.assert_array_equal(point.draws, point.prediction.parameters["mean"][None])
    assert normal.draws.shape == (DRAWS, *normal.truth.shape)
    z = (normal.draws - normal.mean) / normal.prediction.parameters["sd"]
    assert abs(z.mean()) < 5.0 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_a_part_of_the_cells_has_its_part_of_the_draws(make_case):
    case = make_case("normal").with_draws()
    for cells in (slice(1, 3), np.array([4, 0])):
        np.testing.assert_array_equal(case.select(cells, -1).draws, case.draws[..., cells])
    times = np.array([7, 3])
    np.testing.assert_array_equal(case.select(times, -2).draws, case.draws[:, times])


def test_draws_are_of_the_seed_and_made_some_times_at_a_time(make_case, monkeypatch):
    def draws(seed):
        case = make_case("normal", n=40)
        return Case(case.prediction, case.truth, case.climatology, seed=seed).draws

    np.testing.assert_array_equal(draws(3), draws(3))
    assert (draws(3) != draws(4)).any()
    monkeypatch.setattr("pipeline.metrics.case._VALUES", 6 * 7)  # seven times of six cells
    case = make_case("normal", n=40)
    z = (case.draws - case.mean) / case.prediction.parameters["sd"]
    assert len({float(value) for value in z.ravel()}) == z.size  # no block has the numbers of another


def test_rows_are_laid_out_where_they_lie():
    usual = Prediction("point", {"mean": np.zeros((2, 4))})
    case = Case(usual, np.zeros((2, 4)), usual, place=Place(GRID, MASK))
    rows = np.arange(8.0).reshape(1, 2, 4)
    found = case.on_grid(rows)
    assert found.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(found[..., MASK], rows)
    assert np.isnan(found[..., ~MASK]).all()
    strict = case.on_grid(array_api_strict.asarray(rows))
    assert type(strict) is type(array_api_strict.asarray(rows))
    np.testing.assert_array_equal(np.asarray(strict), found)
    assert case.select(slice(0, 2), -1).place is None
    assert case.select(slice(0, 1), -2).place is case.place
    with pytest.raises(ValueError, match=r"^expected a case that knows its place, got one without\.$"):
        Case(usual, np.zeros((2, 4)), usual).on_grid(rows)


def test_only_times_a_day_apart_are_daily(make_case, winters):
    case = make_case("point", n=len(winters))

    def with_time(time):
        return Case(case.prediction, case.truth, case.climatology, time=time)

    assert with_time(winters).is_daily  # the summers between them are gaps
    assert with_time(winters).select(np.arange(10), -2).is_daily
    assert not with_time(None).is_daily
    months = np.arange(len(winters)).astype("datetime64[M]").astype("datetime64[D]")
    assert not with_time(months).is_daily
    assert not with_time(np.arange(len(winters)) * np.timedelta64(6, "h") + np.datetime64("2001-01-01")).is_daily
    assert not with_time(winters[:1]).is_daily


def test_what_several_scores_need_is_worked_out_once(make_case):
    case = make_case("normal")
    assert case.quantile(0.9) is case.quantile(0.9)
    assert case.exceedance(1.0) is case.exceedance(1.0)
    assert (case.exceedance(1.0) >= case.exceedance(9.0)).all()
