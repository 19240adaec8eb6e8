"""Limits: what this evaluation cannot show, from the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import gaps, numbers, sentences, unusual_words
from pipeline.report.places import kind, placed
from pipeline.report.sampling import winters
from pipeline.report.sections import Section, Words, novelty
from pipeline.report.sections.cell import place
from pipeline.report.sections.hydrograph import scored_series
from pipeline.report.study import FEW, VALIDATION, Study

_LONG = 30
_MOST_VALUES = 20_000_000


@dataclass(frozen=True)
class Climate:
    """Area mean of the truth: the yearly means of the train split, and the mean of the test set."""

    train: np.ndarray
    test: float

    @property
    def outside(self) -> bool:
        """Whether the test mean lies outside every year of the train split."""
        return bool(self.test < self.train.min() or self.test > self.train.max())


def build(study: Study) -> Section | None:
    """Return the section; None where nothing is known of the test set."""
    if study.sampling is None:
        return None
    sampling = study.sampling
    items = times(study) + _place(study) + gaps.sentences(study) + _climate(study)
    if study.chosen_on != VALIDATION:
        items.append(sentences.chosen(study))
    if len(study.variables) == 1:
        items.append(f"Only {study.variable} was judged; its relation to other variables was not.")
    items += overlaps(study)
    items.append(
        f"Means over {_judged(study)} are judged here; rare extremes{_patterns(study)} and sequences of "
        f"{sampling.step}s may be better or worse than these scores say."
    )
    region = _region(study)
    lead = (
        f"This evaluation rests on {numbers.plural(sampling.count, sampling.step)} of "
        f"{numbers.plural(sampling.years, 'year')}"
        f"{f' in {region}' if region else ''}; it says nothing beyond them."
    )
    return Section("limits", "Limits", lead, (*novelty.blocks(study), Words(tuple(items), listed=True)))


def times(study: Study) -> list[str]:
    """Say how long and in which season a test set is, and how many independent samples it holds."""
    sampling = study.sampling
    assert sampling is not None
    items = []
    name = f"The{sentences.named_set(study.split)[3:]}"
    if sampling.years < _LONG:
        items.append(
            f"{name} spans {numbers.plural(sampling.years, 'year')}, {sampling.first} to {sampling.last}: "
            "too short for "
            "slow changes and for events that come once in decades."
        )
    if sampling.season:
        items.append(f"Only {sampling.season} was tested; other seasons may behave otherwise.")
    few = study.effective
    if few is not None:
        hint = " That is too few for a claim." if few < FEW else ""
        items.append(
            f"Neighbouring {sampling.step}s resemble each other: there are about {numbers.number(few, 0)} "
            f"independent samples.{hint}"
        )
    return items


def _judged(study: Study) -> str:
    grid, step = _grid(study), study.step
    if not study.run.is_series or grid is None:
        return f"{step}s and cells"
    return f"{step}s" if _tested(study, grid) == 1 else f"{step}s and {kind(grid, study.quantities[study.variable])}s"


def _tested(study: Study, grid: Grid) -> int:
    return scored_series(study, study.variable) or len(grid.stations)


def _patterns(study: Study) -> str:
    grid = _grid(study)
    alone = study.run.is_series and grid is not None and _tested(study, grid) == 1
    return "" if alone else ", spatial patterns"


def overlaps(study: Study) -> list[str]:
    """Say of series how much neighbouring samples have in common."""
    if not study.run.is_series:
        return []
    prepared = study.run.stage("prepare")
    inputs = (prepared.get("scaling") or {}).get("inputs") or {}
    window = max(int(inputs.get("window") or 0), 1 + max((int(lag) for lag in inputs.get("lags") or ()), default=0))
    items = []
    if window > 1:
        items.append(
            f"Windows of {numbers.plural(window, study.step)} overlap: two samples one {study.step} apart share all "
            f"but one {study.step} of their inputs and are not two experiments."
        )
    if study.run.leads:
        items.append(
            f"The same {study.step} is forecast up to {len(study.run.leads)} times, once a lead, so that leads are not "
            "independent of each other: a single event weighs on all of them."
        )
    return items


def _region(study: Study) -> str:
    grid = _grid(study)
    if grid is None or not placed(grid):
        return ""
    south, north = float(np.nanmin(grid.lat)), float(np.nanmax(grid.lat))
    west, east = float(np.nanmin(grid.lon)), float(np.nanmax(grid.lon))
    if north - south > 150 and east - west > 300:
        return ""
    if study.run.is_series and grid.stations:  # places are known to the metre, which is no help here
        south, north, west, east = (round(edge, 1) for edge in (south, north, west, east))
    return f"one region, {place(south, west)} to {place(north, east)}"


def _place(study: Study) -> list[str]:
    grid = _grid(study)
    if study.run.is_series and grid is not None and grid.stations:
        known = kind(grid, study.quantities[study.variable])
        one = "One series was" if known == "station" else f"One {known} was"
        many = _tested(study, grid)
        what = one if many == 1 else f"{many:,} {known}s were"
        return [f"{what} tested; skill elsewhere is not known."]
    return ["One region was tested; skill elsewhere, or on another grid, is not known."] if _region(study) else []


def _grid(study: Study) -> Grid | None:
    data = study.run.predictions(study.headline)
    if data is None:
        return None
    with data:
        return Grid.of(data)


def _climate(study: Study) -> list[str]:
    climate = climate_of(study)
    if climate is None:
        return []
    unit = study.unit
    gap = numbers.with_units(numbers.number(climate.test - float(climate.train.mean()), sign=True), unit)
    span = numbers.interval(float(climate.train.min()), float(climate.train.max()))
    value = numbers.with_units(numbers.number(climate.test), study.field_units[study.variable])
    if climate.outside:
        return [
            f"The{sentences.named_set(study.split)[3:]} is unlike the train split: its mean {study.variable}, "
            f"{value}, lies outside all "
            f"{len(climate.train)} train years "
            f"({span}), {gap} from their mean. Models had to extrapolate."
        ]
    # Where the predictors are unlike those of train, the mean of the truth alone promises too much.
    untold = (
        "" if unusual_words.cautions(study) else ": skill in a warmer or otherwise different climate was not tested"
    )
    return [
        f"The mean {study.variable} of {sentences.named_set(study.split)}, {value}, lies within the train years "
        f"({span}; {gap} from their mean){untold}."
    ]


def climate_of(study: Study) -> Climate | None:
    """Return the climate of train and test from the ingested truth; None where it is not kept."""
    target = (study.run.experiment.get("data") or {}).get("target") or {}
    split = study.run.experiment.get("split") or {}
    path = study.run.path / "work" / "ingest" / f"{target.get('dataset')}.nc"
    if not path.is_file() or "train" not in split or split.get("by", "time") != "time":
        return None
    months = (study.run.experiment.get("data") or {}).get("months")
    with xr.open_dataset(path, cache=False) as data:
        if study.variable not in data or "time" not in data[study.variable].dims:
            return None
        field = data[study.variable]
        field = field.isel(time=np.isin(field["time"].dt.month, months)) if months else field
        tests = split.get("test") or {}
        span = tests.get(study.split) if isinstance(tests, dict) else tests
        if not span:
            return None
        train, test = (_area_mean(field.sel(time=slice(*map(str, part)))) for part in (split["train"], span))
    if not train.size or not test.size:
        return None
    yearly = yearly_means(train)
    return Climate(yearly, float(test.mean())) if len(yearly) > 1 and np.isfinite(float(test.mean())) else None


def _area_mean(field: xr.DataArray) -> xr.DataArray:
    """Return the mean over the area, of every n-th time where the field is large."""
    every = max(1, field.size // _MOST_VALUES)
    field = field.isel(time=slice(None, None, every)).astype(np.float64)
    if field.ndim == 1:  # a series, at one place or none
        return field
    grid = Grid.of(field)
    return field.weighted(xr.DataArray(grid.area, dims=grid.dims)).mean(grid.dims)


def yearly_means(series: xr.DataArray) -> np.ndarray:
    """Return the means of whole years: calendar years, or where only winters are there years from July to June.

    Years with less than nine tenths of the times of the fullest one are left out.

    Examples
    --------
    >>> time = np.arange("2001-01-01", "2004-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    >>> yearly_means(xr.DataArray(np.ones(len(time)), {"time": time}, ["time"])).tolist()
    [1.0, 1.0, 1.0]
    """
    year, month = series["time"].dt.year, series["time"].dt.month
    if winters(frozenset(month.values.tolist())):
        year = year + (month >= 7)
    groups = series.groupby(year.rename("year"))
    counts, means = groups.count().values, groups.mean().values
    whole = counts >= 0.9 * counts.max()
    return np.asarray(means[whole], float)
