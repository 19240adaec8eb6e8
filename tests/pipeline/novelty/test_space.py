"""Samples as rows: boxes, windows by pieces, stations, tiles; with loops beside."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.novelty import space as module
from pipeline.novelty.space import Space
from pipeline.novelty.tiles import tile_statistics


def rows_of(space, samples):
    return np.concatenate([np.asarray(space.rows(block)) for block in space.blocks(samples)])


def test_squares_of_a_field_are_its_mean_square_over_the_area(make_samples):
    samples = make_samples(20)
    space = Space(samples.schema)
    rows = rows_of(space, samples)
    area = samples.schema.input_grid.area
    assert (space.kind, space.boxes, rows.shape) == ("fields", (4, 5), (20, 60))
    wanted = (samples.inputs.astype(float) ** 2 * area).sum(axis=(2, 3)) / area.sum()
    for channel in range(3):
        np.testing.assert_allclose((rows[:, space.groups == channel] ** 2).sum(axis=1), wanted[:, channel], rtol=1e-6)


def test_large_fields_are_means_over_boxes(make_samples, monkeypatch):
    samples = make_samples(6)
    monkeypatch.setattr(module, "MOST", 12)
    space = Space(samples.schema)
    assert (space.boxes, len(space.groups)) == ((1, 4), 12)
    area, (block,) = samples.schema.input_grid.area, space.blocks(samples)
    edges = [0, 2, 3, 4, 5]  # five columns in four boxes
    for box in range(4):
        part = (slice(None), slice(edges[box], edges[box + 1]))
        wanted = (samples.inputs[:, 1][(slice(None), *part)] * area[part]).sum(axis=(1, 2)) / area[part].sum()
        np.testing.assert_allclose(block.fields[:, 1, box], wanted, rtol=1e-5)
        np.testing.assert_allclose(space.weights[box], area[part].sum() / area.sum())
    means = (samples.inputs.astype(float) * area).sum(axis=(2, 3)) / area.sum()
    np.testing.assert_allclose(space.means(block), means, rtol=1e-5)


@pytest.mark.parametrize("most", [1, 7, 100, 5000])
@pytest.mark.parametrize("shape", [(3, 4), (64, 7), (768, 1152), (1, 400)])
def test_boxes_are_never_more_than_allowed_nor_finer_than_the_grid(make_samples, monkeypatch, most, shape):
    monkeypatch.setattr(module, "MOST", most)
    schema = replace(
        make_samples(2).schema, input_grid=Grid(np.linspace(-60, 60, shape[0]), np.arange(float(shape[1])))
    )
    down, across = Space(schema).boxes
    assert down * across <= max(1, most // 3)
    assert 1 <= down <= shape[0]
    assert 1 <= across <= shape[1]
    assert np.bincount(np.arange(shape[0]) * down // shape[0]).min() > 0


def test_a_window_is_its_latest_steps_and_means_further_back(made):
    prepared = made(window=12)
    samples = prepared.inputs("test")
    space = Space(samples.schema)
    names = [piece.name for piece in space.pieces][:5]
    assert names == ["tas", "tas@-1", "tas@-2..-3", "tas@-4..-7", "tas@-8..-11"]
    part = samples.take(slice(0, 30))
    lagged, laid = rows_of(space, part), rows_of(space, part.with_inputs(part.inputs))
    np.testing.assert_allclose(lagged, laid, rtol=1e-5, atol=1e-6)
    assert samples.lagged is not None
    assert "_laid" not in vars(samples)
    (block,) = space.blocks(part)
    wanted = np.mean([samples.inputs[:30, 5 * lag + 2] for lag in range(4, 8)], axis=0).reshape(30, -1)
    np.testing.assert_allclose(block.fields[:, 2 * 5 + 3], wanted, rtol=1e-4, atol=1e-6)


def test_the_day_of_the_year_is_left_out_and_a_forcing_is_not(make_samples):
    samples = make_samples(10, further=True)
    space = Space(samples.schema)
    assert [piece.name for piece in space.pieces] == ["tas", "tas@-1", "psl", "psl@-1", "hus850", "hus850@-1"]
    schema = replace(
        samples.schema, channels=(*samples.schema.channels[:-2], "co2", "day_sin"), scalars=("co2", "day_sin")
    )
    assert [piece.name for piece in Space(schema).pieces][-1] == "co2"
    assert len(Space(schema, forcings=("co2",)).pieces) == 6
    forced = Space(schema, forcings=("co2",)).forced(replace(samples, schema=schema))
    np.testing.assert_array_equal(forced, samples.inputs[:, 6:7, 0, 0])
    assert Space(schema).forced(samples).shape == (10, 0)


def test_a_forcing_beside_a_window_that_is_not_laid_out(made):
    prepared = made(window=6, calendar=True)
    samples = prepared.inputs("test").take(slice(5, 9))
    lagged = samples.lagged
    names = samples.schema.channels
    assert names[-2:] == ("day_cos", "day_sin")
    renamed = replace(samples, inputs=lagged, schema=replace(samples.schema, channels=(*names[:-2], "co2", "day_sin")))
    (block,) = Space(renamed.schema).blocks(renamed)
    assert Space(renamed.schema).pieces[-1].name == "co2"
    cosine = np.asarray(lagged.scalars)[lagged.now, 0]
    np.testing.assert_allclose(block.fields[:, -1], np.repeat(cosine[:, None], 24, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(Space(renamed.schema, forcings=("co2",)).forced(renamed)[:, 0], cosine)


def test_stations_are_samples_with_what_they_are_like(basins):
    samples = basins(8, 3)
    known = np.ones((8, 1, 3), bool)
    known[2, 0, 1] = False
    samples = replace(samples, usable=known)
    space = Space(samples.schema, statics=True)
    rows = rows_of(space, samples).reshape(8, 3, -1)
    assert (space.kind, rows.shape[2], space.cells) == ("stations", 14, 3)
    assert [piece.name for piece in space.pieces][:5] == ["rain", "rain@-1", "rain@-2", "rain@-3", "warm"]
    np.testing.assert_allclose(rows[5, 2, 1], samples.inputs[5, 3, 0, 2])
    np.testing.assert_allclose(rows[0, :, -2:], samples.schema.static[:, 0, :].T)
    assert np.isnan(rows[2, 1]).all()
    assert np.isfinite(rows).sum() == rows.size - 14
    assert rows_of(Space(samples.schema), samples).shape[1] == 12
    (block,) = space.blocks(samples)
    means = space.means(block)
    np.testing.assert_allclose(means[0], samples.inputs[0, :3, 0].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(means[2], samples.inputs[2, :3, 0][:, [0, 2]].mean(axis=1), rtol=1e-6)
    assert np.isnan(space.means(block, np.zeros(3, bool))).all()


def test_tiles_are_statistics_that_know_no_place(make_classes):
    samples = make_classes(5)
    pixels = Grid(np.arange(12.0), np.arange(20.0), ("y", "x"))
    schema = replace(samples.schema, input_grid=pixels, target_grid=pixels)
    samples = replace(samples, schema=schema, time=np.arange(5), day=np.zeros(5))
    space = Space(schema)
    rows = rows_of(space, samples)
    assert (space.kind, rows.shape, len(space.groups)) == ("tiles", (5, 18), 18)
    turned = samples.with_inputs(samples.inputs[:, :, ::-1, ::-1].copy())
    np.testing.assert_allclose(rows_of(space, turned), rows, rtol=1e-5)
    one = samples.inputs[3, 1].astype(float)
    steps = np.concatenate([np.diff(one, axis=0).ravel(), np.diff(one, axis=1).ravel()])
    ordered = np.sort(one.ravel())
    wanted = [one.mean(), one.std(), np.sqrt((steps**2).mean()), *(ordered[int(q * 239)] for q in (0.05, 0.5, 0.95))]
    np.testing.assert_allclose(rows[3, 6:12], wanted, rtol=1e-6)


def test_a_missing_pixel_is_missed_in_its_channel_alone():
    tiles = np.ones((1, 2, 3, 3))
    tiles[0, 1, 2, 2] = np.nan
    assert np.isfinite(tile_statistics(tiles)[0, :, 0]).tolist() == [True] * 6 + [False] * 6


@pytest.mark.parametrize("kind", ["fields", "stations", "boxes"])
def test_it_runs_on_any_array(make_samples, basins, strict_backend, on, monkeypatch, kind):
    samples = basins(30, 3) if kind == "stations" else make_samples(30)
    if kind == "boxes":
        monkeypatch.setattr(module, "MOST", 12)
    space = Space(samples.schema, statics=kind == "stations")
    known = rows_of(space, samples)
    found = [strict_backend.to_host(space.rows(block)) for block in space.blocks(on(samples, strict_backend))]
    np.testing.assert_allclose(np.concatenate(found), known, rtol=1e-6, atol=1e-9)


def test_blocks_hold_a_part_of_the_samples_in_order(make_samples, monkeypatch):
    samples = make_samples(50)
    whole = rows_of(Space(samples.schema), samples)
    monkeypatch.setattr(module, "_BYTES", 3 * 8 * 60)
    blocks = list(Space(samples.schema).blocks(samples, np.arange(1, 50, 2)))
    assert [len(block.index) for block in blocks] == [3] * 8 + [1]
    found = np.concatenate([np.asarray(Space(samples.schema).rows(block)) for block in blocks])
    np.testing.assert_array_equal(found, whole[1::2])
