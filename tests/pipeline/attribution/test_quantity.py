"""What of a prediction is explained: values against formulas, gradients against differences, refusals."""

import numpy as np
import pytest
import torch

from pipeline.attribution.quantity import QUANTITIES, check_quantity, value
from pipeline.errors import ConfigError
from pipeline.prediction import Prediction

SHAPE = (3, 2, 5)


def drawn(low, high, seed, shape=SHAPE):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(shape, dtype=torch.float64, generator=random) * (high - low) + low


NORMAL = {"mean": drawn(-1, 1, 0), "sd": drawn(0.5, 2, 1)}
GAMMA = {"wet": drawn(0.2, 0.8, 2), "shape": drawn(0.5, 3, 3), "scale": drawn(0.5, 2, 4)}
MIXTURE = {"mean": drawn(-1, 1, 5, (4, *SHAPE)), "sd": drawn(0.5, 2, 6, (4, *SHAPE))}
CLASSES = {"probabilities": drawn(-2, 2, 7, (3, *SHAPE[:1], 1, SHAPE[2])).softmax(0)}
LIMIT = drawn(0.5, 1.5, 8, SHAPE[1:])


@pytest.mark.parametrize(
    ("quantity", "family", "parameters", "wanted"),
    [
        ("mean", "normal", NORMAL, NORMAL["mean"]),
        ("log_variance", "normal", NORMAL, 2 * NORMAL["sd"].log()),
        ("exceedance", "normal", NORMAL, 1 - torch.special.ndtr((LIMIT - NORMAL["mean"]) / NORMAL["sd"])),
        ("mean", "bernoulli_gamma", GAMMA, GAMMA["wet"] * GAMMA["shape"] * GAMMA["scale"]),
        ("rain_probability", "bernoulli_gamma", GAMMA, GAMMA["wet"]),
        ("rain_amount", "bernoulli_gamma", GAMMA, GAMMA["shape"] * GAMMA["scale"]),
        (
            "exceedance",
            "bernoulli_gamma",
            GAMMA,
            GAMMA["wet"] * torch.special.gammaincc(GAMMA["shape"], LIMIT / GAMMA["scale"]),
        ),
        (
            "exceedance",
            "mixture",
            MIXTURE,
            1 - torch.special.ndtr((LIMIT - MIXTURE["mean"]) / MIXTURE["sd"]).mean(0),
        ),
        ("probability", "categorical", CLASSES, CLASSES["probabilities"][:, :, 0].movedim(0, 1)),
        ("log_odds", "categorical", CLASSES, torch.logit(CLASSES["probabilities"][:, :, 0].movedim(0, 1))),
    ],
)
def test_values_and_gradients(quantity, family, parameters, wanted):
    asked = {name: part.clone().requires_grad_() for name, part in parameters.items()}
    threshold = LIMIT if QUANTITIES[quantity].threshold else None
    found = value(quantity, Prediction(family, asked), threshold)
    torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-6, atol=1e-7)
    host = value(quantity, Prediction(family, {n: p.numpy() for n, p in parameters.items()}), LIMIT.numpy())
    np.testing.assert_allclose(host, wanted, rtol=1e-6, atol=1e-7)  # NumPy in, the same out
    for name, part in asked.items():
        (slope,) = torch.autograd.grad(found.sum(), part, retain_graph=True, allow_unused=True)
        if slope is None:
            continue
        step = 1e-5
        moved = [
            value(quantity, Prediction(family, {**parameters, name: parameters[name] + sign * step}), threshold).sum()
            for sign in (1, -1)
        ]
        assert float(slope.sum()) == pytest.approx(float(moved[0] - moved[1]) / (2 * step), rel=1e-4, abs=1e-6)


def test_log_odds_stay_finite_where_a_class_is_certain():
    sure = Prediction("categorical", {"probabilities": torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)})
    found = value("log_odds", sure)
    assert found.shape == (1, 2, 1)
    assert torch.isfinite(found).all()
    assert found[0, 0] > 20


def test_an_unknown_quantity_says_what_is_near():
    with pytest.raises(ConfigError, match=r"no quantity 'exceedence'\. Did you mean 'exceedance'\?"):
        check_quantity("exceedence", classes=False)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("log_odds", {"classes": False}, r"predictions of numbers have.*Take mean or log_variance"),
        ("mean", {"classes": True}, r"predictions of classes have.*Take probability or log_odds"),
        ("rain_amount", {"classes": False, "family": "normal"}, r"of the family normal.*Take mean or log_variance"),
        ("log_variance", {"classes": False, "family": "point"}, r"of the family point have.*Take mean\."),
    ],
)
def test_quantities_that_predictions_do_not_have_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        check_quantity(name, **options)
