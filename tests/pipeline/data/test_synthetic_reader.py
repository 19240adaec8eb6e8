import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.errors import CatalogError

SHORT = """schema_version: 1
made:
  format: synthetic
  options: {{years: 1, {options}}}
  variables: {{tas: {{units: degC}}}}
  licence: CC0-1.0
"""


@pytest.fixture
def read(tmp_path):
    def _read(options, name="made"):
        path = tmp_path / "catalog.yaml"
        path.write_text(SHORT.format(options=options))
        return load(name, Catalog.load(path), Places(None, tmp_path, tmp_path), get_backend("cpu"))

    return _read


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    catalog = Catalog.load(find_catalog())
    folder = tmp_path_factory.mktemp("cache")
    places = Places(None, folder, folder)
    return lambda name: load(name, catalog, places, get_backend("cpu"))


def test_a_part_is_read_as_it_was_made(read):
    loaded = read("part: fine, seed: 3")
    made = generate(SyntheticConfig(years=1, seed=3))
    assert loaded.data["tas"].dims == ("time", "lat", "lon")
    assert np.array_equal(loaded.data["tas"].values, made.tas, equal_nan=True)
    assert loaded.repairs == ()
    assert loaded.files == ()


def test_stations_are_a_table_with_places(read):
    data = read("part: stations").data
    assert data["tas"].dims == ("time", "station")
    assert data["station"].values[:2].tolist() == ["S01", "S02"]
    assert {"lat", "lon", "altitude"} <= set(data.coords)


@pytest.mark.parametrize("variant", ["", "linear-"])
def test_entries_of_a_variant_belong_together(packaged, variant):
    parts = {
        part: packaged(f"synthetic-{variant}{part}").data for part in ("coarse", "fine", "static", "stations", "truth")
    }
    coarse, fine, static, stations, truth = parts.values()
    assert list(coarse.data_vars) == ["tas", "psl", "hus850", "uas", "vas"]
    assert all(part["time"].equals(coarse["time"]) for part in (fine, stations, truth))
    assert all(part["lat"].equals(fine["lat"]) and part["lon"].equals(fine["lon"]) for part in (static, truth))
    land = static["sftlf"].values >= 0.5
    assert (np.isfinite(fine["tas"].values) == land).all()
    noise = ((fine["tas"] - truth["expected"]) / truth["sigma"]).values[:, land]
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert (np.ptp(truth["sigma"].values[:, land]) == 0) == (variant == "linear-")


def test_static_fields_are_those_of_the_terrain(packaged):
    static, land = packaged("synthetic-static").data, generate(SyntheticConfig()).terrain
    assert static["orog"].values == pytest.approx(land.height, rel=1e-6)
    assert static["relief"].values == pytest.approx(land.height - land.coarse_height, abs=1e-3)
    assert "time" not in static.coords


def test_a_dataset_is_a_copy():
    climate = generate(SyntheticConfig(years=1))
    climate.dataset("coarse")["tas"].values[:] = 0
    climate.dataset("stations")["tas"].values[:] = 0
    assert climate.weather.tas.std() > 1
    assert np.nanstd(climate.stations.tas) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("seed: 1", r"options\.part: this key is required"),
        ("part: fine, sed: 1", r"options\.sed: unknown key\. Did you mean 'seed'\?"),
        ("part: fines", r"options\.part: .* 'coarse', 'fine', 'static', 'stations' or 'truth', got 'fines'"),
        ("part: fine, coarse: [2, 6]", r"options\.coarse\.0: .* greater than or equal to 3, got 2"),
    ],
)
def test_options_are_checked(read, options, message):
    with pytest.raises(CatalogError, match=message):
        read(options)
