from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import MODELS
from models._classical import (
    Table,
    column_mean,
    fill_missing,
    known_days,
    principal_components,
    residual_sd,
    rmse,
)
from models._layout import Layout
from pipeline.errors import DataError
from pipeline.model import Context

CLASSICAL = (
    "climatology",
    "persistence",
    "interpolation",
    "quantile_mapping",
    "bcsd",
    "ridge",
    "pca_ridge",
    "random_forest",
    "analogs",
)


@pytest.fixture
def table(splits, context) -> Table:
    return Table(context.backend, Layout.of(splits[0].schema))


def test_columns_and_fields_are_inverse(make_samples, context):
    samples = make_samples(20, targets=2, backend=context.backend)
    table = Table(context.backend, Layout.of(samples.schema))
    columns = table.columns(samples.target)
    inside = samples.schema.mask
    host = context.backend.to_host(samples.target)
    expected = np.concatenate([host[:, target][:, inside] for target in range(2)], axis=1)
    np.testing.assert_array_equal(context.backend.to_host(columns), expected)
    back = table.field(columns)
    assert back.dtype == context.backend.xp.float32
    np.testing.assert_array_equal(context.backend.to_host(back), host)


def test_a_channel_without_a_place_is_one_column(make_samples, context):
    samples = make_samples(20, backend=context.backend)
    xp = context.backend.xp
    number = xp.reshape(xp.arange(20, dtype=xp.float32), (20, 1, 1, 1))
    inputs = xp.concat([samples.inputs, xp.broadcast_to(number, (20, 1, 4, 5))], axis=1)
    more = replace(samples.schema, channels=(*samples.schema.channels, "co2"), scalars=("co2",))
    table = Table(context.backend, Layout.of(more))
    rows = context.backend.to_host(table.rows(replace(samples, inputs=inputs, schema=more)))
    fields = context.backend.to_host(Table(context.backend, Layout.of(samples.schema)).rows(samples))
    assert rows.shape == (20, 3 * 4 * 5 + 1)
    np.testing.assert_array_equal(rows[:, :-1], fields)
    np.testing.assert_array_equal(rows[:, -1], np.arange(20))
    # In another order the channels are still found by name.
    order = (3, 1, 0, 2)
    mixed = replace(more, channels=tuple(more.channels[k] for k in order))
    moved = replace(samples, inputs=xp.take(inputs, context.backend.asarray(np.array(order)), axis=1), schema=mixed)
    np.testing.assert_array_equal(context.backend.to_host(table.rows(moved)), rows)


def test_a_field_keeps_leading_axes(table, context):
    columns = context.backend.asarray(np.ones((3, 2, int(table.layout.mask.sum()))))
    assert table.field(columns).shape == (3, 2, 1, 8, 10)


def test_weights_are_the_area_of_the_cells(table, context):
    weight = context.backend.to_host(table.weight)
    lat = np.broadcast_to(table.layout.target_grid.lat[:, None], table.layout.mask.shape)[table.layout.mask]
    np.testing.assert_allclose(weight / weight[0], np.cos(np.deg2rad(lat)) / np.cos(np.deg2rad(lat[0])))
    assert weight.mean() == pytest.approx(1)


def test_a_split_without_truth_is_refused(table, splits, context, with_truth):
    with pytest.raises(DataError, match="expected a split with truth, got 'future', which has none"):
        table.columns(None, "future")
    empty = with_truth(splits[0], lambda truth: truth * np.nan, context)
    with pytest.raises(DataError, match="expected truth in the split 'train', got missing values only"):
        known_days(table, empty)


def test_days_without_truth_are_left_out(table, splits, context, with_truth):
    def hide(truth):
        truth[3:5] = np.nan
        return truth

    rows, truth = known_days(table, with_truth(splits[0], hide, context))
    assert rows.shape[0] == truth.shape[0] == len(splits[0]) - 2


def test_missing_values_take_the_mean_and_many_of_them_are_said(context, said):
    xp = context.backend.xp
    truth = np.arange(40.0).reshape(20, 2)
    truth[0, 0] = truth[:5, 1] = np.nan
    filled = context.backend.to_host(fill_missing(context.backend.asarray(truth), xp, context))
    assert filled[0, 0] == pytest.approx(np.nanmean(truth[:, 0]))
    np.testing.assert_allclose(filled[:5, 1], np.nanmean(truth[:, 1]))
    np.testing.assert_array_equal(filled[5:], truth[5:])
    assert said == [
        "model: 1 of 2 cells miss more than 10% of the train truth; their predictions are drawn towards the mean."
    ]


def test_scores_leave_missing_truth_out(context):
    xp, make = context.backend.xp, context.backend.asarray
    truth = make([[0.0, np.nan], [2.0, 4.0]])
    mean = make([[1.0, 9.0], [2.0, 1.0]])
    weight = make([1.0, 2.0])
    assert rmse(mean, truth, weight, xp) == pytest.approx(np.sqrt((1 * 1 + 0 + 2 * 9) / (1 + 1 + 2)))
    np.testing.assert_allclose(context.backend.to_host(residual_sd(mean, truth, xp)), [np.sqrt(0.5), 3.0])
    np.testing.assert_allclose(context.backend.to_host(column_mean(truth, xp)), [1.0, 4.0])


def test_no_cell_is_certain_and_one_without_truth_takes_the_error_of_all(context):
    xp, make = context.backend.xp, context.backend.asarray
    truth = make(np.array([[1.0, 5.0, np.nan], [1.0, 9.0, np.nan]]))
    mean = make(np.array([[1.0, 7.0, 0.0], [1.0, 7.0, 0.0]]))
    exact, off, unknown = context.backend.to_host(residual_sd(mean, truth, xp))
    assert off == pytest.approx(2.0)
    assert unknown == pytest.approx(np.sqrt((0 + 4) / 2))
    assert exact == pytest.approx(1e-3 * unknown)


def test_components_draw_no_random_numbers_even_for_wide_tables(context):
    rng = np.random.default_rng(0)
    for shape in ((600, 40), (40, 600)):
        table = context.backend.asarray(rng.normal(size=shape))
        first, second = (principal_components(table, 5, context) for _ in range(2))
        np.testing.assert_array_equal(*(context.backend.to_host(pca.components_) for pca in (first, second)))
    assert principal_components(table[:3], 20, context).components_.shape[0] == 3


@pytest.mark.parametrize("kind", ["ridge", "pca_ridge", "random_forest", "analogs"])
def test_nothing_is_chosen_on_a_validation_split_without_truth(kind, splits, context, with_truth):
    empty = with_truth(splits[1], lambda truth: truth * np.nan, context)
    with pytest.raises(DataError, match="expected truth in the split 'validation', got missing values only"):
        MODELS.get(kind)().fit(splits[0], empty, context)


@pytest.mark.parametrize("kind", CLASSICAL)
def test_nothing_is_fitted_on_a_train_split_without_truth(kind, splits, context, with_truth):
    empty = with_truth(splits[0], lambda truth: truth * np.nan, context)
    with pytest.raises(DataError, match="expected truth in the split 'train', got missing values only"):
        MODELS.get(kind)().fit(empty, splits[1], context)


@pytest.mark.parametrize("kind", CLASSICAL)
def test_a_model_that_was_not_fitted_says_so(kind, splits, context):
    with pytest.raises(ValueError, match=r"expected a fitted .*, got a new one; call fit or load first"):
        MODELS.get(kind)().predict(splits[1], context)


@pytest.mark.parametrize("kind", CLASSICAL)
def test_models_need_nothing_of_numpy_beyond_the_array_standard(kind, make_samples, strict_backend):
    """What runs on arrays that know the standard alone runs on CuPy too."""
    train, validation = (make_samples(90, seed=seed, backend=strict_backend) for seed in (0, 1))
    context = Context(strict_backend, name="model")
    prediction = MODELS.get(kind)().fit(train, validation, context).predict(validation, context)
    assert type(prediction.mean()) is type(train.inputs)


@pytest.mark.parametrize("kind", CLASSICAL)
def test_a_model_moves_between_the_backends_it_is_loaded_on(kind, splits, context, tmp_path):
    model = MODELS.get(kind)().fit(*splits, context)
    folder = tmp_path / "saved"
    folder.mkdir()
    model.save(folder)
    again = MODELS.get(kind).load(folder, context)
    assert again.summary() == model.summary()
    assert type(again.predict(splits[1], context).mean()) is type(splits[1].inputs)
