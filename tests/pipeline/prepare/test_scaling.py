"""Standardising against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import DataError
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TimeSplit

TIME = np.arange("1990-01-01", "1990-02-20", dtype="datetime64[D]")
TRAIN = TimeSplit(("1990-01-01", "1990-01-30"), ("1990-02-01", "1990-02-05"), {"t": ("1990-02-06", "1990-02-19")})


@pytest.fixture
def train():
    return TRAIN.train_split(TIME)


@pytest.fixture
def values():
    generator = np.random.default_rng(0)
    field = generator.normal([[[1e5]], [[0.003]]], [[[800.0]], [[0.001]]], size=(50, 2, 3, 4)).astype("float32")
    field[generator.random(field.shape) < 0.1] = np.nan
    return field


@pytest.mark.parametrize(("per", "axes"), [("per_cell", (0,)), ("per_field", (0, 2, 3))])
def test_means_and_deviations_are_those_of_float64(values, train, backend, per, axes):
    fitted = Standardiser.fit(backend.asarray(values), train, per=per, names=["psl", "hus"])
    seen = values[:30].astype(float)
    expected = [np.squeeze(f(seen, axis=axes, keepdims=True), 0) for f in (np.nanmean, np.nanstd)]
    np.testing.assert_allclose(backend.to_host(fitted.mean), expected[0], rtol=1e-7)
    np.testing.assert_allclose(backend.to_host(fitted.deviation), expected[1], rtol=1e-6)
    assert backend.to_host(fitted.transform(backend.asarray(values))).dtype == np.float32
    assert fitted.constant == (0, 0)


def test_sums_are_not_lost_in_float32(train):
    values = np.full((50, 1, 200, 200), 1e5, "float32")
    values[::2] += 0.0625
    fitted = Standardiser.fit(values, train, per="per_field", names=["psl"])
    assert float(fitted.deviation[0, 0, 0]) == pytest.approx(0.03125, rel=1e-6)


@given(
    hnp.arrays(np.float32, (50, 1, 2, 2), elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from(["per_cell", "per_field"]),
)
def test_the_way_there_and_back_changes_nothing(values, per):
    fitted = Standardiser.fit(values, TRAIN.train_split(TIME), per=per, names=["tas"])
    back = fitted.inverse(fitted.transform(values))
    np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(values).max())))


def test_a_variation_that_float32_cannot_divide_by_is_none(train):
    values = np.zeros((50, 1, 1, 1), "float32")
    values[0] = 1e-38
    fitted = Standardiser.fit(values, train, per="per_cell", names=["tas"])
    assert fitted.constant == (1,)
    assert float(fitted.deviation[0, 0, 0]) == 1.0


def test_cells_that_never_vary_are_divided_by_one_and_counted(values, train, backend):
    values[:, 1, 0, :2] = 0.00123
    fitted = Standardiser.fit(backend.asarray(values), train, per="per_cell", names=["psl", "hus"])
    assert fitted.constant == (0, 2)
    moved = backend.to_host(fitted.transform(backend.asarray(values)))
    np.testing.assert_array_equal(moved[:, 1, 0, :2], 0)


def test_a_cell_without_data_has_no_mean(values, train):
    values[:30, 0, 1, 1] = np.nan
    fitted = Standardiser.fit(values, train, per="per_cell", names=["psl", "hus"])
    assert np.isnan(fitted.mean[0, 1, 1])
    assert fitted.deviation[0, 1, 1] == 1
    assert fitted.constant == (0, 0)


def test_a_channel_without_data_is_named(values, train, backend):
    values[:30, 1] = np.nan
    with pytest.raises(
        DataError,
        match=r"^channel 'hus' has no finite value in the train split; expected some\. Check its file and units",
    ):
        Standardiser.fit(backend.asarray(values), train, per="per_cell", names=["psl", "hus"])


def test_it_is_fitted_on_a_train_split_alone(values):
    with pytest.raises(
        TypeError, match=r"^Standardiser is fitted on a TrainSplit alone, got slice\(0, 30, None\); use "
    ):
        Standardiser.fit(values, slice(0, 30), per="per_cell", names=["psl", "hus"])
