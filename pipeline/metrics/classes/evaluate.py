"""All scores of the classes of a split: of every model and class, with intervals and differences to a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.metrics import METRICS, Case, ClassMetric, Place
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.checks import check_finite, check_reference, check_truth
from pipeline.metrics.classes._cells import probabilities, time_parts
from pipeline.metrics.evaluate import Evaluation
from pipeline.metrics.groups import Group, Sampling, group_name, make_groups
from pipeline.metrics.regions import CellRegions, region_parts, regions_with_truth
from pipeline.metrics.rows import Part, comparison_rows, sampling_rows, score_rows
from pipeline.metrics.sums import Resampled, centred, metrics_of_kind
from pipeline.metrics.tables import Comparison, Score

_VALUES = 2**22  # resamples times sums in one call of a metric
REGIONAL = ("iou", "accuracy", "brier", "log_loss")
"""Scores of all classes together that regions have."""
_UNIT = 1e-3  # how far probabilities in float32 may be from a sum of 1


@dataclass(frozen=True, eq=False)
class _Setup:
    """What all variables of one call share."""

    split: str
    time: np.ndarray
    weights: np.ndarray
    classes: tuple[str, ...]
    place: Place
    names: tuple[str, ...]
    reference: str | None
    seed: int
    resamples: int
    strip: np.ndarray | None
    regions: CellRegions | None


def evaluate_classes(
    cases: Mapping[str, Mapping[str, Case]],
    *,
    split: str,
    time: np.ndarray,
    weights: np.ndarray,
    classes: Sequence[str],
    place: Place,
    seed: int,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    resamples: int = RESAMPLES,
    strip: np.ndarray | None = None,
    regions: CellRegions | None = None,
) -> Evaluation:
    """Score all models of classes on one split: over all times, every season that is there, and every class.

    Rows of a class have the group ``class=river``, in a season ``class=river;season=DJF``; they are there for
    scores that have a value for each class, without the background where that has none.

    Parameters
    ----------
    cases : mapping of str to mapping of str to Case
        By model and variable; predictions of a family of classes, parameters of shape (class, time, cell), truth
        the number of the class; all models with the same truth. Arrays may live on any device.
    split : str
        ``validation`` or the name of the test set.
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects; whole numbers for samples without dates, which have no seasons:
        each is a block of the bootstrap then, but for tiles with ``strip``.
    weights : ndarray, shape (cell,)
        Area weights.
    classes : sequence of str
        Names of the classes, in the order of their numbers; the first is the background.
    place : Place
        Where the cells lie, for scores of objects and boundaries.
    seed : int
        The experiment's seed. Models share their resamples, so their differences are paired.
    metrics : sequence of str, optional
        Names of ``METRICS``, all by default; those that are not of classes are passed over.
    reference : str, optional
        Model that the others are compared with: every difference is the model's score less the reference's.
    resamples : int
        Number of bootstrap resamples.
    strip : ndarray of int, shape (time,), optional
        Of tiles of images: the strip that each is in, see :func:`~pipeline.metrics.blocks.strip_blocks`. Blocks of
        the bootstrap are parts of images then, since neighbouring tiles are alike.
    regions : CellRegions, optional
        Parts of the cells, which have the scores :data:`REGIONAL` over all times and by season: rows of the groups
        ``region=alps`` and ``region=alps;season=DJF``. They have no comparisons.

    Returns
    -------
    Evaluation
        Its maps are empty; those of classes are :func:`pipeline.metrics.classes.maps.class_maps`.

    Raises
    ------
    DataError
        If truths differ between models, there is none, or it holds what is no number of a class; if a prediction
        is not of these classes, not finite where the truth is, or does not sum to 1.
    ConfigError
        If the reference is none of the models.
    """
    check_reference(reference, cases)
    names = METRICS.names() if metrics is None else tuple(dict.fromkeys(metrics))
    setup = _Setup(
        split, np.asarray(time), np.asarray(weights, float), tuple(classes), place, names, reference, seed, resamples,
        strip, regions,
    )  # fmt: skip
    parts = [
        _Variable(setup, variable, {model: by[variable] for model, by in cases.items()})
        for variable in next(iter(cases.values()), {})
    ]
    return Evaluation(
        scores=tuple(row for model in cases for part in parts for row in part.scores(model)),
        comparisons=tuple(row for model in cases for part in parts for row in part.comparisons(model)),
        maps={model: {} for model in cases},
        samplings=tuple(row for part in parts for row in part.samplings()),
    )


class _Variable:
    """All models on one variable: scored once, asked for rows after."""

    def __init__(self, setup: _Setup, name: str, cases: Mapping[str, Case]) -> None:
        self.setup, self.name = setup, name
        some = next(iter(cases.values()))
        self.valid = to_host(some.valid)
        shape = (len(setup.time), len(setup.weights))
        check_truth(cases, shape=shape, split=setup.split, variable=name, valid=self.valid)
        series = event_series(some, setup.weights)
        self.groups = make_groups(
            setup.time,
            series,
            seed=setup.seed,
            purpose=f"{setup.split}:{name}",
            resamples=setup.resamples,
            strip=setup.strip,
        )
        self.units: dict[str, dict[str, str]] = {}
        self.regions = regions_with_truth(setup.regions, self.groups, self.valid)
        self.regional: dict[str, list[dict[str, Resampled]]] = {}
        found = {model: self._score(model, case) for model, case in cases.items()}
        self.parts = [part for at in range(len(self.groups)) for part in self._parts(at, found)]

    def _score(self, model: str, case: Case) -> list[dict[str, tuple[Resampled, list[Resampled]]]]:
        """Return by group and metric the score of all classes, and those of every class or none."""
        setup = self.setup
        case = replace(case, time=setup.time, place=setup.place, weights=setup.weights)
        _check_classes(case, model, self.name, setup)
        metrics: dict[str, ClassMetric] = {
            name: metric
            for name, metric in metrics_of_kind(setup.names, ClassMetric).items()
            if metric.applies(case, "1")
        }
        self.units[model] = {name: metric.units_of(case) for name, metric in metrics.items()}
        self.regional[model] = self._by_region(case, metrics)
        sums = _block_sums(case, metrics, self.groups)
        return [
            {name: _resampled(metric, added[name], group) for name, metric in metrics.items()}
            for group, added in zip(self.groups, sums, strict=True)
        ]

    def _by_region(self, case: Case, metrics: Mapping[str, ClassMetric]) -> list[dict[str, Resampled]]:
        """Return by region and metric the score of all classes, from one more pass over the data."""
        few = {name: metric for name, metric in metrics.items() if name in REGIONAL}
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        cells, sums, found = None, list[dict[str, np.ndarray]](), []
        for part in self.regions:
            if part.cells is not cells:  # the groups of times of a region follow one another
                cells = part.cells
                sums = _block_sums(case.select(xp.asarray(cells, device=device), -1), few, self.groups)
            group, added = self.groups[part.at], sums[part.at]
            found.append({name: _resampled(metric, added[name], group)[0] for name, metric in few.items()})
        return found

    def _parts(
        self, at: int, found: Mapping[str, list[dict[str, tuple[Resampled, list[Resampled]]]]]
    ) -> Iterator[Part]:
        """Yield what is scored together in one group of times: all classes, then class by class."""
        group = self.groups[at]
        blocks, times = len(group.blocks), self._times(group)
        overall = {model: {name: pair[0] for name, pair in by[at].items()} for model, by in found.items()}
        yield Part(group.names, blocks, times, overall)
        for number, of in enumerate(self.setup.classes):
            scores = {
                model: {
                    name: each[number]
                    for name, (_, each) in by[at].items()
                    if each and (number or _metric(name).of_background)
                }
                for model, by in found.items()
            }
            yield Part(
                tuple(group_name(f"class={of}", "" if label == "all" else label) for label in group.names),
                blocks,
                times,
                scores,
            )

    def scores(self, model: str) -> Iterator[Score]:
        """Yield the rows of a model."""
        parts = [*self.parts, *region_parts(self.regions, self.regional)]
        return score_rows(model, parts, split=self.setup.split, variable=self.name, units=self.units[model])

    def comparisons(self, model: str) -> Iterator[Comparison]:
        """Yield the differences of a model to the reference."""
        return comparison_rows(model, self.setup.reference, self.parts, split=self.setup.split, variable=self.name)

    def samplings(self) -> Iterator[Sampling]:
        """Yield how much every group of times can tell."""
        times = [self._times(group) for group in self.groups]
        return sampling_rows(self.groups, times, split=self.setup.split, variable=self.name)

    def _times(self, group: Group) -> int:
        return int(self.valid[group.index].any(axis=1).sum())


def event_series(case: Case, weights: np.ndarray) -> np.ndarray:
    """Return the share of the area that is not background in the truth, shape (time,), on the host.

    Of the cells with truth; NaN at a time without any. What decorrelation times of classes are estimated from.
    """
    valid, truth = to_host(case.valid), to_host(case.truth)
    area = valid @ weights
    return np.where(area > 0.0, (valid & (truth > 0.0)) @ weights / np.where(area > 0.0, area, 1.0), np.nan)


def _metric(name: str) -> ClassMetric:
    found: ClassMetric = metrics_of_kind([name], ClassMetric)[name]
    return found


def _block_sums(case: Case, metrics: Mapping[str, ClassMetric], groups: Sequence[Group]) -> list[dict[str, np.ndarray]]:
    """Return by group and metric the counts added up over blocks, each of shape (block, k); one pass over the data."""
    block = [_block_of_time(group, case.truth.shape[0]) for group in groups]
    sums: list[dict[str, np.ndarray]] = [{} for _ in groups]
    start = 0
    for part in time_parts(case):
        stop = start + part.truth.shape[0]
        for name, metric in metrics.items():
            counts = metric.counts(part)
            for group, into, of in zip(groups, sums, block, strict=True):
                added = into.setdefault(name, np.zeros((len(group.blocks), counts.shape[1])))
                chosen = of[start:stop] >= 0
                np.add.at(added, of[start:stop][chosen], counts[chosen])
        start = stop
    return sums


def _block_of_time(group: Group, times: int) -> np.ndarray:
    """Return the block that each time is in, shape (time,); -1 for times that are not in the group."""
    found, edges = np.full(times, -1), group.blocks.edges
    found[group.index] = np.repeat(np.arange(len(edges)), edges[:, 1] - edges[:, 0])
    return found


def _resampled(metric: ClassMetric, sums: np.ndarray, group: Group) -> tuple[Resampled, list[Resampled]]:
    """Return a score of a group with its bootstrap values, and the same of every class, if it has such."""
    counts = np.concatenate([np.ones((1, len(sums)), np.int32), group.counts[: metric.resamples]])
    step = max(1, _VALUES // sums.shape[1])
    overall, each = [], []
    for first in range(0, len(counts), step):
        added = counts[first : first + step].astype(float) @ sums
        overall.append(metric.value(added))
        each.append(metric.by_class(added))
    value = np.concatenate(overall)
    moved = centred if metric.upward else _as_is
    of_classes = [part for part in each if part is not None]
    if not of_classes:
        return moved(Resampled(value[0], value[1:])), []
    classes = np.concatenate(of_classes)
    return moved(Resampled(value[0], value[1:])), [moved(Resampled(column[0], column[1:])) for column in classes.T]


def _as_is(score: Resampled) -> Resampled:
    return score


def _check_classes(case: Case, model: str, variable: str, setup: _Setup) -> None:
    """Refuse what is not classes: another family or number of them, truth that is none, sums other than 1."""
    number = len(setup.classes)
    known = case.prediction.class_count
    if known != number:
        got = case.prediction.family
        got += f" of {known}" if known else ""
        raise DataError(
            f"expected probabilities of the {number} classes {', '.join(setup.classes)} from {model!r} on "
            f"{setup.split!r}, got a prediction of the family {got}."
        )
    check_finite(case, model, variable, setup.split)
    for part in time_parts(case):
        xp, truth = array_namespace(part.truth), part.truth
        wrong = part.valid & ((truth < 0.0) | (truth > number - 1.0) | (xp.floor(truth) != truth))
        if bool(xp.any(wrong)):
            first = float(to_host(truth)[to_host(wrong)][0])
            raise DataError(
                f"expected whole numbers of classes from 0 to {number - 1} as truth of {variable} on {setup.split!r}, "
                f"got {first!r}. Name every class of the labels, or mask what is none."
            )
        total = xp.sum(xp.astype(probabilities(part), xp.float64), axis=0)
        off = xp.where(part.valid, xp.abs(total - 1.0), xp.zeros_like(total))
        if float(xp.max(off)) > _UNIT:
            raise DataError(
                f"expected probabilities of {variable} from {model!r} that sum to 1 over classes on {setup.split!r}, "
                f"got a sum that is off by {float(xp.max(off)):.3g}."
            )
