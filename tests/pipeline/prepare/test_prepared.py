"""Samples of every split, the way back to units, and what is kept on disk."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError, FormatError, SplitError
from pipeline.prediction import Prediction
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.recipe import Recipe
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.state import FORMAT
from pipeline.prepare.storage import state

WINTER = [12, 1, 2]
FINE = {"lat": (40.0, 41.0, 42.0, 43.0, 44.0), "lon": (1.0, 2.0, 3.0)}


@pytest.fixture
def data(field):
    """Predictors stamped at noon, and a target with the sea and some days missing."""
    target = field("tas", "tasmax", seed=1, **FINE)
    target.tas[dict(lat=0, lon=0)] = np.nan
    target.tas[dict(time=[40, 1200])] = np.nan
    target.tasmax[dict(time=[40, 1200])] = np.nan
    predictors = field("psl", "tas", hour=12)
    predictors.psl[dict(lat=0, lon=0, time=[20, 800])] = np.nan
    return [("era", predictors)], target


@pytest.fixture
def prepared(data, split, backend):
    config = PrepareConfig(inputs=InputsConfig(anomaly="none", lags=[0, 2]), target=TargetConfig(scale="per_cell"))
    return prepare(*data, config=config, split=split, months=WINTER, backend=backend)


def on_host(prepared, array):
    return prepared.backend.to_host(array)


def test_every_sample_holds_the_predictors_of_its_own_dates(data, prepared):
    (_, predictors), target = data[0][0], data[1]
    scaler = prepared.encoder.scaler
    for name in prepared.names:
        samples = prepared.samples(name)
        inputs = on_host(prepared, samples.inputs)
        assert np.isfinite(inputs).all()
        for lag, first in ((0, 0), (2, 2)):
            raw = (
                predictors.sel(time=samples.time - np.timedelta64(lag, "D"))
                .to_array()
                .transpose("time", "variable", ...)
            )
            expected = (raw.values - on_host(prepared, scaler.mean)) / on_host(prepared, scaler.deviation)
            np.testing.assert_allclose(inputs[:, first : first + 2], expected, atol=1e-5)
        truth = (
            target.sel(time=samples.time - np.timedelta64(12, "h")).to_array().transpose("time", "variable", ...).values
        )
        truth = np.where(prepared.schema.mask, truth, np.nan)
        np.testing.assert_array_equal(prepared.truth(name), truth)
        span = prepared.summary()["splits"][name]["span"]
        assert pd.Timestamp(span[0]) <= samples.time[0]
        assert set(pd.DatetimeIndex(samples.time).month) == set(WINTER)
        assert len(samples) == samples.inputs.shape[0] == len(samples.day)


def test_steps_that_make_no_sample_are_counted(prepared):
    splits = prepared.summary()["splits"]
    # Three pieces of winter in the train years lose two days each; a missing predictor costs its own day and
    # the one that has it as a lag, and one day has no truth.
    assert splits["train"]["segments"] == 3
    assert splits["train"]["dropped"] == {"missing lag": 6, "missing predictor": 2, "no truth": 1}
    assert splits["train"]["steps"] == 2 * 90
    assert splits["train"]["samples"] == 180 - 9
    assert splits["validation"]["dropped"] == {"missing lag": 4}
    assert splits["test"]["dropped"] == {"missing lag": 4}


def test_the_step_before_is_there_unless_it_lies_across_a_gap(prepared):
    samples = prepared.samples("train")
    previous, target = on_host(prepared, samples.previous), on_host(prepared, samples.target)
    dates = {stamp: number for number, stamp in enumerate(samples.time)}
    mask = prepared.schema.mask
    found = 0
    for number, stamp in enumerate(samples.time):
        before = dates.get(stamp - np.timedelta64(1, "D"))
        if before is not None:
            np.testing.assert_array_equal(previous[number], target[before])
            found += 1
    assert found > 150
    # Lags of two days keep the first two days of a season out, so the day before a sample is always there
    # but where its truth is missing.
    gone = np.isnan(previous[:, :, mask]).all(axis=(1, 2))
    assert samples.time[gone].astype("datetime64[D]").tolist() == [np.datetime64("1990-02-11").item()]


def test_without_lags_the_first_day_of_a_season_has_none_before_it(data, split, backend):
    prepared = prepare(*data, config=PrepareConfig(), split=split, months=WINTER, backend=backend)
    samples = prepared.samples("test")
    gone = np.isnan(on_host(prepared, samples.previous)[:, :, prepared.schema.mask]).all(axis=(1, 2))
    assert [str(stamp)[:10] for stamp in samples.time[gone]] == ["1993-01-11", "1993-12-01"]


def test_predictions_go_back_to_units(prepared):
    samples = prepared.samples("test")
    back = prepared.to_units(Prediction("point", {"mean": samples.target}), samples).mean()
    np.testing.assert_allclose(on_host(prepared, back), prepared.truth("test"), rtol=1e-5)
    forecast = prepared.climatology(samples)
    assert on_host(prepared, forecast.mean()).shape == samples.target.shape
    assert np.isnan(on_host(prepared, forecast.mean())[:, :, ~prepared.schema.mask]).all()
    assert (on_host(prepared, forecast.parameters["sd"])[:, :, prepared.schema.mask] > 0).all()


def test_the_schema_says_what_is_what(prepared):
    schema = prepared.schema
    assert schema.channels == ("psl", "tas", "psl@-2", "tas@-2")
    assert schema.channel_units == ("K",) * 4
    assert (schema.targets, schema.target_units) == (("tas", "tasmax"), ("K", "K"))
    assert (schema.input_grid.shape, schema.target_grid.shape) == ((3, 4), (5, 3))
    assert schema.step == np.timedelta64(1, "D")
    assert schema.mask.sum() == 14
    assert schema.static.shape == (0, 5, 3)


def test_a_test_set_without_truth_is_there_without_truth(data, split, backend):
    predictors, target = data
    prepared = prepare(
        predictors, target.isel(time=slice(0, 1096)), config=PrepareConfig(), split=split, backend=backend
    )
    samples = prepared.samples("test")
    assert samples.target is samples.previous is prepared.truth("test") is None
    assert len(samples) == 355
    assert not prepared.summary()["splits"]["test"]["truth"]
    assert on_host(prepared, prepared.climatology(samples).mean()).shape == (355, 2, 5, 3)


def test_it_works_on_other_calendars(field, days, backend):
    time = days("1990-01-01", "1993-12-30", "360_day")
    split = TimeSplit(("1990-01-01", "1991-12-30"), ("1992-02-30", "1992-12-20"), {"late": ("1993", "1993")}, gap="10D")
    prepared = prepare(
        [("gcm", field("psl", time=time))],
        field("tas", time=time),
        config=PrepareConfig(),
        split=split,
        backend=backend,
    )
    assert [len(prepared.samples(name)) for name in prepared.names] == [720, 291, 360]
    assert prepared.samples("validation").day[0] == pytest.approx(59 / 360)
    assert prepared.summary()["calendar"] == "360_day"


def test_fields_on_projected_grids(field, split, cpu):
    lat, lon = np.meshgrid(np.linspace(40.2, 43.8, 4), np.linspace(0.2, 5.8, 5), indexing="ij")
    target = field("tas", lat=range(4), lon=range(5)).rename(lat="y", lon="x").drop_vars(["y", "x"])
    target = target.assign_coords(lat=(("y", "x"), lat + 0.02 * lon), lon=(("y", "x"), lon - 0.02 * lat + 0.8))
    config = PrepareConfig.model_validate({"regrid": {"to": "target"}})
    prepared = prepare([("era", field("psl"))], target, config=config, split=split, backend=cpu)
    assert prepared.schema.input_grid.dims == prepared.schema.target_grid.dims == ("y", "x")
    assert prepared.samples("train").inputs.shape == (730, 1, 4, 5)


def test_the_summary_is_json_and_names_what_was_done(prepared):
    summary = json.loads(json.dumps(prepared.summary()))
    assert summary["climatology"] == {"harmonics_asked": 2, "harmonics_used": 1, "cells_with_mean_only": 0}
    assert summary["mask"] == {"cells": 14, "of": 15}
    assert summary["notes"][0] == "target is stamped 00:00, the first predictor 12:00."
    assert "1 of 2 harmonics" in summary["notes"][1]
    assert summary["channels"][0] == {"name": "psl", "units": "K", "constant_cells": 0, "cells_without_data": 0}
    assert summary["months"] == WINTER
    assert summary["regridding"] == [{"dataset": "era", "grid": [3, 4], "method": "none", "cells_outside": 0}]


def test_what_is_saved_comes_back_the_same(prepared, cpu, tmp_path):
    prepared.save(tmp_path / "prepare")
    again = Prepared.load(tmp_path / "prepare", prepared.backend)
    for name in prepared.names:
        one, two = prepared.samples(name), again.samples(name)
        for part in ("inputs", "target", "previous"):
            np.testing.assert_array_equal(on_host(prepared, getattr(one, part)), on_host(prepared, getattr(two, part)))
        assert (one.time == two.time).all()
        assert (one.day == two.day).all()
    assert again.summary() == prepared.summary()
    assert state(again)[1] == state(prepared)[1]
    again.save(tmp_path / "again")
    for file in (tmp_path / "prepare").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name
    assert not any(file.suffix in (".pkl", ".pickle") for file in (tmp_path / "prepare").iterdir())


def test_every_part_of_the_schema_comes_back(field, split, cpu, tmp_path, alike):
    data = field("tas", "pr").assign(pr=lambda data: (data.pr - 279.0).assign_attrs(units="mm d-1"))
    config = PrepareConfig(inputs=InputsConfig(anomaly="none", transform={"pr": "sqrt"}, calendar=True, lags=[0, 2]))
    target = field("pr", seed=1)
    target["pr"].attrs |= {"standard_name": "air_temperature"}
    made = prepare(
        [("era", data)], target, config=config, split=split, backend=cpu, static=[field("h").isel(time=0, drop=True)]
    )
    assert set(made.schema.channel_affine.transforms) == {"sqrt", "none"}
    made.save(tmp_path)
    alike(made.schema, Prepared.load(tmp_path, cpu).schema)


def test_other_calendars_and_anomalies_are_saved_too(field, days, cpu, tmp_path):
    time = days("1990-01-01", "1993-12-30", "360_day")
    split = TimeSplit(("1990", "1991"), ("1992", "1992"), {"test": ("1993", "1993")})
    config = PrepareConfig(inputs=InputsConfig(anomaly="day_of_year"))
    prepared = prepare(
        [("gcm", field("psl", time=time))], field("tas", time=time), config=config, split=split, backend=cpu
    )
    prepared.save(tmp_path)
    again = Prepared.load(tmp_path, cpu)
    assert list(again.steps.time) == list(prepared.steps.time)
    np.testing.assert_array_equal(again.encoder.anomaly.mean, prepared.encoder.anomaly.mean)


def test_a_folder_without_prepared_data_says_what_is_missing(prepared, tmp_path):
    with pytest.raises(
        DataError,
        match=r"^expected prepared data in .*; recipe\.json, recipe\.safetensors is not there\. Prepare again\.$",
    ):
        Prepared.load(tmp_path, prepared.backend)
    prepared.save(tmp_path)
    (tmp_path / "prepared-target.npy").unlink()
    with pytest.raises(DataError, match=r"prepared-target\.npy is not there\. Prepare again\.$"):
        Prepared.load(tmp_path, prepared.backend)
    (tmp_path / "recipe.json").write_text('{"format": 0}')
    message = rf"^{tmp_path} was made by another version of Finescale \(format 0, this one reads {FORMAT}\); run the"
    with pytest.raises(FormatError, match=message):
        Prepared.load(tmp_path, prepared.backend)


def test_a_split_of_another_name_is_refused(prepared):
    for ask in (prepared.samples, prepared.truth):
        with pytest.raises(DataError, match=r"^expected a split of train, validation, test, got 'tests'\.$"):
            ask("tests")


def test_the_recipe_alone_encodes_new_data_by_name(data, prepared, tmp_path):
    Recipe.save(prepared, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["recipe.json", "recipe.safetensors"]
    recipe = Recipe.load(tmp_path, prepared.backend)
    (_, predictors), test = data[0][0], prepared.samples("test")
    winter = predictors.sel(
        time=np.isin(predictors.time.dt.month, WINTER) & (predictors.time >= np.datetime64("1993-01-11"))
    )
    turned = winter[["tas", "psl"]]  # another order in the file
    samples = recipe.encode([("era", turned)])
    assert samples.schema.channels == test.schema.channels
    # The recipe knows of no truth, and the one test day that has none is encoded too.
    extra = ~np.isin(samples.time, test.time)
    assert int(extra.sum()) == 0
    np.testing.assert_array_equal(on_host(prepared, samples.inputs), on_host(prepared, test.inputs))
    assert samples.target is None
    back = recipe.to_units(Prediction("point", {"mean": test.target}), samples).mean()
    np.testing.assert_allclose(on_host(prepared, back), prepared.truth("test"), rtol=1e-5)


def test_new_data_must_have_the_channels_and_their_units(data, prepared):
    (_, predictors) = data[0][0]
    with pytest.raises(DataError, match=r"^expected a channel 'psl' among the predictors, got tas\.$"):
        prepared.encode([("era", predictors[["tas"]])])
    predictors.tas.attrs["units"] = "degC"
    with pytest.raises(DataError, match=r"^channel 'tas': expected units 'K', got 'degC'; convert it\.$"):
        prepared.encode([("era", predictors)])
    predictors.tas.attrs["units"] = "K"
    predictors.psl[:] = np.nan
    with pytest.raises(SplitError, match=r"^split 'input' has 1461 steps, and no sample is left of them"):
        prepared.encode([("era", predictors)])


@pytest.mark.real
def test_the_iberian_winters(backend):
    import os
    from pathlib import Path

    import xarray as xr

    if "FINESCALE_DATA" not in os.environ:
        pytest.skip("FINESCALE_DATA is not set: the real files are not there")
    folder = Path(os.environ["FINESCALE_DATA"]) / "iberia-downscaling"
    psl, tas, target = (xr.open_dataset(folder / name) for name in ("ncep_psl.nc", "ncep_tas.nc", "eobs_tas.nc"))
    split = TimeSplit(
        ("1982-12-01", "1996-02-29"), ("1996-12-01", "1997-02-28"), {"test": ("1997-12-01", "2002-02-28")}, "30D"
    )
    prepared = prepare([("psl", psl), ("tas", tas)], target, config=PrepareConfig(), split=split, backend=backend)
    summary = prepared.summary()
    assert summary["mask"]["cells"] == 330
    assert [summary["splits"][name]["segments"] for name in prepared.names] == [14, 1, 5]
    assert len(prepared.samples("test")) == 451
    samples, truth = prepared.samples("test"), prepared.truth("test")
    error = on_host(prepared, prepared.climatology(samples).mean()) - truth
    assert np.sqrt(np.nanmean(error**2)) == pytest.approx(2.86, abs=0.05)
