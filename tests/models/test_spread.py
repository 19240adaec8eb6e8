"""Parts of features that go back to input cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models._boxes import boxes, shared_over_boxes
from models._lag_features import LagConfig, LagFeatures
from models._layout import Layout
from models._spread import at_cells, column_weights, item_weights, named, to_channels
from models.pixel_forest import PixelForest, PixelForestConfig
from models.ridge import Ridge
from pipeline.model import Context


@pytest.fixture
def table(make_samples, context):
    train, validation = (make_samples(60, seed=seed, further=True, backend=context.backend) for seed in range(2))
    return Ridge().fit(train, validation, context).table, train


def test_fields_and_shares_of_scalars_are_the_adjoint_of_the_table_of_rows(table, context):
    table, samples = table
    host = context.backend.to_host
    rows = host(table.rows(samples))
    parts = np.random.default_rng(0).normal(size=(2, rows.shape[1]))
    found = host(to_channels(table, samples, context.backend.asarray(parts)))
    assert found.shape == (2, *samples.inputs.shape[1:])
    np.testing.assert_allclose(np.einsum("sclk,tclk->st", found, host(samples.inputs)), parts @ rows.T, atol=1e-4)
    assert (found[:, -2:] == found[:, -2:, :1, :1]).all()


def test_weights_of_columns_and_items_are_those_of_cells(table, context):
    table, samples = table
    mask, host = samples.schema.mask, context.backend.to_host
    weights = np.random.default_rng(1).normal(size=(3, 1, *mask.shape)) * mask
    weights[:, :, 3] = 0.0
    field = np.where(mask, np.random.default_rng(2).normal(size=mask.shape), np.nan).astype(np.float32)
    columns = host(table.columns(context.backend.asarray(field[None, None])))
    expected = np.nansum(weights * field, axis=(1, 2, 3))
    np.testing.assert_allclose(host(column_weights(table, weights)) @ columns[0], expected, rtol=1e-6)
    items, own = item_weights(table, weights)
    np.testing.assert_allclose((host(own)[:, :, 0] * columns[0, items]).sum(axis=1), expected, rtol=1e-6)
    assert len(items) == mask.sum() - mask[3].sum()


def test_items_stand_at_their_cells(table, context):
    table, samples = table
    mask = samples.schema.mask
    parts = context.backend.asarray(np.arange(1.0, 5.0).reshape(1, 2, 2))
    found = context.backend.to_host(at_cells(table, np.array([0, 5]), parts))[0]
    cells = np.flatnonzero(mask)[[0, 5]]
    np.testing.assert_array_equal(found[:, cells], [[1.0, 3.0], [2.0, 4.0]])
    assert np.count_nonzero(found) == 4


def test_a_channel_that_the_model_does_not_know_has_no_part(table, context):
    table, samples = table
    wider = replace(samples, schema=replace(samples.schema, channels=("new", *samples.schema.channels)))
    found = context.backend.to_host(named(table, wider, ["psl", "tas"], context.backend.asarray(np.ones((1, 2, 3)))))
    assert found.any(axis=2)[0].tolist() == [name in ("psl", "tas") for name in wider.schema.channels]


@pytest.mark.parametrize("around", [False, True])
def test_sharing_over_boxes_is_the_adjoint_of_their_mean(strict_backend, around):
    xp, rng = strict_backend.xp, np.random.default_rng(0)
    fields, parts = rng.normal(size=(2, 1, 2, 5, 6))
    mean, _ = boxes(xp.asarray(fields), 1, around=around)
    found = np.asarray(shared_over_boxes(xp.asarray(parts), 1, around=around))
    np.testing.assert_allclose((found * fields).sum(), (parts * np.asarray(mean)).sum())
    np.testing.assert_allclose(found.sum(), parts.sum())


def test_shares_of_lag_features_make_the_features(make_series, context):
    samples = make_series(40, backend=context.backend)
    table = Ridge().fit(samples, samples, context).table
    features = LagFeatures.of(LagConfig(lags=[0, 3], rolling=[2, 7]), table.layout, "model")
    made = np.concatenate([context.backend.to_host(block) for _, block in features.blocks(samples, table)])
    shares = features.shares(samples.schema.channels)
    cells = context.backend.to_host(samples.inputs)[:, :, 0].astype(float)
    np.testing.assert_allclose(made[:, :, :-1], np.einsum("fc,tcs->tsf", shares[:-1], cells), atol=1e-6)
    assert not shares[-1].any()  # the static value


def test_lag_parts_of_one_input_cell_and_of_scalars_stay_whole(make_series, context):
    samples = make_series(40, backend=context.backend)
    channels = samples.schema.channels
    schema = replace(samples.schema, scalars=channels[-1:])
    table = Ridge().fit(replace(samples, schema=schema), replace(samples, schema=schema), context).table
    features = LagFeatures.of(LagConfig(lags=[0], rolling=[]), Layout.of(schema), "model")
    parts = np.random.default_rng(0).normal(size=(2, 3, len(features.names)))
    parts[:, :, -1] = 0.0  # the static value, which has no channel
    items, asked = np.array([0, 1, 3]), replace(samples, schema=schema)
    found = context.backend.to_host(features.spread(context.backend.asarray(parts), items, asked, table))
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), parts.sum(axis=(1, 2)))
    np.testing.assert_allclose(found[:, 0, 0, items], parts[:, :, 0])
    np.testing.assert_allclose(found[:, -1, 0], np.repeat(parts[:, :, -2].sum(axis=1)[:, None] / 4, 4, axis=1))


def test_parts_of_pixels_add_up_with_boxes_and_static_fields(make_classes, context):
    train = make_classes(10, backend=context.backend)
    height = np.random.default_rng(0).normal(size=(1, *train.schema.mask.shape)).astype(np.float32)
    train = replace(train, schema=replace(train.schema, static=height, statics=("orog",)))
    model = PixelForest(PixelForestConfig(trees=2, neighbourhood=2)).fit(train, train, context)
    names, items = model.pixels.names, np.array([7, 40, 239])
    parts = np.random.default_rng(1).normal(size=(2, 3, len(names)))
    parts[:, :, names.index("orog")] = 0.0
    found = context.backend.to_host(model.pixels.spread(context.backend.asarray(parts), items, train))
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), parts.sum(axis=(1, 2)))
    flat = found.reshape(2, 3, -1)
    for channel in range(3):
        box = parts[:, :, 4 + channel] + parts[:, :, 7 + channel]
        assert (np.abs(flat[:, channel]) > 0).sum(axis=1).tolist() == [(flat[0, channel] != 0).sum()] * 2
        np.testing.assert_allclose(flat[:, channel].sum(axis=1), (parts[:, :, channel] + box).sum(axis=1))


def test_slopes_and_trees_need_nothing_beyond_the_array_standard(
    make_samples, make_series, make_classes, strict_backend
):
    from models import MODELS
    from pipeline.backend import get_backend

    found = {}
    for side in (get_backend("cpu"), strict_backend):
        context = Context(side, seed=1, name="model")
        worlds = {
            "ridge": make_samples(60, further=True, backend=side),
            "random_forest": make_samples(60, further=True, backend=side),
            "lag_ridge": make_series(60, backend=side),
            "lag_forest": make_series(60, backend=side),
            "pixel_forest": make_classes(6, shape=(6, 8), backend=side),
        }
        for kind, samples in worlds.items():
            model = MODELS.get(kind)
            options = {"trees": 3} if "trees" in model.Config.model_fields else {}
            fitted = model(model.Config.model_validate(options)).fit(samples, samples, context)
            schema = samples.schema
            weights = np.ones((2, len(schema.classes) or len(schema.targets), *schema.mask.shape)) * schema.mask
            if "linear" in model.traits:
                answers = [fitted.slopes(samples, weights, context)]
            else:
                answers = []
                for part in fitted.tree_parts(samples.take(slice(0, 2)), weights, context):
                    rows = part.rows(samples.take(slice(0, 2)))
                    values = side.tree_explainer(part.forest)(rows[:, 0, :], rows[:1, 0, :])
                    even = side.xp.broadcast_to(values[:, None, :, 0], rows.shape) * part.weights[:, :, :1]
                    answers.append(part.spread(even))
            assert all(isinstance(answer, type(side.xp.ones(1))) for answer in answers)
            found.setdefault(kind, []).append(np.stack([side.to_host(answer) for answer in answers]))
    for plain, strict in found.values():
        np.testing.assert_allclose(strict, plain, atol=1e-9)
