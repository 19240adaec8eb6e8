"""The made tree has the layout of the benchmark, and something to learn."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pipeline.backend import get_backend
from pipeline.data._cordex_tree import gcm_of, plain
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.data.synthetic.cordex_tree import DOMAINS, write_cordex_tree
from pipeline.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_cordex_tree(tmp_path_factory.mktemp("made"), "NZ", days=60, cells=12, coarse=8)


def test_the_tree_has_the_files_of_the_benchmark(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nc"))
    train = [
        f"train/{experiment}/{file}"
        for experiment, period in (
            ("ESD_pseudo_reality", "1961-1980"),
            ("Emulator_hist_future", "1961-1980_2080-2099"),
        )
        for file in (
            f"predictors/ACCESS-CM2_{period}.nc",
            "predictors/Static_fields.nc",
            f"target/pr_tasmax_ACCESS-CM2_{period}.nc",
        )
    ]
    periods = {"historical": "1981-2000", "mid_century": "2041-2060", "end_century": "2080-2099"}
    test = [
        f"test/{name}/predictors/{quality}/ACCESS-CM2_{period}.nc"
        for name, period in periods.items()
        for quality in ("perfect", "imperfect")
    ]
    assert names == sorted(train + test)


def test_it_is_made_from_the_seed_alone(folder, tmp_path):
    again = write_cordex_tree(tmp_path, "NZ", days=60, cells=12, coarse=8)
    other = write_cordex_tree(tmp_path / "other", "NZ", days=60, cells=12, coarse=8, seed=1)
    file = "train/ESD_pseudo_reality/target/pr_tasmax_ACCESS-CM2_1961-1980.nc"
    assert xr.load_dataset(folder / file).identical(xr.load_dataset(again / file))
    assert not xr.load_dataset(folder / file).equals(xr.load_dataset(other / file))


def test_the_predictors_say_something_of_the_target(folder):
    train = folder / "train/ESD_pseudo_reality"
    warm = xr.load_dataset(train / "predictors/ACCESS-CM2_1961-1980.nc")["t_850"][:, 4, 4]
    target = xr.load_dataset(train / "target/pr_tasmax_ACCESS-CM2_1961-1980.nc")
    assert np.corrcoef(warm, target["tasmax"][:, 8, 8])[0, 1] > 0.7
    dry = float((target["pr"] == 0).mean())
    assert 0.2 < dry < 0.8
    assert target["pr"].dtype == np.float64


def test_there_is_no_29_february(tmp_path):
    made = write_cordex_tree(tmp_path, "NZ", days=1500, cells=4, coarse=8)
    with xr.open_dataset(made / "train/ESD_pseudo_reality/target/pr_tasmax_ACCESS-CM2_1961-1980.nc") as data:
        time = data["time"]
        assert len(time) == 1500
        assert not bool(((time.dt.month == 2) & (time.dt.day == 29)).any())


def test_an_unknown_domain_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="UK"):
        write_cordex_tree(tmp_path, "UK")
    assert set(DOMAINS) == {"NZ", "SA", "ALPS"}


def test_names_are_compared_plainly(folder):
    assert plain("ESD_Pseudo-Reality") == "esd_pseudo_reality"
    found = {gcm_of(path) for path in folder.rglob("*.nc") if "Static" not in path.name}
    assert found == {"access_cm2"}


@pytest.mark.parametrize("domain", ["NZ", "SA", "ALPS"])
def test_every_shipped_entry_reads_it(tmp_path, monkeypatch, domain):
    monkeypatch.chdir(tmp_path)
    write_cordex_tree(tmp_path / "cordex-ml-bench", domain, days=20, cells=12, coarse=8)
    catalog = Catalog.load(find_catalog())
    names = [name for name in catalog if name.startswith(f"cordex-{domain.lower()}-")]
    assert len(names) == 17
    for name in names:
        if name.endswith("-transfer"):  # the made tree has one climate model
            with pytest.raises(DataError, match="a file of the climate model"):
                load(name, catalog, Places(tmp_path, tmp_path, tmp_path), get_backend("cpu"))
            continue
        loaded = load(name, catalog, Places(tmp_path, tmp_path, tmp_path), get_backend("cpu"))
        assert list(loaded.data) == list(catalog[name].variables)
        assert loaded.files[0].place == "mirror"
