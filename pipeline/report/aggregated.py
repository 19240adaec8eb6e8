"""Saliency aggregated over many target cells, and its dispersion, as files of explanations may hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report.places import placed
from pipeline.report.study import Study

_TARGET = "target_"
_MAPS = ("saliency", "asm")


@dataclass(frozen=True, eq=False)
class Distances:
    """Mean dispersion [km] with its interval, NaN where it is not known.

    Parameters
    ----------
    group : str
        Of days; empty: all.
    days : int or None
        How many.
    """

    group: str
    days: int | None
    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Aggregated:
    """Aggregates of one model.

    Parameters
    ----------
    prefix : str
        Of their names in the file.
    units : str
        Of the dispersion.
    dispersion : ndarray, shape (lat, lon)
        Mean distance of what a target cell's answer depends on.
    target : Grid or None
        Of the dispersion; None where no map would show anything.
    saliency : ndarray or None, shape (channel, lat, lon)
        Aggregated saliency map.
    grid : Grid or None
        Of ``saliency``.
    distances : tuple of Distances
        All days first, where they are known.
    variables, shares : tuple of str, ndarray
        Share of each variable in the saliency of all days; may be empty.
    note : str
        How it was done.
    """

    prefix: str
    units: str
    dispersion: np.ndarray
    target: Grid | None
    saliency: np.ndarray | None
    grid: Grid | None
    channels: tuple[str, ...]
    distances: tuple[Distances, ...]
    variables: tuple[str, ...]
    shares: np.ndarray
    note: str


def aggregates(study: Study, model: str) -> list[Aggregated]:
    """Return the aggregates in a model's file; empty where there are none."""
    data = study.run.attributions(model)
    if data is None:
        return []
    names = [str(name) for name, field in data.data_vars.items() if _is_dispersion(str(name), field)]
    return [_read(data, name.removesuffix("_dispersion")) for name in names]


def _is_dispersion(name: str, field: xr.DataArray) -> bool:
    return name.endswith("_dispersion") and all(str(dim).startswith(_TARGET) for dim in field.dims)


def _read(data: xr.Dataset, prefix: str) -> Aggregated:
    field = data[f"{prefix}_dispersion"]
    target = _target(data, field)
    own = next((f"{prefix}_{word}" for word in _MAPS if f"{prefix}_{word}" in data), None)
    grid = None if own is None else Grid.of(data[own])
    values = np.asarray(field.values, float)
    known = f"{prefix}_share" in data and f"{prefix}_variable" in data.variables
    return Aggregated(
        prefix=prefix,
        units=str(field.attrs.get("units", "km")),
        dispersion=values[None, :] if values.ndim == 1 else values,
        target=target if target is not None and placed(target) else None,
        saliency=None if own is None else np.asarray(data[own].values, float),
        grid=grid if grid is not None and placed(grid) else None,
        channels=tuple(str(name) for name in data["channel"].values) if "channel" in data.coords else (),
        distances=tuple(_distances(data, field, prefix)),
        variables=tuple(str(name) for name in data[f"{prefix}_variable"].values) if known else (),
        shares=np.asarray(data[f"{prefix}_share"].values, float) if known else np.zeros(0),
        note=str(field.attrs.get("comment", "")),
    )


def _target(data: xr.Dataset, field: xr.DataArray) -> Grid | None:
    """Return the grid of target cells, the coordinates of which begin with ``target_``."""
    place = {
        str(name).removeprefix(_TARGET): data[name]
        for name in data.variables
        if str(name).startswith(_TARGET) and set(data[name].dims) <= set(field.dims)
    }
    dims = {dim: str(dim).removeprefix(_TARGET) for dim in field.dims}
    if {"lat", "lon"} <= set(place):
        coords = {
            name: (tuple(dims[dim] for dim in place[name].dims), place[name].values)
            for name in ("lat", "lon", "station")
            if name in place
        }
        return Grid.of(xr.DataArray(field.values, coords, tuple(dims.values())))
    return None


def _distances(data: xr.Dataset, field: xr.DataArray, prefix: str) -> Sequence[Distances]:
    found = []
    if "distance" in field.attrs:
        mean, low, high = (_known(field.attrs.get(f"distance{end}")) for end in ("", "_low", "_high"))
        found.append(Distances("", None, mean, low, high))
    group = f"{prefix}_group"
    if f"{group}_distance" in data and group in data.variables:
        parts = [
            data[f"{group}_distance{end}"].values
            if f"{group}_distance{end}" in data
            else np.full(len(data[group]), np.nan)
            for end in ("", "_low", "_high")
        ]
        days = data[f"{group}_days"].values if f"{group}_days" in data.variables else None
        for k, name in enumerate(data[group].values):
            count = None if days is None else int(days[k])
            found.append(Distances(str(name), count, *(float(part[k]) for part in parts)))
    return found


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)
