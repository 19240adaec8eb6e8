"""No family is left below a least value that has a form for an end."""

import numpy as np
import pytest

from pipeline.prediction import FAMILIES

NO_ORDER = [name for name in FAMILIES.names() if "class" in FAMILIES.get(name).leading.values()]
FROM_ZERO = [name for name in FAMILIES.names() if name.startswith("bernoulli_gamma")]
UNBOUNDED = [name for name in FAMILIES.names() if FAMILIES.get(name).unbounded]
CUT = [name for name in FAMILIES.names() if name not in (*NO_ORDER, *FROM_ZERO, *UNBOUNDED)]


@pytest.fixture
def least():
    """4 for the first target; none for the second."""
    return np.stack([np.full((3, 2), 4.0), np.full((3, 2), -np.inf)])


@pytest.mark.parametrize("family", CUT)
def test_nothing_lies_below_the_least_value(family, make_prediction, truth, least):
    p = make_prediction(family, members=5)
    cut = p.at_least(least)
    assert cut.family == family
    np.testing.assert_allclose(cut.quantile(0.5), np.maximum(p.quantile(0.5), least), rtol=1e-12)
    assert (cut.sample(20, seed=1) >= least).all()
    assert (cut.exceedance(np.broadcast_to(least, truth.shape)) == 1.0).all()
    for ask in ("cdf", "crps"):
        np.testing.assert_array_equal(getattr(cut, ask)(truth)[:, 1], getattr(p, ask)(truth)[:, 1])
    assert (cut.mean() >= p.mean() - 1e-12).all()
    assert (cut.mean()[:, 0] > p.mean()[:, 0]).any()


@pytest.mark.parametrize("family", CUT)
def test_a_cut_keeps_float32_and_gaps(family, make_prediction, least):
    p = make_prediction(family, dtype=np.float32).map(np.copy)
    for values in p.parameters.values():
        values[..., 1, 1] = np.nan
    for name, values in p.at_least(least.astype(np.float32)).parameters.items():
        assert values.dtype == np.float32
        assert values.shape == p.parameters[name].shape
        assert np.isnan(values[..., 1, 1]).all()
        assert np.isfinite(values[..., 0, 0]).all()


@pytest.mark.parametrize("family", ["members", "point"])
def test_a_truth_above_is_never_further_from_values_that_are_cut(family, make_prediction, truth, least):
    p, y = make_prediction(family), np.maximum(truth, least)
    assert (p.at_least(least).crps(y) <= p.crps(y) + 1e-12).all()


@pytest.mark.parametrize("family", [*NO_ORDER, *FROM_ZERO, *UNBOUNDED])
def test_without_such_a_form_parameters_stay_as_they_are(family, make_prediction, least):
    p = make_prediction(family)
    for name, values in p.at_least(0.0 * np.maximum(least, 0.0)).parameters.items():
        np.testing.assert_array_equal(values, p.parameters[name])


@pytest.mark.parametrize("family", UNBOUNDED)
def test_what_is_unbounded_reaches_below_any_number(family, make_prediction):
    p = make_prediction(family)
    assert (p.cdf(p.mean() - 5.0) > 0.0).all()


@pytest.mark.parametrize("family", FROM_ZERO)
def test_amounts_begin_at_zero(family, make_prediction, truth):
    assert (make_prediction(family).cdf(np.full(truth.shape, -1e-9)) == 0.0).all()
