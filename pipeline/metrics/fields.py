"""``diagnostics/<model>.nc``: maps and curves of one model on one test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.diagnostics import Diagnostics
from pipeline.metrics.maps import Maps
from pipeline.metrics.spectra import Spectra
from pipeline.metrics.structure_fields import to_variables
from pipeline.metrics.uncertainty import UncertaintySeries
from pipeline.metrics.uncertainty import to_variables as by_time
from pipeline.units import of_difference, of_variance

_MAPS = {
    "rmse": "root mean square error of {}",
    "bias": "mean error of {}",
    "bias_low": "mean error of {}, lower end of the 95 % interval",
    "bias_high": "mean error of {}, upper end of the 95 % interval",
    "skill": "reduction of the root mean square error of {} against the reference",
    "skill_low": "reduction of the root mean square error of {}, lower end of the 95 % interval",
    "skill_high": "reduction of the root mean square error of {}, upper end of the 95 % interval",
    "crps_skill": "reduction of the CRPS of {} against the reference",
    "crps_skill_low": "reduction of the CRPS of {}, lower end of the 95 % interval",
    "crps_skill_high": "reduction of the CRPS of {}, upper end of the 95 % interval",
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
_SPARSIFICATION = {
    "share": "share of times and cells of {} that is left out",
    "by_spread": "RMSE of {} of what is left by that of all, the most uncertain left out first",
    "oracle": "RMSE of {} of what is left by that of all, the largest errors left out first",
    "random": "RMSE of {} of what is left by that of all, left out at random",
}
_EXCEEDANCE = {
    "probability": "mean forecast probability of {} above the usual 90 % quantile, by bin",
    "frequency": "how often {} was above the usual 90 % quantile, by bin of probability",
    "area": "share of times and cells of {} in each bin of probability",
    "low": "how often {} was above the usual 90 % quantile, lower end of the 95 % interval",
    "high": "how often {} was above the usual 90 % quantile, upper end of the 95 % interval",
}


def to_dataset(
    diagnostics: Mapping[str, Diagnostics | None],
    maps: Mapping[str, Maps],
    *,
    model: str,
    split: str,
    reference: str | None,
    units: Mapping[str, str],
    grid: Grid,
    mask: np.ndarray,
    spectra: Mapping[str, Spectra | None] | None = None,
    leads: Sequence[int] = (0,),
    series: Mapping[str, UncertaintySeries | None] | None = None,
) -> xr.Dataset:
    """Return curves and maps as one CF dataset, ready to be written compressed.

    What a model does not have is left out. Climate indices are ``<variable>_<index>``, the truth's, and
    ``<variable>_<index>_bias``.

    Parameters
    ----------
    diagnostics, maps : mapping by variable
        Of one model; diagnostics are None for a point forecast.
    model, split, reference : str
        For the attributes; the reference is that of the maps of skill.
    units : mapping of str to str
        Units of each variable.
    grid : Grid
        The target grid.
    mask : ndarray of bool, shape (lat, lon)
        Cells that were scored, in the order of the maps.
    spectra : mapping of str to Spectra or None, optional
        By variable; None for one without fields.
    leads : sequence of int
        Where there are several, maps hold the cells of all leads behind one another, and have a dim ``lead``.
    series : mapping of str to UncertaintySeries or None, optional
        By variable; None for a point forecast.
    """
    parts: dict[str, xr.Variable] = {}
    several = len(leads) > 1
    dims = ("lead", *grid.file_dims) if several else grid.file_dims

    def field(values: np.ndarray) -> np.ndarray:
        return grid.to_file(on_grid(values.reshape(len(leads), -1) if several else values, mask))

    for variable, fields in maps.items():
        for name, words in _MAPS.items():
            values = getattr(fields, name)
            if values is not None:
                attrs = {"long_name": words.format(variable), "units": _units(name, units[variable])}
                parts[f"{variable}_{name}"] = _compressed(dims, field(values), attrs)
        for name, (values, attrs) in _indices(fields, variable, units[variable]).items():
            parts[name] = _compressed(dims, field(values), attrs)
        found = diagnostics[variable]
        if found is not None:
            parts |= _curves(found, variable, units[variable])
    parts |= to_variables(spectra or {}, units) | by_time(series or {}, units)
    attrs = {"Conventions": "CF-1.11", "title": f"Diagnostics of {model} on {split}", "model": model, "split": split}
    attrs |= {} if reference is None else {"reference": reference}
    ahead = (
        {"lead": xr.Variable("lead", np.asarray(leads), {"long_name": "steps ahead", "units": "1"})} if several else {}
    )
    return xr.Dataset(parts, {**grid.coords(), **ahead}, attrs)


def on_grid(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return fields of float32 from rows of cells, NaN outside ``mask``: (..., cell) becomes (..., lat, lon).

    Examples
    --------
    >>> on_grid(np.array([1.0, 3.0, 4.0]), np.array([[True, False], [True, True]]))
    array([[ 1., nan],
           [ 3.,  4.]], dtype=float32)
    """
    field = np.full((*values.shape[:-1], *mask.shape), np.nan, np.float32)
    field[..., mask] = values
    return field


def _indices(maps: Maps, variable: str, units: str) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """Return rows and attributes of climate indices by name in the file: the truth's and the bias of each."""
    found = {}
    for name, index in maps.indices.items():
        own = index.units != "target"
        words = f"{index.label} of {variable}"
        true = {"long_name": f"{words}, truth", "units": index.units if own else units}
        bias = {"long_name": f"{words}, prediction less truth", "units": index.units if own else of_difference(units)}
        found[f"{variable}_{name}"] = (index.truth, true)
        found[f"{variable}_{name}_bias"] = (index.bias, bias)
    return found


def _curves(found: Diagnostics, variable: str, units: str) -> dict[str, xr.Variable]:
    parts = {}
    for field, (name, dim, words) in _CURVES.items():
        attrs = {"long_name": words.format(variable), "units": of_difference(units) if "spread" in name else "1"}
        parts[f"{variable}_{name}"] = _compressed((dim,), getattr(found, field), attrs)
    more: list[tuple[str, str, Any, Mapping[str, str]]] = [
        ("sparsification", "left_out", found.sparsification, _SPARSIFICATION)
    ]
    if found.exceedance is not None:
        more.append(("exceedance", "probability_bin", found.exceedance, _EXCEEDANCE))
        for name, value in dataclasses.asdict(found.exceedance.parts).items():
            attrs = {"long_name": f"{name.replace('_', ' ')} of the Brier score of the exceedance of {variable}"}
            parts[f"{variable}_brier_{name}"] = xr.Variable((), value, {**attrs, "units": "1"})
    for kind, dim, curves, names in more:
        for name, words in names.items():
            attrs = {"long_name": words.format(variable), "units": "1"}
            parts[f"{variable}_{kind}_{name}"] = _compressed((dim,), getattr(curves, name), attrs)
    return parts


def _compressed(dims: tuple[str, ...], values: np.ndarray, attrs: Mapping[str, str]) -> xr.Variable:
    return xr.Variable(dims, values, attrs, encoding={"zlib": True, "complevel": 4})


def _units(name: str, units: str) -> str:
    if name in ("aleatoric", "epistemic"):
        return of_variance(units)
    return "%" if "skill" in name else of_difference(units)
