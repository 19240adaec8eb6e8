from dataclasses import replace

import pytest

from models._layout import Layout
from models._sequence import Sequence
from pipeline.errors import ConfigError


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def of(layout, *channels, scalars=()):
    return Sequence.of(replace(layout, channels=channels, scalars=scalars), "lstm")


def test_steps_run_from_the_oldest_and_keep_the_order_of_the_day(layout):
    found = of(layout, "z", "a", "z@-10", "a@-2", "z@-2", "a@-10")
    assert found.lags == (10, 2, 0)
    assert found.steps == ((2, 5), (4, 3), (0, 1))


def test_scalars_go_with_every_step(layout):
    found = of(layout, "a", "a@-1", "day_cos", "co2", scalars=("day_cos", "co2"))
    assert found.steps == ((1, 2, 3), (0, 2, 3))


def test_channels_without_lags_are_refused(layout):
    with pytest.raises(ConfigError, match=r"expected channels of several steps in time, .*lags: \[0, 1, 2\]"):
        of(layout, "a", "b")


def test_a_variable_that_lacks_a_lag_is_refused(layout):
    with pytest.raises(ConfigError, match=r"every variable at each of the lags \[1, 0\], got none for \['b@-1'\]"):
        of(layout, "a", "b", "a@-1")


def test_a_sequence_without_the_day_itself_is_read_to_its_newest(layout):
    assert of(layout, "a@-1", "a@-3").steps == ((1,), (0,))


def test_fields_are_steps_without_scalars(layout):
    found = of(layout, "a", "day_cos", "a@-1", scalars=("day_cos",))
    assert found.fields == ((2,), (0,))
    assert of(layout, "a", "a@-1").fields == ((1,), (0,))


def test_who_asks_and_for_how_many_steps_is_said(layout):
    day = replace(layout, channels=("a", "b"), scalars=())
    assert Sequence.of(day, "mlp", fewest=1).steps == ((0, 1),)
    with pytest.raises(ConfigError, match=r"^lstm: expected channels of several steps"):
        Sequence.of(day, "lstm")
    with pytest.raises(ConfigError, match=r"^mlp: expected channels of one step or more in time, got \['a', 'b'\]"):
        Sequence.of(replace(day, scalars=("a", "b")), "mlp", fewest=1)


def test_long_windows_are_not_listed_whole(layout):
    names = [f"a@-{lag}" for lag in range(400)] + ["b"]
    with pytest.raises(ConfigError, match=r"got none for \['b@-399', .*'b@-392'\] and 391 more\. Set") as error:
        of(layout, *names)
    assert len(str(error.value)) < 400
