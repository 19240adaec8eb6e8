from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from models._boxes import boxes
from models._classical import Table
from models._layout import Layout
from models._pixels import Pixels, drawn, frequencies, moments
from pipeline.backend import get_backend
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.rows import parts as arrays


@pytest.fixture
def samples(make_classes, backend):
    """Twelve fields with cells outside of the mask and one static field."""
    made = make_classes(12, 3, backend=backend)
    mask = made.schema.mask.copy()
    mask[0, :3] = mask[5, 7] = False
    truth = np.where(mask, backend.to_host(made.target), np.nan)
    static = np.random.default_rng(0).normal(size=(1, *mask.shape)).astype(np.float32)
    schema = replace(made.schema, mask=mask, static=static, statics=("height",))
    return replace(made, target=backend.asarray(truth.astype(np.float32)), schema=schema)


def pixels(samples, backend, neighbourhood=0):
    return Pixels(Table(backend, Layout.of(samples.schema)), neighbourhood, "made")


def rows(samples, backend, neighbourhood=0):
    made = pixels(samples, backend, neighbourhood)
    return np.concatenate([backend.to_host(part) for _, part in made.blocks(samples)])


def test_a_row_is_a_time_and_a_cell_of_the_mask(samples, backend):
    found = rows(samples, backend)
    inputs, mask = backend.to_host(samples.inputs), samples.schema.mask
    static = samples.schema.static[0]
    expected = [
        [*inputs[time, :, row, column], static[row, column]]
        for time in range(12)
        for row in range(mask.shape[0])
        for column in range(mask.shape[1])
        if mask[row, column]
    ]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_blocks_are_as_small_as_they_are_said_to_be(samples, backend, monkeypatch):
    whole = rows(samples, backend, 1)
    monkeypatch.setattr("models._pixels.BLOCK_BYTES", 8 * 10 * 240 * 5)  # ten features of 240 cells, five times
    parts = list(pixels(samples, backend, 1).blocks(samples))
    assert [part.stop - part.start for part, _ in parts] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate([backend.to_host(part) for _, part in parts]), whole)
    monkeypatch.setattr("models._pixels.BLOCK_BYTES", 1)  # never less than one time
    assert len(list(pixels(samples, backend, 1).blocks(samples))) == 12
    assert arrays.BLOCK_BYTES > 1


def test_neighbourhoods_are_means_and_deviations_over_boxes_round_the_globe(samples, backend):
    made, found = pixels(samples, backend, 2), rows(samples, backend, 2)
    assert made.names[:4] == ["tmq", "wind", "t500", "height"]
    assert made.names[4:6] == ["tmq, mean over 5 x 5", "wind, mean over 5 x 5"]
    assert made.names[-1] == "t500, deviation over 5 x 5"
    assert found.shape[1] == len(made.names) == 10
    inputs, mask = backend.to_host(samples.inputs).astype(float), samples.schema.mask
    wide = np.pad(inputs, ((0, 0), (0, 0), (0, 0), (2, 2)), mode="wrap")
    for row, column in ((0, 5), (6, 0), (11, 19), (7, 9)):
        box = wide[:, :, max(0, row - 2) : row + 3, column : column + 5].reshape(12, 3, -1)
        place = int(mask.ravel()[: row * 20 + column].sum())
        mine = found.reshape(12, -1, 10)[:, place, 4:]
        np.testing.assert_allclose(mine[:, :3], box.mean(axis=2), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mine[:, 3:], box.std(axis=2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reach", [1, 3])
@pytest.mark.parametrize("around", [True, False])
def test_boxes_are_those_of_scipy(strict_backend, reach, around):
    fields = np.random.default_rng(1).normal(size=(2, 3, 9, 11)) + 300.0
    mean, spread = (np.asarray(part) for part in boxes(strict_backend.xp.asarray(fields), reach, around=around))
    size, mode = 2 * reach + 1, ["constant", "wrap" if around else "constant"]

    def total(values):
        return ndimage.uniform_filter(values, (1, 1, size, size), mode=["constant", "constant", *mode])

    count = total(np.ones_like(fields))
    np.testing.assert_allclose(mean, total(fields) / count, rtol=1e-12)
    square = total((fields - 300.0) ** 2) / count - (total(fields - 300.0) / count) ** 2
    np.testing.assert_allclose(spread, np.sqrt(square), rtol=1e-9)


def test_scalars_have_no_neighbourhood(samples, backend):
    schema = replace(samples.schema, scalars=("t500",))
    assert len(pixels(replace(samples, schema=schema), backend, 1).names) == 4 + 2 * 2


def test_an_image_does_not_go_round(samples, backend):
    image = Grid(np.arange(12.0), np.arange(20.0), ("y", "x"))
    schema = replace(samples.schema, input_grid=image, target_grid=image)
    flat, round = rows(replace(samples, schema=schema), backend, 1), rows(samples, backend, 1)
    assert not np.allclose(flat, round)
    inner = np.zeros((12, 20), bool)
    inner[:, 1:-1] = True
    inner = np.tile(inner[samples.schema.mask], 12)
    np.testing.assert_allclose(flat[inner], round[inner], rtol=1e-6, atol=1e-6)


def test_boxes_that_do_not_fit_are_refused(samples, backend):
    with pytest.raises(ConfigError, match=r"boxes of 13 x 13 cells to fit into the grid, got a grid of 12 x 20 cells"):
        pixels(samples, backend, 6)
    stations = Grid(np.ones((1, 3)), np.ones((1, 3)), ("row", "station"), ("a", "b", "c"))
    mask, static = np.ones((1, 3), bool), np.zeros((0, 1, 3), np.float32)
    schema = replace(samples.schema, input_grid=stations, target_grid=stations, mask=mask, static=static, statics=())
    with pytest.raises(ConfigError, match=r"got 3 stations. Take a smaller neighbourhood, or 0"):
        pixels(replace(samples, schema=schema), backend, 1)
    assert pixels(replace(samples, schema=schema), backend).names == ["tmq", "wind", "t500"]


def test_rows_to_learn_from_are_all_that_are_known(samples, context, backend):
    truth = np.array(backend.to_host(samples.target))
    truth[2] = np.nan
    taught = replace(samples, target=backend.asarray(truth))
    found = pixels(samples, backend).train_rows(taught, 10_000, context)
    labels = truth[:, 0][:, samples.schema.mask].ravel()
    known = np.isfinite(labels)
    np.testing.assert_array_equal(found.labels, labels[known])
    np.testing.assert_array_equal(backend.to_host(found.features), rows(samples, backend)[known])


def test_too_many_rows_are_drawn_in_proportion_and_that_is_said(samples, context, said, backend):
    found = pixels(samples, backend).train_rows(samples, 200, context)
    labels = backend.to_host(samples.target)[:, 0][:, samples.schema.mask].ravel().astype(int)
    counts, mine = np.bincount(labels), np.bincount(found.labels)
    np.testing.assert_array_equal(mine, counts * 200 // counts.sum())
    assert said == [
        f"model: {mine.sum()} of {counts.sum()} known cells of the train split are drawn to learn from, each class in "
        "proportion; a larger max_rows takes more memory and time."
    ]
    # Labels stay beside their features.
    every = {tuple(row): label for row, label in zip(rows(samples, backend).tolist(), labels, strict=True)}
    assert [every[tuple(row)] for row in backend.to_host(found.features).tolist()] == found.labels.tolist()
    again = pixels(samples, backend).train_rows(samples, 500, replace(context, seed=9))
    assert not np.array_equal(backend.to_host(again.features), backend.to_host(found.features))


def test_what_is_drawn_is_in_order_and_never_twice():
    labels = np.random.default_rng(0).integers(0, 3, 5000).astype(float)
    labels[::7] = np.nan
    labels[3] = 4.0
    chosen = drawn(labels, 600, seed=2)
    assert (np.diff(chosen) > 0).all()
    assert np.isfinite(labels[chosen]).all()
    assert 3 in chosen  # the only one of its class
    assert 590 < len(chosen) <= 601


def test_one_class_alone_is_refused(samples, context, backend):
    truth = backend.to_host(samples.target) * 0 + 2.0
    with pytest.raises(DataError, match="expected two classes or more to tell apart, got 'river' alone"):
        pixels(samples, backend).train_rows(
            replace(samples, target=backend.asarray(truth.astype(np.float32))), 500, context
        )


def test_classes_are_counted_in_groups(samples, context, backend, monkeypatch):
    monkeypatch.setattr("models._pixels.BLOCK_BYTES", 1)
    truth = np.array(backend.to_host(samples.target))
    truth[:, :, 4, 4] = np.nan
    taught = replace(samples, target=backend.asarray(truth))

    def assign(block):
        return context.backend.xp.astype(block[:, 0] > 1.0, context.backend.xp.int64)

    found = pixels(samples, backend).counts(taught, assign, 2, context)
    labels, group = truth[:, 0][:, samples.schema.mask].ravel(), rows(samples, backend)[:, 0] > 1.0
    expected = [[(labels[group == one] == number).sum() for number in range(3)] for one in (False, True)]
    np.testing.assert_array_equal(found, expected)


def test_shares_start_with_those_over_all():
    counts = np.array([[90.0, 10.0], [0.0, 0.0], [0.0, 100.0]])
    found = frequencies(counts)
    overall = np.array([0.45, 0.55])
    np.testing.assert_allclose(found[1], overall)
    np.testing.assert_allclose(found[0], (counts[0] + overall) / 101)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_a_channel_that_never_changes_has_a_deviation_of_one():
    xp = get_backend("cpu").xp
    mean, sd = moments(np.array([[1.0, 5.0], [3.0, 5.0]]), xp)
    assert (mean.tolist(), sd.tolist()) == ([2.0, 5.0], [1.0, 1.0])
