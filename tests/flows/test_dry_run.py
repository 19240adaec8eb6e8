"""What a run would do, told before it is done: of every shipped experiment, whatever it is split by."""

import os
from pathlib import Path

import pytest

from flows.dry_run import describe
from flows.load import load_experiment, shipped
from flows.plan import make_plan
from flows.sources import open_sources


def told(name, *overrides, data=None):
    loaded = load_experiment(name, overrides)
    sources = open_sources(None, Path(data) if data else None)
    return describe(make_plan(loaded.experiment, where=str(loaded.source)), sources, "cpu", None).splitlines()


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_experiment_is_told(name):
    lines = told(name, data=os.environ.get("FINESCALE_DATA"))
    assert lines[0].startswith(f"{name}: ")
    memory = lines[lines.index("memory, about, with the libraries") + 1 :]
    assert memory[0].startswith("  ingest ") or memory[0].endswith(" is not there yet")
    assert [line for line in memory[1:] if "not known" in line] == []  # every model can tell what it takes
    assert lines[-1].split() == ["report", "to", "do"]
    assert [line for line in lines if line.startswith("  train ")]


def test_a_split_by_dates():
    lines = told("us-stations")
    assert lines[lines.index("split") + 1] == "  train        1990-01-01 to 1992-06-30"


def test_a_split_by_basins_names_them():
    lines = told("camels")
    at = lines.index("split by basin, 2000-01-01 to 2002-12-31")
    assert lines[at + 1 : at + 4] == ["  train        all others", "  validation   01547700", "  test         02064000"]
    lines = told("camels", "split.test=['01022500', '02064000']")
    assert "  test         01022500, 02064000" in lines


def test_a_split_by_blocks_says_columns_and_images():
    lines = told("cloud-masks")
    at = lines.index("split by block, tiles of 64 x 64")
    assert lines[at + 1] == "  train        x 0 to 299"
    assert "  landsat5     x 410 to 511 of cloud-masks-landsat5" in lines


def test_what_is_done_to_train_batches_is_told_by_model():
    lines = told("cloud-masks")
    assert "  class_unet (class_unet), 3 members, train batches: flip_longitude, flip_latitude" in lines
    assert "  as_seen (class_unet)" in lines


def test_fits_on_years_left_out_and_drawn_are_counted():
    calibrated = "{method: deep_ensemble, models: [unet], members: 2, calibration: {kind: emos, folds: 3}}"
    bagged = "{method: deep_ensemble, name: bagged, models: [unet], members: 4, bagged: true}"
    assert "  unet (unet), 2 members, 10 fits on parts of the train years" in told(
        "tiny", f"uncertainty=[{calibrated}, {bagged}]"
    )
    assert "  unet (unet), 2 members" in told("tiny")
