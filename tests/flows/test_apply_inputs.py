"""What files a trained model takes and what it writes: months, steps, places, names, units, attributes."""

import os
import stat

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows.apply.bundle import Bundle
from flows.apply.change import spans_of, write_changes
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from flows.workspace import Workspace
from pipeline.errors import DataError

EXPERIMENT = """
name: winters
data:
  predictors: [{dataset: surface}, {dataset: pressure}]
  target: {dataset: fine}
  months: [12, 1, 2]
split: {train: [1951-01-01, 1984-12-31], validation: [1985-06-01, 1994-12-31], test: [1995-06-01, 2004-12-31]}
prepare: {inputs: {anomaly: none}, target: {anomaly: mean}}
models: {climatology: {kind: climatology}, ridge: {kind: ridge}}
scores: [rmse]
explain: []
compute: {workers: 1, threads: 1}
"""
CATALOG = """schema_version: 1
surface:
  format: netcdf
  files: [{path: surface.nc}]
  variables: {tas: {units: degC}}
  licence: CC0-1.0
pressure:
  format: netcdf
  files: [{path: pressure.nc}]
  variables: {psl: {units: hPa, from: msl, minimum: 900}}
  licence: CC0-1.0
fine:
  format: netcdf
  files: [{path: fine.nc}]
  variables:
    tas: {units: degC, standard_name: air_temperature}
    tas_max: {units: degC}
  licence: CC0-1.0
"""
LAT, LON = 40.0 + 2.0 * np.arange(5), 2.0 * np.arange(4)


def months(first, last, seed):
    """Monthly fields on five rows and four columns, and a target on the same cells that depends on them."""
    time = pd.date_range(first, last, freq="MS")
    rng = np.random.default_rng(seed)
    tas, msl = rng.normal(5, 3, (2, len(time), 5, 4)).astype("f4")
    coords = {"time": time, "lat": LAT, "lon": LON}
    fields = {"tas": (tas, "degC"), "msl": (1000 + msl, "hPa"), "truth": (tas + 0.2 * msl, "degC")}
    dims = ("time", "lat", "lon")
    data = xr.Dataset({name: (dims, values, {"units": units}) for name, (values, units) in fields.items()}, coords)
    return data.assign(warmest=(data["truth"] + 4).assign_attrs(units="degC"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def run(folder):
    data = months("1951-01-01", "2004-12-01", 0)
    data[["tas"]].to_netcdf(folder / "surface.nc")
    data[["msl"]].to_netcdf(folder / "pressure.nc")
    data[["truth", "warmest"]].rename(truth="tas", warmest="tas_max").to_netcdf(folder / "fine.nc")
    (folder / "winters.yaml").write_text(EXPERIMENT)
    (folder / "data_catalog.yaml").write_text(CATALOG)
    request = RunRequest(
        str(folder / "winters.yaml"), catalog=folder / "data_catalog.yaml", out=folder, use_server=False
    )
    return start(request).folder


@pytest.fixture
def new():
    return months("2010-01-01", "2012-12-01", 1)


@pytest.fixture
def predicted(run, tmp_path):
    """Return a function that writes both predictors and predicts from them."""

    def predict(surface, pressure=None, **options):
        pressure = surface if pressure is None else pressure
        surface[["tas"]].to_netcdf(tmp_path / "new-surface.nc")
        pressure[["msl"]].to_netcdf(tmp_path / "new-pressure.nc")
        words = (f"surface={tmp_path}/new-surface.nc", f"pressure={tmp_path}/new-pressure.nc")
        done = apply(Bundle.open(run, "ridge"), Request(words, tmp_path / "out.nc", **options))
        with xr.open_dataset(done.path) as data:
            return done, data.load()

    return predict


def test_only_months_of_the_training_are_predicted(predicted, new):
    done, data = predicted(new)
    assert (done.times, done.left_out, done.months, done.other_months) == (9, 0, (12, 1, 2), 27)
    assert set(data["time"].dt.month.values.tolist()) == {12, 1, 2}
    rmse = float(np.sqrt(((data["tas"] - new["truth"].sel(time=data["time"])) ** 2).mean()))
    assert rmse < 0.3 * float(new["truth"].std())
    with pytest.raises(
        DataError, match=r"from 2010-06 to 2010-08 and the months 12, 1, 2 of the training in the input, got 0"
    ):
        predicted(new, span=("2010-06", "2010-08"))
    with pytest.raises(DataError, match=r"expected dates in the months 12, 1, 2, which the models were trained on"):
        predicted(new.sel(time=new["time"].dt.month.isin([6, 7, 8])))


def test_blocks_do_not_work_out_the_step_anew(predicted, new):
    winters = new.sel(time=new["time"].dt.month.isin([12, 1, 2]))
    _, whole = predicted(winters)
    for given in (winters, new):
        _, parts = predicted(given, block=2)
        xr.testing.assert_equal(parts, whole)


@pytest.mark.parametrize("block", [None, 2])
def test_rounding_below_a_minimum_is_told_by_all_dates(predicted, new, block):
    """The first block has no range of its own, by which rounding could be told."""
    new["msl"][:12] = 900.0
    new["msl"][1, 2, 2] = 899.99
    clean = new.copy(deep=True)
    clean["msl"][1, 2, 2] = 900.0
    (_, found), (_, expected) = predicted(new, block=block), predicted(clean)
    np.testing.assert_allclose(found["tas"], expected["tas"], rtol=1e-6)
    new["msl"][1, 2, 2] = 600.0
    with pytest.raises(DataError, match=r"expected values of 900 or more but for rounding, got 600\. If that stands"):
        predicted(new, block=block)


@pytest.fixture
def narrow(monkeypatch):
    """Let models have room for so many dates at once; return how many they were asked for."""

    def narrow(room):
        known, asked = Workspace.predictor, []

        def predictor(self, name):
            inner = known(self, name)

            def narrow(samples):
                asked.append(len(samples))
                if len(samples) > room:
                    raise MemoryError("std::bad_alloc: out_of_memory: CUDA error")
                return inner(samples)

            return narrow

        monkeypatch.setattr(Workspace, "predictor", predictor)
        return asked

    return narrow


def test_fewer_dates_go_together_where_memory_is_short(predicted, new, narrow, caplog):
    done, expected = predicted(new)
    asked = narrow(4)
    again, found = predicted(new)
    assert (again.first, again.last, again.times) == (done.first, done.last, done.times)
    np.testing.assert_allclose(found["tas"], expected["tas"], rtol=1e-6)
    np.testing.assert_array_equal(found["time"], expected["time"])
    assert asked == [9, 4, 4, 1]
    assert "ridge: short of memory, on with 4 times in one pass." in caplog.text


@pytest.mark.parametrize("block", [None, 6])
def test_members_are_the_same_where_memory_is_short(predicted, new, narrow, block):
    _, expected = predicted(new, members=5, block=block)
    asked = narrow(2)
    _, found = predicted(new, members=5, block=block)
    assert max(asked) > 2
    np.testing.assert_allclose(found["tas_member"], expected["tas_member"], rtol=1e-6)
    assert float(expected["tas_member"].std("member").mean()) > 1e-3


def test_what_is_said_while_predicting_is_not_written_into_the_run(run, predicted, new, monkeypatch, caplog):
    """A bundle may lie where nobody may write."""
    known = Workspace.predictor

    def predictor(self, name):
        inner, context = known(self, name), self.context(name)

        def talks(samples):
            context.warn("ridge: short of memory")
            return inner(samples)

        return talks

    monkeypatch.setattr(Workspace, "predictor", predictor)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    predicted(new, block=4)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert caplog.messages.count("ridge: short of memory") == 1


def test_files_of_another_place_or_a_part_are_refused(predicted, new):
    with pytest.raises(
        DataError, match=r"predictor 'surface': .* lon 0 to 6, got .* lon 150 to 156: 20 of 20 cells lie"
    ):
        predicted(new.assign_coords(lon=LON + 150), new)
    with pytest.raises(
        DataError, match=r"predictor 'pressure': .* lat 40 to 48 .*, got lat 40 to 44 .*: 8 of 20 cells"
    ):
        predicted(new, new.isel(lat=slice(0, 3)))


def test_a_larger_area_gives_the_same_where_it_has_the_same_cells(predicted, new):
    _, part = predicted(new)
    larger = new.pad(lat=1, lon=1, mode="edge").assign_coords(lat=np.arange(38.0, 51, 2), lon=np.arange(-2.0, 9, 2))
    _, whole = predicted(larger)
    np.testing.assert_allclose(whole["tas"], part["tas"], atol=1e-4)


def test_changes_are_written_where_a_name_begins_with_another(predicted, new):
    done, data = predicted(new)
    with xr.open_dataset(write_changes(done.path, spans_of(("2010/2010", "2012/2012")))) as change:
        for name in ("tas", "tas_max"):
            first, second = (data[name].sel(time=year).mean("time") for year in ("2010", "2012"))
            assert f"{name}_mean_change" in change
            # Draws of each month stand for the distribution.
            assert abs(float((change[f"{name}_mean_change"] - (second - first)).mean())) < 0.5


def test_the_file_says_what_it_is_and_names_what_it_has(predicted, new, run):
    _, data = predicted(new)
    assert "split" not in data.coords
    assert data["tas"].attrs["standard_name"] == "air_temperature"
    assert "standard_name" not in data["tas_max"].attrs
    for name in ("tas", "tas_max"):
        named = data[name].attrs["ancillary_variables"].split()
        assert named
        assert set(named) <= set(data.data_vars)
    assert data.attrs["run"] == run.name
    assert data.attrs["source"].startswith(f"ridge of the run {run.name}, Finescale ")
    assert data.attrs["input_files"] == "surface: new-surface.nc; pressure: new-pressure.nc"
    assert data.attrs["history"].endswith(f"finescale predict with ridge of {run.name}")


def test_a_bundle_knows_its_run_and_is_readable(run, tmp_path):
    before = os.umask(0o022)
    try:
        folder = Bundle.open(run, "ridge").export(tmp_path / "bundle")
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}
    assert Bundle.open(folder).origin == run.name
    usual = stat.S_IMODE((run / "experiment.yaml").stat().st_mode)
    assert {stat.S_IMODE(path.stat().st_mode) for path in run.rglob("*.safetensors")} == {usual}


def test_files_without_a_dataset_must_suit_all_of_them(run, new, tmp_path):
    new[["tas"]].to_netcdf(tmp_path / "surf.nc")
    new[["msl"]].isel(lat=slice(0, 3)).to_netcdf(tmp_path / "press.nc")
    bundle = Bundle.open(run, "ridge")
    whose = r"read for each of the predictors, surface, pressure: say which are whose with --input surface=FILE"
    with pytest.raises(
        DataError, match=rf"pressure: expected the variable 'msl' or 'psl' in .*surf.nc, which lacks it.* {whose}"
    ):
        apply(bundle, Request((str(tmp_path / "surf.nc"),), tmp_path / "x.nc"))
    both = (str(tmp_path / "surf.nc"), str(tmp_path / "press.nc"))
    with pytest.raises(DataError, match=rf"expected files on one grid .* {whose} --input pressure=FILE$") as caught:
        apply(bundle, Request(both, tmp_path / "x.nc"))
    assert "make an entry of each" not in str(caught.value)
    with pytest.raises(
        DataError, match=r"expected files on one grid .* Give files of one grid: regrid one of them, or"
    ):
        apply(bundle, Request((*(f"surface={path}" for path in both), "pressure=x"), tmp_path / "x.nc"))


def test_units_that_a_file_lacks_are_asked_of_the_file(predicted, new):
    silent = new.copy()
    silent["msl"].attrs = {}
    with pytest.raises(
        DataError,
        match=r"pressure: expected the units of 'msl' in .*new-pressure.nc, got none. Add the attribute to the file, if "
        r"the values are in hPa: ncatted -a units,msl,o,c,'hPa' FILE, or in xarray data\['msl'\]",
    ):
        predicted(new, silent)


def test_a_file_without_any_complete_date_is_told(predicted, new):
    gone = new.where(new["lat"] > 41)
    with pytest.raises(DataError, match=r"expected a date with all predictors and their lags, got none among the 9"):
        predicted(gone)
