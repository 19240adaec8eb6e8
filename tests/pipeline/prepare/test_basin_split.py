"""Splits by basins: nothing that is fitted sees a basin of another split."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import SplitError
from pipeline.prepare.basin_split import BasinSplit
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.storage import state

SPLIT = BasinSplit({"train": ("a", "c"), "validation": ("b",), "test": ("d",)}, ("1990-06-01", "1992-05-31"))
CONFIG = PrepareConfig(
    inputs=InputsConfig(window=5, anomaly="none", scale="per_field"),
    target=TargetConfig(anomaly="none", scale="per_field"),
)


@pytest.fixture
def basins(field):
    """Rain and flow of four basins, one with flow for a part of the time."""
    rain, flow = (
        field(name, seed=seed)[name].values[:, [0, 1, 2, 0], [0, 1, 2, 3]] for name, seed in (("p", 1), ("q", 2))
    )
    flow = flow.copy()
    flow[:300, 1] = np.nan
    names = ["a", "b", "c", "d"]
    coords = {
        "time": field("p").time,
        "station": names,
        "lat": ("station", [1.0, 2, 3, 4]),
        "lon": ("station", [1.0, 2, 3, 4]),
    }
    series = xr.Dataset(
        {
            "rain": (("time", "station"), rain, {"units": "mm d-1"}),
            "flow": (("time", "station"), flow, {"units": "m3 s-1"}),
        },
        coords,
    )
    area = xr.Dataset(
        {"area": ("station", [10.0, 200.0, 30.0, 4000.0], {"units": "km2"})},
        {k: coords[k] for k in ("station", "lat", "lon")},
    )
    return series, area


def made(basins, backend, split=SPLIT):
    series, area = basins
    return prepare([("m", series[["rain"]])], series[["flow"]], [area], config=CONFIG, split=split, backend=backend)


def test_every_split_has_the_truth_of_its_basins_alone(basins, backend, tmp_path):
    prepared = made(basins, backend)
    prepared.save(tmp_path)
    for again in (prepared, Prepared.load(tmp_path, backend)):
        for name, inside in (("train", [0, 2]), ("validation", [1]), ("test", [3])):
            known = np.isfinite(again.truth(name)[:, 0, 0]).any(axis=0)
            assert np.flatnonzero(known).tolist() == inside
            assert (np.isfinite(np.asarray(again.samples(name).target)) == np.isfinite(again.truth(name))).all()
        time = again.samples("test").time
        assert (time[0], time[-1]) == (np.datetime64("1990-06-05"), np.datetime64("1992-05-31"))


def test_other_basins_move_nothing_that_is_fitted(basins, cpu):
    series, area = basins
    before = state(made(basins, cpu))
    noisy, wide = series.copy(deep=True), area.copy(deep=True)
    for name in ("rain", "flow"):
        noisy[name][dict(station=[1, 3])] = 7.0 + 100 * noisy[name][dict(station=[1, 3])]
    after = state(made((noisy, wide), cpu))
    for name, array in before[0].items():
        np.testing.assert_array_equal(array, after[0][name], err_msg=name)
    assert before[1] == after[1]


def test_static_values_are_scaled_by_the_train_basins(basins, cpu):
    values = made(basins, cpu).schema.static[0, 0]
    np.testing.assert_allclose(values, (np.array([10, 200, 30, 4000]) - 20) / 10, rtol=1e-6)


def test_new_basins_have_an_answer_in_units_and_a_climatology(basins, cpu):
    from pipeline.prediction import Prediction

    prepared = made(basins, cpu)
    samples = prepared.samples("test")
    everywhere = Prediction("point", {"mean": np.ones((len(samples), 1, 1, 4), np.float32)})
    assert np.isfinite(prepared.to_units(everywhere, samples).mean()).all()
    usual = prepared.climatology(samples).mean()
    assert np.isfinite(usual).all()
    np.testing.assert_allclose(usual[..., 3], usual[..., [0, 2]].mean(axis=-1), rtol=1e-5)


def test_basins_that_are_not_there_are_named(basins, cpu):
    split = BasinSplit({"train": ("a",), "validation": ("b",), "test": ("dd",)})
    with pytest.raises(
        SplitError, match=r"split 'test': the target has no basin 'dd' with enough truth\. Did you mean 'd'"
    ):
        made(basins, cpu, split)


def test_a_span_without_data_is_refused(basins, cpu):
    split = BasinSplit({"train": ("a",), "validation": ("b",), "test": ("d",)}, ("1950", "1951"))
    with pytest.raises(SplitError, match=r"split\.span \['1950', '1951'\] holds no data; the data span 1990-01-01 to"):
        made(basins, cpu, split)
    with pytest.raises(SplitError, match=r"split\.span: expected a date"):
        made(basins, cpu, BasinSplit({"train": ("a",), "validation": ("b",), "test": ("d",)}, ("1990-02-30", "1991")))


def test_one_basin_is_left_out_of_all(basins, cpu):
    split = BasinSplit({"train": (), "validation": ("b",), "test": ("d",)})
    assert split.cells(tuple("abcd"))["train"].tolist() == [[True, False, True, False]]
    assert np.isfinite(made(basins, cpu, split).truth("train")[:, 0, 0]).any(axis=0).tolist() == [
        True,
        False,
        True,
        False,
    ]
    with pytest.raises(
        SplitError, match=r"split 'train': expected basins with enough truth that no other split has, got none of b, d"
    ):
        split.cells(("b", "d"))


def test_new_basins_have_their_own_inputs(basins, backend):
    """Standardised by the train basins' mean and deviation, not blanked out as cells that were never seen."""
    prepared = made(basins, backend)
    rain = basins[0].rain.sel(time=slice(*SPLIT.span)).values.astype(float)
    known = rain[:, [0, 2]]
    expected = (rain - known.mean()) / known.std()
    samples = prepared.samples("test")
    np.testing.assert_allclose(np.asarray(samples.inputs)[:, 0, 0], expected[4:], atol=1e-4)


def test_the_truth_of_other_basins_chooses_no_train_basin(basins, cpu):
    series, area = basins
    short = series.copy(deep=True)
    short["flow"][dict(station=[0, 1, 2], time=slice(0, 750))] = np.nan  # only the test basin has truth there
    prepared = made((short, area), cpu)
    assert prepared.schema.target_grid.stations == ("a", "b", "c", "d")
    bare = series.copy(deep=True)
    bare["flow"][dict(station=3)] = np.nan  # a basin that was never gauged
    prepared = made((bare, area), cpu)
    assert prepared.truth("test") is None
    assert len(prepared.samples("test")) > 700


def test_models_know_nothing_of_the_past_of_other_basins(basins, cpu):
    samples = made(basins, cpu).samples("train")
    for values in (samples.previous, samples.past.values):
        assert np.isnan(np.asarray(values)[..., [1, 3]]).all()


def test_a_basin_without_an_attribute_is_refused(basins, cpu):
    from pipeline.errors import DataError

    series, area = basins
    area["area"][1] = np.nan
    with pytest.raises(
        DataError, match=r"data\.static: expected a value of 'area' for every station of the target, got none for b"
    ):
        made((series, area), cpu)
