"""The predictors of a trained model in files of its user's: found, opened, matched by date, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import xarray as xr

from flows.apply.opening import Found, open_as
from flows.apply.stations import stations_of, with_stations
from flows.assemble import pick
from flows.sources import open_sources
from flows.workspace import Workspace
from pipeline.backend import Backend
from pipeline.data.blocks import Blocks
from pipeline.data.catalog import Entry, make_entry
from pipeline.data.describe import files_of
from pipeline.data.load import load
from pipeline.data.lows import Lows
from pipeline.data.records import ONE_GRID
from pipeline.errors import ConfigError, DataError, LackingVariableError, UserError
from pipeline.experiment import Source
from pipeline.grid import Grid
from pipeline.prepare.align import Predictors, shared_dates
from pipeline.prepare.dates import components, iso, microseconds
from pipeline.prepare.windows import usual_step
from pipeline.registry import suggest


@dataclass(frozen=True, eq=False)
class Inputs:
    """The predictors, opened; a context manager that closes the files.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Dates that all datasets have.
    step : int
        Usual time between two of them [us], before months were chosen.
    forcings : tuple of Dataset
        Series without a place, whole.
    files : tuple of str
        What was opened: ``dataset: file, file``, without folders.
    target : Blocks or None
        The target's own past; None where it was not asked for or is not there.
    lacking : tuple of str
        Stations that the models know and a table of the predictors lacks; their values are missing.
    """

    time: np.ndarray
    step: int
    forcings: tuple[xr.Dataset, ...]
    files: tuple[str, ...]
    target: Blocks | None
    lacking: tuple[str, ...]
    _grid: Grid | None
    _sources: tuple[tuple[Source, Blocks], ...]
    _steps: tuple[np.ndarray, ...]
    _closing: ExitStack
    _lows: tuple[Lows, ...]
    _target_lows: Lows

    @classmethod
    def open(cls, space: Workspace, words: Sequence[str], past: bool = False) -> Self:
        """Open the files that ``--input`` named.

        Parameters
        ----------
        space : Workspace
            The run or bundle, for its predictors and their catalog entries.
        words : sequence of str
            Paths, folders or globs, read for every dataset of the predictors; or ``DATASET=PATH`` for one.
        past : bool
            Whether the target is looked for, too: in the files named for its dataset, which may be one of those of
            the predictors.

        Raises
        ------
        ConfigError
            If a dataset is not one of the predictors, or one is left without files.
        DataError
            If a file cannot be read or lacks a variable, or no date is in all of them.
        """
        data, entries = space.plan.experiment.data, entries_of(space)
        sources = data.predictors
        series = [source.dataset for source in data.forcings]
        given = _assign(words, [source.dataset for source in sources], series, data.target.dataset if past else None)
        with ExitStack() as closing:
            opened, files = [], []
            for source in sources:
                found = Found.of(entries[source.dataset], given[source.dataset])
                with _told_whose(source.dataset, [one.dataset for one in sources], words):
                    blocks = open_as(entries[source.dataset], found, source.variables, space.backend)
                opened.append((source, closing.enter_context(blocks)))
                files.append(f"{source.dataset}: {', '.join(path.name for path in found.paths)}")
            dates = [(source.dataset, xr.Dataset(coords={"time": blocks.time})) for source, blocks in opened]
            time, steps = shared_dates(dates)
            step = min(usual_step(microseconds(blocks.time)) for _, blocks in opened)
            forcings = tuple(_series(space, source, entries, given.get(source.dataset)) for source in data.forcings)
            target = None
            if past and data.target.dataset in given:
                target = _target(entries[data.target.dataset], given[data.target.dataset], data.target, space.backend)
                if target is not None:
                    closing.enter_context(target)
            kept, lows = closing.pop_all(), tuple(Lows() for _ in opened)
            parts = (tuple(opened), tuple(steps), kept, lows, Lows())
            return cls(time, step, forcings, tuple(files), target, (), None, *parts)
        raise AssertionError("unreachable: the block above returns or raises")

    def of_months(self, months: Sequence[int] | None) -> Self:
        """Return the dates in ``months``, those that the models were trained on; all of them for None.

        Raises
        ------
        DataError
            If there is none.
        """
        if months is None:
            return self
        kept = np.flatnonzero(np.isin(components(self.time)[:, 1], list(months)))
        if not kept.size:
            raise DataError(
                f"expected dates in the months {', '.join(map(str, months))}, which the models were trained on "
                f"(data.months), got none; the input spans {iso(self.time[0])} to {iso(self.time[-1])}."
            )
        return replace(self, time=self.time[kept], _steps=tuple(steps[kept] for steps in self._steps))

    def of_stations(self, grid: Grid) -> Self:
        """Return the inputs with a row for every station of ``grid``; where a table lacks some, their values are NaN.

        A table is looked at where it has one of the stations at least.
        """
        lacking: set[str] = set()
        for source, blocks in self._sources if grid.stations else ():
            # Its values are judged where they are read, with those of all dates.
            first, _ = blocks.mended(np.arange(1), empty=True, lows=Lows())
            there = stations_of(pick(first, source)[0])
            lacking |= set(grid.stations) - there if there & set(grid.stations) else set()
        return replace(self, _grid=grid, lacking=tuple(name for name in grid.stations if name in lacking))

    def read(self, first: int, last: int) -> Predictors:
        """Return the predictors of the dates from ``first`` up to, not including, ``last``."""
        found = []
        for (source, blocks), steps, lows in zip(self._sources, self._steps, self._lows, strict=True):
            picked, _ = pick(blocks.mended(steps[first:last], lows=lows)[0], source)
            found.append((source.dataset, picked if self._grid is None else with_stations(picked, self._grid)))
        return found

    def known(self, steps: np.ndarray) -> xr.Dataset:
        """Return the target's own past at ``steps``, ascending positions along its own time, values missing or not."""
        assert self.target is not None
        return self.target.mended(steps, empty=True, lows=self._target_lows)[0]

    def judge(self) -> None:
        """Refuse what lies further below a minimum than rounding leaves it, by the range of all dates that were read.

        Raises
        ------
        DataError
            If a value does.
        """
        for (_, blocks), lows in zip(self._sources, self._lows, strict=True):
            blocks.judge(lows)
        if self.target is not None:
            self.target.judge(self._target_lows)

    def bytes_per_step(self) -> int:
        """Return how much memory the predictors of one date take while they are read."""
        return sum(blocks.bytes_per_step() for _, blocks in self._sources)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()


def _series(space: Workspace, source: Source, entries: Mapping[str, Entry], words: Sequence[str] | None) -> xr.Dataset:
    """Return a forcing: from the files given for it, else from where the run's catalog has it."""
    if words is None:
        settings = space.run.read_json("work/settings.json")
        data, below = (Path(path) if path else None for path in (settings["data"], settings.get("catalog_below")))
        try:
            opened = open_sources(Path(settings["catalog"]), data, below)
            return load(entries[source.dataset], opened.catalog, opened.places, space.backend, source.variables).data
        except UserError as error:  # a bundle that was carried to another machine
            raise DataError(
                f"the series {source.dataset!r}: expected its file where the run had it, got none: {error} "
                f"Give one with --input {source.dataset}=FILE."
            ) from error
    entry = entries[source.dataset]
    with open_as(entry, Found.of(entry, words), source.variables, space.backend) as blocks:
        return blocks.read(np.arange(len(blocks.time)))


def _target(entry: Entry, words: Sequence[str], source: Source, backend: Backend) -> Blocks | None:
    """Return the target's own past; None where the files have no such variable."""
    try:
        return open_as(entry, Found.of(entry, words), source.variables, backend)
    except LackingVariableError:
        return None


def require_apart(out: Path, words: Sequence[str]) -> None:
    """Refuse to write over a file that is read, such as a prediction of before among the files of a glob.

    Raises
    ------
    ConfigError
        If ``out`` is one of the files that ``--input`` named.
    """
    if not out.is_file():
        return
    for word in words:
        there = word if Path(word).exists() else word.partition("=")[2] or word
        if out.resolve() in {path.resolve() for path in files_of(there)}:
            raise ConfigError(
                f"--to: expected another file than those that are read, got {str(out)!r}, which --input {word} names. "
                "Write to another folder, or name the inputs more closely."
            )


def entries_of(space: Workspace) -> Mapping[str, Entry]:
    """Return the catalog entries that the run used, as they were then."""
    settings = space.run.read_json("work/settings.json")
    where = str(space.run / "work/settings.json")
    return {name: make_entry(name, raw, where) for name, raw in settings["entries"].items()}


@contextmanager
def _told_whose(dataset: str, datasets: Sequence[str], words: Sequence[str]) -> Iterator[None]:
    """Say, where files do not suit a dataset, how to say which files are its own."""
    try:
        yield
    except DataError as error:
        text = str(error).removesuffix(f" {ONE_GRID}")
        named = any(word.startswith(f"{dataset}=") for word in words)
        if len(datasets) > 1 and not named:
            text += (
                f" Files given without a dataset are read for each of the predictors, {', '.join(datasets)}: say which "
                f"are whose with {' '.join(f'--input {name}=FILE' for name in datasets)}"
            )
        elif text != str(error):
            text += f" Give files of one grid: regrid one of them, or leave it out of --input {dataset}=FILE"
        raise type(error)(text) from error


def _assign(
    words: Sequence[str], datasets: Sequence[str], series: Sequence[str], target: str | None
) -> dict[str, list[str]]:
    """Return the paths of every dataset: its own where it is named, else the unnamed ones.

    Series, and a target that is none of the predictors' datasets, have only their own.
    """
    own: dict[str, list[str]] = {}
    common: list[str] = []
    alone = [*series, *([] if target is None or target in datasets else [target])]
    known = [*datasets, *alone]
    for word in words:
        name, equals, path = word.partition("=")
        if equals and not Path(word).exists():
            if name not in known:
                raise ConfigError(
                    f"--input {word!r}: {name!r} is none of the predictors.{suggest(name, known)} "
                    f"Known: {', '.join(known)}."
                )
            own.setdefault(name, []).append(path)
        else:
            common.append(word)
    left = [name for name in datasets if name not in own and not common]
    if left:
        raise ConfigError(
            f"expected files for every dataset of the predictors, got none for {', '.join(left)}. "
            f"Add {' '.join(f'--input {name}=FILE' for name in left)}"
        )
    return {name: own.get(name, common) for name in datasets} | {name: own[name] for name in alone if name in own}
