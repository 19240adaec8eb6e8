"""Forecasts of several steps ahead: which leads a run has, and the one that is shown where only one can be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from pipeline.report.numbers import plural

_LEAD = re.compile(r"lead=(\d+)")


def leads_in(groups: Iterable[str]) -> tuple[int, ...]:
    """Return the leads that were scored apart, in rising order; empty where all forecasts are of one lead.

    Examples
    --------
    >>> leads_in(["all", "lead=2", "lead=10", "lead=2;season=DJF"])
    (2, 10)
    """
    return tuple(sorted({int(found[1]) for group in groups if (found := _LEAD.fullmatch(str(group)))}))


def middle(leads: Sequence[int]) -> int | None:
    """Return the lead in the middle, the shorter of two; None where there is none.

    Examples
    --------
    >>> middle((1, 2, 3, 4)), middle(())
    (2, None)
    """
    return leads[(len(leads) - 1) // 2] if leads else None


def ahead(lead: int, step: str) -> str:
    """Return such as ``"6 months ahead"``.

    Examples
    --------
    >>> ahead(1, "day"), ahead(12, "month")
    ('1 day ahead', '12 months ahead')
    """
    return f"{plural(lead, step)} ahead"


def span(leads: Sequence[int], step: str) -> str:
    """Return from which lead to which, such as ``"1 to 12 months ahead"``.

    Examples
    --------
    >>> span((1, 2, 3), "day")
    '1 to 3 days ahead'
    """
    return ahead(leads[0], step) if len(leads) == 1 else f"{leads[0]} to {ahead(leads[-1], step)}"


def ranges(leads: Iterable[int]) -> str:
    """Return leads in words, neighbours taken together.

    Examples
    --------
    >>> ranges([1, 2, 3, 6, 8, 9])
    '1 to 3, 6, 8 and 9'
    """
    runs: list[list[int]] = []
    for lead in sorted(leads):
        if runs and lead == runs[-1][-1] + 1:
            runs[-1].append(lead)
        else:
            runs.append([lead])
    parts: list[str] = []
    for run in runs:
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(lead) for lead in run]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def at_lead(data: xr.Dataset, lead: int | None) -> xr.Dataset:
    """Return what a file says of one lead, with the times that were forecast; a file without leads as it is.

    Parameters
    ----------
    data : Dataset
        Predictions or diagnostics, maybe with a dim ``lead``.
    lead : int or None
        Which; the one in the middle where the file lacks it.
    """
    if "lead" not in data.dims:
        return data
    there = [int(value) for value in data["lead"].values]
    place = there.index(lead) if lead in there else (len(there) - 1) // 2
    part = data.isel(lead=place)
    if "valid_time" in part.variables:
        valid = part["valid_time"]
        part = part.assign_coords(time=("time", np.asarray(valid.values), dict(valid.attrs))).drop_vars("valid_time")
    part = part.drop_vars("lead", errors="ignore")
    part.set_close(data.close)  # whoever closes the part closes the file
    return part
