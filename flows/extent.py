"""How large the data of a run are, told from the heads of their files.

Of files that know their times, such as netCDF and Zarr, a single field of each variable is read; tables and images are
read whole, and made data are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cftime
import numpy as np
import xarray as xr

from flows.assemble import assemble
from flows.plan import split_of
from flows.sources import Sources, used_entries, used_variables
from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data.axes import find_time
from pipeline.data.blocks import Blocks
from pipeline.data.catalog import Entry
from pipeline.data.files import at_hand
from pipeline.data.regular import regularise
from pipeline.errors import DataError
from pipeline.experiment import Experiment
from pipeline.grid import Grid
from pipeline.prepare.align import align, crop
from pipeline.prepare.carried import channel_names, channel_units, common_grid, lag_names
from pipeline.prepare.places import placed, placed_predictors
from pipeline.prepare.scalars import CALENDAR, forcing_names
from pipeline.samples import Affine, Samples, Schema, lead_name
from pipeline.split_config import BlockSplitConfig

NUMBER = 4  # bytes of a float32


@dataclass(frozen=True, eq=False)
class Dataset:
    """What is known of a dataset before it is read.

    Parameters
    ----------
    first : Dataset
        Regular, of its first time alone, or all of it where there is no time.
    time : ndarray, shape (time,), or None
        All its times.
    made : bool
        Whether it is made, not read.
    """

    first: xr.Dataset
    time: np.ndarray | None
    made: bool

    @property
    def nbytes(self) -> int:
        """Bytes of all values in float32."""
        return sum(self._sizes())

    @property
    def largest(self) -> int:
        """Bytes of the largest variable in float32."""
        return max(self._sizes(), default=0)

    def _sizes(self) -> list[int]:
        times = 1 if self.time is None else len(self.time)
        return [NUMBER * each.size * (times if "time" in each.dims else 1) for each in self.first.data_vars.values()]


@dataclass(frozen=True, eq=False)
class Extent:
    """Sizes of a run.

    Parameters
    ----------
    datasets : mapping of str to Dataset
        Those of the catalog that are used.
    few : Samples
        Two samples of zeros, with all channels and on the grids of the run.
    variables : int
        Channels before lags.
    samples : mapping of str to int
        Number of samples of every split and test set; of a split by basins all of them have all times.
    """

    datasets: Mapping[str, Dataset]
    few: Samples
    variables: int
    samples: Mapping[str, int]

    @property
    def steps(self) -> int:
        """Number of samples of all splits."""
        return sum(self.samples.values())

    @property
    def inputs(self) -> int:
        """Bytes of a step's inputs, windows not laid out."""
        return NUMBER * self.variables * int(np.prod(self.few.schema.input_grid.shape))

    @property
    def truth(self) -> int:
        """Bytes of a step's truth."""
        return NUMBER * len(self.few.schema.targets) * int(np.prod(self.few.schema.target_grid.shape))

    @property
    def train(self) -> int:
        """Number of samples of the train split."""
        return self.samples["train"]

    @property
    def tested(self) -> int:
        """Number of samples of the largest of the other splits."""
        return max(count for name, count in self.samples.items() if name != "train")


def extent_of(experiment: Experiment, sources: Sources, backend: Backend) -> Extent:
    """Return how large the data are; nothing is fetched or unpacked for it.

    Raises
    ------
    UserError
        If a file is not there yet, or files or spans are at fault, as the first stages of the run would say.
    """
    entries = used_entries(experiment, sources.catalog)
    files = {name: _files(entry, sources) for name, entry in entries.items()}  # all, before the first is read
    found = {
        name: _opened(entry, files[name], backend, used_variables(experiment, name)) for name, entry in entries.items()
    }
    if isinstance(experiment.split, BlockSplitConfig):
        return _of_images(experiment, experiment.split, found)
    parts = assemble(experiment, lambda name: found[name].first)
    region = experiment.data.region
    target = crop(placed(parts.target, "target"), region.bounds() if region else None)
    predictors = placed_predictors(parts.predictors)
    grid = common_grid(predictors, Grid.of(target), experiment.prepare.regrid)
    names = channel_names(predictors)
    fields = _Named(names, channel_units(predictors))
    few = _few(experiment, fields, _Named(*forcing_names(parts.forcings)), _targets(target), grid, Grid.of(target))
    return Extent(found, few, len(names), _samples(experiment, found))


def dates_of(entry: Entry, sources: Sources, backend: Backend) -> tuple[str, ...]:
    """Return the dates that a dataset has values of, in order, each once; none where it has no time.

    Raises
    ------
    UserError
        If a file is not there yet, or is at fault.
    """
    time = _opened(entry, _files(entry, sources), backend, None).time
    return () if time is None else tuple(dict.fromkeys(_date(one) for one in np.asarray(time)))


def _date(time: object) -> str:
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[D]"))
    assert isinstance(time, cftime.datetime)  # of another calendar
    return f"{time.year:04d}-{time.month:02d}-{time.day:02d}"


def _files(entry: Entry, sources: Sources) -> tuple[Path, ...]:
    found: list[Path] = []
    for spec in entry.files:
        there = at_hand(entry, spec, sources.places)
        if there is None:
            raise DataError(f"{f'{spec.archive} of ' if spec.archive else ''}{spec.path} is not there yet")
        found += there
    return tuple(found)


def _opened(entry: Entry, files: tuple[Path, ...], backend: Backend, variables: Sequence[str] | None) -> Dataset:
    raw = READERS.get(entry.format)().read(entry, files, backend)
    names = tuple(entry.variables) if variables is None else tuple(variables)
    with raw:
        axis = find_time(raw)
        if axis is None or axis not in raw.dims:
            return Dataset(regularise(raw, entry, names)[0], None, not files)
        blocks = Blocks.of(raw, entry, names)
        return Dataset(blocks.head(), blocks.time, not files)


def _samples(experiment: Experiment, found: Mapping[str, Dataset]) -> dict[str, int]:
    """Return the number of samples of every split; of test sets with data of their own all times of these."""
    data, split = experiment.data, split_of(experiment)

    def times(name: str) -> xr.Dataset:
        return xr.Dataset(coords={"time": found[name].time})

    predictors = [(source.dataset, times(source.dataset)) for source in data.predictors]
    axis = align(predictors, times(data.target.dataset), split, data.months, experiment.prepare.calendars)
    counts = {name: len(positions) for name, positions in axis.positions.items()}
    for name, test in data.tests.items():
        time = found[test.predictors[0].dataset].time
        counts[name] = 0 if time is None else len(time)
    return counts


def _of_images(experiment: Experiment, split: BlockSplitConfig, found: dict[str, Dataset]) -> Extent:
    """Return the sizes of images that are cut into tiles, as many as they have room for."""
    sources, shape = experiment.data.predictors, split.tile
    first = next(iter(found.values())).first
    names = tuple(name for source in sources for name in source.variables or ())
    grid = Grid(np.arange(shape[0], dtype=float), np.arange(shape[1], dtype=float))
    fields = _Named(names, tuple(str(first[name].attrs.get("units", "")) for name in names))
    targets = _targets(first[experiment.data.target.variables] if experiment.data.target.variables else first)
    few = _few(experiment, fields, _Named((), ()), targets, grid, grid)
    cells = sum(next(iter(each.first.data_vars.values())).size for each in found.values())
    blocks = {"train": split.train, "validation": split.validation, **split.test}
    whole = first.sizes[split.along]
    count = cells / (shape[0] * shape[1])
    counts = {name: max(1, round(count * (last - start + 1) / whole)) for name, (start, last) in blocks.items()}
    return Extent(found, few, len(names), counts)


@dataclass(frozen=True)
class _Named:
    """Names and units of channels, and of targets what CF calls them."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    standard_names: tuple[str, ...] = ()


def _targets(target: xr.Dataset) -> _Named:
    attrs = [target[name].attrs for name in target.data_vars]
    standard = tuple(str(each.get("standard_name", "")) for each in attrs)
    return _Named(tuple(map(str, target.data_vars)), tuple(str(each.get("units", "")) for each in attrs), standard)


def _few(
    experiment: Experiment, fields: _Named, forcings: _Named, targets: _Named, inputs: Grid, answers: Grid
) -> Samples:
    """Return two samples of zeros, as far as they are known before anything is fitted."""
    asked, lags = experiment.prepare, experiment.prepare.inputs.steps_back
    calendar, leads = CALENDAR if asked.inputs.calendar else (), tuple(asked.target.leads)
    scalars = (*calendar, *forcings.names)
    channels = (*lag_names(fields.names, lags), *scalars)
    answered = tuple(lead_name(name, lead) for lead in leads for name in targets.names)
    # Labels make classes of values, and files name theirs; two are enough to see what a network of classes takes.
    classes = ("one", "other") if experiment.task == "segmentation" else ()
    # How numbers become units is known once it is fitted; that they do is known before.
    powers = tuple(asked.inputs.transform.get(name, "none") for name in fields.names) * len(lags)
    kinds = (*powers, *("none" for _ in scalars)) if asked.inputs.transform else ()
    of_season = any(asked.target.anomaly_of(name) == "day_of_year" for name in targets.names)
    schema = Schema(
        channels=channels,
        channel_units=(*fields.units * len(lags), *("1" for _ in calendar), *forcings.units),
        targets=answered,
        target_units=targets.units * len(leads),
        input_grid=inputs,
        target_grid=answers,
        mask=np.ones(answers.shape, bool),
        static=np.zeros((len(experiment.data.static), *answers.shape), np.float32),
        statics=tuple(f"static{number}" for number in range(len(experiment.data.static))),
        step=np.timedelta64(1, "D"),
        scalars=scalars,
        channel_affine=None if asked.inputs.anomaly == "day_of_year" else _same(len(channels), kinds),
        target_affine=None if of_season and not classes else _same(len(answered)),
        leads=leads,
        classes=classes,
        class_shares=tuple(1 / len(classes) for _ in classes),
        target_standard_names=targets.standard_names * len(leads),
    )
    time = np.datetime64("2000-01-01", "ns") + np.arange(2) * np.timedelta64(1, "D")
    given, truth = (
        np.zeros((2, len(part), *grid.shape), np.float32) for part, grid in ((channels, inputs), (answered, answers))
    )
    return Samples("few", given, truth, None, time, np.zeros(2), schema)


def _same(count: int, kinds: tuple[str, ...] = ()) -> Affine:
    return Affine(np.ones((count, 1, 1), np.float32), np.zeros((count, 1, 1), np.float32), kinds)
