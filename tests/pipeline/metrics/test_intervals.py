import numpy as np
import pytest

from pipeline.metrics import Case
from pipeline.prediction import Prediction

ONES = np.ones(6)


@pytest.mark.parametrize("percent", [50, 90, 95])
@pytest.mark.parametrize("family", ["normal", "mixture"])
def test_a_true_distribution_covers_what_it_says(percent, family, make_case, score):
    case = make_case(family, n=4000)
    assert score(f"coverage_{percent}", case, ONES) == pytest.approx(percent / 100, abs=0.01)


@pytest.mark.parametrize(("percent", "z"), [(50, 0.6744898), (90, 1.6448536), (95, 1.9599640)])
def test_width_is_the_distance_of_the_quantiles(percent, z, make_case, score):
    case = make_case("normal")
    sd = case.prediction.parameters["sd"][np.isfinite(case.truth)]
    assert score(f"width_{percent}", case, ONES) == pytest.approx(2 * z * sd.mean(), rel=1e-6)


def test_the_interval_is_closed(score):
    members = np.array([0.0, 1.0, 2.0, 3.0, 4.0]).reshape(5, 1, 1)
    usual = Prediction("point", {"mean": np.zeros((1, 1))})
    for truth, inside in ((1.0, 1.0), (3.0, 1.0), (0.999, 0.0), (3.001, 0.0)):
        case = Case(Prediction("members", {"members": members}), np.full((1, 1), truth), usual)
        assert score("coverage_50", case, np.ones(1)) == inside


def test_an_interval_that_is_missing_is_not_a_miss(make_case, score):
    case = make_case("normal", missing=0.0)
    case.prediction.parameters["sd"][3, 2] = np.nan
    assert np.isnan(score("coverage_90", case, ONES))
    assert np.isfinite(np.delete(score("coverage_90", case), 2)).all()
