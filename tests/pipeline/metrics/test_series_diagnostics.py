import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.metrics import Case
from pipeline.metrics.series_diagnostics import PROBABILITIES, flow_duration
from pipeline.prediction import Prediction


def test_curves_are_quantiles_of_the_days_with_truth():
    rng = np.random.default_rng(0)
    truth = rng.gamma(0.5, 10.0, (300, 4)).astype(np.float32)
    mean = rng.gamma(0.5, 10.0, (300, 4)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.3] = np.nan
    truth[:, 2] = np.nan
    truth[1:, 3] = np.nan
    truth[0, 3] = 7.0
    point = Prediction("point", {"mean": mean})
    curve = flow_duration(Case(point, truth, point))
    np.testing.assert_array_equal(curve.probability, PROBABILITIES)
    assert curve.truth.dtype == curve.prediction.dtype == np.float64
    for found, flow in ((curve.truth, truth), (curve.prediction, mean)):
        for cell in (0, 1, 3):
            known = flow[np.isfinite(truth[:, cell]), cell].astype(float)
            np.testing.assert_allclose(found[:, cell], np.quantile(known, 1.0 - PROBABILITIES), rtol=1e-12)
        assert np.isnan(found[:, 2]).all()
    assert (np.diff(curve.truth[:, 0]) <= 0.0).all()


def test_members_have_the_curve_of_their_mean():
    rng = np.random.default_rng(0)
    members, truth = rng.gamma(2.0, 5.0, (3, 50, 2)), rng.gamma(2.0, 5.0, (50, 2))
    some = Prediction("members", {"members": members})
    curve = flow_duration(Case(some, truth, some), np.array([0.5]))
    np.testing.assert_allclose(curve.prediction[0], np.median(members.mean(axis=0), axis=0), rtol=1e-12)


def test_the_points_are_close_together_at_both_ends():
    assert PROBABILITIES[[0, -1]] == pytest.approx([0.0005, 0.9995])
    np.testing.assert_allclose(PROBABILITIES + PROBABILITIES[::-1], 1.0, atol=1e-12)
    steps = np.diff(PROBABILITIES)
    assert (steps > 0.0).all()
    assert steps[0] < 0.01 * steps[50]


def test_a_probability_that_is_none_is_refused():
    point = Prediction("point", {"mean": np.ones((3, 1))})
    with pytest.raises(ConfigError, match=r"^expected probabilities of exceedance in \[0, 1\], got \[0\.5, 2\.0\]\.$"):
        flow_duration(Case(point, np.ones((3, 1)), point), np.array([0.5, 2.0]))
