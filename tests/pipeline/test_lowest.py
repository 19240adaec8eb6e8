import numpy as np
import pytest

from pipeline.lowest import lowest
from pipeline.samples import Affine

KINDS = ("precipitation", "temperature", "flow")


def test_zero_in_numbers_of_samples_turns_back_into_zero():
    rng = np.random.default_rng(0)
    affine = Affine(rng.uniform(1.0, 4.0, (3, 2, 3)), rng.normal(size=(3, 2, 3)))
    found = lowest(KINDS, affine, (2, 3))
    np.testing.assert_allclose(found[[0, 2]] * affine.scale[[0, 2]] + affine.shift[[0, 2]], 0.0, atol=1e-12)
    assert (found[1] == -np.inf).all()


def test_one_number_a_field_holds_for_all_cells_and_zero_has_no_sign():
    found = lowest(KINDS, Affine(np.full((3, 1, 1), 2.0), np.zeros((3, 1, 1))), (2, 3))
    assert found.shape == (3, 2, 3)
    assert not np.signbit(found[0]).any()


@pytest.mark.parametrize(("signed", "expected"), [(None, [-np.inf] * 3), ((False, False, True), [0, -np.inf, -np.inf])])
def test_without_a_way_to_units_an_amount_without_numbers_below_zero_is_itself(signed, expected):
    np.testing.assert_array_equal(lowest(KINDS, None, (1, 1), signed).ravel(), expected)
