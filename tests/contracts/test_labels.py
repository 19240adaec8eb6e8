"""What every event label promises, whatever its definition."""

import array_api_strict
import numpy as np
import pydantic
import pytest

from pipeline.backend import get_backend
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.labels import LABELS, EventLabel, make_label, restore_label
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.state import read_state, write_state

TIME = np.arange("1991-01-01", "1997-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
SPLIT = TimeSplit(("1991", "1994"), ("1995", "1995"), {"test": ("1996", "1996")})
TRAIN = SPLIT.train_split(TIME)
GRID = Grid(np.array([40.0, 45.0, 50.0]), np.array([0.0, 5.0, 10.0, 15.0]))
# Options with which the made pressure has events of every class, in other units where the label has units.
OPTIONS = {
    "threshold": {"above": 1200.0, "units": "Pa", "of": "anomaly", "min_days": 2},
    "deep_low": {"below": 98500.0, "units": "Pa"},
    "blocking": {"above": 800.0, "units": "Pa", "persistence": 3},
    "marine_heatwave": {"categories": True},
    "percentile_extreme": {"percentile": 10.0, "side": "below", "name": "cold"},
}


@pytest.fixture(params=LABELS.names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def values():
    """Pressure in hPa with a season, a memory of some days, patterns and single missing values."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(len(TIME), 1, 1)) + 0.5 * rng.normal(size=(len(TIME), *GRID.shape))
    for day in range(1, len(TIME)):
        noise[day] += 0.85 * noise[day - 1]
    noise[1600:1615] += 12.0  # after the train split: an event of the highest category
    season = 6 * np.cos(2 * np.pi * np.arange(len(TIME)) / 365.25)[:, None, None]
    made = (1000 + season + 5 * noise).astype(np.float32)
    made[rng.random(made.shape) < 0.02] = np.nan
    return made


def fitted(name, values, train=TRAIN):
    return make_label({"kind": name, **OPTIONS.get(name, {})}).fit(values, TIME, train, GRID, units="hPa")


def test_it_says_what_it_is(name):
    label = make_label({"kind": name, **OPTIONS.get(name, {})})
    assert isinstance(label, EventLabel)
    assert label.kind == name
    assert label.classes[0] == "background"
    assert len(set(label.classes)) == len(label.classes) > 1
    assert (type(label).__doc__ or "").strip()
    assert all(field.description for field in label.Config.model_fields.values())


def test_options_are_frozen_and_unknown_ones_refused(name):
    label = make_label({"kind": name, **OPTIONS.get(name, {})})
    field = next(iter(label.Config.model_fields))
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        setattr(label.config, field, None)
    with pytest.raises(ConfigError, match=rf"^label '{name}': nonsense: unknown key\. Known: "):
        make_label({"kind": name, **OPTIONS.get(name, {}), "nonsense": 1})


def test_labels_are_class_numbers_and_missing_where_values_are(name, values):
    label = fitted(name, values)
    found = label.label(values, TIME, GRID)
    assert found.shape == values.shape
    assert found.dtype == np.float32
    assert (np.isnan(found) == np.isnan(values)).all()
    assert set(np.unique(found[np.isfinite(found)])) == set(range(len(label.classes)))
    assert 0.5 < (found == 0).mean() < 0.99


def test_events_and_intensity_agree_with_labels(name, values):
    label = fitted(name, values)
    found, events, strength = (part(values, TIME, GRID) for part in (label.label, label.events, label.intensity))
    known = np.isfinite(values)
    assert events.dtype == bool
    assert ((found > 0) == events)[known].all()
    assert (np.isfinite(strength) == known).all()
    assert strength[found > 0].mean() > strength[found == 0].mean()


def test_nothing_after_the_train_span_is_fitted(name, values):
    label = fitted(name, values)
    changed = values.copy()
    changed[TRAIN.index[-1] + 1 :] = 500.0
    other = fitted(name, changed)
    assert other.facts() == label.facts()
    assert other.arrays().keys() == label.arrays().keys()
    for key, array in label.arrays().items():
        np.testing.assert_array_equal(other.arrays()[key], array)
    changed = values.copy()
    changed[TRAIN.index] += 30.0
    moved = fitted(name, changed)
    assert all((moved.arrays()[key] != array).any() for key, array in label.arrays().items())


def test_only_a_train_split_is_fitted_on(name, values):
    label = make_label({"kind": name, **OPTIONS.get(name, {})})
    with pytest.raises(TypeError, match=rf"^The label '{name}' is fitted on a TrainSplit alone, got array"):
        label.fit(values, TIME, TRAIN.index, GRID, units="hPa")


def test_it_is_the_same_on_any_arrays(name, values):
    label, strict = fitted(name, values), array_api_strict.asarray(values)
    other = fitted(name, strict)
    for key, array in label.arrays().items():
        np.testing.assert_allclose(np.asarray(other.arrays()[key]), array, rtol=1e-6)
    found = other.label(strict, TIME, GRID)
    assert found.dtype == array_api_strict.float32
    assert np.mean(np.asarray(found) == label.label(values, TIME, GRID)) > 0.97  # 2 % are missing


def test_it_survives_the_disk(name, values, tmp_path):
    label = fitted(name, values)
    write_state(tmp_path / "label", label.arrays(), label.facts(), get_backend("cpu"))
    arrays, facts = read_state(tmp_path / "label")
    facts.pop("format")
    other = restore_label(arrays, facts)
    assert type(other) is type(label)
    assert other.config == label.config
    assert other.facts() == label.facts()
    np.testing.assert_array_equal(other.label(values, TIME, GRID), label.label(values, TIME, GRID))


def test_a_gap_in_time_ends_an_event(name, values):
    label = fitted(name, values)
    before, after = np.arange(1500, 1602), np.arange(1604, 2000)  # two days within a long event are cut out
    both = np.r_[before, after]
    apart = [label.label(values[part], TIME[part], GRID) for part in (before, after)]
    np.testing.assert_array_equal(label.label(values[both], TIME[both], GRID), np.concatenate(apart))


def test_it_must_be_fitted_on_data_of_its_shape(name, values):
    label = make_label({"kind": name, **OPTIONS.get(name, {})})
    with pytest.raises(DataError, match=rf"^the label '{name}': expected it to be fitted first; call fit or restore\."):
        label.label(values, TIME, GRID)
    wrong = rf"^the label '{name}': expected values of shape \(2192, 3, 4\) \(time, lat, lon\), got \(2192, 3, 3\)\."
    with pytest.raises(DataError, match=wrong):
        label.fit(values[:, :, :3], TIME, TRAIN, GRID, units="hPa")
    with pytest.raises(DataError, match=rf"^the label '{name}': expected values of shape \(2190, 3, 4\)"):
        fitted(name, values).label(values, TIME[:2190], GRID)


def test_the_facts_of_another_kind_are_refused(name, values):
    label = fitted(name, values)
    with pytest.raises(DataError, match=rf"^expected the facts of a label '{name}', got those of 'other'\.$"):
        type(label).restore(label.arrays(), label.facts() | {"kind": "other"})


def test_values_of_another_step_are_refused(name, values):
    label = fitted(name, values)
    finer = TIME[0] + np.arange(40) * np.timedelta64(6, "h")
    with pytest.raises(DataError, match=rf"^the label '{name}': expected a step of 1 day, .* got 6 hours"):
        label.label(values[:40], finer, GRID)
