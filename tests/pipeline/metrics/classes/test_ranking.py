import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from pipeline.errors import ConfigError
from pipeline.metrics.classes.ranking import BINS, WIDEST, log_odds_bin, precision_recall

AREA = np.linspace(0.2, 1.8, 400)


@pytest.mark.parametrize("sharp", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("weights", [None, AREA], ids=["cells", "area"])
def test_average_precision_is_near_that_of_single_cells(sharp, weights, make_class_case, class_score, flat):
    case = make_class_case(n=50, cells=400, missing=0.1, sharp=sharp, weights=weights)
    truth, _, chance, area = flat(case)
    overall, each = class_score("average_precision", case)
    expected = [average_precision_score(truth == of, chance[:, of], sample_weight=area) for of in range(3)]
    np.testing.assert_allclose(each, expected, atol=3e-3)
    assert overall == pytest.approx(np.mean(expected), abs=3e-3)


def test_average_precision_of_a_rare_class_is_near_that_of_single_cells(make_class_case, class_score, flat):
    rng = np.random.default_rng(4)
    truth = (rng.random((40, 5000)) < 0.001).astype(float) * 2
    case = make_class_case(truth)
    # Probabilities as rare as the class: log-odds round -7, and 4 more where it is there.
    odds = np.exp(-7.0 + 4.0 * (truth == 2) + rng.normal(size=truth.shape))
    rare = odds / (1.0 + odds)
    case.prediction.parameters["probabilities"][...] = np.stack([1.0 - rare, 0.0 * rare, rare])
    known, _, chance, _ = flat(case)
    expected = average_precision_score(known == 2, chance[:, 2])
    assert 0.2 < expected < 0.8
    assert class_score("average_precision", case)[1][2] == pytest.approx(expected, abs=3e-3)


def test_average_precision_of_binned_probabilities_is_exact(make_class_case, class_score, flat):
    case = make_class_case(n=20, cells=50)
    truth, _, chance, _ = flat(case)
    expected = [average_precision_score(truth == of, log_odds_bin(chance[:, of])) for of in range(3)]
    np.testing.assert_allclose(class_score("average_precision", case)[1], expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shares", [(0.9, 0.08, 0.02), (0.4, 0.3, 0.3)])
def test_whatever_the_shares_it_is_within_its_bound_of_the_exact_one(seed, shares, make_class_case, class_score, flat):
    rng = np.random.default_rng([9, seed])
    truth = rng.choice(3, (50, 300), p=shares).astype(float)
    case = make_class_case(truth, seed=seed)
    logits = 1.5 * (truth == np.arange(3)[:, None, None]) + rng.normal(size=(3, *truth.shape))
    case.prediction.parameters["probabilities"][...] = np.exp(logits) / np.exp(logits).sum(axis=0)
    known, _, chance, _ = flat(case)
    exact = [average_precision_score(known == of, chance[:, of]) for of in range(3)]
    np.testing.assert_allclose(class_score("average_precision", case)[1], exact, atol=3e-3)


@pytest.mark.parametrize(
    ("order", "exact", "found"),
    [([1, 1, 0], 1.0, 2 / 3), ([0, 1, 1], (1 / 2 + 2 / 3) / 2, 2 / 3), ([1, 0, 1], (1 + 2 / 3) / 2, 2 / 3)],
    ids=["good", "bad", "between"],
)
def test_an_order_within_a_bin_is_lost_a_good_one_and_a_bad_one(
    order, exact, found, make_class_case, class_score, flat
):
    """Three cells of one bin from the most probable to the least: too low, too high, too low."""
    case = make_class_case([order], classes=2)
    chance = np.array([[0.8003, 0.8002, 0.8001]])
    case.prediction.parameters["probabilities"][...] = np.stack([1.0 - chance, chance])
    known, _, cells, _ = flat(case)
    assert np.ptp(log_odds_bin(cells[:, 1])) == 0
    assert average_precision_score(known == 1, cells[:, 1]) == pytest.approx(exact)
    assert class_score("average_precision", case)[1][1] == pytest.approx(found)


def test_average_precision_of_votes_of_a_hundred_trees_is_exact(make_class_case, class_score, flat):
    case = make_class_case(n=40, cells=200)
    chance = case.prediction.parameters["probabilities"]
    votes = np.random.default_rng(5).binomial(100, chance[1]) / 100.0
    chance[...] = np.stack([1.0 - votes, votes, 0.0 * votes])
    truth, _, flat_chance, _ = flat(case)
    expected = [average_precision_score(truth == of, flat_chance[:, of]) for of in range(3)]
    np.testing.assert_allclose(class_score("average_precision", case)[1], expected, rtol=1e-12)
    assert len(np.unique(log_odds_bin(np.arange(101) / 100.0))) == 101


def test_a_class_that_is_not_there_has_no_average_precision(make_class_case, class_score):
    case = make_class_case(np.zeros((4, 5)))
    overall, each = class_score("average_precision", case)
    np.testing.assert_array_equal(np.isnan(each), [False, True, True])
    assert overall == each[0] == 1.0
    curve = precision_recall(case, 1)
    assert np.isnan(curve.average)
    assert np.isnan(curve.recall).all()
    assert curve.share == 0.0


def test_the_curve_is_that_of_sklearn_on_binned_probabilities(make_class_case, flat):
    case = make_class_case(missing=0.1, weights=np.linspace(0.2, 1.8, 40))
    truth, _, chance, area = flat(case)
    curve = precision_recall(case, 1)
    bins = log_odds_bin(chance[:, 1])
    precision, recall, at = precision_recall_curve(truth == 1, bins, sample_weight=area)
    for p, r, least in zip(precision, recall, at, strict=False):
        place = BINS - 1 - int(least)
        assert (curve.precision[place], curve.recall[place]) == (pytest.approx(p), pytest.approx(r))
        edge = 1.0 / (1.0 + np.exp(WIDEST - 2.0 * WIDEST * least / BINS))
        assert curve.threshold[place] == pytest.approx(edge if place < BINS - 1 else 0.0)
    assert curve.average == pytest.approx(average_precision_score(truth == 1, bins, sample_weight=area))
    assert curve.share == pytest.approx(np.average(truth == 1, weights=area))
    assert (curve.threshold[-1], curve.recall[-1]) == (0.0, pytest.approx(1.0))


def test_a_class_that_there_is_not_is_refused(make_class_case):
    with pytest.raises(ConfigError, match="the number of a class from 0 to 2, got 3"):
        precision_recall(make_class_case(), 3)
