import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from pipeline.metrics.classes._cells import _VALUES
from pipeline.metrics.classes.confusion import confusion

AREA = np.linspace(0.2, 1.8, 40)
OF_CLASSES = {
    "iou": jaccard_score,
    "dice": f1_score,
    "f1": f1_score,
    "precision": precision_score,
    "recall": recall_score,
}


@pytest.fixture(params=[None, AREA], ids=["cells", "area"])
def case(request, make_class_case):
    return make_class_case(missing=0.1, weights=request.param)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_scores_of_classes_are_those_of_sklearn(name, case, class_score, flat):
    truth, predicted, _, weights = flat(case)
    expected = OF_CLASSES[name](truth, predicted, average=None, sample_weight=weights)
    overall, each = class_score(name, case)
    np.testing.assert_allclose(each, expected, rtol=1e-12)
    assert overall == pytest.approx(expected.mean(), rel=1e-12)


def test_accuracy_and_kappa_are_those_of_sklearn(case, class_score, flat):
    truth, predicted, _, weights = flat(case)
    assert class_score("accuracy", case) == (
        pytest.approx(accuracy_score(truth, predicted, sample_weight=weights), rel=1e-12),
        None,
    )
    overall, each = class_score("kappa", case)
    assert overall == pytest.approx(cohen_kappa_score(truth, predicted, sample_weight=weights), rel=1e-12)
    expected = [cohen_kappa_score(truth == of, predicted == of, sample_weight=weights) for of in range(3)]
    np.testing.assert_allclose(each, expected, rtol=1e-11)


def test_the_matrix_is_that_of_sklearn(case, flat):
    truth, predicted, _, weights = flat(case)
    found = confusion(case)
    np.testing.assert_allclose(found.area, confusion_matrix(truth, predicted, sample_weight=weights), rtol=1e-12)
    expected = confusion_matrix(truth, predicted, sample_weight=weights, normalize="true")
    np.testing.assert_allclose(found.shares, expected, rtol=1e-12)


def test_the_matrix_is_added_up_over_parts_of_the_times(make_class_case):
    cells = _VALUES // 6
    one = make_class_case(n=2, cells=cells)
    several = make_class_case(
        np.concatenate([one.truth] * 2),
        np.concatenate([one.prediction.parameters["probabilities"].argmax(axis=0)] * 2),
    )
    np.testing.assert_array_equal(confusion(several).area, 2 * confusion(one).area)


# Of two cells each: (truth, predicted), then what class 2 is worth by score; None: nothing to say.
ABSENT = {
    "neither": ([0, 1], [0, 1], {"iou": None, "dice": None, "precision": None, "recall": None, "kappa": None}),
    "predicted alone": ([0, 1], [2, 1], {"iou": 0, "dice": 0, "precision": 0, "recall": None, "kappa": 0}),
    "true alone": ([2, 1], [0, 1], {"iou": 0, "dice": 0, "precision": None, "recall": 0, "kappa": 0}),
}


@pytest.mark.parametrize("kind", ABSENT)
@pytest.mark.parametrize("name", ["iou", "dice", "precision", "recall", "kappa"])
def test_an_absent_class_is_missing_and_not_right(name, kind, make_class_case, class_score):
    truth, predicted, expected = ABSENT[kind]
    overall, each = class_score(name, make_class_case([truth], [predicted]))
    assert each[2] == pytest.approx(np.nan if expected[name] is None else expected[name], nan_ok=True, abs=1e-12)
    if name != "kappa":
        assert overall == pytest.approx(np.nanmean(each))


def test_one_class_alone_leaves_nothing_beyond_chance(make_class_case, class_score):
    case = make_class_case([[1, 1, 1]], [[1, 1, 1]], weights=np.array([0.1, 0.2, 0.3]))
    assert np.isnan(class_score("kappa", case)[0])
    assert class_score("iou", case)[0] == 1.0
    assert np.isnan(confusion(case).shares[0]).all()


def test_of_two_as_likely_classes_the_lower_is_predicted(make_class_case, class_score):
    case = make_class_case([[0, 1, 2]], [[0, 0, 0]])
    case.prediction.parameters["probabilities"][...] = 1 / 3
    np.testing.assert_allclose(class_score("recall", case)[1], [1.0, 0.0, 0.0])


def test_a_part_of_the_cells_keeps_their_weights(make_class_case):
    case = make_class_case(weights=AREA)
    halves = [case.select(part, -1) for part in (slice(0, 15), np.arange(15, 40))]
    np.testing.assert_allclose(sum(confusion(half).area for half in halves), confusion(case).area, rtol=1e-12)
