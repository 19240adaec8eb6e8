"""Ensembles that lack members at some values: calibrated with those that are there, and no NaN in the answer."""

import numpy as np
import pytest

from pipeline.prediction import Prediction
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration.conformal import Conformal, ConformalConfig
from pipeline.uncertainty.calibration.emos import Emos
from pipeline.uncertainty.calibration.variance_scaling import VarianceScaling

SHAPE = (1500, 1, 3, 4)


@pytest.fixture
def broken(samples_of):
    """Return members that the truth is one of, three at least of ten everywhere, and the samples."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=SHAPE)
    members = centre + rng.normal(size=(10, *SHAPE))
    members[3:][rng.random((7, *SHAPE)) < 0.6] = np.nan
    said = Prediction("members", {"members": members.astype(np.float32)})
    return said, samples_of(centre + rng.normal(size=SHAPE))


def test_variance_scaling_leaves_right_members_as_wide_as_they_are(broken, context):
    said, samples = broken
    found = VarianceScaling().fit(Evidence(said, samples, "validation"), context)
    assert found.arrays["scale"].item() == pytest.approx(1.0, abs=0.02)


def test_emos_has_its_mean_and_variance_without_a_gap(broken, context):
    said, samples = broken
    found = Emos().fit(Evidence(said, samples, "validation"), context)
    answer = found.apply(said, samples, context)
    a, b, c, d = (found.arrays[name].item() for name in "abcd")
    np.testing.assert_allclose(answer.mean(), a + b * said.mean(), atol=1e-5)
    np.testing.assert_allclose(answer.variance(), c * c + d * d * said.variance(), rtol=1e-4, atol=1e-6)


def test_conformal_has_no_gap_in_any_parameter(broken, context):
    said, samples = broken
    found = Conformal(ConformalConfig(level=0.5)).fit(Evidence(said, samples, "validation"), context)
    answer = found.apply(said, samples, context)
    assert all(np.isfinite(values).all() for values in answer.parameters.values())
    assert np.isfinite(answer.variances()[1]).all()
