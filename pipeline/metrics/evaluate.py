"""All scores of a split: of every model, with intervals, differences to a reference, and maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Case, PairMetric
from pipeline.metrics._losses import Losses, LossSum
from pipeline.metrics._setup import Setup
from pipeline.metrics._shared import Shared
from pipeline.metrics.binned import score_binned
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.checks import MissingMembers, check_finite, check_reference, check_truth, missing_of
from pipeline.metrics.groups import Group, Sampling, area_series, is_month, make_groups
from pipeline.metrics.index_maps import index_maps
from pipeline.metrics.kinds import YearScore, field_sums, pair_sums, score_fields, score_years
from pipeline.metrics.maps import NEEDED, Maps, make_maps
from pipeline.metrics.paired import with_paired, with_skill
from pipeline.metrics.regions import CellRegions, region_parts, regions_with_truth, score_regions
from pipeline.metrics.resampled import score_sums
from pipeline.metrics.rows import Part, comparison_rows, sampling_rows, score_rows
from pipeline.metrics.sums import BlockSums, Resampled, block_sums, centred, score_series
from pipeline.metrics.tables import Comparison, Score
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
    missing : tuple of MissingMembers
        By model and variable, of ensembles that lack members at some values.
    """

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    maps: Mapping[str, Mapping[str, Maps]]
    samplings: tuple[Sampling, ...]
    missing: tuple[MissingMembers, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on missing members, and on groups of few independent samples; months always have few."""
        rows = (sampling for sampling in self.samplings if not is_month(sampling.group))
        few = (sampling.warning for sampling in rows if sampling.warning is not None)
        return (*(lacking.warning for lacking in self.missing), *few)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Scores of some groups of times by name, and what maps are made of."""

    scores: list[dict[str, Resampled]]
    sums: list[BlockSums]
    years: list[dict[str, YearScore]]
    losses: LossSum


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
    task: str = "downscaling",
    months: bool = False,
    seasons: bool = True,
    prefix: str = "",
    month_metrics: Sequence[str] = ("rmse", "pearson_r", "acc"),
    leads: int = 1,
    ahead: int = 1,
    regions: CellRegions | None = None,
) -> Evaluation:
    """Score all models on one split, over all times and over every season, and if asked every month, that is there.

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
        Names of ``METRICS``, all of the task by default; a model gets those that apply to its predictions.
    reference : str, optional
        Model that the others are compared with, in ``comparisons`` and in the maps of skill.
    resamples : int
        Number of bootstrap resamples.
    task : str
        Of the experiment. The cells of ``series`` are series, such as basins: over them some scores are a median.
    months, seasons : bool
        Whether calendar months (``month=04``), whether seasons are groups too.
    prefix : str
        What all cases have in common, such as ``lead=3``: see :func:`~pipeline.metrics.groups.make_groups`.
    month_metrics : sequence of str
        Which of the scores months have: those of all models for all months would be many.
    leads : int
        How many leads the cells are of, one behind the other. A median over series is of every lead by itself, and
        the score is the mean over leads.
    ahead : int
        How many steps ahead the forecasts are, the longest of several leads: paired tests reckon with errors that
        overlap that long.
    regions : CellRegions, optional
        Parts of the cells, which have the scores :data:`~pipeline.metrics.regions.REGIONAL` over all times and by
        season: rows of the groups ``region=alps`` and ``region=alps;season=DJF``. They have no comparisons.

    Raises
    ------
    DataError
        If truths differ between models, there is none, or a prediction is not finite where the
        truth is; of an ensemble members may be missing (NaN) where others are there, see ``missing``.
    ConfigError
        If the reference is none of the models, or the prefix is no name of a group.
    UnknownNameError
        If a score is not known.
    """
    check_reference(reference, cases)
    of_task = (name for name in METRICS.names() if task in METRICS.get(name).tasks)
    names = tuple(of_task if metrics is None else metrics)
    for name in month_metrics:
        METRICS.get(name)
    setup = Setup(
        split=split,
        time=np.asarray(time),
        weights=np.asarray(weights, float),
        names=names,
        reference=reference,
        seed=seed,
        resamples=resamples,
        task=task,
        months=months,
        seasons=seasons,
        prefix=prefix,
        month_metrics=tuple(month_metrics),
        leads=leads,
        ahead=max(1, ahead),
        regions=regions,
    )
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
        missing=tuple(part.missing[model] for model in cases for part in parts.values() if model in part.missing),
    )


class _Variable:
    """All models on one variable: scored once, asked for rows after."""

    def __init__(self, setup: Setup, name: str, units: str, cases: Mapping[str, Case]) -> None:
        self.setup, self.name, self.units = setup, name, units
        some = next(iter(cases.values()))
        self.valid = to_host(some.valid)
        shape = (len(setup.time), len(setup.weights))
        check_truth(cases, shape=shape, split=setup.split, variable=name, valid=self.valid)
        self.groups = make_groups(
            setup.time,
            area_series(some, setup.weights),
            seed=setup.seed,
            purpose=f"{setup.split}:{name}",
            resamples=setup.resamples,
            months=setup.months,
            seasons=setup.seasons,
            prefix=setup.prefix,
        )
        self.found: dict[str, list[dict[str, Resampled]]] = {}
        # Each variable has draws of its own: on the same random numbers two would go together by themselves.
        seed = derive_seed(setup.seed, f"draws:{name}")
        ours: dict[str, Any] = {"units": units, "time": setup.time, "seed": seed, "weights": setup.weights}
        ours["shared"] = Shared()  # the truth of all models is the same
        cases = {model: replace(case, **ours) for model, case in cases.items()}
        self.cases: Mapping[str, Case] = cases
        self.regions = regions_with_truth(setup.regions, self.groups, self.valid)
        self.regional: dict[str, list[dict[str, Resampled]]] = {}
        self.losses: dict[str, Losses] = {}
        self.maps: dict[str, Maps] = {}
        self.reference: BlockSums | None = None
        self.missing: dict[str, MissingMembers] = {}
        # The reference comes first: the others' maps of skill need its sums.
        others = [model for model in cases if model != setup.reference]
        for model in [model for model in cases if model not in others] + others:
            self._score(model)

    def _score(self, model: str) -> None:
        setup, case = self.setup, self.cases[model]
        check_finite(case, model, self.name, setup.split)
        lacking = missing_of(case, model, self.name, setup.split)
        if lacking is not None:
            self.missing[model] = lacking
        wanted = [name for name in setup.names if _scores_alone(name, case, self.units)]
        if any(METRICS.get(name).uses_draws for name in wanted):
            case = case.with_draws()  # parts of the cells share them
        months = [group for group in self.groups if group.of_month]
        scored = self._of_groups(case, wanted, self.groups[: len(self.groups) - len(months)], NEEDED)
        of_months = self._of_groups(case, [name for name in wanted if name in setup.month_metrics], months)
        self.found[model] = scored.scores + of_months.scores
        over: dict[str, Any] = {"task": setup.task, "leads": setup.leads}
        self.regional[model] = score_regions(
            wanted, scored.sums, self.regions, self.groups, setup.weights, setup.resamples, **over
        )
        self.losses[model] = scored.losses.losses()
        sums = scored.sums[0]
        maps = make_maps(case, sums, self.groups[0], self.reference)
        self.maps[model] = replace(maps, indices=index_maps(case, wanted, sums, scored.years[0]))
        if model == setup.reference:
            self.reference = sums

    def _of_groups(
        self, case: Case, wanted: Sequence[str], groups: Sequence[Group], more: Sequence[str] = ()
    ) -> _Scored:
        """Return the scores of some groups; the sums hold those of ``more`` too."""
        setup, done = self.setup, _Scored([], [], [], LossSum(self.setup.weights))
        if not groups:
            return done
        sums = block_sums(case, tuple(dict.fromkeys((*wanted, *more))), groups, done.losses)
        fields = field_sums(case, wanted, groups)
        binned = score_binned(wanted, case, groups, setup.weights, setup.resamples)
        for group, part, field, of_bins in zip(groups, sums, fields, binned, strict=True):
            of_years = score_years(wanted, case, group, setup.weights, setup.seed, self._purpose)
            scores = of_bins | {name: found.score for name, found in of_years.items()}
            over: dict[str, Any] = {"task": setup.task, "leads": setup.leads}
            scores |= score_series(wanted, case, group, setup.weights, **over)
            of_cells = [name for name in wanted if name in part.terms]
            scores |= score_sums(of_cells, part, group, setup.weights, setup.resamples, **over)
            scores |= {name: score_fields(name, field, group, setup.resamples) for name in field.terms}
            moved = {name: centred(score) for name, score in scores.items() if METRICS.get(name).upward}
            done.scores.append({name: (scores | moved)[name] for name in wanted})
            done.sums.append(part)
            done.years.append(of_years)
        return done

    def scores(self, model: str) -> Iterator[Score]:
        """Yield the rows of a model."""
        named = {"target": of_difference(self.units)}
        units = {name: METRICS.get(name).units for found in self.found[model] for name in found}
        units = {name: named.get(unit, unit) for name, unit in units.items()}
        parts = [*self._parts(), *region_parts(self.regions, self.regional)]
        rows = score_rows(model, parts, split=self.setup.split, variable=self.name, units=units)
        losses = self.losses.get(model)
        if losses is None:  # of a score of two variables
            return rows
        over: dict[str, Any] = {"seed": self.setup.seed, "resamples": self.setup.resamples}
        return with_skill(rows, self.groups, losses, self.setup.time, purpose=self._purpose, **over)

    @property
    def _purpose(self) -> str:
        return f"{self.setup.split}:{self.name}"

    def comparisons(self, model: str) -> Iterator[Comparison]:
        """Yield the differences of a model to the reference, for the scores that both have."""
        setup = self.setup
        rows = comparison_rows(model, setup.reference, self._parts(), split=setup.split, variable=self.name)
        over: dict[str, Any] = {"ahead": setup.ahead, "seed": setup.seed, "resamples": setup.resamples}
        return with_paired(rows, self.groups, self.losses, setup.time, purpose=self._purpose, **over)

    def samplings(self) -> Iterator[Sampling]:
        """Yield how much every group of times can tell."""
        times = [self._times(group) for group in self.groups]
        return sampling_rows(self.groups, times, split=self.setup.split, variable=self.name)

    def _parts(self) -> list[Part]:
        return [
            Part(
                group.names, len(group.blocks), self._times(group), {model: by[at] for model, by in self.found.items()}
            )
            for at, group in enumerate(self.groups)
        ]

    def _times(self, group: Group) -> int:
        return int(self.valid[group.index].any(axis=1).sum())


class _Pair(_Variable):
    """All models on two variables together: scores of how they go with each other."""

    def __init__(self, setup: Setup, first: _Variable, second: _Variable) -> None:
        self.setup, self.name, self.units = setup, f"{first.name}~{second.name}", "1"
        self.valid = first.valid & second.valid
        self.groups = tuple(group for group in first.groups if not group.of_month)
        self.found, self.maps, self.reference, self.losses = {}, {}, None, {}
        self.regions, self.regional = [], {}
        names = [name for name in setup.names if issubclass(METRICS.get(name), PairMetric)]
        for model in first.cases:
            pair = first.cases[model], second.cases[model]
            wanted = [name for name in names if METRICS.get(name)().applies(pair[0], "1")]
            sums = pair_sums(pair[0].with_draws(), pair[1].with_draws(), wanted, self.groups)
            self.found[model] = [
                score_sums(wanted, part, group, setup.weights, setup.resamples)
                for group, part in zip(self.groups, sums, strict=True)
            ]


def _scores_alone(name: str, case: Case, units: str) -> bool:
    """Whether a score is one of a single variable, and means something for it."""
    metric = METRICS.get(name)
    return not issubclass(metric, PairMetric) and metric().applies(case, units)
