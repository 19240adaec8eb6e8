from dataclasses import replace

import numpy as np
import pytest

from models._layout import Layout
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.samples import Affine


@pytest.fixture
def samples(make_samples):
    return make_samples(4)


@pytest.fixture
def layout(samples):
    return Layout.of(samples.schema)


def with_schema(samples, **changed):
    return replace(samples, schema=replace(samples.schema, **changed))


def test_the_same_order_needs_no_work(layout, samples):
    assert layout.order(samples) is None


def test_channels_are_found_by_name_among_others(layout, samples):
    more = with_schema(samples, channels=("hus850", "zg500", "tas", "psl"))
    assert layout.order(more) == [2, 3, 0]


def test_a_missing_channel_is_named(layout, samples):
    less = with_schema(samples, channels=("tas", "psl", "hus700"))
    with pytest.raises(
        DataError,
        match=r"^train: expected the channels \['tas', 'psl', 'hus850'\] that the model was fitted on, got "
        r"\['tas', 'psl', 'hus700'\] without \['hus850'\]\. Prepare the inputs with the same predictors and lags\.$",
    ):
        layout.order(less)


@pytest.mark.parametrize(("grid", "what"), [("input_grid", "inputs"), ("target_grid", "target")])
def test_another_grid_is_refused(layout, samples, grid, what):
    mine = getattr(samples.schema, grid)
    moved = with_schema(samples, **{grid: Grid(mine.lat + 1, mine.lon)})
    shape = rf"\({mine.shape[0]}, {mine.shape[1]}\)"
    with pytest.raises(
        DataError,
        match=rf"^train: expected the {what} on the grid of {shape} cells that the model was fitted on, got a grid of "
        rf"{shape} cells elsewhere\. Regrid them to the same one\.$",
    ):
        layout.order(moved)


@pytest.mark.parametrize("static", [0, 1])
def test_what_is_saved_is_loaded(layout, tmp_path, static):
    lat, lon = np.meshgrid(layout.target_grid.lat, layout.target_grid.lon, indexing="ij")
    layout = replace(layout, static=layout.static[:static], target_grid=Grid(lat, lon, ("y", "x")))
    layout.save(tmp_path)
    loaded = Layout.load(tmp_path)
    assert (loaded.channels, loaded.targets, loaded.cells) == (layout.channels, layout.targets, layout.cells)
    assert loaded.input_grid.same(layout.input_grid)
    assert loaded.target_grid.same(layout.target_grid)
    assert loaded.target_grid.dims == ("y", "x")
    assert (loaded.mask == layout.mask).all()
    assert (loaded.static == layout.static).all()
    assert loaded.static.shape == layout.static.shape


@pytest.mark.parametrize("world", ["fields", "series", "classes"])
def test_every_part_comes_back_from_a_folder(world, make_samples, make_series, make_classes, tmp_path, alike):
    made = {
        "fields": lambda: make_samples(2, further=True),
        "series": lambda: make_series(2, leads=(1, 3)),
        "classes": lambda: make_classes(2),
    }[world]().schema
    scale, shift = np.ones((len(made.channels), 1, 1), np.float32), np.zeros((len(made.channels), 1, 1), np.float32)
    names = ("lwe_precipitation_rate",) * len(made.targets)
    kinds = ("sqrt",) * len(made.channels)
    made = replace(made, channel_affine=Affine(scale, shift, kinds), target_standard_names=names)
    Layout.of(made).save(tmp_path)
    alike(Layout.of(made), Layout.load(tmp_path), "layout")
