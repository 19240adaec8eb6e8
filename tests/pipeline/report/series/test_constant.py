"""Models that answer nearly the same at all times are named, with the places where they do."""

import shutil

import numpy as np
import pytest
import xarray as xr

from pipeline.report import cautions, constant
from pipeline.report.load import load_run
from pipeline.report.study import study

BELOW = "the standard deviation there is below 1 % of that of the truth."


def _made(mean, truth, dims=("time", "lat", "lon")):
    """Return predictions of shape (time, cell), the cells in one row."""
    lon = np.arange(np.shape(mean)[-1]) * 1.0
    data = {name: (dims, np.expand_dims(values, -2)) for name, values in (("tas", mean), ("tas_truth", truth))}
    return xr.Dataset(data, {"lat": [45.0], "lon": lon})


def _noise(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_flat_where_the_prediction_stands_still_and_the_truth_does_not():
    truth = _noise(0, 40, 5)
    mean = _noise(1, 40, 5)
    mean[:, 1] = 280.0
    mean[:, 2] = 280.0
    truth[:, 2] = 3.0  # constant truth too: right
    mean[:, 3], truth[7:, 3] = 280.0, np.nan  # 7 times tell nothing
    mean[:, 4], truth[8:, 4] = 280.0, np.nan  # 8 do
    assert constant.flat(_made(mean, truth), "tas").tolist() == [[False, True, False, False, True]]


@pytest.mark.parametrize(("ratio", "found"), [(0.0099, True), (0.0101, False)])
def test_flat_is_below_a_hundredth_of_the_deviation_of_the_truth(ratio, found):
    truth = _noise(0, 60, 1)
    mean = 1e4 + ratio * truth  # far from zero, where a sum of squares would lose its digits
    assert constant.flat(_made(mean, truth), "tas").tolist() == [[found]]


def test_flat_looks_at_times_that_both_know():
    truth, mean = _noise(0, 40, 1), np.full((40, 1), 5.0)
    mean[20:] = _noise(1, 20, 1)
    truth[20:] = np.nan
    assert constant.flat(_made(mean, truth), "tas").all()
    mean[20:] = np.nan
    assert constant.flat(_made(mean, _noise(0, 40, 1)), "tas").all()


def test_flat_of_several_leads_is_flat_at_all_of_them():
    dims = ("time", "lead", "lat", "lon")
    truth, mean = _noise(0, 30, 3, 2), _noise(1, 30, 3, 2)
    mean[:, :, 0] = 1.0
    mean[:, 1:, 1] = 1.0  # the first lead moves
    assert constant.flat(_made(mean, truth, dims), "tas").tolist() == [[True, False]]
    truth[:, 0] = np.nan  # at the lead that nothing is known of nothing is told
    assert constant.flat(_made(mean, truth, dims), "tas").tolist() == [[True, True]]


TABLE = {"stations": 6, "leads": (0,), "step": "D", "times": 50, "parts": "season"}


@pytest.fixture
def make(series_run, tmp_path):
    """Return a function: for models the stations at which they stand still, to the study."""

    def build(still, **parts):
        run = shutil.copytree(series_run(**{**TABLE, **parts}), tmp_path / "run")
        for model, stations in still.items():
            path = run / f"predictions/{model}.nc"
            data = xr.load_dataset(path)
            data["nino34"].values[..., stations] = 1.5
            path.unlink()
            data.to_netcdf(path)
        return study(load_run(run))

    return build


def _told(found):
    return tuple(text.replace("\u00a0", " ") for text in constant.sentences(found))


def test_nothing_is_told_of_models_that_move_nor_of_a_climatology(make):
    assert _told(make({"climatology": np.s_[:]})) == ()


def test_a_climatology_with_an_uncertainty_method_is_one_still(make):
    found = make({"climatology+conformal": np.s_[:]}, models=("climatology", "ridge", "climatology+conformal"))
    assert _told(found) == ()


def test_models_and_stations_are_named(make):
    assert _told(make({"lstm": [2], "ridge": np.s_[:]})) == (
        f"ridge predicts nearly the same value at all times at all 6 stations: {BELOW}",
        f"lstm predicts nearly the same value at all times at 1 of 6 stations (st002): {BELOW}",
    )


def test_models_that_stand_still_at_the_same_places_share_a_sentence_and_many_places_are_counted(make):
    assert _told(make({"lstm": np.s_[1:], "ridge": np.s_[1:]})) == (
        "ridge and lstm predict nearly the same value at all times at 5 of 6 stations (st001, st002, st003 and 2 "
        f"more): {BELOW}",
    )


def test_one_series_is_called_one(make):
    assert _told(make({"lstm": np.s_[:]}, stations=1)) == (
        f"lstm predicts nearly the same value at all times of the series: {BELOW}",
    )


def test_of_several_leads_all_are_looked_at(make):
    leads = {"leads": (1, 2, 3), "step": "MS", "parts": "month"}
    assert _told(make({"lstm": [4]}, **leads)) == (
        f"lstm predicts nearly the same value at all times at 1 of 6 stations (st004): {BELOW}",
    )


def test_it_is_a_warning_of_the_first_screen(make):
    found = make({"lstm": [2]})
    assert cautions.warnings(found)[-1] == constant.sentences(found)[0]


def test_a_short_test_set_says_nothing(make):
    assert _told(make({"lstm": np.s_[:]}, times=7)) == ()


def test_a_run_without_predictions_says_nothing(series_run):
    assert constant.sentences(study(load_run(series_run(**TABLE, predictions=False)))) == ()


def test_cells_of_a_grid_are_told_by_their_position(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, diagnostics=False, mask=False)
    path = run / "predictions/unet.nc"
    data = xr.load_dataset(path)
    data["tas"].values[:, 0, 1] = 280.0
    path.unlink()
    data.to_netcdf(path)
    found = study(load_run(run))
    (text,) = _told(found)
    assert text == f"unet predicts nearly the same value at all times at 1 of 551 cells (35.25° N, 9.25° W): {BELOW}"
    assert cautions.warnings(found)[-1] == constant.sentences(found)[0]
