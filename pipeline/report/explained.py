"""Explanations as ``attributions/<model>.nc`` holds them, read into records; what is not there stays None."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.attribution import Curve, Finding, Light
from pipeline.attribution.joined import Shares, ranked
from pipeline.grid import Grid
from pipeline.report.places import placed
from pipeline.report.study import Study


@dataclass(frozen=True, eq=False)
class Explanation:
    """One explanation of one model; see :class:`pipeline.attribution.joined.Joined`.

    Parameters
    ----------
    model, name : str
        Whose, and what it is called in the file.
    measure, measure_units, units : str
        What ``importance`` measures, and the units of it and of the explained number.
    grid : Grid or None
        Of the maps; None where no map would show anything.
    maps, spread : ndarray or None, shape (channel, lat, lon)
        Mean over days and members, and the standard deviation over members.
    group_maps : ndarray or None, shape (group, channel, lat, lon)
        Groups are those of ``shares``.
    daily : ndarray or None, shape (time, variable)
        Signed sums over cells and lags.
    """

    model: str
    name: str
    method: str
    title: str
    kind: str
    label: str
    baseline: str
    members: int
    measure: str
    measure_units: str
    units: str
    note: str
    light: Light
    checks: tuple[Finding, ...]
    channels: tuple[str, ...]
    importance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray
    grid: Grid | None
    maps: np.ndarray | None
    spread: np.ndarray | None
    group_maps: np.ndarray | None
    shares: Shares | None
    time: np.ndarray | None
    daily: np.ndarray | None
    numbers: np.ndarray | None
    effects: tuple[Curve, ...]

    @property
    def order(self) -> list[int]:
        """Channels, the most important first; by their shares where each is a variable of its own."""
        if self.shares is not None and self.shares.variables == self.channels:
            return self.shares.order
        return ranked(self.importance)

    @property
    def blind(self) -> bool:
        """Whether it tells places but no channels apart, as Grad-CAM: its map is the same on all of several."""
        maps = self.maps
        return (
            self.kind == "strength"
            and maps is not None
            and len(maps) > 1
            and bool(np.allclose(maps, maps[:1], equal_nan=True))
        )

    @property
    def silent(self) -> bool:
        """Whether nothing is attributed to any channel."""
        return not np.nan_to_num(self.importance).any()


def explanations(study: Study, model: str) -> list[Explanation]:
    """Return the explanations of a model in the order of the file; aggregates of single target cells stand apart."""
    data = study.run.attributions(model)
    if data is None or "channel" not in data.coords:
        return []
    names = [str(name) for name in json.loads(data.attrs.get("explanations", "[]"))]
    return [_read(data, model, name) for name in names if data[f"{name}_importance"].attrs["kind"] != "aggregate"]


def _read(data: xr.Dataset, model: str, name: str) -> Explanation:
    said = data[f"{name}_importance"].attrs
    importance = np.asarray(data[f"{name}_importance"].values, float)
    drawn = data.get(f"{name}_map")
    grid = None if drawn is None else _grid(drawn)
    ends = {end: _values(data, f"{name}_{end}") for end in ("low", "high", "least", "most")}
    unknown = np.full(importance.shape, np.nan)
    measure, measure_units = split_units(str(said["measure"]))
    return Explanation(
        model=model, name=name, method=str(said["method"]), title=str(said["title"]), kind=str(said["kind"]),
        label=str(said["label"]), baseline=str(said["baseline"]), members=int(said["members"]),
        measure=measure, measure_units=measure_units, units=str(said["units"]), note=str(said["note"]),
        light=said["light"],
        checks=tuple(_check(data, name, found) for found in json.loads(said["findings"])),
        channels=tuple(str(channel) for channel in data["channel"].values),
        importance=importance, **{end: unknown if found is None else found for end, found in ends.items()},
        grid=grid, maps=_values(data, f"{name}_map"), spread=_values(data, f"{name}_map_spread"),
        group_maps=_values(data, f"{name}_group_map"),
        shares=_shares(data, name), time=_time(data, f"{name}_time"), daily=_daily(data, name),
        numbers=_values(data, f"{name}_explained"), effects=_effects(data, name),
    )  # fmt: skip


def _grid(drawn: xr.DataArray) -> Grid | None:
    grid = Grid.of(drawn)
    return grid if placed(grid) else None


def _values(data: xr.Dataset, name: str) -> np.ndarray | None:
    return np.asarray(data[name].values, float) if name in data else None


def _daily(data: xr.Dataset, name: str) -> np.ndarray | None:
    if f"{name}_daily" not in data:
        return None
    return np.asarray(data[f"{name}_daily"].transpose(f"{name}_time", f"{name}_variable").values, float)


def _time(data: xr.Dataset, name: str) -> np.ndarray | None:
    return np.asarray(data[name].values) if name in data.variables else None


def _check(data: xr.Dataset, name: str, found: Mapping[str, Any]) -> Finding:
    start = f"{name}_{found['check']}_"
    point = f"{start}point"
    curves = {
        str(key).removeprefix(start): np.asarray(values.values, float)
        for key, values in data.data_vars.items()
        if values.dims == (point,)
    }
    return Finding(
        str(found["check"]), _number(found["value"]), _number(found["limit"]), found["passed"],
        bool(found["essential"]), str(found["words"]), curves,
    )  # fmt: skip


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _shares(data: xr.Dataset, name: str) -> Shares | None:
    if f"{name}_share" not in data:
        return None
    share = np.asarray(data[f"{name}_share"].values, float)
    ends = {end: _values(data, f"{name}_share_{end}") for end in ("low", "high", "least", "most")}
    group = f"{name}_group"
    return Shares(
        groups=tuple(str(one) for one in data[group].values),
        kinds=tuple(str(one) for one in data[f"{group}_kind"].values),
        days=tuple(int(count) for count in data[f"{group}_days"].values),
        variables=tuple(str(one) for one in data[f"{name}_variable"].values),
        share=share,
        **{end: np.full(share.shape, np.nan) if found is None else found for end, found in ends.items()},
    )


def _effects(data: xr.Dataset, name: str) -> tuple[Curve, ...]:
    if f"{name}_effect" not in data:
        return ()
    at = np.asarray(data[f"{name}_effect_at"].values, float)
    parts = [np.asarray(data[f"{name}_effect{end}"].values, float) for end in ("", "_low", "_high")]
    channels, units = (data[f"{name}_moved_{what}"].values for what in ("channel", "units"))
    found = []
    for k, there in enumerate(np.isfinite(at)):
        mean, low, high = (part[k][there] for part in parts)
        found.append(Curve(str(channels[k]), at[k][there], mean, low, high, str(units[k])))
    return tuple(found)


def split_units(measure: str) -> tuple[str, str]:
    """Split a measure into words and units.

    Examples
    --------
    >>> split_units("increase of the RMSE when permuted [degC]")
    ('increase of the RMSE when permuted', 'degC')
    """
    words, bracket, unit = measure.rpartition(" [")
    return (words, unit.removesuffix("]")) if bracket and unit.endswith("]") else (measure, "")
