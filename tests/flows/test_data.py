import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    time = pd.date_range("2001-01-01", periods=40)
    values = np.random.default_rng(0).normal(280, 5, (40, 3, 4)).astype("float32")
    coords = {"time": time, "lat": [40.0, 41.0, 42.0], "lon": [0.0, 1.0, 2.0, 3.0]}
    data = xr.Dataset({"t2m": (("time", "lat", "lon"), values, {"units": "K"})}, coords)
    data.to_netcdf(tmp_path / "ERA5 sample.nc")
    return tmp_path


def finescale(*words: str, capsys) -> tuple[int, str, str]:
    import sys

    from flows.cli import run_command

    before, sys.argv = sys.argv, ["finescale", *words]
    try:
        code = run_command()
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_add_drafts_an_entry_that_check_accepts(files, capsys):
    code, out, err = finescale("data", "add", "ERA5 sample.nc", capsys=capsys)
    assert code == 0, err
    assert "added era5-sample to data_catalog.yaml" in out
    entry = yaml.safe_load((files / "data_catalog.yaml").read_text())["era5-sample"]
    assert entry["format"] == "netcdf"
    assert entry["variables"]["t2m"]["units"] == "K"
    code, out, err = finescale("data", "check", "era5-sample", capsys=capsys)
    assert code == 0, err
    assert "t2m [K] (time=40, lat=3, lon=4); 2001-01-01 to 2001-02-09, step 1 day, no gaps; missing 0.00 %" in out


def test_add_prints_without_writing_and_refuses_a_second_of_the_name(files, capsys):
    code, out, _ = finescale("data", "add", "ERA5 sample.nc", "--name", "mine", "--print", capsys=capsys)
    assert (code, out.startswith("mine:")) == (0, True)
    assert not (files / "data_catalog.yaml").exists()
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine", capsys=capsys)
    code, _, err = finescale("data", "add", "ERA5 sample.nc", "--name", "mine", capsys=capsys)
    assert code == 2
    assert "already has an entry 'mine'; choose another with --name" in err


def test_check_fails_on_what_a_run_would_trip_over(files, capsys):
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine", capsys=capsys)
    data = xr.load_dataset(files / "ERA5 sample.nc")
    data["t2m"][:] = np.nan
    data.to_netcdf(files / "ERA5 sample.nc")
    text = (files / "data_catalog.yaml").read_text()
    kept = [line for line in text.splitlines() if "sha256" not in line]
    (files / "data_catalog.yaml").write_text("\n".join(kept))
    code, out, err = finescale("data", "check", "mine", capsys=capsys)
    assert code == 2
    assert "missing 100.00 %" in out
    assert "error: mine: t2m has no value at all" in err


def test_list_show_and_fetch(files, capsys):
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine", capsys=capsys)
    code, out, _ = finescale("data", "list", capsys=capsys)
    assert code == 0
    assert "mine  netcdf" in out
    code, out, _ = finescale("data", "show", "mine", capsys=capsys)
    assert "licence: unknown" in out
    assert "ERA5 sample.nc: absolute" in out
    code, out, _ = finescale("data", "fetch", "mine", capsys=capsys)
    assert code == 0
    assert "sha256" in out


def test_made_data_have_nothing_to_fetch(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = finescale("data", "fetch", "synthetic-coarse", capsys=capsys)
    assert code == 0, err
    assert out == "synthetic-coarse: made on the spot, nothing to fetch\n"
