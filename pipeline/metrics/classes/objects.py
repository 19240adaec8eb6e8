"""Scores of objects: which true ones are found, and which predicted ones are there.

Objects are the connected areas of every class but the background (:mod:`pipeline.objects`), each time by itself.
A true and a predicted object of a class match if their intersection is at least :data:`MATCH` of their union by
area; the best match is taken first, and no object is matched twice, so that one large forecast is not a hit for many
small events (as detections are counted by Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, who ask for half:
a tenth is enough where objects are a few cells small and a shift by a cell is no miss). Objects count, not
their areas; one that the edge of a tile cuts counts on both sides. On the gpu backend the classes are copied to
the host for this, two bytes a cell.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import METRICS, Case, ClassMetric
from pipeline.metrics._bins import share
from pipeline.metrics.classes._cells import class_count, mean_over_classes, time_parts
from pipeline.metrics.classes._fields import class_fields
from pipeline.objects import Components, components, overlaps
from pipeline.sphere import cell_area

MATCH = 0.1  # least intersection over union of an object and what hits it


@dataclass(frozen=True)
class ObjectRow:
    """Objects of one class over all times.

    Parameters
    ----------
    class_name : str
        The class.
    hits, misses, false_alarms : int
        True objects that were predicted and that were not, and predicted ones that are not there.
    area_truth, area_predicted : float
        Mean area of a true and of a predicted object [km2]; of an image in cells; NaN where there is none.
    """

    class_name: str
    hits: int
    misses: int
    false_alarms: int
    area_truth: float
    area_predicted: float


def object_table(case: Case, classes: Sequence[str]) -> tuple[ObjectRow, ...]:
    """Return a row for every class but the first, the background.

    Parameters
    ----------
    case : Case
        With its place, a grid.
    classes : sequence of str
        Their names, in the order of their numbers.
    """
    parts = (_object_sums(part).sum(axis=0) for part in time_parts(case))
    sums = sum(parts, np.zeros((5, class_count(case))))
    rows = []
    for of, name in list(enumerate(classes))[1:]:
        hits, misses, false, true_area, area = sums[:, of].tolist()
        means = share(np.array([true_area, area]), np.array([hits + misses, hits + false]))
        rows.append(ObjectRow(name, round(hits), round(misses), round(false), float(means[0]), float(means[1])))
    return tuple(rows)


def matches(truth: Components, predicted: Components, area: np.ndarray) -> np.ndarray:
    """Return which true objects are hit by a predicted one, bool of shape (object,); each hits one at most.

    Parameters
    ----------
    truth, predicted : Components
        Of the same times and grid.
    area : ndarray, shape (lat, lon)
        Of the cells.
    """
    pairs = overlaps(truth.labels, predicted.labels, area)
    first, second = pairs.first - 1, pairs.second - 1
    union = _areas(truth, area)[first] + _areas(predicted, area)[second] - pairs.area
    quality = pairs.area / union
    order = np.lexsort((second, first, -quality))
    hit, used = np.zeros(len(truth), bool), np.zeros(len(predicted), bool)
    for at in order[quality[order] >= MATCH].tolist():  # a loop over pairs of objects
        if not hit[first[at]] and not used[second[at]]:
            hit[first[at]] = used[second[at]] = True
    return hit


def _areas(found: Components, area: np.ndarray) -> np.ndarray:
    place = np.flatnonzero(found.labels)
    return np.bincount(found.labels.ravel()[place] - 1, area.ravel()[place % area.size], len(found))


def _object_sums(case: Case) -> np.ndarray:
    """Return by time and class hits, misses, false alarms and areas of true and predicted objects, (time, 5, class)."""
    assert case.place is not None  # such scores apply to no other case
    fields, grid, number = class_fields(case), case.place.grid, class_count(case)
    area, times = cell_area(grid), len(fields.truth)
    found = np.zeros((times, 5, number))
    for of in range(1, number):
        truth, predicted = components(fields.truth == of, grid), components(fields.predicted == of, grid)
        hit = matches(truth, predicted, area)
        every, hits = np.bincount(truth.time, minlength=times), np.bincount(truth.time[hit], minlength=times)
        found[:, 0, of], found[:, 1, of] = hits, every - hits
        found[:, 2, of] = np.bincount(predicted.time, minlength=times) - hits
        for row, side in ((3, truth), (4, predicted)):
            found[:, row, of] = np.bincount(side.time, _areas(side, area), times)
    return found


class _OfObjects(ClassMetric):
    """A score of every class but the background; overall their mean."""

    needs_place = True
    of_background = False

    def counts(self, case: Case) -> np.ndarray:
        """Return hits, misses and false alarms of every time and class."""
        found: np.ndarray = case.once(("objects",), lambda: _object_sums(case))
        return found[:, :3].reshape(len(found), -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over the classes that have a score."""
        return mean_over_classes(self.by_class(sums))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the score of every class."""
        parts = sums.reshape(*sums.shape[:-1], 3, -1)
        return self.of_counts(parts[..., 0, :], parts[..., 1, :], parts[..., 2, :])

    @abstractmethod
    def of_counts(self, hits: np.ndarray, misses: np.ndarray, false: np.ndarray) -> np.ndarray:
        """Return the score from numbers of objects."""


@METRICS.register("object_recall")
class ObjectRecall(_OfObjects):
    """Probability of detection of objects, hits over hits and misses, by class and their mean."""

    label = "objects found"

    def of_counts(self, hits: np.ndarray, misses: np.ndarray, false: np.ndarray) -> np.ndarray:
        """Return the share of true objects that is hit."""
        return share(hits, hits + misses)


@METRICS.register("object_false_alarms")
class ObjectFalseAlarms(_OfObjects):
    """False alarm ratio of objects, false alarms over all that is predicted, by class and their mean."""

    perfect = 0.0
    better = "lower"
    label = "false objects"

    def of_counts(self, hits: np.ndarray, misses: np.ndarray, false: np.ndarray) -> np.ndarray:
        """Return the share of predicted objects that is not there."""
        return share(false, hits + false)


@METRICS.register("object_csi")
class ObjectCsi(_OfObjects):
    """Critical success index of objects, hits over hits, misses and false alarms, by class and their mean."""

    label = "CSI of objects"

    def of_counts(self, hits: np.ndarray, misses: np.ndarray, false: np.ndarray) -> np.ndarray:
        """Return the hits among all that is true or predicted."""
        return share(hits, hits + misses + false)


@METRICS.register("object_count_bias")
class ObjectCountBias(_OfObjects):
    """Frequency bias of objects, the number predicted over the true one, by class and their mean."""

    better = "closer"
    label = "frequency bias of objects"

    def of_counts(self, hits: np.ndarray, misses: np.ndarray, false: np.ndarray) -> np.ndarray:
        """Return the ratio of numbers; NaN where there is no true object."""
        return share(hits + false, hits + misses)
