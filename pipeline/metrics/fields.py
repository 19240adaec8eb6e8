"""``diagnostics/<model>.nc``: maps and curves of one model on one test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.cases import on_grid
from pipeline.metrics.diagnose import Diagnostics
from pipeline.metrics.maps import Maps
from pipeline.prediction._units import of_difference, of_variance
from pipeline.prediction.serial import Variable

_MAPS = {
    "rmse": "root mean square error of {}",
    "bias": "mean error of {}",
    "bias_low": "mean error of {}, lower end of the 95 % interval",
    "bias_high": "mean error of {}, upper end of the 95 % interval",
    "skill": "reduction of the root mean square error of {} against the reference",
    "skill_low": "reduction of the root mean square error of {}, lower end of the 95 % interval",
    "skill_high": "reduction of the root mean square error of {}, upper end of the 95 % interval",
    "aleatoric": "mean aleatoric variance of {}",
    "epistemic": "mean epistemic variance of {}",
}
_CURVES = {
    "rank_count": ("rank_count", "rank", "count of truths of {} by rank among the members"),
    "pit_count": ("pit_count", "bin", "count of truths of {} by probability integral transform"),
    "level": ("calibration_level", "level", "probability level of the calibration curve of {}"),
    "observed": ("calibration_observed", "level", "share of truths of {} at most the quantile of the level"),
    "low": ("calibration_low", "level", "share of truths of {}, lower end of the 95 % interval"),
    "high": ("calibration_high", "level", "share of truths of {}, upper end of the 95 % interval"),
    "spread": ("spread_bin_spread", "bin", "root mean predictive variance of {} by bin of spread"),
    "rmse": ("spread_bin_rmse", "bin", "root mean square error of {} by bin of spread"),
}


def to_dataset(
    maps: Mapping[str, Maps],
    diagnostics: Mapping[str, Diagnostics | None],
    *,
    model: str,
    split: str,
    reference: str | None,
    variables: Sequence[Variable],
    grid: Grid,
    mask: np.ndarray,
) -> xr.Dataset:
    """Return maps and curves as one CF dataset; what a model does not have is left out.

    Parameters
    ----------
    maps, diagnostics : mapping by variable
        Of one model; None for a point forecast.
    model, split, reference : str
        For the attributes; the reference is that of the maps of skill.
    variables : sequence of Variable
        Names and units.
    grid : Grid
        The target grid.
    mask : ndarray of bool, shape (lat, lon)
        Cells that were scored, in the order of the maps.
    """
    parts: dict[str, xr.Variable] = {}
    for variable in variables:
        label = variable.long_name or variable.standard_name.replace("_", " ") or variable.name
        for name, words in _MAPS.items():
            values = getattr(maps[variable.name], name)
            if values is not None:
                attrs = {"long_name": words.format(label), "units": _units(name, variable.units)}
                parts[f"{variable.name}_{name}"] = xr.Variable(grid.dims, on_grid(values, mask), attrs)
        found = diagnostics[variable.name]
        if found is not None:
            parts |= _curves(found, variable, label)
    attrs = {"Conventions": "CF-1.11", "title": f"Diagnostics of {model} on {split}", "model": model, "split": split}
    attrs |= {} if reference is None else {"reference": reference}
    return xr.Dataset(parts, grid.coords(), attrs)


def write(path: Path, dataset: xr.Dataset) -> None:
    """Write the dataset of :func:`to_dataset` to ``path`` as compressed netCDF-4."""
    encoding: dict[Any, dict[str, Any]] = {name: {"zlib": True, "complevel": 4} for name in dataset.data_vars}
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)


def _curves(found: Diagnostics, variable: Variable, label: str) -> dict[str, xr.Variable]:
    parts = {}
    for field in dataclasses.fields(found):
        name, dim, words = _CURVES[field.name]
        units = of_difference(variable.units) if name.startswith("spread") else "1"
        attrs = {"long_name": words.format(label), "units": units}
        parts[f"{variable.name}_{name}"] = xr.Variable((dim,), getattr(found, field.name), attrs)
    return parts


def _units(name: str, units: str) -> str:
    if name in ("aleatoric", "epistemic"):
        return of_variance(units)
    return "%" if name.startswith("skill") else of_difference(units)
