"""What members that answer classes know together, and what of their doubt is disagreement."""

import array_api_strict
import numpy as np
import pytest

from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction.categorical import entropy


def mixed(*members, dtype=np.float64):
    """Return the mixture of members; each has the probabilities of one cell, or of several side by side."""
    answers = [{"probabilities": np.asarray(member, dtype).reshape(len(member), 1, 1, 1, -1)} for member in members]
    return Prediction("categorical_mixture", FAMILIES.get("categorical")().mix(answers))


def parts(prediction):
    return tuple(float(part.ravel()[0]) for part in prediction.uncertainties())


def by_loops(members):
    """Return expected entropy and mutual information of (member, class, cell), one number at a time."""
    count, classes, cells = members.shape
    expected, information = np.zeros(cells), np.zeros(cells)
    for cell in range(cells):
        mean = [sum(members[m, c, cell] for m in range(count)) / count for c in range(classes)]
        for m in range(count):
            for c in range(classes):
                p = members[m, c, cell]
                expected[cell] -= p * np.log(p) / count
                information[cell] += p * np.log(p / mean[c]) / count  # the divergence of the member from the mean
    return expected, information


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 5])
def test_both_parts_are_those_of_loops_and_add_up_to_the_entropy_of_the_mean(classes, dtype):
    members = np.moveaxis(np.random.default_rng(classes).dirichlet(np.ones(classes), (7, 30)), -1, 1)
    found = mixed(*members, dtype=dtype)
    aleatoric, epistemic = (part.ravel() for part in found.uncertainties())
    expected, information = by_loops(members)
    np.testing.assert_allclose(aleatoric, expected, atol=1e-6)
    np.testing.assert_allclose(epistemic, information, atol=1e-6)
    np.testing.assert_allclose(aleatoric + epistemic, entropy(found.parameters["probabilities"]).ravel(), atol=1e-6)
    assert (epistemic >= 0.0).all()
    assert aleatoric.dtype == epistemic.dtype == dtype


def test_members_that_are_sure_of_different_classes_differ_by_log_two():
    assert parts(mixed([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])) == pytest.approx((0.0, np.log(2.0)))
    assert parts(mixed([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])) == pytest.approx((0.0, np.log(3.0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_members_that_agree_leave_nothing_epistemic(dtype):
    rng = np.random.default_rng(3)
    same = rng.dirichlet(np.ones(4), 500).T
    found = mixed(same, same, same, dtype=dtype)
    aleatoric, epistemic = found.uncertainties()
    np.testing.assert_allclose(aleatoric.ravel(), entropy(same.astype(dtype)), rtol=1e-6, atol=1e-7)
    assert epistemic.min() >= 0.0
    assert epistemic.max() < 1e-6
    assert parts(mixed([0.25, 0.75])) == pytest.approx((np.log(4.0) - 0.75 * np.log(3.0), 0.0))


def test_one_network_has_no_epistemic_part(make_prediction):
    p = make_prediction("categorical")
    aleatoric, epistemic = p.uncertainties()
    np.testing.assert_allclose(aleatoric, entropy(p.parameters["probabilities"]))
    assert epistemic is None
    assert p.variances() == mixed([0.5, 0.5]).variances() == (None, None)


def test_it_answers_as_the_distribution_of_the_mean_probabilities(make_prediction):
    answers = [make_prediction("categorical", seed=seed) for seed in range(4)]
    found = Prediction("categorical_mixture", answers[0].formulas.mix([answer.parameters for answer in answers]))
    mean = np.mean([answer.parameters["probabilities"] for answer in answers], axis=0)
    alone = Prediction("categorical", {"probabilities": mean})
    np.testing.assert_allclose(found.parameters["probabilities"], mean, rtol=1e-12)
    np.testing.assert_array_equal(found.mean(), alone.mean())
    truth = np.random.default_rng(0).integers(0, 3, mean.shape[1:]).astype(float)
    np.testing.assert_allclose(found.nll(truth), alone.nll(truth), rtol=1e-12)
    assert (found.class_count, found.member_count, found.is_categorical, found.members) == (3, 0, True, None)


def test_a_mixture_of_mixtures_is_that_of_all_their_members():
    members = np.random.default_rng(5).dirichlet(np.ones(3), 6)
    halves = mixed(*members[:3]), mixed(*members[3:])
    both = Prediction("categorical_mixture", halves[0].formulas.mix([half.parameters for half in halves]))
    assert parts(both) == pytest.approx(parts(mixed(*members)))


def test_what_is_not_known_stays_unknown():
    shift = np.zeros((1, 1, 1, 2))
    shift[..., 1] = np.nan
    p = mixed([[0.3, 0.3], [0.7, 0.7]], [[0.6, 0.6], [0.4, 0.4]]).affine(1.0, shift)
    for values in (*p.uncertainties(), p.mean()):
        np.testing.assert_array_equal(np.isnan(values).ravel(), [False, True])


def test_strict_arrays_stay_what_they_are(make_prediction):
    answers = [make_prediction("categorical", seed=seed).map(array_api_strict.asarray) for seed in range(2)]
    found = answers[0].formulas.mix([answer.parameters for answer in answers])
    for part in Prediction("categorical_mixture", found).uncertainties():
        assert type(part) is type(array_api_strict.ones(1))
