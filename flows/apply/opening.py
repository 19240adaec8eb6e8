"""Files that ``finescale predict`` is given, opened as a dataset that a run knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import xarray as xr

from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data.blocks import Blocks
from pipeline.data.catalog import Entry, Variable
from pipeline.data.describe import files_of, format_of
from pipeline.errors import DataError, LackingVariableError
from pipeline.registry import suggest


@dataclass(frozen=True)
class Found:
    """Files and their format.

    Parameters
    ----------
    format : str
        Name of the reader.
    paths : tuple of Path
        In their order.
    """

    format: str
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, entry: Entry, words: Sequence[str]) -> Self:
        """Return what paths, folders or globs stand for.

        Folders that are laid out as the entry's own format wants them, such as those of CAMELS-US, are read as that;
        others, and files, by what they are.

        Raises
        ------
        DataError
            If there are no files, or none of a known format.
        """
        reader = READERS.get(entry.format)()
        other: DataError | None = None
        if reader.layout(entry) and all(Path(word).is_dir() for word in words):
            try:
                return cls(entry.format, tuple(path for word in words for path in reader.within(entry, Path(word))))
            except DataError as error:
                other = error  # not its layout: perhaps files of the user's own
        try:
            paths = [path for word in words for path in files_of(word)]
            return cls(format_of(paths[0]), tuple(paths))
        except DataError as error:
            raise error if other is None else DataError(f"{str(other).rstrip('.')}; nor others: {error}") from error


def open_as(entry: Entry, found: Found, variables: Sequence[str] | None, backend: Backend) -> Blocks:
    """Open other files as ``entry``; they may be of another format and call variables by their plain names.

    Raises
    ------
    DataError
        If a variable is in the files by neither name, or is not said in what units.
    """
    paths = found.paths
    options = entry.options if found.format == entry.format else {}
    # A reader may look for no more than what is asked for, as of the forcing without the streamflow.
    asked = {name: entry.variables[name] for name in variables or entry.variables}
    probe = _changed(entry, format=found.format, options=options, files=[], variables=asked)
    reader = READERS.get(found.format)()
    raw = reader.read(probe, tuple(paths), backend)
    try:
        specs = _specs(probe, {str(name) for name in raw.variables}, variables, paths)
        if specs != {name: entry.variables[name] for name in specs}:
            # What a reader does may depend on names and units, as of a table's columns: once more with the files' own.
            raw.close()
            probe = _changed(probe, variables=specs)
            raw = reader.read(probe, tuple(paths), backend)
        _require_units(raw, specs, entry, paths)
        return Blocks.of(raw, probe, variables)
    except DataError:
        raw.close()
        raise


def _require_units(raw: xr.Dataset, specs: Mapping[str, Variable], entry: Entry, paths: Sequence[Path]) -> None:
    for name, spec in specs.items():
        own = spec.source or name
        if spec.source_units is None and not raw[own].attrs.get("units"):
            units, known = entry.variables[name].units, entry.variables[name].source
            other = f", or call the variable {known!r} as the training data do" if known not in (None, own) else ""
            raise DataError(
                f"{entry.name}: expected the units of {own!r} in {_files(paths)}, got none. Add the attribute to the "
                f"file, if the values are in {units}: ncatted -a units,{own},o,c,'{units}' FILE, or in xarray "
                f"data[{own!r}].attrs['units'] = {units!r}{other}."
            )


def _files(paths: Sequence[Path]) -> str:
    """Return how a message names files."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _specs(
    entry: Entry, there: Set[str], variables: Sequence[str] | None, paths: Sequence[Path]
) -> dict[str, Variable]:
    """Return the variables asked for as the file has them: by the entry's name for them, or by ours."""
    specs = {}
    for name in variables or entry.variables:
        spec = entry.variables[name]
        if (spec.source or name) not in there:
            if name not in there:
                names = " or ".join(repr(word) for word in dict.fromkeys((spec.source or name, name)))
                raise LackingVariableError(
                    f"{entry.name}: expected the variable {names} in {_files(paths)}, which lacks it."
                    f"{suggest(name, there)} Known: {', '.join(sorted(there))}."
                )
            # The user's own file: by our name, with the units that it says.
            spec = spec.model_copy(update={"source": None, "source_units": None, "select": {}, "missing": []})
        specs[name] = spec
    return specs


def _changed(entry: Entry, **update: Any) -> Entry:
    """Return a copy of ``entry`` of the same name."""
    made = entry.model_copy(update=update)
    made._name = entry.name
    return made
