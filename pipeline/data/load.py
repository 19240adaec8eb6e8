"""From a name in the catalog to a regular dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import xarray as xr

from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data.catalog import Catalog, Entry, check_reader
from pipeline.data.checks import check as refuse_faults
from pipeline.data.files import Places, resolve
from pipeline.data.records import Found, Repair
from pipeline.data.regular import regularise
from pipeline.errors import DataError
from pipeline.progress import Progress, silent
from pipeline.registry import suggest


@dataclass(frozen=True, eq=False)
class Loaded:
    """A dataset, ready for use.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    data : Dataset
        float32 variables of dims ``(time, lat, lon)``, ``(time, y, x)`` with 2-D ``lat, lon``,
        ``(time, station)`` or ``(time,)``, or the same without time, or ``(y, x)`` with the pixel
        numbers of an image; attributes ``units``, ``long_name``, ``standard_name`` where catalog or
        file say it, and of class numbers ``flag_values`` and ``flag_meanings``.
    repairs : tuple of Repair
        What was mended.
    files : tuple of Found
        What it was read from.
    """

    name: str
    data: xr.Dataset
    repairs: tuple[Repair, ...]
    files: tuple[Found, ...]


def load(
    entry: Entry | str,
    catalog: Catalog,
    places: Places,
    backend: Backend,
    variables: Sequence[str] | None = None,
    progress: Progress = silent,
    *,
    check: bool = True,
) -> Loaded:
    """Return a dataset of the catalog: found, checked, read, mended.

    Parameters
    ----------
    entry : Entry or str
        An entry, or its name in ``catalog``.
    catalog : Catalog
        Where names are looked up.
    places : Places
        Where files are looked for.
    backend : Backend
        Tables are read through its frames; the answer is on the host.
    variables : sequence of str, optional
        Names in the entry, in the order wanted; all by default.
    progress : Progress
        Shows what is looked for, fetched and read.
    check : bool
        False returns data that a run would trip over as well, for ``finescale data check`` to say all
        that is wrong with them.

    Raises
    ------
    CatalogError
        If there is no such entry, or it does not fit its reader.
    DataError
        If a file is missing, damaged or changed, or holds something else than the catalog says.
    NetworkError
        If a download fails.
    """
    with opened(entry, catalog, places, backend, variables, progress) as source:
        data, repairs = regularise(source.raw, source.entry, source.names, progress)
        if check:
            refuse_faults(data, source.entry.name)
    return Loaded(source.entry.name, data, repairs, source.files)


@dataclass(frozen=True, eq=False)
class Opened:
    """An entry whose files were found and opened: what its reader gives, mostly not read yet."""

    entry: Entry
    names: tuple[str, ...]
    raw: xr.Dataset
    files: tuple[Found, ...]


@contextmanager
def opened(
    entry: Entry | str,
    catalog: Catalog,
    places: Places,
    backend: Backend,
    variables: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Iterator[Opened]:
    """Open a dataset of the catalog while its values are read; errors of those then name the files.

    Takes and raises what :func:`load` does.
    """
    if isinstance(entry, str):
        entry = catalog[entry]
    else:
        check_reader(entry, str(catalog.path))
    names = _wanted(entry, variables)
    files = resolve(entry, places, progress)
    reader = READERS.get(entry.format)()
    paths = tuple(found.path for found in files)
    raw = reader.read(entry, paths, backend)
    listed = ", ".join(str(path) for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    try:
        yield Opened(entry, names, raw, files)
    except DataError as error:
        raise DataError(f"{error} Read from {listed}." if listed else str(error)) from error
    except (OSError, RuntimeError) as error:
        # Files are read lazily: what is damaged inside shows here, from libraries below xarray.
        raise DataError(
            f"{entry.name}: reading {listed} failed ({type(error).__name__}: {error}). The file is damaged or cut off: "
            "fetch it again."
        ) from error
    finally:
        raw.close()


def _wanted(entry: Entry, variables: Sequence[str] | None) -> tuple[str, ...]:
    if variables is None:
        return tuple(entry.variables)
    for name in variables:
        if name not in entry.variables:
            known = ", ".join(entry.variables)
            raise DataError(
                f"{entry.name}: no variable {name!r} in the catalog.{suggest(name, entry.variables)} Known: {known}."
            )
    return tuple(variables)
