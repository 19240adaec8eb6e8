"""Draws of a prediction that the device has no room for."""

import numpy as np
import pytest

from flows.apply.draws import drawn
from pipeline.backend import get_backend
from pipeline.errors import MemoryBudgetError
from pipeline.prediction import Prediction


@pytest.fixture
def prediction():
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(size=(7, 2, 3, 4)).astype("f4"), rng.gamma(2.0, size=(7, 2, 3, 4)).astype("f4")
    return Prediction("normal", {"mean": mean, "sd": sd})


@pytest.fixture
def short(monkeypatch):
    """Let so many draws fail."""

    def short(times, error):
        known, left = Prediction.sample, [times]

        def sample(self, count, *, seed):
            left[0] -= 1
            if left[0] >= 0:
                raise error
            return known(self, count, seed=seed)

        monkeypatch.setattr(Prediction, "sample", sample)

    return short


def test_draws_without_room_on_the_device_are_made_on_the_host(prediction, short):
    expected = prediction.sample(5, seed=3)
    short(1, MemoryError("std::bad_alloc"))
    said = []
    found = drawn([prediction], 5, 3, get_backend("cpu"), said.append)
    assert said == ["--members: short of memory for 5 draws, made on the host (std::bad_alloc)."]
    assert found.family == "members"
    np.testing.assert_array_equal(found.members, expected)


def test_draws_without_room_anywhere_end_in_a_sentence(prediction, short):
    short(2, MemoryError("std::bad_alloc"))
    with pytest.raises(
        MemoryBudgetError,
        match=r"^--members: expected room for 5 draws of a block of dates, got out of memory \(std::bad_alloc\)\. "
        r"Take fewer members, or fewer dates at a time: --block\.$",
    ):
        drawn([prediction], 5, 3, get_backend("cpu"), print)


def test_another_error_of_a_draw_is_handed_on(prediction, short):
    short(1, ValueError("no such shape"))
    with pytest.raises(ValueError, match=r"^no such shape$"):
        drawn([prediction], 5, 3, get_backend("cpu"), print)
