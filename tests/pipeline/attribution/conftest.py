from dataclasses import replace

import numpy as np
import pytest

from pipeline.attribution import Case
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.question import Question
from pipeline.backend import get_backend
from pipeline.grid import Grid
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.samples import Samples, Schema

TIMES, CHANNELS, SHAPE = 60, ("a", "a@-1", "b"), (3, 4)


class Formula(Model):
    """A torch module as a model; the mean of every cell is that of the module."""

    traits = frozenset({"differentiable"})

    def __init__(self, module):
        super().__init__()
        self.module = module.eval()
        self.asked = 0

    def fit(self, train, validation, context):
        return self

    def network(self, samples, context, quantity=None):
        return self.module

    def predict(self, inputs, context):
        import torch

        self.asked += 1
        with torch.no_grad():
            mean = self.module(torch.from_numpy(np.asarray(inputs.inputs))).numpy()
        return Prediction("point", {"mean": mean})

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, context):
        raise NotImplementedError


@pytest.fixture
def formula():
    return Formula


@pytest.fixture
def context():
    return Context(get_backend("cpu"), seed=3, name="fake")


@pytest.fixture
def samples():
    grid = Grid(np.array([60.0, 40.0, 20.0]), np.arange(4.0))
    mask = np.ones(SHAPE, bool)
    mask[0, 0] = False
    schema = Schema(
        channels=CHANNELS,
        channel_units=("K", "K", "1"),
        targets=("tas",),
        target_units=("degC",),
        input_grid=grid,
        target_grid=grid,
        mask=mask,
        static=np.zeros((0, *SHAPE), np.float32),
        statics=(),
        step=np.timedelta64(1, "D"),
    )
    random = np.random.default_rng(0)
    time = np.datetime64("2001-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "D")
    return Samples(
        name="test",
        inputs=random.normal(size=(TIMES, len(CHANNELS), *SHAPE)).astype(np.float32),
        target=random.normal(size=(TIMES, 1, *SHAPE)).astype(np.float32),
        previous=None,
        time=time,
        day=np.linspace(0, 0.16, TIMES),
        schema=schema,
    )


@pytest.fixture
def question(samples):
    """The mean over the mask in degC; the scale outside of it is not a number, as nobody may read it."""
    weights = np.where(samples.schema.mask, samples.schema.target_grid.area, 0.0)
    scale = np.where(samples.schema.mask, np.linspace(0.5, 2.0, 12).reshape(SHAPE), np.nan)
    return Question((weights / weights.sum())[None], scale[None], "degC", "mean tas over 11 cells")


@pytest.fixture
def case(samples, question, context):
    """Return a function from a model to the case of it; the baseline is made of the explained days themselves."""

    def make(model, samples=samples, question=question, baseline="zero", **further):
        start = make_baseline(baseline, samples, samples, 8, context)
        return Case(model, samples, question, context, start, **further)

    return make


@pytest.fixture
def with_truth(samples):
    """Return a function that gives the samples another target."""
    return lambda target: replace(samples, target=target)
