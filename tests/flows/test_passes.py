"""Predictions of parts of a split, and of fewer times where a part has no room."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from flows.passes import in_passes
from flows.stages import predict
from pipeline.errors import MemoryBudgetError
from pipeline.prediction import Prediction


def forecasts(samples, room, said):
    """Return the forecasts of a model that has room for so many times, and how many it was asked for each time."""
    asked = []

    def predictor(some):
        asked.append(len(some))
        if len(some) > room:
            raise MemoryError("std::bad_alloc: out_of_memory: CUDA error")
        return Prediction("point", {"mean": np.asarray(some.target)})

    prepared = SimpleNamespace(
        samples=lambda split: samples,
        to_units=lambda prediction, some: prediction,
        truth=lambda split, times: np.asarray(samples.target)[times],
    )
    space = SimpleNamespace(
        run=Path("nowhere"),  # holds no blocks that workers made
        prepared=prepared,
        budget=2**40,
        predictor=lambda name: predictor,
        warn=lambda name, message: said.append((name, message)),
    )
    return list(predict._forecasts(space, "test", "analogs")), asked


@pytest.mark.parametrize("room", [100, 50, 8])
def test_all_times_are_predicted_once_whatever_has_room(make_samples, room, monkeypatch):
    samples, said = make_samples(70), []
    step = 4 * (samples.inputs[0].size + predict.ANSWERS * samples.target[0].size)
    monkeypatch.setattr(predict, "_PART", 40 * step)
    found, asked = forecasts(samples, room, said)
    for part in ("time", "prediction.mean", "truth"):
        values = [one.prediction.parameters["mean"] if "." in part else getattr(one, part) for one in found]
        expected = {"time": samples.time}.get(part, samples.target)
        np.testing.assert_array_equal(np.concatenate(values), expected)
    if room == 8:
        assert asked == [35, 17, 8, 8, 8, 8, 3, 35, 17, 8, 8, 8, 8, 3]
        assert set(said) == {("analogs", "analogs: short of memory, on with 8 times in one pass.")}
    else:
        assert asked == [35, 35]  # as it was: parts of the same size
        assert said == []


def test_a_single_time_that_has_no_room_ends_in_a_sentence():
    def none(part):
        raise MemoryError("std::bad_alloc")

    with pytest.raises(
        MemoryBudgetError,
        match=r"^analogs: expected room for the prediction of a single time, got out of memory \(std::bad_alloc\)\. Take "
        r"a smaller region, fewer members, or another device\.$",
    ):
        list(in_passes("analogs", 4, none, lambda said: None))


def test_what_a_network_says_of_one_sample_is_handed_on():
    def none(part):
        raise MemoryBudgetError("unet, member 0: expected room for the answer to one sample")

    with pytest.raises(MemoryBudgetError, match=r"^unet, member 0: expected room for the answer to one sample$"):
        list(in_passes("unet", 4, none, lambda said: None))
