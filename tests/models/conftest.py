"""Samples and contexts for models, on each backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.model import Context


@pytest.fixture
def splits(make_samples, backend):
    """Train and validation samples."""
    return (
        make_samples(150, seed=0, backend=backend),
        make_samples(80, seed=1, name="validation", backend=backend),
    )


@pytest.fixture
def said() -> list[str]:
    """Whatever a model warned of."""
    return []


@pytest.fixture
def context(backend, tmp_path, said) -> Context:
    return Context(backend, seed=3, name="model", folder=tmp_path, warn=said.append)


@pytest.fixture
def with_truth():
    """Replace the truth of samples by a function of the host array."""

    def change(samples, function, context):
        truth = function(np.array(context.backend.to_host(samples.target)))
        return replace(samples, target=context.backend.asarray(truth.astype(np.float32)))

    return change
