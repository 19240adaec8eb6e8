"""Models with the trait ``streams`` learn the same of rows in a file as of arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import MemoryBudgetError
from pipeline.rows import Stored, keep_rows

STREAMS = [name for name in MODELS.names() if "streams" in MODELS.get(name).traits]


@pytest.fixture
def streamed(tmp_path):
    """Return a function that puts the arrays of samples into files."""

    def put(samples):
        backend, parts = get_backend("cpu"), {}
        for name in ("inputs", "target", "previous"):
            path = tmp_path / f"{samples.name}-{name}.npy"
            keep_rows(path, getattr(samples, name), backend)
            parts[name] = Stored.open(path, backend)
        return replace(samples, **parts)

    return put


@pytest.mark.parametrize("name", STREAMS)
def test_rows_teach_what_arrays_teach(name, make_samples, streamed, context, monkeypatch):
    if context.backend.name != "cpu":
        pytest.skip("files are read by the cpu side here")
    monkeypatch.setattr("pipeline.rows.parts.BLOCK_BYTES", 50_000)  # several blocks
    kind = MODELS.get(name)
    train = make_samples(300, missing=0.02)
    validation = make_samples(100, seed=1, name="validation", missing=0.02)
    asked = make_samples(20, seed=2, name="test")
    answers = []
    for put in (lambda samples: samples, streamed):
        model = kind(_quick(kind)).fit(put(train), put(validation), context)
        answers.append((model.predict(asked, context), model.summary()))
    (one, said), (two, said_too) = answers
    assert one.family == two.family
    for parameter, values in one.parameters.items():
        np.testing.assert_allclose(two.parameters[parameter], values, rtol=1e-5, atol=1e-6)
    assert _rounded(said) == _rounded(said_too)


def _quick(kind):
    return kind.Config(epochs=2, batch_size=64) if "trainable" in kind.traits else kind.Config()


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
