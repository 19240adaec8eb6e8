"""How much members disagree, beside what they are unsure of alike."""

import numpy as np
import pytest

from pipeline.metrics import Case
from pipeline.novelty.disagreement import epistemic_share, share_of
from pipeline.prediction import Prediction
from pipeline.prediction.categorical import Categorical
from pipeline.prediction.categorical_mixture import CategoricalMixture


def case_of(family, **parameters):
    prediction = Prediction(family, parameters)
    shape = next(iter(parameters.values())).shape[-2:]
    return Case(prediction, np.zeros(shape), Prediction("point", {"mean": np.zeros(shape)}))


def test_the_share_of_the_variance_between_members_is_that_of_a_loop():
    rng = np.random.default_rng(1)
    mean, sd, weights = rng.normal(size=(4, 5, 6)), rng.uniform(0.5, 2, (4, 5, 6)), rng.uniform(1, 2, 6)
    found = epistemic_share(case_of("mixture", mean=mean, sd=sd), weights)
    for day in range(5):
        between = sum(w * np.var(mean[:, day, k]) for k, w in enumerate(weights))
        within = sum(w * np.mean(sd[:, day, k] ** 2) for k, w in enumerate(weights))
        np.testing.assert_allclose(found[day], between / (between + within), rtol=1e-6)


def test_cells_without_an_answer_do_not_count_and_a_day_without_any_is_missing():
    mean, sd = np.zeros((2, 2, 3)), np.ones((2, 2, 3))
    mean[0] = 2.0
    mean[:, 0, 1] = np.nan
    mean[:, 1] = np.nan
    sd = np.where(np.isnan(mean), np.nan, sd)
    found = epistemic_share(case_of("mixture", mean=mean, sd=sd), np.ones(3))
    np.testing.assert_allclose(found, [0.5, np.nan])


@pytest.mark.parametrize("family", ["normal", "point", "members"])
def test_what_has_not_both_variances_has_no_share(family):
    parts = {"normal": {"mean": np.zeros((3, 2)), "sd": np.ones((3, 2))}, "point": {"mean": np.zeros((3, 2))}}
    case = case_of(family, **parts.get(family, {"members": np.zeros((4, 3, 2))}))
    assert epistemic_share(case, np.ones(2)) is None


def of_classes(chances):
    """Return a case of what members that answer ``chances``, (member, class, time, cell), say together."""
    made = CategoricalMixture().mix(
        [
            {"probabilities": p, "expected_entropy": Categorical().uncertainties({"probabilities": p})[0]}
            for p in chances
        ]
    )
    return case_of("categorical_mixture", **made)


def test_the_share_of_classes_is_that_of_a_loop():
    rng = np.random.default_rng(2)
    chances = rng.dirichlet(np.ones(3), (4, 5, 6)).transpose(0, 3, 1, 2)  # member, class, time, cell
    weights = rng.uniform(1, 2, 6)
    found = epistemic_share(of_classes(chances), weights)

    def entropy(p):
        return -sum(one * np.log(one) for one in p)

    for day in range(5):
        whole = sum(w * entropy(chances[:, :, day, k].mean(axis=0)) for k, w in enumerate(weights))
        own = sum(w * np.mean([entropy(chances[m, :, day, k]) for m in range(4)]) for k, w in enumerate(weights))
        np.testing.assert_allclose(found[day], (whole - own) / whole, rtol=1e-6)


def test_members_that_agree_have_none_and_sure_ones_that_differ_have_all():
    sure, other = np.array([1.0, 0.0]).reshape(2, 1, 1), np.array([0.0, 1.0]).reshape(2, 1, 1)
    even = np.array([0.3, 0.7]).reshape(2, 1, 1)
    assert epistemic_share(of_classes([even, even, even]), np.ones(1)).tolist() == [pytest.approx(0.0, abs=1e-12)]
    assert epistemic_share(of_classes([sure, other]), np.ones(1)).tolist() == [1.0]
    assert np.isnan(epistemic_share(of_classes([sure, sure]), np.ones(1))).all()  # nothing is uncertain


def test_shares_of_validation():
    known = np.array([0.1, np.nan, 0.3, 0.2])
    np.testing.assert_allclose(share_of(np.array([0.0, 0.25, 9.0, np.nan]), known), [0.0, 0.5, 0.75, np.nan])
    assert np.isnan(share_of(np.ones(2), np.full(3, np.nan))).all()
