"""One rule for a class that is not there, whatever the score."""

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.metrics import METRICS, ClassMetric, Place

GRID = Grid(np.linspace(-50.0, 50.0, 8), np.arange(12) * 30.0)
PLACE = Place(GRID, np.ones(GRID.shape, bool))
NAMES = tuple(name for name in METRICS.names() if issubclass(METRICS.get(name), ClassMetric))
OF_ALL_CELLS = {"accuracy", "brier", "brier_reliability", "brier_resolution", "ece", "ece_mass", "ause_entropy"}
NONE = float("nan")
PREDICTED = {
    "iou": 0.0, "dice": 0.0, "f1": 0.0, "precision": 0.0, "recall": NONE, "kappa": 0.0, "average_precision": NONE,
    "log_loss": NONE, "boundary_distance": NONE, "boundary_unmatched": 1.0, "object_recall": NONE,
    "object_false_alarms": 1.0, "object_csi": 0.0, "object_count_bias": NONE,
}  # fmt: skip
TRUE = {
    "iou": 0.0, "dice": 0.0, "f1": 0.0, "precision": NONE, "recall": 0.0, "kappa": 0.0, "boundary_distance": NONE,
    "boundary_unmatched": 1.0, "object_recall": 0.0, "object_false_alarms": NONE, "object_csi": 0.0,
    "object_count_bias": 0.0,
}  # fmt: skip
"""What a class is worth that is in the one and not in the other; Brier's terms are parts of a sum, not scores."""


def _case(make_class_case, truth=(), predicted=()):
    """Return two times of background with class 1 in both; class 2 stands where asked."""
    fields = []
    for places in (truth, predicted):
        field = np.zeros((2, *GRID.shape))
        field[:, 2:4, 2:5] = 1
        for time in places:
            field[time, 5:7, 8:10] = 2
        fields.append(field.reshape(2, -1))
    return make_class_case(*fields, place=PLACE, weights=GRID.area.ravel())


@pytest.mark.parametrize("name", sorted(set(NAMES) - OF_ALL_CELLS))
def test_a_class_in_neither_truth_nor_prediction_is_missing_and_left_out(name, make_class_case, class_score):
    overall, each = class_score(name, _case(make_class_case))
    assert np.isnan(each[2])
    if name not in ("kappa", "log_loss"):  # these two are of all cells, not a mean over classes
        assert overall == pytest.approx(np.nanmean(each))
    assert overall == pytest.approx(METRICS.get(name).perfect, abs=1e-12)


@pytest.mark.parametrize(("name", "expected"), PREDICTED.items())
def test_a_class_that_is_predicted_and_never_true(name, expected, make_class_case, class_score):
    overall, each = class_score(name, _case(make_class_case, predicted=[0, 1]))
    assert each[2] == pytest.approx(expected, nan_ok=True, abs=1e-12)
    if name not in ("kappa", "log_loss"):
        assert overall == pytest.approx(np.nanmean(each))


@pytest.mark.parametrize(("name", "expected"), TRUE.items())
def test_a_class_that_is_true_and_never_predicted(name, expected, make_class_case, class_score):
    overall, each = class_score(name, _case(make_class_case, truth=[0, 1]))
    assert each[2] == pytest.approx(expected, nan_ok=True, abs=1e-12)
    if name != "kappa":
        assert overall == pytest.approx(np.nanmean(each))


def test_a_true_class_without_any_probability_has_the_worst_average_precision_and_loss(make_class_case, class_score):
    """Both look at probabilities: ties of all cells at zero, and the least probability that counts."""
    case = _case(make_class_case, truth=[0, 1])
    assert class_score("average_precision", case)[1][2] == pytest.approx(
        np.average(case.truth == 2, weights=np.broadcast_to(case.weights, case.truth.shape))
    )
    assert class_score("log_loss", case)[1][2] == pytest.approx(23 * np.log(2.0))


@pytest.mark.parametrize("name", NAMES)
def test_every_score_of_classes_has_its_place_in_the_rule(name):
    assert name in {*PREDICTED, *OF_ALL_CELLS}


def test_the_terms_of_brier_add_up_with_absent_classes_too(make_class_case, class_score):
    for places in ((), (0, 1)):
        overall, each = class_score("brier", _case(make_class_case, predicted=places))
        assert overall == pytest.approx(each.sum())
        assert (each[2] > 0.0) == bool(places)
