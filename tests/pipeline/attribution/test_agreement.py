import warnings

import numpy as np
import pytest

from pipeline.attribution.agreement import LIMIT, agreement
from pipeline.attribution.likeness import correlations


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(size=(4, 6, 2, 10, 12)).astype(np.float32)


def test_identical_maps_agree(maps):
    found = agreement([maps[0]] * 3)
    assert found.value == 1
    assert found.passed
    assert found.check == "agreement"
    assert found.limit == LIMIT


def test_unrelated_maps_do_not(maps):
    found = agreement(list(maps))
    # Its standard error is 1 / sqrt(6 pairs * 6 days * 240 cells).
    assert abs(found.value) < 4 / np.sqrt(6 * 6 * 240)
    assert found.passed is False
    assert found.words.startswith("Daily maps of 4 members correlate by")


def test_it_is_the_mean_over_pairs_and_days(maps):
    mixed = [maps[0], maps[0] + maps[1], maps[2] - 2 * maps[0]]
    wanted = [
        np.corrcoef(mixed[one][day].ravel(), mixed[other][day].ravel())[0, 1]
        for one, other in ((0, 1), (0, 2), (1, 2))
        for day in range(6)
    ]
    assert agreement(mixed).value == pytest.approx(np.mean(wanted), abs=1e-7)


def test_opposite_maps_disagree(maps):
    found = agreement([maps[0], -3 * maps[0]])
    assert found.value == -1
    assert found.passed is False


def test_cells_outside_of_the_mask_do_not_make_maps_alike(maps):
    """Both maps are positive inside, so with the zeros outside they would correlate."""
    inside = np.abs(maps)
    inside[:, :, :, :7] = 0
    assert correlations(inside[0].reshape(6, -1).astype(float), inside[1].reshape(6, -1).astype(float)).mean() > 0.3
    assert abs(agreement([inside[0], inside[1]]).value) < 0.15


def test_a_single_member_decides_nothing(maps):
    found = agreement([maps[0]])
    assert np.isnan(found.value)
    assert found.passed is None
    assert found.words == "There is 1 member only, with which no other can agree."


def test_zeros_decide_nothing_and_one_map_of_zeros_does_not_agree(maps):
    zero = np.zeros_like(maps[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing, one = agreement([zero, zero]), agreement([zero, maps[0]])
    assert nothing.passed is None
    assert np.isnan(nothing.value)
    assert one.value == 0
    assert one.passed is False


def test_a_single_day_is_enough(maps):
    assert agreement([maps[0][:1], 2 * maps[0][:1]]).value == 1
