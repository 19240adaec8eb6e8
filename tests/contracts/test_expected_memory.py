"""Every model can tell what its fit will take, of samples of zeros, and of twice the days it tells more."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from models import MODELS
from pipeline.backend import get_backend
from pipeline.model import Context
from pipeline.samples import Samples

GRIDDED = frozenset({"cnn_lstm"})  # want predictors on a grid for a series
PAIRS = [(name, task) for name in MODELS.names() for task in sorted(MODELS.get(name).tasks)]


def _zeros(made: Samples) -> Samples:
    """Return samples of the same schema as a dry run has them: nothing of theirs is known but how large they are."""
    inputs, target = (np.zeros(values.shape, np.float32) for values in (made.inputs, made.target))
    return Samples("few", inputs, target, None, made.time, made.day, made.schema)


@pytest.mark.parametrize(("name", "task"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_what_a_fit_takes_is_told_and_grows_with_the_days(name, task, make_samples, make_series, make_classes):
    context = Context(get_backend("cpu"), name=name)  # a dry run tells of the host's memory
    make = {
        "downscaling": partial(make_samples, further=True),
        "series": partial(make_series, gridded=name in GRIDDED),
        "segmentation": make_classes,
    }[task]
    few = _zeros(make(2, name="few"))
    model = MODELS.get(name)()
    told = [model.expected_memory(few, days * 1000, days * 300, context) for days in (1, 2)]
    assert all(isinstance(size, int) for size in told)
    one = few.inputs[0].nbytes + few.target[0].nbytes
    assert 0 < told[0] < told[1] <= 2 * told[0]
    assert told[1] - told[0] < 12 * 1300 * one  # a few copies of the samples and tables of them, not their square
