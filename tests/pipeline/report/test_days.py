"""The best and the worst day are days with truth at nearly as many places as usual, and the caption says so."""

import numpy as np
import pytest
import xarray as xr

from pipeline.report.load import load_run
from pipeline.report.sections import days, limits, where
from pipeline.report.study import study

PARTS = {"models": ("ridge", "unet"), "years": 1, "attributions": False, "mask": False}


def _made(error, known):
    """Return fields of one row of cells: the error of every day, and how many cells have truth on it."""
    days = len(error)
    truth = np.zeros((days, 1, 10))
    for day, count in enumerate(known):
        truth[day, 0, count:] = np.nan
    mean = np.broadcast_to(np.asarray(error, float)[:, None, None], truth.shape).copy()
    time = (np.datetime64("2001-01-01") + np.arange(days)).astype("datetime64[ns]")
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {"tas": (dims, mean), "tas_truth": (dims, truth)}, {"time": time, "lat": [45.0], "lon": np.arange(10.0)}
    )


def test_days_with_few_cells_are_not_chosen():
    # The first is best and the last is worst by one cell of ten alone; the usual day has ten.
    found = days.choose(_made([0.1, 1, 2, 3, 9], [1, 10, 10, 10, 1]), "tas", None)
    assert (found.best.date, found.worst.date) == ("2001-01-02", "2001-01-04")
    assert (found.least, found.of, found.among, found.every) == (9, 10, 3, 5)
    assert (found.best.known, found.worst.known) == (10, 10)


def test_nine_tenths_of_the_median_are_enough():
    found = days.choose(_made([0.1, 1, 2, 3, 9], [9, 10, 10, 10, 8]), "tas", None)
    assert (found.best.date, found.worst.date) == ("2001-01-01", "2001-01-04")
    assert (found.best.known, found.least, found.among) == (9, 9, 4)


def test_where_few_cells_are_usual_days_with_few_are_chosen():
    found = days.choose(_made([0.1, 1, 2, 9], [2, 2, 2, 10]), "tas", None)
    assert (found.best.date, found.worst.date) == ("2001-01-01", "2001-01-04")
    assert (found.least, found.of, found.among, found.every) == (2, 10, 4, 4)


def test_days_without_truth_do_not_count():
    found = days.choose(_made([0.1, 1, 2, 9], [0, 10, 10, 0]), "tas", None)
    assert (found.among, found.every, found.least) == (2, 2, 9)
    assert days.choose(_made([1, 1], [0, 0]), "tas", None) is None


def test_a_prediction_that_is_missing_is_no_answer_to_choose_a_day_by():
    data = _made([0.1, 1, 2], [10, 10, 10])
    data["tas"].values[0, 0, 1:] = np.nan
    found = days.choose(data, "tas", None)
    assert found.best.date == "2001-01-02"


def test_the_middle_and_the_highest_day_are_told():
    data = _made([1, 2, 3, 9], [10, 10, 10, 10])
    data["tas_truth"].values[1] += 5
    data["tas"].values[1] += 5
    found = days.choose(data, "tas", None)
    assert (found.middle.date, found.highest.date) == ("2001-01-02", "2001-01-02")


def test_days_are_steps_of_one_series_on_one_scale_each_with_its_numbers(whole_run):
    figures = [block for block in where.build(study(load_run(whole_run))).blocks if hasattr(block, "caption")]
    steps = [figure for figure in figures if figure.steps == "days-tas"]
    assert [figure.name for figure in steps] == ["best-day-tas", "middle-day-tas", "worst-day-tas", "warmest-day-tas"]
    assert all(figure.step.endswith(figure.caption.partition(", ")[2][:10]) for figure in steps)
    assert len({figure.csv for figure in steps}) == len(steps)
    assert all("Colours mean the same on all of these days." in figure.caption for figure in steps)


def test_members_of_the_worst_day_stand_beside_each_other(whole_run):
    figures = {block.name: block for block in where.build(study(load_run(whole_run))).blocks if hasattr(block, "name")}
    found = figures["members-tas"]
    assert [picture.title for picture in found.pictures] == [f"Member {number} [°C]" for number in range(1, 6)]
    date = figures["worst-day-tas"].step[-10:]
    assert date in found.caption
    assert all(date in picture.alt for picture in found.pictures)
    assert "as the 5 members of unet + deep ensemble predict it" in found.caption


def _captions(run):
    blocks = where.build(study(load_run(run))).blocks
    texts = [block.caption for block in blocks if hasattr(block, "caption")]
    return [next(text for text in texts if text.startswith(f"The {word} day ")) for word in ("best", "worst")]


@pytest.fixture
def holed(make_run):
    """Return a function: how many rows of cells lose their truth on each day, to the run."""

    def make(holes):
        run = make_run(**PARTS)
        path = run / "predictions/unet.nc"
        data = xr.load_dataset(path)
        for day, rows in holes.items():
            data["tas_truth"].values[day, :rows] = np.nan
        path.unlink()
        data.to_netcdf(path)
        return run

    return make


def test_captions_say_among_which_days_they_were_chosen(holed):
    # 90 days of 19 x 29 cells; two days keep one row.
    best, worst = _captions(holed({3: 18, 40: 18}))
    for text in (best, worst):
        assert (
            ", with truth at 551 of 551 cells; chosen among the 88 of 90 days with truth at 496 cells or more. "
            "Colours mean the same"
        ) in text


def test_captions_say_nothing_where_all_days_have_all_cells(holed):
    assert not any("with truth" in text for text in _captions(holed({})))


def test_captions_say_how_many_cells_a_day_has_where_none_is_left_out(holed):
    captions = _captions(holed(dict.fromkeys(range(89), 1)))  # all days but the last lack one row of 29
    assert sum(", with truth at 522 of 551 cells. " in text for text in captions) >= 1
    assert not any("chosen among" in text for text in captions)


def _series(first, last, months=range(1, 13)):
    time = np.arange(first, last, dtype="datetime64[D]").astype("datetime64[ns]")
    time = time[np.isin(time.astype("datetime64[M]").astype(int) % 12 + 1, list(months))]
    return time, xr.DataArray(np.zeros(len(time)), {"time": time}, ["time"])


def test_yearly_means_of_calendar_years():
    time, series = _series("2001-01-01", "2004-01-01")
    years = time.astype("datetime64[Y]").astype(int) + 1970
    series = series + years
    assert limits.yearly_means(series).tolist() == [2001, 2002, 2003]


def test_years_that_are_cut_short_are_left_out():
    time, series = _series("2000-06-01", "2003-12-15")
    series = series + time.astype("datetime64[Y]").astype(int) + 1970
    assert limits.yearly_means(series).tolist() == [2001, 2002, 2003]  # of 2003 all but two weeks is there
    time, series = _series("2001-01-01", "2003-11-01")
    series = series + time.astype("datetime64[Y]").astype(int) + 1970
    assert limits.yearly_means(series).tolist() == [2001, 2002]


def test_winters_are_years_and_stay_whole():
    # December belongs to the January that follows: each winter has one number by hand.
    time, series = _series("2000-12-01", "2004-03-01", (12, 1, 2))
    winter = (time + np.timedelta64(31, "D")).astype("datetime64[Y]").astype(int) + 1970
    assert limits.yearly_means(series + winter).tolist() == [2001, 2002, 2003, 2004]
    cut = (series + winter).isel(time=time >= np.datetime64("2001-01-01"))
    assert limits.yearly_means(cut).tolist() == [2002, 2003, 2004]


def test_summers_are_calendar_years():
    time, series = _series("2001-01-01", "2004-01-01", (6, 7, 8))
    assert limits.yearly_means(series + time.astype("datetime64[Y]").astype(int) + 1970).tolist() == [2001, 2002, 2003]


def test_values_that_are_missing_do_not_count():
    time, series = _series("2001-01-01", "2004-01-01")
    values = series + time.astype("datetime64[Y]").astype(int) + 1970
    values[:60] = np.nan
    assert limits.yearly_means(values).tolist() == [2002, 2003]
