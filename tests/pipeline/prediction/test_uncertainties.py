"""The parts of every family's uncertainty: variances of numbers, entropies of classes."""

import array_api_strict
import numpy as np
import pytest

from pipeline.prediction import FAMILIES, Prediction


@pytest.fixture(params=FAMILIES.names())
def family(request):
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_are_in_the_measure_of_the_family(make_prediction, family, dtype):
    p = make_prediction(family, dtype=dtype)
    assert p.formulas.measure == ("entropy" if p.is_categorical else "variance")
    assert p.uncertainty_units("degC") == ("1" if p.is_categorical else "K2")
    for part, variance in zip(p.uncertainties(), p.variances(), strict=True):
        assert (part is None) == (variance is None) or p.is_categorical
        if part is not None:
            assert part.shape == p.mean().shape
            assert part.dtype == dtype
            assert (part >= 0.0).all()
        if variance is not None:
            np.testing.assert_array_equal(part, variance)


def test_parts_are_arrays_of_the_kind_of_the_parameters(make_prediction, family):
    p = make_prediction(family)
    for part, expected in zip(p.map(array_api_strict.asarray).uncertainties(), p.uncertainties(), strict=True):
        assert (part is None) == (expected is None)
        if part is not None:
            assert type(part) is type(array_api_strict.ones(1))
            np.testing.assert_allclose(np.asarray(part), expected, rtol=1e-10)


@pytest.mark.parametrize("family", [name for name in FAMILIES.names() if FAMILIES.get(name).measure == "entropy"])
def test_parts_of_a_mixture_of_classes_add_up_to_its_entropy(make_prediction, family):
    answers = [make_prediction(family, seed=seed) for seed in range(3)]
    formulas = answers[0].formulas
    mixed = Prediction(formulas.mixture, formulas.mix([answer.parameters for answer in answers]))
    p = mixed.parameters["probabilities"]
    np.testing.assert_allclose(sum(mixed.uncertainties()), -(p * np.log(p)).sum(axis=0), atol=1e-6)
