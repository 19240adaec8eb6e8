"""A trained model applied to files of its user's: block by block, from a bundle, with members and changes."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.apply.bundle import Bundle
from flows.apply.change import spans_of, write_changes
from flows.apply.inputs import Inputs
from flows.apply.novelty import Strange, warning
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.errors import ConfigError, DataError, RunFolderError
from pipeline.grid import Grid
from pipeline.prediction.serial.beside import add_beside
from pipeline.rows.parts import spans

EXPERIMENT = """
name: small
data:
  predictors: [{dataset: synthetic-coarse}]
  target: {dataset: synthetic-fine, variables: [tas]}
  forcings: [{dataset: co2}]
split: {train: [2001-01-01, 2001-12-31], validation: [2002-01-01, 2002-06-30], test: [2002-07-01, 2002-12-31]}
prepare:
  inputs: {anomaly: none, lags: [0, 1], calendar: true}
  target: {anomaly: mean}
models:
  climatology: {kind: climatology}
  ridge: {kind: ridge}
  analogs: {kind: analogs}
scores: [crps]
explain: []
compute: {workers: 1, threads: 1}
"""
CATALOG = """schema_version: 1
co2:
  format: csv
  files: [{path: co2.csv}]
  variables: {co2: {units: ppm, source_units: ppm}}
  licence: CC0-1.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("apply")


@pytest.fixture(scope="module")
def run(folder):
    (folder / "small.yaml").write_text(EXPERIMENT)
    (folder / "data_catalog.yaml").write_text(CATALOG)
    lines = [f"{year}-07-01,{340 + 2 * (year - 2000)}" for year in range(2000, 2011)]
    (folder / "co2.csv").write_text("\n".join(["time,co2", *lines]) + "\n")
    catalog = folder / "data_catalog.yaml"
    shipped = yaml.safe_load((_root() / "data_catalog.yaml").read_text())
    own = yaml.safe_load(CATALOG) | {name: shipped[name] for name in ("synthetic-coarse", "synthetic-fine")}
    catalog.write_text(yaml.safe_dump(own, sort_keys=False))
    return start(RunRequest(str(folder / "small.yaml"), catalog=catalog, out=folder, use_server=False)).folder


def _root():
    from pathlib import Path

    return Path(__file__).parents[2]


@pytest.fixture(scope="module")
def coarse(folder):
    """The weather of 2004 and 2005 as another archive has it: two files, other names, north to south, hPa in Pa."""
    data = generate(SyntheticConfig(years=10)).dataset("coarse").sel(time=slice("2004", "2005"))
    data["psl"] = (100 * data["psl"]).assign_attrs(data["psl"].attrs, units="Pa")
    data = data.rename(lat="latitude", lon="longitude").isel(latitude=slice(None, None, -1))
    for number, part in enumerate((slice(0, 400), slice(400, 731))):
        data.isel(time=part).to_netcdf(folder / f"gcm_{number}.nc")
    return str(folder / "gcm_*.nc")


def applied(run, coarse, path, model="ridge", **options):
    done = apply(Bundle.open(run, model), Request((coarse,), path, **options))
    with xr.open_dataset(path) as data:
        return done, data.load()


def test_every_date_with_its_lag_is_predicted(run, coarse, folder):
    done, data = applied(run, coarse, folder / "a.nc")
    assert (done.times, done.left_out, done.first[:10], done.last[:10]) == (730, 1, "2004-01-02", "2005-12-31")
    assert "tas_truth" not in data
    assert data["tas"].dims == ("time", "lat", "lon")
    assert data.attrs["Conventions"] == "CF-1.11"
    # The made truth of those days: what was learned in another year holds in these.
    truth = generate(SyntheticConfig(years=10)).dataset("fine")["tas"].sel(time=data["time"])
    land = np.isfinite(truth.values[0])
    error = (data["tas"].values - truth.values)[:, land]
    assert np.sqrt((error**2).mean()) < 0.7 * truth.values[:, land].std()


@pytest.mark.parametrize("block", [2, 37, 400])
def test_the_size_of_blocks_does_not_matter(run, coarse, folder, block):
    _, whole = applied(run, coarse, folder / "whole.nc")
    _, parts = (
        applied(run, coarse, folder / "parts.nc", block=block)
        if block > 2
        else applied(run, coarse, folder / "parts.nc", block=block, span=("2004-12-28", "2005-01-06"))
    )
    xr.testing.assert_equal(parts, whole.sel(time=parts["time"]))


def test_a_bundle_predicts_what_its_run_does(run, coarse, folder):
    bundle = Bundle.open(run, "analogs").export(folder / "bundle")
    assert not (bundle / "work/prepare/prepared-inputs.npy").exists()
    _, one = applied(run, coarse, folder / "one.nc", "analogs", span=("2004-03-01", "2004-03-20"))
    _, other = applied(bundle, coarse, folder / "other.nc", "analogs", span=("2004-03-01", "2004-03-20"))
    assert one.attrs.pop("history").endswith(f"predict with analogs of {run.name}")
    del other.attrs["history"]  # says when
    xr.testing.assert_identical(one, other)
    assert one.sizes["member"] >= 5
    with pytest.raises(RunFolderError, match=r"expected a new folder for the bundle, got .*bundle, which is there"):
        Bundle.open(run, "analogs").export(folder / "bundle")


def test_draws_are_written_as_members(run, coarse, folder):
    _, data = applied(run, coarse, folder / "m.nc", members=6, span=("2004-03-01", "2004-04-20"))
    assert data["tas_member"].sizes["member"] == 6
    np.testing.assert_allclose(data["tas"], data["tas_member"].mean("member"), atol=1e-4)


def test_the_change_between_two_periods_is_written(run, coarse, folder):
    _, data = applied(run, coarse, folder / "c.nc")
    path = write_changes(folder / "c.nc", spans_of(("2004/2004", "2005/2005")))
    with xr.open_dataset(path) as change:
        years = [data["tas"].sel(time=year).mean("time", dtype="float64") for year in ("2004", "2005")]
        draws = change["tas_mean_change"].values
    wanted = (years[1] - years[0]).values
    known = np.isfinite(wanted)
    # Three draws of each day stand for the distribution.
    assert np.abs(draws - wanted)[known].mean() < 0.1
    with pytest.raises(DataError, match=r"--change: expected dates from 1990 to 1991 in the prediction, got none"):
        write_changes(folder / "c.nc", (("1990", "1991"), ("2004", "2004")))
    with pytest.raises(ConfigError, match=r"--change: expected FIRST/LAST such as 1981/2000, got '1981-2000'"):
        spans_of(("1981-2000", "2001/2002"))


def test_bands_of_rows_give_the_same_change(run, coarse, folder, monkeypatch):
    applied(run, coarse, folder / "b.nc", "analogs")
    periods = spans_of(("2004/2004", "2005/2005"))
    with xr.open_dataset(write_changes(folder / "b.nc", periods)) as data:
        whole = data.load()
    monkeypatch.setattr("flows.apply.change._MEMORY", 2**20)
    with xr.open_dataset(write_changes(folder / "b.nc", periods)) as data:
        xr.testing.assert_equal(data.load(), whole)


def test_what_does_not_fit_is_called_so(run, coarse, folder):
    bundle = Bundle.open(run, "ridge")
    with pytest.raises(ConfigError, match=r"--engine 'onx': no such engine\. Did you mean 'onnx'\? Known: native, "):
        Bundle.open(run, "ridge", engine="onx")
    with pytest.raises(ConfigError, match=r"no fitted model 'rigde' in .*Did you mean 'ridge'\? Known: climatology, "):
        Bundle.open(run, "rigde")
    with pytest.raises(
        ConfigError, match=r"--input 'synthetic-corse=x.nc': 'synthetic-corse' is none of the predictors"
    ):
        Inputs.open(bundle.space, ["synthetic-corse=x.nc"])
    with pytest.raises(
        ConfigError, match=r"expected files for every dataset of the predictors, got none for synthetic-co"
    ):
        Inputs.open(bundle.space, [f"co2={folder}/co2.csv"])
    with xr.open_dataset(folder / "gcm_0.nc") as data:
        data.drop_vars("psl").to_netcdf(folder / "lacks.nc")
    with pytest.raises(DataError, match=r"synthetic-coarse: expected the variable 'psl' in .*lacks.nc, which lacks it"):
        apply(bundle, Request((str(folder / "lacks.nc"),), folder / "x.nc"))
    with xr.open_dataset(folder / "gcm_0.nc") as data:
        data.isel(time=slice(None, None, 7)).to_netcdf(folder / "weeks.nc")
    with pytest.raises(DataError, match=r"--input: expected a step of 1 day, which the models .* got 7 days; give"):
        apply(bundle, Request((str(folder / "weeks.nc"),), folder / "x.nc"))
    assert not (folder / "x.nc").exists()
    with pytest.raises(
        DataError, match=r"expected two or more dates from 1990-01-01 to 1990-12-31 in the input, got 0"
    ):
        apply(bundle, Request((coarse,), folder / "x.nc", span=("1990-01-01", "1990-12-31")))
    with pytest.raises(ConfigError, match=r"--period: "):
        apply(bundle, Request((coarse,), folder / "x.nc", span=("1990-13-01", "1990-12-31")))
    (folder / "empty").mkdir()
    with pytest.raises(
        RunFolderError, match=r"a run whose stage prepare is done, or a bundle, got .* without experiment"
    ):
        Bundle.open(folder / "empty")


def test_what_is_there_is_not_written_over(run, coarse, folder, tmp_path):
    bundle = Bundle.open(run, "ridge")
    (tmp_path / "kept.txt").write_text("precious")
    with pytest.raises(ConfigError, match="--to: expected the name of a file to write, got the folder"):
        apply(bundle, Request((coarse,), tmp_path))
    assert (tmp_path / "kept.txt").read_text() == "precious"
    before = (folder / "gcm_1.nc").read_bytes()
    with pytest.raises(
        ConfigError, match=r"--to: expected another file than those that are read, got '.*gcm_1\.nc', which --input"
    ):
        apply(bundle, Request((f"synthetic-coarse={coarse}",), folder / "gcm_1.nc"))
    assert (folder / "gcm_1.nc").read_bytes() == before


def test_periods_of_a_change_are_looked_at_before_the_work(run, coarse, tmp_path):
    bundle, out = Bundle.open(run, "ridge"), tmp_path / "out.nc"
    with pytest.raises(DataError, match=r"--change: expected dates from 2050 to 2060 in the prediction, got none"):
        apply(bundle, Request((coarse,), out, change=(("2004", "2004"), ("2050", "2060"))))
    with pytest.raises(ConfigError, match="--change: "):
        apply(bundle, Request((coarse,), out, change=(("2004", "2004"), ("2005-13-01", "2060"))))
    assert not out.exists()


def test_the_best_on_validation_is_taken(run):
    assert Bundle.open(run).name == "ridge"


def test_blocks_are_never_of_one_date():
    for count in range(2, 40):
        for size in (1, 2, 3, 7, 100):
            found = list(spans(count, size))
            assert found[0][0] == 0
            assert found[-1][1] == count
            assert min(last - first for first, last in found) >= 2


def test_new_data_are_told_how_far_they_lie_from_the_training(run, coarse, folder):
    done, data = applied(run, coarse, folder / "n.nc")
    assert done.strange is not None
    assert (done.strange.known, done.strange.unusual) == (730, int((data["novelty"] > 1).sum()))
    assert data["novelty"].dims == ("time",)
    np.testing.assert_array_equal(data["novelty"] > 1, data["novelty_share"] >= 0.99)
    # Other years of the same climate, of which train has seen one; the CO2 of later years is no weather.
    assert done.strange.share < 0.3
    _, parts = applied(run, coarse, folder / "n2.nc", block=91)
    np.testing.assert_array_equal(parts["novelty"], data["novelty"])
    carried = Bundle.open(run, "ridge").export(folder / "carried-novelty")
    _, same = applied(carried, coarse, folder / "n3.nc")
    np.testing.assert_array_equal(same["novelty"], data["novelty"])


def test_a_warmer_world_is_warned_of(run, coarse, folder, tmp_path, finescale):
    with xr.open_mfdataset(coarse) as data:
        warm = data.load()
    warm["tas"] = (warm["tas"] + 20).assign_attrs(warm["tas"].attrs)
    warm.to_netcdf(tmp_path / "warm.nc")
    words = (
        "predict",
        str(run),
        "--model",
        "ridge",
        "--input",
        str(tmp_path / "warm.nc"),
        "--to",
        str(tmp_path / "w.nc"),
    )
    code, out, err = finescale(*words)
    assert (code, "predicted: 730 dates" in out) == (0, True)
    (line,) = [line for line in err.splitlines() if line.startswith("unusual: ")]
    with xr.open_dataset(tmp_path / "w.nc") as data:
        count = int((data["novelty"] > 1).sum())
    assert count > 600
    assert line == (
        f"unusual: {count} of 730 samples ({count / 730:.0%}) lie farther from the train climate than 99% of the train "
        "samples, where 1% is expected; there the model extrapolates"
    )


def test_a_bundle_made_without_it_predicts_as_before(run, coarse, folder):
    old = Bundle.open(run, "ridge").export(folder / "old")
    for path in [*(old / "work/prepare").glob("novelty.*"), old / "manifest.json"]:
        path.unlink()
    done, data = applied(old, coarse, folder / "o.nc")
    assert (done.strange, "novelty" in data) == (None, False)


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        (Strange(40, 1000), ""),
        (Strange(60, 1000), "unusual: 60 of 1000 samples (6%) lie farther"),
        (Strange(10, 1000, 0.4), ""),
        (Strange(10, 1000, 0.8), "unusual: for 80% of the dates the mean of the predictors over the 91 days around"),
        (Strange(0, 0), ""),
    ],
)
def test_what_is_warned_of(strange, words):
    assert warning(strange).startswith(words)
    assert bool(warning(strange)) == bool(words)


def test_numbers_beside_forecasts_are_of_the_times_of_the_file(run, coarse, folder):
    _, data = applied(run, coarse, folder / "b2.nc", span=("2004-03-01", "2004-03-20"))
    grid = Grid.of(data)
    with pytest.raises(
        DataError, match=r"expected no variable 'novelty' yet and values at its 20 times in b2.nc, got 20"
    ):
        add_beside(folder / "b2.nc", {"novelty": (np.zeros(20), "again")}, grid)
    with pytest.raises(
        DataError, match=r"expected no variable 'other' yet and values at its 20 times in b2.nc, got 3 v"
    ):
        add_beside(folder / "b2.nc", {"other": (np.zeros(3), "short")}, grid)


def test_the_command_line_says_what_it_did(run, coarse, folder):
    words = [
        "predict",
        str(run),
        "--input",
        coarse,
        "--to",
        str(folder / "cli.nc"),
        "--change",
        "2004/2004",
        "2005/2005",
    ]
    done = subprocess.run([sys.executable, "-m", "flows.cli", *words], capture_output=True, text=True, check=True)
    assert "predicted: 730 dates, 2004-01-02 to 2005-12-31, with ridge" in done.stdout.replace("T00:00:00", "")
    assert f"change:    {folder / 'cli-change.nc'}" in done.stdout
    assert "left out: 1 dates" in done.stderr
    words = ["bundle", str(run), "--to", str(folder / "carried"), "--model", "ridge"]
    done = subprocess.run([sys.executable, "-m", "flows.cli", *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"bundle of ridge: {folder / 'carried'}"
