"""Problems whose posterior is known, as uncertainty methods see them: a network, its loss and its data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.backend import get_backend
from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.samples import Samples, Schema
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors
from pipeline.training.losses import Place, make_loss
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import WHOLE
from pipeline.uncertainty.parts import lesson

FEATURES = 40  # names of channels, of which a network may have fewer


class OneCell(nn.Module):
    """A network of numbers as those of the pipeline are: (time, channel, 1, 1) to (time, parameter, 1, 1)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs):
        return self.inner(inputs.flatten(1))[:, :, None, None]


class Numbers(Model):
    """A model with one target cell, whose network is given; fitted already, or by what is asked for."""

    traits = frozenset({"seeded", "probabilistic", "trainable"})

    def __init__(self, build, loss="mse", config=None, dtype=torch.float64):
        super().__init__(config or TrainingConfig(batch_size=32))
        self.build, self.spec, self.dtype = build, loss, dtype
        self.network = OneCell(build()).to(dtype).eval()

    def fit(self, train, validation, context):
        from pipeline.training import loop

        with seeded(context.seed_for("weights")):
            self.network = OneCell(self.build()).to(self.dtype)
        tensors = [self.tensors(samples) for samples in (train, validation)]
        loop.train(self.network, *tensors, make_loss(self.spec), self.config, seed=context.seed_for("training"))
        return self

    def tensors(self, samples):
        inputs, target = (
            torch.as_tensor(np.array(part), dtype=self.dtype) for part in (samples.inputs, samples.target)
        )
        place = Place(area=torch.ones(1, dtype=self.dtype), index=torch.arange(1), shape=(1, 1))
        return Tensors(inputs, target[..., 0], place)

    def answer(self, network, samples):
        loss = make_loss(self.spec)
        with torch.no_grad():
            said = loss.distribution(network(self.tensors(samples).inputs))
        return Prediction(loss.family, {name: part[..., None].numpy() for name, part in said.items()})

    def predict(self, inputs, context):
        return self.answer(self.network.eval(), inputs)

    def trainable(self, context):
        def fresh(seed):
            with seeded(seed):
                return OneCell(self.build()).to(self.dtype)

        return Trainable(
            network=self.network.eval(),
            channels=tuple(f"x{number}" for number in range(FEATURES)),
            loss=make_loss(self.spec),
            config=self.config,
            augment=None,
            tensors=self.tensors,
            answer=self.answer,
            fresh=fresh,
            with_loss=lambda loss: Numbers(self.build, loss, self.config, self.dtype),
        )

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, context):
        raise NotImplementedError


@pytest.fixture
def context():
    return Context(get_backend("cpu"), seed=7, name="numbers")


@pytest.fixture(scope="session")
def numbers_model():
    """Return the model of one cell: ``numbers_model(build, loss, config)``."""
    return Numbers


@pytest.fixture(scope="session")
def make_numbers():
    """Factory of samples of features (time, feature) and one target (time,), float64 unless asked otherwise."""
    return _samples


def _samples(features, target, name="train", *, dtype=np.float64, dated=True):
    """Return samples of one cell; without dates each of them is a block of its own."""
    features, target = np.asarray(features, dtype), np.asarray(target, dtype)
    grid = Grid(np.zeros(1), np.zeros(1))
    schema = Schema(
        channels=tuple(f"x{number}" for number in range(features.shape[1])),
        channel_units=("1",) * features.shape[1],
        targets=("y",),
        target_units=("K",),
        input_grid=grid,
        target_grid=grid,
        mask=np.ones((1, 1), bool),
        static=np.zeros((0, 1, 1), np.float32),
        statics=(),
        step=np.timedelta64(1, "D"),
    )
    count = len(features)
    return Samples(
        name=name,
        inputs=features[:, :, None, None],
        target=target[:, None, None, None],
        previous=None,
        time=np.datetime64("1990-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")
        if dated
        else np.arange(count),
        day=(np.arange(count) % 365) / 365.0,
        schema=schema,
    )


@pytest.fixture(scope="session")
def member_source():
    """Factory of a source of members, each fitted when it is first asked for; see `_source`."""
    return _source


def _source(kind, options, train, validation, context):
    """Return what methods get: ``source(count, part)`` fits models of ``kind`` as an experiment would."""
    found = {}

    def members(count, part=WHOLE):
        for number in range(count):
            if (part, number) not in found:
                one = lesson(part, train, validation, seed=context.seed, member=number)
                within = replace(context, member=number, part=part.name)
                model = kind(kind.Config.model_validate(options))
                found[part, number] = model.fit(one.train, one.validation, within)
        return [found[part, number] for number in range(count)]

    return members


@pytest.fixture(scope="session")
def scores_of():
    """Function that scores a prediction of one cell sample by sample, by the metric's name."""
    return _scores_of


def _scores_of(name, prediction, truth):
    """Return the terms of a metric, shape (time,), whose mean is the score."""
    cells = Prediction(prediction.family, {key: part[..., 0, 0] for key, part in prediction.parameters.items()})
    truth = np.asarray(truth, np.float64)[:, None]
    (terms,) = METRICS.get(name)().terms(Case(cells, truth, Prediction("point", {"mean": 0.0 * truth})))
    return np.asarray(terms, np.float64)[:, 0]


@dataclass(frozen=True)
class LinearProblem:
    """Bayesian linear regression: y = X w + noise of known variance, prior N(0, 1 / prior) on every weight.

    The network is the fitted least-squares solution with that prior, so that the mode of the posterior is known to the
    last digit; noise is what the squared error of that solution says, as methods see it.
    """

    features: np.ndarray
    target: np.ndarray
    prior: float
    mean: np.ndarray
    covariance: np.ndarray
    noise: float
    model: Numbers
    samples: Samples


@pytest.fixture
def linear_problem():
    """Return the problem with ``count`` samples of ``width`` correlated features; no bias."""

    def make(count=60, width=4, prior=2.0, seed=0, correlated=True):
        random = np.random.default_rng(seed)
        features = random.normal(size=(count, width))
        if correlated:
            features = features @ (np.eye(width) + 0.3 * random.normal(size=(width, width)))
        target = features @ random.normal(size=width) + 0.5 * random.normal(size=count)
        # The variance of the errors is that of the mode, which depends on it: a fixed point.
        noise = 0.25
        for _ in range(200):
            precision = features.T @ features / noise + prior * np.eye(width)
            mean = np.linalg.solve(precision, features.T @ target / noise)
            noise = float(((target - features @ mean) ** 2).mean())
        model = Numbers(lambda: nn.Linear(width, 1, bias=False))
        with torch.no_grad():
            model.network.inner.weight.copy_(torch.tensor(mean[None]))
        samples = _samples(features, target)
        return LinearProblem(features, target, prior, mean, np.linalg.inv(precision), noise, model, samples)

    return make


@pytest.fixture(scope="session")
def covariance():
    """Return a function: a fitted Laplace method and a layer to the covariance of weights that draws are made of."""
    return _covariance


def _covariance(method, name="inner"):
    arrays, prior = method.arrays, float(method.arrays["prior"])
    values = 1.0 / (arrays[f"{name}/values"] + prior)
    if f"{name}/vectors" in arrays:
        vectors = arrays[f"{name}/vectors"]
        return (vectors * values) @ vectors.T
    if f"{name}/outputs" in arrays:
        joint = torch.kron(arrays[f"{name}/outputs"].contiguous(), arrays[f"{name}/inputs"].contiguous())
        return (joint * values.flatten()) @ joint.T
    return torch.diag(values)
