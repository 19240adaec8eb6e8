"""Models with the trait ``streams`` learn the same of rows in a file as of arrays, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import MemoryBudgetError
from pipeline.rows import Stored, keep_rows

SPLITS = ((200, "train"), (60, "validation"), (20, "test"))
SUMMED = {"ridge": {"rtol": 1e-5, "atol": 1e-6}}  # its sums are made in blocks
GRIDDED = frozenset({"cnn_lstm"})  # want predictors on a grid for a series
PAIRS = [
    (name, task)
    for task in ("downscaling", "series", "segmentation")
    for name in MODELS.names()
    if task in MODELS.get(name).tasks and "streams" in MODELS.get(name).traits
]


@pytest.fixture
def streamed(tmp_path):
    """Return a function that puts the arrays of samples into files."""

    def stored(samples, name, values):
        path = tmp_path / f"{samples.name}-{name}.npy"
        keep_rows(path, values, get_backend("cpu"))
        return Stored.open(path, get_backend("cpu"))

    def put(samples):
        lagged = samples.lagged
        there = [name for name in ("target", "previous") if getattr(samples, name) is not None]
        parts = {name: stored(samples, name, getattr(samples, name)) for name in there}
        if lagged is None:
            parts["inputs"] = stored(samples, "inputs", samples.inputs)
        else:
            parts["inputs"] = replace(lagged, values=stored(samples, "inputs", lagged.values))
        return replace(samples, **parts)

    return put


@pytest.mark.parametrize(("name", "task"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_rows_teach_what_arrays_teach(
    name, task, make_samples, make_series, make_classes, streamed, context, monkeypatch
):
    if context.backend.name != "cpu":
        pytest.skip("files are read by the cpu side here")
    monkeypatch.setattr("pipeline.rows.parts.BLOCK_BYTES", 50_000)  # several blocks
    kind = MODELS.get(name)
    make = {
        "downscaling": partial(make_samples, further=True),
        "series": partial(make_series, gridded=name in GRIDDED),
        "segmentation": make_classes,
    }[task]
    train, validation, asked = (make(count, seed=seed, name=split) for seed, (count, split) in enumerate(SPLITS))
    answers = []
    for put in (lambda samples: samples, streamed):
        model = kind(_quick(kind)).fit(put(train), put(validation), context)
        answers.append((model.predict(asked, context), model.summary()))
    (one, said), (two, said_too) = answers
    assert one.family == two.family
    for parameter, values in one.parameters.items():
        np.testing.assert_allclose(two.parameters[parameter], values, **SUMMED.get(name, {"rtol": 0, "atol": 0}))
    alike = _rounded if name in SUMMED else (lambda told: told)
    assert alike(said) == alike(said_too)


def _quick(kind):
    asked = {"epochs": 2, "batch_size": 64, "width": 4, "depth": 1}
    asked |= {"blocks": (1, 2), "strides": (1, 1, 2)} if "strides" in kind.Config.model_fields else {}
    return kind.Config.model_validate({key: value for key, value in asked.items() if key in kind.Config.model_fields})


def _rounded(said):
    if isinstance(said, dict):
        return {key: _rounded(value) for key, value in said.items()}
    if isinstance(said, list):
        return [_rounded(value) for value in said]
    return round(said, 6) if isinstance(said, float) else said


def test_a_ridge_of_more_features_than_days_is_refused_with_the_size_it_needs(make_samples, streamed, context):
    train, validation = streamed(make_samples(50)), streamed(make_samples(40, seed=1, name="validation"))
    with pytest.raises(MemoryBudgetError, match=r"expected a ridge to fit into compute\.memory, got .* for 1 MiB"):
        MODELS.get("ridge")().fit(train, validation, replace(context, budget=2**20))
