import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from pipeline.metrics.classes.probabilities import FLOOR

AREA = np.linspace(0.2, 1.8, 40)


@pytest.fixture(params=[None, AREA], ids=["cells", "area"])
def case(request, make_class_case):
    return make_class_case(missing=0.1, weights=request.param)


def test_log_loss_is_that_of_sklearn(case, class_score, flat):
    truth, _, chance, weights = flat(case)
    overall, each = class_score("log_loss", case)
    assert overall == pytest.approx(log_loss(truth, chance, sample_weight=weights), rel=1e-9)
    for of in range(3):
        here = truth == of
        expected = log_loss(truth[here], chance[here], sample_weight=weights[here], labels=[0, 1, 2])
        assert each[of] == pytest.approx(expected, rel=1e-9)


def test_a_class_without_a_chance_costs_what_float32_can_say(make_class_case, class_score):
    overall, each = class_score("log_loss", make_class_case([[0, 1]], [[0, 0]]))
    np.testing.assert_allclose(each, [0.0, -np.log(FLOOR), np.nan])
    assert overall == pytest.approx(0.5 * 15.942, abs=1e-3)
    assert np.float32(FLOOR) == np.finfo(np.float32).eps


def test_brier_is_that_of_sklearn(case, class_score, flat):
    truth, _, chance, weights = flat(case)
    overall, each = class_score("brier", case)
    for of in range(3):
        expected = brier_score_loss(truth == of, chance[:, of], sample_weight=weights)
        assert each[of] == pytest.approx(expected, rel=1e-9)
    square = ((chance - (truth[:, None] == np.arange(3))) ** 2).sum(axis=1)
    assert overall == pytest.approx(np.average(square, weights=weights), rel=1e-9)
    assert overall == pytest.approx(each.sum(), rel=1e-12)


def test_the_worst_brier_score_is_two(make_class_case, class_score):
    assert class_score("brier", make_class_case([[0, 1]], [[1, 2]]))[0] == 2.0
