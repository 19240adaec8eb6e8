"""Graphs of experiments whose data are prepared otherwise: roots, gaps, forcings, stations."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.apply.bundle import Bundle
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.errors import DataError

EXPERIMENT = """
data:
  predictors: [{dataset: synthetic-coarse, variables: [tas, hus850]}]
split: {train: [2001-01-01, 2001-12-31], validation: [2002-01-01, 2002-03-31], test: [2002-07-01, 2002-09-30]}
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
GRID = {"dataset": "synthetic-fine", "variables": ["tas"]}
CASES = {
    "forced": {
        "data": {"target": GRID, "forcings": [{"dataset": "co2"}]},
        "prepare": {
            "inputs": {"anomaly": "none", "scale": "per_field", "transform": {"hus850": "log1p"}, "missing": "mean"},
            "target": {"anomaly": "mean"},
        },
        "models": {"net": {"kind": "unet", "width": 4, "depth": 1, "epochs": 1}},
    },
    "stations": {
        "data": {"target": {"dataset": "synthetic-stations", "variables": ["tas"]}},
        "prepare": {
            "inputs": {"transform": {"hus850": "sqrt"}, "missing": "last", "lags": [0, 1]},
            "target": {"anomaly": "day_of_year", "scale": "none"},
        },
        "models": {"net": {"kind": "deepesd", "epochs": 1, "filters": [4, 4]}},
    },
}


@pytest.fixture(scope="module", params=list(CASES))
def made(request, tmp_path_factory):
    """A run, new data with gaps, what the run says of them, a bundle with graphs; by then the run is gone."""
    folder = tmp_path_factory.mktemp(request.param)
    lines = [f"{year}-07-01,{340 + 2 * (year - 2000)}" for year in range(2000, 2011)]
    (folder / "co2.csv").write_text("\n".join(["time,co2", *lines]) + "\n")
    shipped = yaml.safe_load((Path(__file__).parents[2] / "data_catalog.yaml").read_text())
    own = {name: entry for name, entry in shipped.items() if name.startswith("synthetic-")}
    (folder / "data_catalog.yaml").write_text(yaml.safe_dump(yaml.safe_load(CATALOG) | own, sort_keys=False))
    words = yaml.safe_load(EXPERIMENT)
    case = CASES[request.param]
    words |= {"name": request.param, "data": words["data"] | case["data"]} | {
        key: case[key] for key in ("prepare", "models")
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(words, sort_keys=False))
    run = start(
        RunRequest(str(folder / "small.yaml"), catalog=folder / "data_catalog.yaml", out=folder, use_server=False)
    ).folder
    data = generate(SyntheticConfig(years=10)).dataset("coarse").sel(time=slice("2004-01", "2004-03"))
    data["hus850"][10:12, 1, 1] = np.nan
    data["tas"][30] = np.nan
    data.to_netcdf(folder / "new.nc")
    forced = (f"co2={folder / 'co2.csv'}",) if request.param == "forced" else ()
    apply(Bundle.open(run), Request((str(folder / "new.nc"), *forced), folder / "run.nc"))
    Bundle.open(run).export(folder / "bundle", ("native", "torch_export", "onnx"))
    shutil.rmtree(run)
    return folder, forced


@pytest.mark.parametrize("engine", ["native", "torch_export", "onnx"])
def test_gaps_roots_and_forcings_are_the_same_in_a_graph(made, engine):
    folder, forced = made
    apply(
        Bundle.open(folder / "bundle", engine=engine), Request((str(folder / "new.nc"), *forced), folder / "again.nc")
    )
    with xr.open_dataset(folder / "again.nc") as one, xr.open_dataset(folder / "run.nc") as two:
        assert set(one.data_vars) == set(two.data_vars)
        assert one.sizes == two.sizes
        said = [name for name in two.data_vars if name.startswith("tas") and two[name].dtype.kind == "f"]
        for name in said:
            spread = float(two[name].std()) or 1.0
            np.testing.assert_allclose(one[name] / spread, two[name] / spread, atol=1e-4, err_msg=name)
        assert np.isfinite(two["tas"]).any()
        # The gaps were filled, as the experiment says: the days they are of are answered too.
        assert {"2004-01-12", "2004-01-31"} <= set(two["time"].dt.strftime("%Y-%m-%d").values.tolist())


def test_elsewhere_nothing_but_a_forcing_is_asked_for(made):
    folder, forced = made
    gone = (folder / "data_catalog.yaml").rename(folder / "elsewhere.yaml")
    message = r"the series 'co2': expected its file where the run had it, got none: .*Give one with --input co2=FILE"
    asked = Request((str(folder / "new.nc"),), folder / "none.nc")
    try:
        if not forced:
            assert apply(Bundle.open(folder / "bundle"), asked).times
            return
        with pytest.raises(DataError, match=message):
            apply(Bundle.open(folder / "bundle"), asked)
    finally:
        gone.rename(folder / "data_catalog.yaml")
