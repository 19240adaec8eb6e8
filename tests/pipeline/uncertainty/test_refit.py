"""The same model with another head: what the model itself would be with that loss, and who is refused."""

import numpy as np
import pytest
from pydantic import ValidationError

from models.mlp import MLP, MLPConfig
from models.noise_unet import NoiseUNetConfig
from models.ridge import RidgeConfig
from pipeline.backend import get_backend
from pipeline.model import Context
from pipeline.uncertainty.heteroscedastic import Heteroscedastic, HeteroscedasticConfig
from pipeline.uncertainty.quantile_regression import QuantileRegression, QuantileRegressionConfig

CONTEXT = Context(get_backend("cpu"), seed=3, name="mlp")
OPTIONS = {"epochs": 2, "hidden": (8,), "loss": "mse"}


@pytest.fixture(scope="module")
def world(make_series):
    train, validation, test = (
        make_series(120, seed=seed, name=name) for seed, name in enumerate(("train", "validation", "test"))
    )
    model = MLP(MLPConfig.model_validate(OPTIONS)).fit(train, validation, CONTEXT)
    return train, validation, test, lambda count: [model]


@pytest.mark.parametrize(
    ("method", "loss", "family"),
    [
        (QuantileRegression(QuantileRegressionConfig(count=9)), {"kind": "quantile", "count": 9}, "quantiles"),
        (Heteroscedastic(), "normal_nll", "normal"),
        (Heteroscedastic(HeteroscedasticConfig(loss="mixture_nll")), "mixture_nll", "weighted_mixture"),
    ],
)
def test_it_is_the_model_with_that_loss(method, loss, family, world, tmp_path):
    train, validation, test, members = world
    method.fit(members, train, validation, CONTEXT)
    said = method.predict(test, CONTEXT)
    assert said.family == family
    direct = MLP(MLPConfig.model_validate({**OPTIONS, "loss": loss})).fit(train, validation, CONTEXT)
    for name, values in direct.predict(test, CONTEXT).parameters.items():
        np.testing.assert_array_equal(said.parameters[name], values)
    method.save(tmp_path)
    again = type(method)().load(tmp_path, members, CONTEXT)
    for name, values in said.parameters.items():
        np.testing.assert_array_equal(again.predict(test, CONTEXT).parameters[name], values)
    assert again.config == method.config
    assert method.summary()["epochs"] == 2


def test_the_model_itself_stays_as_it_is(world):
    train, validation, test, members = world
    before = members(1)[0].predict(test, CONTEXT)
    Heteroscedastic().fit(members, train, validation, CONTEXT)
    assert before.family == members(1)[0].predict(test, CONTEXT).family == "point"


def test_models_without_a_choice_of_loss_are_refused():
    message = "expected a model whose loss can be chosen, got one without the option loss. Take deep_ensemble."
    assert QuantileRegression().why_not(RidgeConfig()) == message
    assert QuantileRegression().why_not(MLPConfig()) is None
    found = QuantileRegression().why_not(NoiseUNetConfig())
    assert found.startswith("its options do not go with loss: {'kind': 'quantile', 'count': 39} (")
    assert "expected a loss of members" in found


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuantileRegressionConfig(count=10), "expected an odd number of quantiles, with a median among them, got 10"),
        (lambda: HeteroscedasticConfig(loss="mse"), "expected a loss that answers a distribution of numbers, such as normal_nll, got 'mse'"),
        (lambda: HeteroscedasticConfig(loss="cross_entropy"), "expected a loss that answers a distribution of numbers"),
        (lambda: HeteroscedasticConfig(loss="normal_nl"), "Did you mean 'normal_nll'"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(make, message):
    with pytest.raises(ValidationError, match=message):
        make()
