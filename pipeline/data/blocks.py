"""A dataset of the catalog read block by block, for data larger than memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data.axes import drop_bounds, find_time
from pipeline.data.calendars import date_text, decode_times
from pipeline.data.catalog import Entry
from pipeline.data.checks import check
from pipeline.data.lows import Lows
from pipeline.data.records import Repair
from pipeline.data.regular import regularise
from pipeline.errors import DataError


@dataclass(frozen=True, eq=False)
class Blocks:
    """The variables of an entry, opened but not read; a context manager that closes the files.

    Parameters
    ----------
    name : str
        Of the entry.
    time : ndarray, shape (time,)
        ``datetime64[ns]`` or cftime dates, ascending.
    repairs : tuple of Repair
        What was mended about the times; what is mended about values belongs to a block.
    """

    name: str
    time: np.ndarray
    repairs: tuple[Repair, ...]
    _entry: Entry
    _data: xr.Dataset
    _variables: tuple[str, ...]
    _raw: xr.Dataset

    @classmethod
    def open(
        cls, entry: Entry, files: Sequence[Path], backend: Backend, variables: Sequence[str] | None = None
    ) -> Self:
        """Open ``files`` with the reader that ``entry`` names; no value is read but the times.

        Parameters
        ----------
        entry : Entry
            Says format, names and units.
        files : sequence of Path
            Files on this machine.
        backend : Backend
            Tables are read through its frames.
        variables : sequence of str, optional
            Names in the entry; all by default.

        Raises
        ------
        DataError
            If a file cannot be read, or its times are missing or not in order.
        """
        raw = READERS.get(entry.format)().read(entry, tuple(files), backend)
        try:
            return cls.of(raw, entry, variables)
        except DataError:
            raw.close()
            raise

    @classmethod
    def of(cls, raw: xr.Dataset, entry: Entry, variables: Sequence[str] | None = None) -> Self:
        """Return the blocks of what a reader has opened, which they close.

        Raises
        ------
        DataError
            If its times are missing or not in order; it stays open then.
        """
        names = tuple(entry.variables) if variables is None else tuple(variables)
        before = tuple(raw.attrs.get("repairs", ()))
        data, mended = decode_times(drop_bounds(raw).assign_attrs(repairs=()), entry.name)
        return cls(entry.name, _times(data, entry.name), (*before, *mended), entry, data, names, raw)

    def head(self) -> xr.Dataset:
        """Return the regular dataset at the first step, to see its variables and places: no value is judged."""
        first = self._data.isel({find_time(self._data): slice(0, 1)})
        return regularise(first, self._entry, self._variables, lows=Lows())[0]

    def read(self, steps: np.ndarray, *, empty: bool = False) -> xr.Dataset:
        """Return the regular dataset at ``steps``, ascending positions along :attr:`time`.

        ``empty`` says that a variable may have no value at all on these.

        Raises
        ------
        DataError
            If a value is none that the entry allows, or a file is damaged inside.
        """
        return self.mended(steps, empty=empty)[0]

    def mended(
        self, steps: np.ndarray, *, empty: bool = False, lows: Lows | None = None
    ) -> tuple[xr.Dataset, tuple[Repair, ...]]:
        """Return what :meth:`read` does, and what was mended on the way but for the times.

        With ``lows`` values below a minimum are set to it and noted there; :meth:`judge` refuses them after the last
        block, as those of all times at once would be.
        """
        axis = find_time(self._data)
        try:
            data, repairs = regularise(self._data.isel({axis: steps}), self._entry, self._variables, lows=lows)
            bare = [name for name, array in data.data_vars.items() if empty and not array.notnull().any()]
            check(data.drop_vars(bare), self.name, part=True)
        except (OSError, RuntimeError) as error:
            first = date_text(self.time[steps[0]])
            raise DataError(
                f"{self.name}: reading {len(steps)} steps from {first} failed ({type(error).__name__}: {error}). The "
                "file is damaged or cut off: fetch it again."
            ) from error
        return data, repairs

    def judge(self, lows: Lows) -> None:
        """Refuse what lies further below a minimum than rounding leaves it, by the range of all that was read.

        Raises
        ------
        DataError
            If a value does.
        """
        lows.judge(self._entry)

    def bytes_per_step(self) -> int:
        """Return how much memory one step takes as float64, in which values are mended."""
        axis, total = find_time(self._data), 0
        for name in self._variables:
            spec = self._entry.variables[name]
            array = self._data[spec.source or name]
            sizes = [size for dim, size in array.sizes.items() if dim != axis and dim not in spec.select]
            total += 8 * int(np.prod(sizes, dtype=np.int64))
        return total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()


def _times(data: xr.Dataset, name: str) -> np.ndarray:
    axis = find_time(data)
    if axis is None or axis not in data.dims:
        raise DataError(f"{name}: expected a dim of times to read along, got dims {tuple(map(str, data.dims))}.")
    time: Any = data[axis].values
    if len(time) > 1 and not bool((time[1:] > time[:-1]).all()):
        place = int(np.flatnonzero(~(time[1:] > time[:-1]))[0])
        raise DataError(
            f"{name}: expected times in order to be read block by block, got {date_text(time[place + 1])} after "
            f"{date_text(time[place])}. Sort the files by their dates, or leave out what stands twice."
        )
    return np.asarray(time)
