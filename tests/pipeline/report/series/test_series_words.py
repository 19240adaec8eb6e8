"""What is said of how series were made, of splits by basins, and of what the test cannot show."""

import shutil

import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import places
from pipeline.report.load import load_run
from pipeline.report.prepare_facts import prepare_facts
from pipeline.report.sections import learned, limits, where
from pipeline.report.series_facts import basin_table, series_facts
from pipeline.report.study import study

RIVER = {"variable": "qobs", "units": "m3 s-1", "leads": (0,), "step": "D", "parts": "season", "times": 900}
NAN = np.nan


def _grid(lat, names=("a", "b", "c")):
    row = np.array([lat], float)
    return Grid(row, row, ("row", "station"), names[: row.shape[1]])


@pytest.mark.parametrize(
    ("lat", "drawn"), [((NAN,), False), ((40.0,), False), ((40.0, NAN), False), ((40.0, 41.0, NAN), True)]
)
def test_maps_need_two_places(lat, drawn):
    assert places.placed(_grid(lat)) is drawn


def test_stations_at_no_place_are_left_out_of_maps():
    grid, (field, nothing) = places.with_place(_grid((40.0, NAN, 42.0)), np.array([[1.0, 2.0, 3.0]]), None)
    assert grid.stations == ("a", "c")
    assert field.tolist() == [[1.0, 3.0]]
    assert nothing is None


def test_what_cells_are_called():
    assert places.kind(Grid(np.arange(2.0), np.arange(3.0)), "flow") == "cell"
    assert places.kind(_grid((1.0, 2.0)), "flow") == "basin"
    assert places.kind(_grid((1.0, 2.0)), "temperature") == "station"
    assert places.several(_grid((1.0, 2.0)), "flow") == "basins"
    assert (
        places.several(Grid(np.array([[1.0]]), np.array([[1.0]]), ("row", "station"), ("a",)), "flow") == "the series"
    )


def _facts(**parts):
    inputs = {"lags": [0], "window": None, "missing": "leave_out"} | parts.pop("inputs", {})
    return series_facts({"step_days": 1.0, "scaling": {"inputs": inputs, "target": {"leads": [0]} | parts}})


def test_windows_and_leads_in_words():
    assert _facts()[0] == "Each sample sees the inputs of its own day alone."
    assert _facts(inputs={"window": 365})[0].endswith("its own day and the 364 days before.")
    assert _facts(inputs={"lags": [0, 1, 2, 3, 7]})[0].endswith("its own day and those 1 to 3 and 7 days before.")
    assert "Predicted are the values 1 to 3 days ahead, all leads at once." in _facts(leads=[1, 2, 3])
    assert "Predicted are the values 3 days ahead." in _facts(leads=[3])
    assert "Where an input is missing, its last known value stands in its place." in _facts(inputs={"missing": "last"})


def test_basins_left_out_are_counted():
    prepared = {
        "step_days": 1.0, "targets": [{"units": "m3 s-1"}], "mask": {"cells": 3, "of": 5}, "missing": {"how": "mean", "filled": 0.02},
        "target_grid": {"dims": ["row", "station"]},
    }  # fmt: skip
    said = series_facts(prepared)
    assert "2 of 5 basins are left out: too little truth to learn from." in said
    assert "2\u00a0% of the input values were filled." in said


def test_splits_by_basin_have_a_table_in_place_of_a_timeline(series_run):
    split = {"by": "basin", "train": ["a", "b"], "validation": ["c"], "test": {"test": ["d"], "far": ["e", "f"]}}
    section = learned.build(study(load_run(series_run(**RIVER, stations=2, split=split))))
    assert section.blocks[0].name == "split"
    assert [row[0].text for row in section.blocks[0].rows] == ["train", "validation", "test", "far"]
    assert "fitted on 2 basins" in section.lead
    assert "tested on 1 basin" in section.lead
    assert basin_table({"split": {"by": "time"}}, {}) is None


def test_limits_of_series_say_what_overlaps(series_run):
    section = limits.build(study(load_run(series_run())))
    items = section.blocks[0].items
    assert any(item.startswith("Windows of 12 months overlap") for item in items)
    assert any("is forecast up to 6 times" in item for item in items)
    assert any(item.startswith("One series was tested") for item in items)
    assert any(item.startswith("Means over months are judged here; rare extremes and sequences") for item in items)


def test_limits_of_basins(series_run):
    items = limits.build(study(load_run(series_run(**RIVER, stations=3)))).blocks[0].items
    assert any(item.startswith("3 basins were tested") for item in items)
    assert any(item.startswith("Means over days and basins are judged") for item in items)
    assert not any("is forecast up to" in item for item in items)


def test_stations_without_a_channel_are_called_so():
    channels = [{"name": "prcp", "cells_without_data": 2, "constant_cells": 0}]
    assert prepare_facts({"channels": channels}) == ("prcp: 2 cells without data.",)
    grid = {"dims": ["row", "station"]}
    assert prepare_facts({"channels": channels, "input_grid": grid}) == ("prcp: 2 stations without data.",)


def test_splits_by_basin_are_tested_where_there_is_truth(series_run, tmp_path):
    split = {"by": "basin", "train": [], "validation": ["st001"], "test": {"test": ["st002"]}}
    parts = {**RIVER, "stations": 3, "placed": True, "split": split}
    run = shutil.copytree(series_run(**parts, prepared={"stations": ["st000", "st001", "st002"]}), tmp_path / "run")
    for folder, names in (("predictions", ("qobs_truth",)), ("diagnostics", ("qobs_rmse", "qobs_bias", "qobs_skill"))):
        for path in (run / folder).glob("*.nc"):
            data = xr.load_dataset(path)
            for name in names:
                if name in data:
                    data[name][..., :2] = np.nan
            path.unlink()
            data.to_netcdf(path)
    found = study(load_run(run))
    items = limits.build(found).blocks[0].items
    assert "One basin was tested; skill elsewhere is not known." in items
    assert not any("Truth is missing" in item for item in items)
    assert any("the others are of other splits" in item for item in items)
    assert learned.build(found).blocks[0].rows[0][3].text == "st000"
    section = where.build(found)
    assert [block.name for block in section.blocks] == ["series-qobs", "cases-qobs"]
    assert "median" not in section.blocks[0].caption
