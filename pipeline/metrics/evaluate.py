"""All scores of a split: of every model, with intervals, differences to a reference, and maps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import ConfigError, DataError
from pipeline.metrics import METRICS, Array, Case, PairMetric
from pipeline.metrics.bootstrap import RESAMPLES, percentile_interval
from pipeline.metrics.groups import Group, Sampling, area_series, make_groups
from pipeline.metrics.index_maps import index_maps
from pipeline.metrics.kinds import YearScore, field_sums, pair_sums, score_fields, score_years
from pipeline.metrics.maps import NEEDED, Maps, make_maps
from pipeline.metrics.sums import BlockSums, Resampled, block_sums, centred, score_series, score_sums
from pipeline.metrics.tables import Comparison, Score
from pipeline.registry import suggest
from pipeline.seeding import derive_seed
from pipeline.units import of_difference


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What :func:`evaluate` answers.

    Parameters
    ----------
    scores : tuple of Score
        By model, variable, group and metric.
    comparisons : tuple of Comparison
        Every other model against the reference; empty without one.
    maps : mapping of str to mapping of str to Maps
        By model and variable, over all times.
    samplings : tuple of Sampling
        By variable and group.
    """

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    maps: Mapping[str, Mapping[str, Maps]]
    samplings: tuple[Sampling, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the report's first screen: groups with few independent samples."""
        return tuple(sampling.warning for sampling in self.samplings if sampling.warning is not None)


@dataclass(frozen=True, eq=False)
class _Setup:
    """What all variables of one call share."""

    split: str
    time: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    reference: str | None
    seed: int
    resamples: int


def evaluate(
    cases: Mapping[str, Mapping[str, Case]],
    *,
    split: str,
    time: np.ndarray,
    weights: np.ndarray,
    units: Mapping[str, str],
    seed: int,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Score all models on one split, over all times and over every season that is there.

    Parameters
    ----------
    cases : mapping of str to mapping of str to Case
        By model and variable; all models with the same truth. Arrays may live on any device.
    split : str
        ``validation`` or the name of the test set.
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects.
    weights : ndarray, shape (cell,)
        Area weights.
    units : mapping of str to str
        Units of each variable.
    seed : int
        The experiment's seed. Models share their resamples, so their differences are paired.
    metrics : sequence of str, optional
        Names of ``METRICS``, all by default; a model gets those that apply to its predictions.
    reference : str, optional
        Model that the others are compared with, in ``comparisons`` and in the maps of skill.
    resamples : int
        Number of bootstrap resamples.

    Raises
    ------
    DataError
        If truths differ between models, there is none, or a prediction is not finite where the
        truth is.
    ConfigError
        If the reference is none of the models.
    """
    if reference is not None and reference not in cases:
        near, known = suggest(reference, cases), ", ".join(cases)
        raise ConfigError(f"expected one of the models as reference, got {reference!r}.{near} Known: {known}.")
    names = METRICS.names() if metrics is None else tuple(metrics)
    setup = _Setup(split, np.asarray(time), np.asarray(weights, float), names, reference, seed, resamples)
    parts = {
        variable: _Variable(setup, variable, units[variable], {model: by[variable] for model, by in cases.items()})
        for variable in next(iter(cases.values()), {})
    }
    pairs = [_Pair(setup, first, second) for first, second in combinations(parts.values(), 2)]
    every = [*parts.values(), *pairs]
    return Evaluation(
        scores=tuple(row for model in cases for part in every for row in part.scores(model)),
        comparisons=tuple(row for model in cases for part in every for row in part.comparisons(model)),
        maps={model: {variable: part.maps[model] for variable, part in parts.items()} for model in cases},
        samplings=tuple(row for part in parts.values() for row in part.samplings()),
    )


class _Variable:
    """All models on one variable: scored once, asked for rows after."""

    def __init__(self, setup: _Setup, name: str, units: str, cases: Mapping[str, Case]) -> None:
        self.setup, self.name, self.units = setup, name, units
        some = next(iter(cases.values()))
        self.valid = to_host(some.valid)
        _check_shapes(cases, setup, name, self.valid)
        self.groups = make_groups(
            setup.time,
            area_series(some, setup.weights),
            seed=setup.seed,
            purpose=f"{setup.split}:{name}",
            resamples=setup.resamples,
        )
        self.found: dict[str, list[dict[str, Resampled]]] = {}
        # Each variable has draws of its own: on the same random numbers two would go together by themselves.
        seed = derive_seed(setup.seed, f"draws:{name}")
        cases = {model: replace(case, units=units, time=setup.time, seed=seed) for model, case in cases.items()}
        self.cases = cases
        self.maps: dict[str, Maps] = {}
        self.reference: BlockSums | None = None
        # The reference comes first: the others' maps of skill need its sums.
        for model in sorted(cases, key=lambda model: model != setup.reference):
            _check_finite(cases[model], model, name, setup.split)
            self._score(model, cases[model])

    def _score(self, model: str, case: Case) -> None:
        setup = self.setup
        wanted = [name for name in setup.names if _scores_alone(name, case, self.units)]
        if any(METRICS.get(name).uses_draws for name in wanted):
            case = case.with_draws()  # parts of the cells share them
        sums = block_sums(case, tuple(dict.fromkeys((*wanted, *NEEDED))), self.groups)
        fields = field_sums(case, wanted, self.groups)
        years: list[dict[str, YearScore]] = []
        self.found[model] = []
        for group, part, field in zip(self.groups, sums, fields, strict=True):
            of_years = score_years(wanted, case, group, setup.weights, setup.seed, f"{setup.split}:{self.name}")
            scores = {name: found.score for name, found in of_years.items()}
            scores |= score_series(wanted, case, group, setup.weights)
            for name in wanted:
                if name in part.terms:
                    scores[name] = score_sums(name, part, group, setup.weights, setup.resamples)
                elif name in field.terms:
                    scores[name] = score_fields(name, field, group, setup.resamples)
            moved = {name: centred(score) for name, score in scores.items() if METRICS.get(name).upward}
            self.found[model].append({name: (scores | moved)[name] for name in wanted})
            years.append(of_years)
        maps = make_maps(case, sums[0], self.groups[0], self.reference)
        self.maps[model] = replace(maps, indices=index_maps(case, wanted, sums[0], years[0]))
        if model == setup.reference:
            self.reference = sums[0]

    def scores(self, model: str) -> Iterator[Score]:
        """Yield the rows of a model."""
        units = {"target": of_difference(self.units)}
        for group, found in zip(self.groups, self.found[model], strict=True):
            intervals = {name: percentile_interval(score.draws, len(group.blocks)) for name, score in found.items()}
            for label in group.names:
                for name, score in found.items():
                    yield Score(
                        model=model,
                        split=self.setup.split,
                        variable=self.name,
                        group=label,
                        metric=name,
                        value=float(score.value),
                        units=units.get(METRICS.get(name).units, METRICS.get(name).units),
                        low=float(intervals[name].low),
                        high=float(intervals[name].high),
                        n=self._times(group),
                    )

    def comparisons(self, model: str) -> Iterator[Comparison]:
        """Yield the differences of a model to the reference, for the scores that both have."""
        reference = self.setup.reference
        if reference is None or model == reference:
            return
        for group, found, other in zip(self.groups, self.found[model], self.found[reference], strict=True):
            for label in group.names:
                for name in (name for name in found if name in other):
                    interval = percentile_interval(found[name].draws - other[name].draws, len(group.blocks))
                    base, difference = float(other[name].value), float(found[name].value - other[name].value)
                    yield Comparison(
                        model=model,
                        reference=reference,
                        split=self.setup.split,
                        variable=self.name,
                        group=label,
                        metric=name,
                        difference=difference,
                        low=float(interval.low),
                        high=float(interval.high),
                        relative=difference / base if _is_error(name) and base > 0.0 else math.nan,
                        n=self._times(group),
                    )

    def samplings(self) -> Iterator[Sampling]:
        """Yield how much every group of times can tell."""
        for group in self.groups:
            blocks = group.blocks
            for label in group.names:
                yield Sampling(
                    split=self.setup.split,
                    variable=self.name,
                    group=label,
                    times=self._times(group),
                    blocks=len(blocks),
                    kind=blocks.kind,
                    decorrelation=blocks.decorrelation,
                    independent=blocks.independent,
                )

    def _times(self, group: Group) -> int:
        return int(self.valid[group.index].any(axis=1).sum())


class _Pair(_Variable):
    """All models on two variables together: scores of how they go with each other."""

    def __init__(self, setup: _Setup, first: _Variable, second: _Variable) -> None:
        self.setup, self.name, self.units = setup, f"{first.name}~{second.name}", "1"
        self.valid = first.valid & second.valid
        self.groups = first.groups
        self.found, self.maps, self.reference = {}, {}, None
        names = [name for name in setup.names if issubclass(METRICS.get(name), PairMetric)]
        for model in first.cases:
            pair = first.cases[model], second.cases[model]
            wanted = [name for name in names if METRICS.get(name)().applies(pair[0], "1")]
            sums = pair_sums(pair[0].with_draws(), pair[1].with_draws(), wanted, self.groups)
            self.found[model] = [
                {name: score_sums(name, part, group, setup.weights, setup.resamples) for name in wanted}
                for group, part in zip(self.groups, sums, strict=True)
            ]


def _scores_alone(name: str, case: Case, units: str) -> bool:
    """Whether a score is one of a single variable, and means something for it."""
    metric = METRICS.get(name)
    return not issubclass(metric, PairMetric) and metric().applies(case, units)


def _is_error(name: str) -> bool:
    """Whether a score is a size of errors, zero at best: a share of it can be said."""
    metric = METRICS.get(name)
    return metric.better == "lower" and metric.perfect == 0.0


def _check_shapes(cases: Mapping[str, Case], setup: _Setup, variable: str, valid: np.ndarray) -> None:
    shape = (len(setup.time), len(setup.weights))
    for model, case in cases.items():
        if tuple(case.truth.shape) != shape:
            raise DataError(
                f"expected the truth of {variable} for {model!r} on {setup.split!r} in shape (time, cell) = {shape}, "
                f"got {tuple(case.truth.shape)}."
            )
        if not np.array_equal(to_host(case.valid), valid):
            raise DataError(
                f"expected all models to be scored on the same truth of {variable} on {setup.split!r}, got other "
                f"missing values for {model!r}: their differences would not be paired."
            )
    if not valid.any():
        raise DataError(
            f"expected truth of {variable} on {setup.split!r}, got none that is finite. "
            f"A split without truth is predicted and not scored."
        )


def _check_finite(case: Case, model: str, variable: str, split: str) -> None:
    """Refuse a prediction that is not finite where the truth is: left out, it would pass for a good one."""
    for name, array in case.prediction.parameters.items():
        xp = array_namespace(array)
        wrong: Array = case.valid & ~xp.isfinite(array)
        count = int(xp.count_nonzero(wrong))
        if count:
            raise DataError(
                f"expected a finite {name} of {variable} from {model!r} wherever {split!r} has truth, got {count} "
                f"values that are not. A model must predict every cell of the mask."
            )
