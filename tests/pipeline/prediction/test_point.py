import numpy as np


def test_a_point_forecast_has_an_error_and_nothing_else(make_prediction, truth):
    p = make_prediction("point")
    mean = p.parameters["mean"]
    assert p.variances() == (None, None)
    assert p.variance() is None
    assert p.members is None
    np.testing.assert_array_equal(p.crps(truth), np.abs(mean - truth))
    np.testing.assert_array_equal(p.cdf(truth), (truth >= mean).astype(float))
    np.testing.assert_array_equal(p.quantile(0.3), mean)
    np.testing.assert_array_equal(p.sample(3, seed=0), [mean] * 3)
    assert np.isnan(p.nll(truth)).all()
