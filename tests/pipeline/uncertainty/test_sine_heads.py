"""The heteroscedastic sine: ``y = sin x + s(x) e`` with ``s = .1 + .3 |sin x|``, whose best answer is known.

The law itself, ``N(sin x, s(x)^2)``, has the CRPS E s / sqrt(pi) = .1687 and the likelihood E log s + 1.419 = .159 nat.
What a method says is held against it on the same 100 000 samples, so that what chance puts into the truth is in both:
the error of a ratio is then 1e-4 for the CRPS and 1e-3 for the likelihood. With one deviation for all x, the best there
is, a forecast has 2.3 % more CRPS: within 2 % is no proof of a spread that was learned, so half a percent is asked for.

Noise recovered: root mean square over samples of the relative error of the deviation, in the inside of the domain,
|x| <= 2.8, where there are data on both sides. Over eight seeds networks came within 2.0 to 3.5 % there (normal), over
four within 1.8 to 2.3 % (mixture) and 2.3 to 3.2 % (quantiles), of the CRPS within .13 % and of the likelihood within
1.2 %.
"""

import numpy as np
import pytest

from models.mlp import MLP
from models.noise_unet import NoiseUNet, NoiseUNetConfig
from pipeline.prediction import Prediction
from pipeline.uncertainty.engression import Engression, EngressionConfig
from pipeline.uncertainty.heteroscedastic import Heteroscedastic, HeteroscedasticConfig
from pipeline.uncertainty.quantile_regression import QuantileRegression

INSIDE = 2.8
NETWORK = {"hidden": (64, 64), "batch_size": 2000, "epochs": 30, "lr": 1e-2}


def noise(x):
    return 0.1 + 0.3 * np.abs(np.sin(x))


def oracle(x, sd=None):
    """Return the law itself, or one with another deviation."""
    parts = {"mean": np.sin(x), "sd": noise(x) if sd is None else np.full_like(x, sd)}
    return Prediction("normal", {name: part[:, None, None, None] for name, part in parts.items()})


@pytest.fixture(scope="module")
def world(make_numbers):
    """Function that returns samples, their x and their y: ``world(count, seed)``."""

    def draw(count, seed, name="train"):
        random = np.random.default_rng([5, seed])
        x = random.uniform(-3.0, 3.0, count)
        y = (np.sin(x) + noise(x) * random.standard_normal(count)).astype(np.float32)
        return make_numbers(x[:, None], y, name, dtype=np.float32, dated=False), x, y

    return draw


@pytest.fixture(scope="module")
def test_split(world):
    return world(100_000, 2, "test")


@pytest.fixture
def refitted(world, member_source, context):
    """Function that fits a method of another head on 100 000 samples; the model that it starts from plays no part."""

    def fit(method, **options):
        train, validation = world(100_000, 0)[0], world(20_000, 1, "validation")[0]
        options = {**NETWORK, "loss": "mse", **options}
        source = member_source(MLP, options, train.take(slice(0, 64)), validation, context)
        return method.fit(source, train, validation, context)

    return fit


def over(name, said, law, y, scores_of, fair=False):
    """Return by how much the score of ``said`` is above that of the law, as a share of it."""
    found, best = scores_of("crps_fair" if fair else name, said, y), scores_of(name, law, y)
    return found.mean() / best.mean() - 1.0


def relative_error(said, x):
    """Return the root mean square of the relative error of the deviation, inside."""
    found = np.sqrt(said.variance()[:, 0, 0, 0])
    return np.sqrt(((found / noise(x) - 1.0)[np.abs(x) <= INSIDE] ** 2).mean())


def test_the_law_has_the_scores_of_the_closed_form(test_split, scores_of):
    _, x, y = test_split
    assert scores_of("crps", oracle(x), y).mean() == pytest.approx(0.16866, rel=0.01)  # 4 deviations of the mean
    assert scores_of("nll", oracle(x), y).mean() == pytest.approx(0.15931, abs=4 * 0.72 / 100_000**0.5)
    # The best that one deviation for all x can do is not good enough for what is asked below.
    least = min(over("crps", oracle(x, sd), oracle(x), y, scores_of) for sd in (0.24, 0.26, 0.28, 0.3, 0.32))
    assert 0.01 < least < 0.03


@pytest.mark.parametrize(
    "method",
    [
        Heteroscedastic(),
        pytest.param(Heteroscedastic(HeteroscedasticConfig(loss="mixture_nll")), marks=pytest.mark.slow),
    ],
    ids=["normal_nll", "mixture_nll"],
)
def test_heads_of_a_likelihood_recover_the_noise(method, refitted, test_split, scores_of, context):
    test, x, y = test_split
    said = refitted(method).predict(test, context)
    assert relative_error(said, x) < 0.05
    assert np.sqrt(((said.mean()[:, 0, 0, 0] - np.sin(x)) ** 2).mean()) < 0.02
    assert over("crps", said, oracle(x), y, scores_of) < 0.005
    assert over("nll", said, oracle(x), y, scores_of) < 0.02


@pytest.mark.slow
def test_quantiles_recover_the_noise(refitted, test_split, scores_of, context):
    test, x, y = test_split
    said = refitted(QuantileRegression(), epochs=50).predict(test, context)
    assert relative_error(said, x) < 0.05
    assert over("crps", said, oracle(x), y, scores_of) < 0.005
    z = {0.1: -1.28155, 0.5: 0.0, 0.9: 1.28155}
    for level, normal in z.items():
        error = (said.quantile(level)[:, 0, 0, 0] - np.sin(x)) / noise(x) - normal
        assert np.sqrt((error[np.abs(x) <= INSIDE] ** 2).mean()) < 0.1  # in deviations of the noise


def pooled_error(said, x, bins=14):
    """Return the same of members, whose deviations are too few draws to be compared one by one: bin by bin of x."""
    variance = said.members[:, :, 0, 0, 0].var(axis=0, ddof=1)
    place = np.digitize(x, np.linspace(-INSIDE, INSIDE, bins + 1))
    chosen = [place == number for number in range(1, bins + 1)]
    ratios = [np.sqrt(variance[part].mean() / (noise(x[part]) ** 2).mean()) for part in chosen]
    return np.sqrt(((np.asarray(ratios) - 1.0) ** 2).mean())


@pytest.fixture
def engression(world, member_source, context):
    """Function that returns 50 members for 4000 samples, of engression on a network with that loss, and x and y."""

    def predict(loss):
        train, validation = world(40_000, 0)[0], world(4000, 1, "validation")[0]
        test, x, y = world(4000, 2, "test")
        options = {**NETWORK, "batch_size": 1000, "epochs": 20, "loss": loss}
        source = member_source(MLP, options, train, validation, context)
        method = Engression(EngressionConfig(epochs=20, draws=50)).fit(source, train, validation, context)
        return method.predict(test, context), x, y

    return predict


# Draws have a part in what follows: some .2 % of the CRPS, 1 % of the deviation in a bin.


@pytest.mark.slow
def test_engression_has_the_noise_that_its_network_answers(engression, scores_of):
    said, x, y = engression("normal_nll")
    assert over("crps", said, oracle(x), y, scores_of, fair=True) < 0.01
    assert pooled_error(said, x) < 0.07


@pytest.mark.slow
def test_engression_of_a_mean_alone_knows_the_size_of_the_noise_and_not_where_it_is(engression, scores_of):
    """Noise that goes in shows where the network is steep, and this noise is largest where it is flat."""
    said, x, y = engression("mse")
    assert 0.015 < over("crps", said, oracle(x), y, scores_of, fair=True) < 0.04
    assert np.sqrt(said.variance().mean()) == pytest.approx(np.sqrt((noise(x) ** 2).mean()), rel=0.1)


@pytest.mark.slow
def test_a_network_fed_with_noise_recovers_it(world, context, scores_of):
    """From the CRPS of two members a sample: over seeds 0.7 to 1.0 % above the law, deviations 9 to 15 % off."""
    train, validation = world(20_000, 0)[0], world(4000, 1, "validation")[0]
    test, x, y = world(4000, 2, "test")
    options = {"width": 16, "depth": 1, "epochs": 30, "batch_size": 500, "lr": 5e-3, "draws": 50}
    said = NoiseUNet(NoiseUNetConfig(**options)).fit(train, validation, context).predict(test, context)
    assert over("crps", said, oracle(x), y, scores_of, fair=True) < 0.015
    assert pooled_error(said, x) < 0.2
