"""Samples along time, on arrays that know the Array API standard and nothing beyond it."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend


@pytest.fixture(params=["cpu", "strict"])
def samples(request, make_samples, strict_backend):
    backend = get_backend("cpu") if request.param == "cpu" else strict_backend
    return make_samples(12, backend=backend)


@pytest.mark.parametrize(
    "index",
    [slice(0, 1), slice(None, None, -2), np.array([7, 2, 2]), np.arange(12) % 5 == 0, np.array([-1]), slice(3, 3)],
    ids=str,
)
def test_every_part_is_taken_along_time(samples, index):
    taken = samples.take(index)
    for part in ("inputs", "target", "previous", "time", "day"):
        expected = np.asarray(getattr(samples, part))[index]
        np.testing.assert_array_equal(np.asarray(getattr(taken, part)), expected)
        assert type(getattr(taken, part)) is type(getattr(samples, part))
    assert len(taken) == len(taken.time)
    assert taken.schema is samples.schema


def test_a_split_without_truth_has_none_afterwards_either(samples):
    taken = replace(samples, target=None, previous=None).take(np.array([1]))
    assert taken.target is None
    assert taken.previous is None
