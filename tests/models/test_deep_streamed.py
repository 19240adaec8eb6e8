"""Models that are networks learn and answer the same from samples in files as from samples in memory."""

from dataclasses import replace

import numpy as np
import pytest

from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import DataError
from pipeline.model import Context
from pipeline.rows import Stored, store

QUICK = {"epochs": 2, "batch_size": 16, "lr": 3e-3}
SMALL = {
    "deepesd": {"filters": (4, 2)},
    "unet": {"width": 4, "depth": 1, "large_scale": (4,), "norm": "batch"},
    "doury_unet": {"width": 4, "levels": 1},
}
BUDGET = 1000  # bytes: nothing fits


@pytest.fixture
def in_files(tmp_path):
    """Return a function from samples to the same with inputs and target in files."""

    def make(samples):
        found = {}
        for name in ("inputs", "target"):
            array, path = np.asarray(getattr(samples, name)), tmp_path / f"{samples.name}-{name}.npy"
            with store(path, array.shape) as add:
                add(np.ascontiguousarray(array))
            found[name] = Stored.open(path, get_backend("cpu"))
        return replace(samples, **found)

    return make


def context(**more):
    return Context(get_backend("cpu"), seed=3, name="model", **more)


def same(one, other):
    a, b = one._network.state_dict(), other._network.state_dict()
    return a.keys() == b.keys() and all(bool((a[name] == b[name]).all()) for name in a)


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_weights_and_answers_are_the_same(make_samples, in_files, kind):
    more = {"further": True} if kind == "doury_unet" else {}
    train, check = make_samples(48, **more), make_samples(20, seed=1, name="validation", **more)
    model = MODELS.get(kind)
    fitted = []
    for splits, given in (((train, check), context()), ((in_files(train), in_files(check)), context(budget=BUDGET))):
        made = model(model.Config(**QUICK | SMALL[kind])).fit(*splits, given)
        fitted.append((made, made.predict(splits[1], given).parameters["mean"]))
    assert same(fitted[0][0], fitted[1][0])
    np.testing.assert_array_equal(fitted[0][1], fitted[1][1])


def test_a_constraint_looks_at_inputs_block_by_block(nested, in_files, monkeypatch):
    monkeypatch.setattr("pipeline.training.streamed.BLOCK", 64)
    train = nested.samples(amounts=True)
    train.inputs[37, 1, 0, 0] = -3.0
    model = MODELS.get("unet")
    options = QUICK | SMALL["unet"] | {"loss": "mse", "constraint": {"kind": "multiplicative"}}
    with pytest.raises(DataError, match="expected coarse values that are not negative, got -9"):
        model(model.Config(**options)).fit(in_files(train), in_files(train), context(budget=BUDGET))
