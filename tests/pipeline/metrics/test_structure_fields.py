"""Spectra in the diagnostics: what is written, of which units, and when there are none."""

import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics import Case, Place
from pipeline.metrics.fields import to_dataset
from pipeline.metrics.spectra import curves
from pipeline.metrics.structure_fields import spectra, to_variables
from pipeline.prediction import Prediction

GRID = Grid(np.arange(40.0, 46.0), np.arange(0.0, 8.0))
MASK = np.ones(GRID.shape, bool)
TIMES = 7


def _case(grid=GRID, family="members", units="degC"):
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(TIMES, int(np.prod(grid.shape))))
    usual = Prediction("point", {"mean": np.zeros_like(truth)})
    if family == "normal":
        prediction = Prediction("normal", {"mean": 0.5 * truth, "sd": np.ones_like(truth)})
    else:
        prediction = Prediction("members", {"members": np.stack([truth, 2.0 * truth])})
    return Case(prediction, truth, usual, units=units, place=Place(grid, np.ones(grid.shape, bool)), seed=5)


def test_spectra_are_those_of_the_draws():
    case = _case()
    found = spectra(case)
    once = curves(Case(case.prediction, case.truth, case.climatology, place=case.place))
    np.testing.assert_array_equal(found.prediction, once.prediction)
    # Members of once and twice the truth: the mean of one and four times its power.
    np.testing.assert_allclose(found.prediction, 2.5 * found.truth)


def test_draws_do_not_stay_with_the_case():
    case = _case(family="normal")
    first = spectra(case)
    assert "draws" not in vars(case)
    np.testing.assert_array_equal(first.prediction, spectra(case).prediction)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(np.full((1, 6), 40.0), np.arange(6.0)[None, :], stations=tuple("abcdef")),
        Grid(np.arange(40.0, 43.0), np.arange(0.0, 8.0)),
    ],
    ids=["stations", "three rows"],
)
def test_cells_that_make_no_field_have_no_spectrum(grid):
    assert spectra(_case(grid)) is None


def test_the_file_holds_power_by_wavelength(tmp_path):
    case = _case()
    found = {"tas": spectra(case), "pr": None}
    units = {"tas": "degC", "pr": "mm d-1"}
    dataset = to_dataset(
        {}, {}, model="m", split="test", reference=None, units=units, grid=GRID, mask=MASK, spectra=found
    )
    dataset.to_netcdf(tmp_path / "m.nc", engine="netcdf4")
    back = xr.load_dataset(tmp_path / "m.nc")
    assert set(back.data_vars) == {"tas_psd", "tas_psd_truth"}
    assert back["tas_psd"].dims == ("wavelength",)
    assert back["tas_psd"].attrs["units"] == "K2 km2"
    assert back["wavelength"].attrs["units"] == "km"
    np.testing.assert_array_equal(back["wavelength"], found["tas"].wavelength)
    np.testing.assert_array_equal(back["tas_psd"], found["tas"].prediction)
    np.testing.assert_array_equal(back["tas_psd_truth"], found["tas"].truth)


def test_nothing_is_written_without_spectra():
    assert to_variables({"pr": None}, {"pr": "mm d-1"}) == {}
