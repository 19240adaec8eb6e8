"""File names of CMIP and CORDEX archives: what the parts between the underscores say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError

_RANGE = re.compile(r"\d{4,12}(-\d{4,12})?(-clim)?$")
_CMIP6_VARIANT = re.compile(r"r\d+i\d+p\d+f\d+$")
_CMIP5_ENSEMBLE = re.compile(r"r\d+i\d+p\d+$")
_GRID = re.compile(r"g[nrm]\w*$")
_DOMAIN = re.compile(r"[A-Z]{3,4}-\d{2}[a-z]?$")


@dataclass(frozen=True)
class DrsName:
    """What a file name of an archive says.

    Parameters
    ----------
    archive : {"CMIP6", "CMIP5", "CORDEX"}
        Whose rules it follows.
    variable : str
        Name of the variable.
    run : tuple of str
        What all files of one model run share but the experiment: model, member, grid or domain, table.
    experiment : str
        ``historical``, ``ssp585``.
    span : str
        The times that it claims, ``19500101-19991231``; empty where it says none.
    """

    archive: str
    variable: str
    run: tuple[str, ...]
    experiment: str
    span: str


def parse_drs(name: str) -> DrsName | None:
    """Return what the file name says by the reference syntax of CMIP6, CMIP5 or CORDEX, None if it follows none.

    Examples
    --------
    >>> found = parse_drs("tas_day_EC-Earth3_ssp585_r1i1p1f1_gr_20150101-20151231.nc")
    >>> found.archive, found.variable, found.experiment, found.span
    ('CMIP6', 'tas', 'ssp585', '20150101-20151231')
    >>> parse_drs("tas.nc") is None
    True
    """
    parts = Path(name).name.removesuffix(".nc").removesuffix(".nc4").split("_")
    span = parts.pop() if len(parts) > 1 and _RANGE.match(parts[-1]) else ""
    if len(parts) == 6 and _CMIP6_VARIANT.match(parts[4]) and _GRID.match(parts[5]):
        variable, table, model, experiment, variant, grid = parts
        return DrsName("CMIP6", variable, (model, variant, grid, table), experiment, span)
    if len(parts) == 5 and _CMIP5_ENSEMBLE.match(parts[4]):
        variable, table, model, experiment, ensemble = parts
        return DrsName("CMIP5", variable, (model, ensemble, table), experiment, span)
    if len(parts) in (8, 9) and _DOMAIN.match(parts[1]):
        variable, domain, driver, experiment, *rest = parts
        return DrsName("CORDEX", variable, (rest[1], driver, rest[0], domain, *rest[2:]), experiment, span)
    return None


def one_run(paths: Sequence[Path]) -> tuple[str, str] | None:
    """Return a name and a description for files of one model run; None if they are not of such an archive.

    Experiments may differ, since a scenario goes on where the historical run ends.

    Raises
    ------
    DataError
        If they are of several model runs, or two experiments claim the same times.
    """
    found = {path.name: drs for path in paths if (drs := parse_drs(path.name)) is not None}
    if len(found) != len(paths) or not found:
        return None
    names, records = list(found), list(found.values())
    first = records[0]
    for name, drs in found.items():
        if (drs.archive, drs.run) != (first.archive, first.run):
            raise DataError(
                f"expected files of one model run, got {' '.join(first.run)} in {names[0]} and {' '.join(drs.run)} in "
                f"{name}. One entry is one run on one grid: call `finescale data add` for each."
            )
    experiments = list(dict.fromkeys(drs.experiment for drs in sorted(records, key=lambda drs: drs.span)))
    _refuse_overlap(found)
    model = "-".join((*first.run[:1], *experiments, *first.run[1:]))
    text = f"{first.archive}: {first.run[0]}, {' then '.join(experiments)}, {', '.join(first.run[1:])}."
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-"), text


def _refuse_overlap(found: dict[str, DrsName]) -> None:
    """Refuse two experiments of one variable whose names claim the same times."""
    for name, drs in found.items():
        for other, second in found.items():
            if name < other and drs.variable == second.variable and drs.experiment != second.experiment:
                (a, b), (c, d) = _ends(drs.span), _ends(second.span)
                if a <= d and c <= b:
                    raise DataError(
                        f"expected experiments after one another, got {drs.experiment} in {name} and "
                        f"{second.experiment} in {other} of the same times. Make an entry of each."
                    )


def _ends(span: str) -> tuple[str, str]:
    """Return the first and last moment of a span as digits down to the minute: 200512 ends with 200512312359."""
    first, _, last = span.removesuffix("-clim").partition("-")
    last = last or first
    return (first + "000001010000"[len(first) :], last + "999912312359"[len(last) :]) if first else ("0" * 12, "9" * 12)
