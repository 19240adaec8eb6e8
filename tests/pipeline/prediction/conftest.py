import numpy as np
import pytest

from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import from_quantiles

SHAPE = (6, 2, 3, 2)
MEMBERS = 4
CLASSES = 3
LEVELS = 7


def _make(family, *, seed=0, shape=SHAPE, members=MEMBERS, dtype=np.float64):
    rng = np.random.default_rng(seed)
    mean = rng.normal(3.0, 2.0, (members, *shape))
    sd = rng.uniform(0.3, 2.5, (members, *shape))
    weight = np.moveaxis(np.random.default_rng(seed + 100).dirichlet(np.ones(members), shape), -1, 0)
    gamma = {
        "wet": rng.uniform(0.1, 1.0, (members, *shape)),
        "shape": rng.uniform(0.3, 3.0, (members, *shape)),
        "scale": rng.uniform(0.5, 5.0, (members, *shape)),
    }
    steps = np.cumsum(rng.uniform(0.1, 1.0, (LEVELS, *shape)), axis=0)
    parameters = {
        "quantiles": from_quantiles(mean[0] + steps),
        "weighted_mixture": {"weight": weight, "mean": mean, "sd": sd, "centre": (weight * mean).sum(axis=0)[None]},
        "point": {"mean": mean[0]},
        "normal": {"mean": mean[0], "sd": sd[0]},
        "mixture": {"mean": mean, "sd": sd},
        "members": {"members": mean},
        "bernoulli_gamma": {name: values[0] for name, values in gamma.items()},
        "bernoulli_gamma_mixture": gamma,
        "categorical_mixture": {
            "probabilities": np.moveaxis(rng.dirichlet(np.ones(CLASSES), shape), -1, 0),
            "expected_entropy": rng.uniform(0.0, 0.01, shape),
        },
        "categorical": {"probabilities": np.moveaxis(rng.dirichlet(np.ones(CLASSES), shape), -1, 0)},
    }[family]
    return Prediction(family, {name: values.astype(dtype) for name, values in parameters.items()})


@pytest.fixture(scope="session")
def make_prediction():
    """Factory of predictions of each family, the same for the same seed."""
    return _make


@pytest.fixture(scope="session")
def truth():
    """Truths of the shape of the predictions."""
    return np.random.default_rng(9).normal(3.0, 3.0, SHAPE)
