"""Golden numbers of the heteroscedastic sine: truth and members are draws of one law, N(0, s(x)^2).

With s(x) = .1 + .3 |sin x|, x uniform in (-3, 3), and 400 000 samples. The fair score of any number of members is that
of the law, E s / sqrt(pi); the plain one is E s / sqrt(pi) (1 + 1 / M), since two draws of the law are 2 s / sqrt(pi)
apart. Tolerances are five deviations of the mean of so many samples, or 1 %, whichever is less.
"""

import numpy as np
import pytest
import scipy.integrate

from pipeline.metrics import METRICS, Case
from pipeline.prediction import Prediction

SAMPLES = 400_000
GOLDEN = {  # members: plain CRPS, fair CRPS, spread / error as it is and corrected, of one run of another program
    2: (0.25261, 0.16837, 0.8174, 1.0011),
    5: (0.20218, 0.16847, 0.9134, 1.0006),
    10: (0.18535, 0.16849, 0.9545, 1.0010),
    50: (0.17187, 0.16849, 0.9911, 1.0010),
}
GOLDEN_ORACLE, GOLDEN_NLL = 0.16866, 0.15931  # E s / sqrt(pi) and the likelihood of the law, of the same run


def _mean(function):
    """Return the mean of a function of s over x."""

    def of_x(x):
        return function(0.1 + 0.3 * np.sin(x))

    return scipy.integrate.quad(of_x, 0.0, 3.0)[0] / 3.0


ORACLE = _mean(lambda s: s) / np.sqrt(np.pi)
ORACLE_NLL = 0.5 * np.log(2 * np.pi) + 0.5 + _mean(np.log)


def _world(seed):
    rng = np.random.default_rng([23, seed])
    sd = (0.1 + 0.3 * np.abs(np.sin(rng.uniform(-3.0, 3.0, (SAMPLES, 1))))).astype(np.float32)
    return rng, sd, (sd * rng.standard_normal(sd.shape, np.float32))


def _case(prediction, truth):
    return Case(prediction, truth, Prediction("normal", {"mean": 0.0 * truth, "sd": np.full_like(truth, 0.3)}))


@pytest.fixture(scope="module", params=GOLDEN)
def ensemble(request):
    """The number of members, and a case of them."""
    rng, sd, truth = _world(request.param)
    members = rng.standard_normal((request.param, *sd.shape), np.float32)
    members *= sd
    return request.param, _case(Prediction("members", {"members": members}), truth)


def _near(name, case, expected):
    """Hold a score to within five deviations of its mean and 1 %."""
    (terms,) = METRICS.get(name)().terms(case)
    error = float(np.std(terms)) / np.sqrt(SAMPLES)
    assert float(np.mean(terms)) == pytest.approx(expected, abs=min(5.0 * error, 0.01 * expected))


def test_the_closed_forms_are_those_that_are_known():
    assert pytest.approx(GOLDEN_ORACLE, rel=2e-3) == ORACLE
    assert pytest.approx(GOLDEN_NLL, rel=2e-3) == ORACLE_NLL


def test_the_fair_score_has_no_bias(ensemble):
    size, case = ensemble
    _near("crps_fair", case, ORACLE)
    assert GOLDEN[size][1] == pytest.approx(ORACLE, rel=0.01)


def test_the_plain_score_pays_for_few_members(ensemble, score):
    size, case = ensemble
    _near("crps", case, ORACLE * (1 + 1 / size))
    assert float(score("crps", case, np.ones(1))) == pytest.approx(GOLDEN[size][0], rel=0.01)


def test_spread_is_the_error_once_corrected(ensemble, score):
    size, case = ensemble
    _, _, raw, corrected = GOLDEN[size]
    found = float(score("spread_skill", case, np.ones(1)))
    assert found == pytest.approx(corrected, abs=0.01)
    # As it is: the variance with a divisor of M - 1, nothing for the error of the members' mean.
    assert found * np.sqrt(size / (size + 1)) == pytest.approx(raw, abs=0.01)
    members, truth = case.prediction.parameters["members"][:, :50_000].astype(float), case.truth[:50_000]
    plain = np.sqrt(members.var(axis=0, ddof=1).mean() / ((members.mean(axis=0) - truth) ** 2).mean())
    assert plain == pytest.approx(raw, abs=0.02)


def test_the_law_itself_has_the_oracle_s_scores():
    _, sd, truth = _world(0)
    case = _case(Prediction("normal", {"mean": 0.0 * truth, "sd": sd}), truth)
    _near("crps", case, ORACLE)
    _near("nll", case, ORACLE_NLL)
    # A draw of the law is outside its 90 % interval in a tenth of the cases: 4 phi(z) / a sd a sample.
    z = 1.6448536
    for name, factor in (("interval_score_90", 4 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / 0.1),):
        _near(name, case, factor * _mean(lambda s: s))


def test_a_perfect_forecast_scores_perfect(score):
    _, _, truth = _world(1)
    perfect = Prediction("members", {"members": np.stack([truth] * 3)})
    case = _case(perfect, truth)
    for name in ("crps", "crps_fair", "twcrps_q90", "interval_score_50", "interval_score_90"):
        assert float(score(name, case, np.ones(1))) == 0.0
