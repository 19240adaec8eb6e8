"""Explanations of one model as netCDF, the file that the report reads and that others can redraw from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipeline.attribution import light
from pipeline.attribution.dispersion_file import to_variables
from pipeline.attribution.joined import Joined
from pipeline.cf import CONVENTIONS, TIME, conforming, leap_seconds
from pipeline.files import plain
from pipeline.prepare.dates import calendar_of
from pipeline.samples import Samples, Schema

Variables = dict[str, tuple[Any, ...]]

_OF = {"departure": "attribution", "sensitivity": "change for one standard deviation more", "strength": "strength"}


def to_dataset(explanations: Sequence[Joined], samples: Sequence[Samples], schema: Schema) -> xr.Dataset:
    """Return what a file of explanations holds, CF-1.11.

    For every explanation ``NAME`` (all names stand in the attribute ``explanations``):

    - ``NAME_importance, _low, _high, _least, _most`` (channel): with a 95 % interval, and the lowest and highest of
      the members; its attributes have the method, the explained number, the baseline, the light and, as JSON in
      ``findings``, every check;
    - ``NAME_map`` and ``NAME_map_spread`` (channel, lat, lon): mean over days and members, standard deviation over
      members; ``NAME_group_map`` (NAME_group, channel, lat, lon) for groups of days;
    - ``NAME_share, _share_low, _share_high, _share_least, _share_most`` (NAME_group, variable);
    - ``NAME_daily`` (variable, NAME_time): signed sums over cells and lags; ``NAME_explained`` (NAME_time);
    - ``NAME_CHECK_x`` and ``NAME_CHECK_CURVE`` (NAME_CHECK_point): what checks have to draw;
    - what :func:`pipeline.attribution.dispersion_file.to_variables` names, of aggregated saliency;
    - ``NAME_effect, _effect_low, _effect_high, _effect_at`` (NAME_moved, NAME_point): curves of effects.

    Parameters
    ----------
    explanations : sequence of Joined
        Of one model.
    samples : sequence of Samples
        The explained days of each.
    schema : Schema
        Channels and grids.
    """
    data: Variables = {}
    coords: dict[str, Any] = {
        "channel": ("channel", np.asarray(schema.channels, dtype=object), {"long_name": "input channel"}),
        **schema.input_grid.coords(),
    }
    for one, days in zip(explanations, samples, strict=True):
        data |= _importance(one) | _maps(one, schema) | _curves(one)
        parts, names = _groups(one, days)
        data |= parts
        coords |= names
        if one.aggregates is not None:
            data |= to_variables(one.aggregates, one.name)
        for finding in one.findings:
            data |= _drawn(one.name, finding.check, finding.curves)
    attrs = {"Conventions": CONVENTIONS, "explanations": json.dumps([one.name for one in explanations])}
    return xr.Dataset(data, coords, attrs)


def write_attributions(
    path: Path,
    explanations: Sequence[Joined],
    samples: Sequence[Samples],
    schema: Schema,
    attrs: Mapping[str, str] | None = None,
) -> None:
    """Write the explanations of one model to ``path``, with further global attributes such as ``history``."""
    data = conforming(to_dataset(explanations, samples, schema).assign_attrs(attrs or {}))
    data.to_netcdf(path, engine="netcdf4")


def _importance(one: Joined) -> Variables:
    attrs = {
        "long_name": f"{one.title} of the {one.label}: {one.measure}",
        "units": one.units,
        "method": one.method,
        "title": one.title,
        "kind": one.kind,
        "label": one.label,
        "baseline": one.baseline,
        "members": one.members,
        "measure": one.measure,
        "note": one.note,
        "light": light(one.findings),
        "findings": json.dumps(
            [
                plain({
                    "check": finding.check, "value": finding.value, "limit": finding.limit, "passed": finding.passed,
                    "essential": finding.essential, "words": finding.words,
                })
                for finding in one.findings
            ]
        ),
    }  # fmt: skip
    found: Variables = {f"{one.name}_importance": (("channel",), _single(one.importance), attrs)}
    words = {
        "low": "lower end of the 95 % interval",
        "high": "upper end of the 95 % interval",
        "least": "lowest of the members",
        "most": "highest of the members",
    }
    for end, said in words.items():
        values = getattr(one, end)
        if values is not None:
            about = {"long_name": f"{said} of {one.name}_importance", "units": one.units}
            found[f"{one.name}_{end}"] = (("channel",), _single(values), about)
    return found


def _maps(one: Joined, schema: Schema) -> Variables:
    grid = schema.input_grid
    if one.group_maps is None:
        return {}
    dims, what = ("channel", *grid.file_dims), f"{_OF.get(one.kind, one.kind)} of the {one.label}"
    found: Variables = {
        f"{one.name}_map": (
            dims,
            grid.to_file(_single(one.group_maps[0])),
            {"long_name": f"{one.title}: mean {what}", "units": one.units},
        )
    }
    if len(one.groups) > 1:
        found[f"{one.name}_group_map"] = (
            (f"{one.name}_group", *dims),
            grid.to_file(_single(one.group_maps)),
            {"long_name": f"{one.title}: mean {what} over groups of days", "units": one.units},
        )
    if one.spread is not None:
        about = {"long_name": f"standard deviation of {one.name}_map over members", "units": one.units}
        found[f"{one.name}_map_spread"] = (dims, grid.to_file(_single(one.spread)), about)
    return found


def _groups(one: Joined, days: Samples) -> tuple[Variables, dict[str, Any]]:
    """Return what groups of days and single days have, with their coordinates."""
    found: Variables = {}
    time, group, variable = f"{one.name}_time", f"{one.name}_group", f"{one.name}_variable"
    calendar = leap_seconds(calendar_of(days.time)) if days.time.dtype.kind not in "iu" else {}
    said = {"long_name": "explained samples"}
    said |= {**TIME, **calendar} if days.time.dtype.kind not in "iu" else {"units": "1"}
    coords: dict[str, Any] = {time: (time, days.time, said)}
    if one.numbers is not None:
        start = " less that at the baseline" if one.baseline else ""
        about = {"long_name": f"{one.label}, as predicted{start}", "units": one.units}
        found[f"{one.name}_explained"] = ((time,), np.asarray(one.numbers, np.float64), about)
    if one.shares is None or one.daily is None:
        return found, coords
    coords[group] = (group, np.asarray(one.shares.groups, dtype=object), {"long_name": "group of explained samples"})
    coords[f"{group}_kind"] = (group, np.asarray(one.shares.kinds, dtype=object), {"long_name": "kind of the group"})
    days_of = {"long_name": "days of the group", "units": "1"}
    coords[f"{group}_days"] = (group, np.asarray(one.shares.days, np.int64), days_of)
    coords[variable] = (variable, np.asarray(one.shares.variables, dtype=object), {"long_name": "input variable"})
    about = {"long_name": f"signed attribution of {one.label}, summed over cells and lags", "units": one.units}
    found[f"{one.name}_daily"] = ((variable, time), _single(one.daily).T, about)
    for end in ("share", "low", "high", "least", "most"):
        name = f"{one.name}_share" + ("" if end == "share" else f"_{end}")
        said = {"long_name": f"share of the absolute attribution{'' if end == 'share' else f', {end}'}", "units": "1"}
        found[name] = ((group, variable), _single(getattr(one.shares, end)), said)
    return found, coords


def _drawn(name: str, check: str, curves: Any) -> Variables:
    point = f"{name}_{check}_point"
    return {
        f"{name}_{check}_{key}": ((point,), np.asarray(values, np.float64), {"long_name": f"{check}: {key}"})
        for key, values in curves.items()
    }


def _curves(one: Joined) -> Variables:
    if not one.curves:
        return {}
    longest = max(len(curve.at) for curve in one.curves)
    dims = (f"{one.name}_moved", f"{one.name}_point")

    def padded(values: list[np.ndarray]) -> np.ndarray:
        filled = np.full((len(values), longest), np.nan)
        for row, each in zip(filled, values, strict=True):
            row[: len(each)] = each
        return filled

    found: Variables = {
        f"{one.name}_moved_channel": (
            dims[:1],
            np.asarray([curve.channel for curve in one.curves], dtype=object),
            {"long_name": "channel that is moved"},
        ),
        f"{one.name}_moved_units": (
            dims[:1],
            np.asarray([curve.units for curve in one.curves], dtype=object),
            {"long_name": "units of that channel"},
        ),
        f"{one.name}_effect_at": (
            dims,
            padded([curve.at for curve in one.curves]),
            {"long_name": "where the channel is put, in its own units"},
        ),
    }
    for end in ("effect", "low", "high"):
        key = f"{one.name}_effect" + ("" if end == "effect" else f"_{end}")
        about = {"long_name": f"{one.title} of the {one.label}", "units": one.units}
        found[key] = (dims, padded([getattr(curve, end) for curve in one.curves]), about)
    return found


def _single(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32)
