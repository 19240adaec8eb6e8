"""A block of forecasts as netCDF variables: mean or class, truth, uncertainties, quantiles, members, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend.special import to_host
from pipeline.cf import kind_of_temperature, side_name
from pipeline.grid import Grid
from pipeline.prediction import Array, Prediction
from pipeline.prediction.serial.records import Forecast, Variable
from pipeline.projection import MAPPING

QUANTILES: Mapping[str, float] = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True, eq=False)
class Field:
    """A netCDF variable of one block of times, on the host."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: Mapping[str, Any]


def fields(
    forecast: Forecast, columns: slice, variable: Variable, grid: Grid, *, splits: bool = True, leads: bool = False
) -> dict[str, Field]:
    """Return all variables of one target, by name.

    Worked out whole, in float64 inside: give it a block of times whose parameters fit well in memory.

    Parameters
    ----------
    forecast : Forecast
        Of all targets.
    columns : slice
        Where the target stands, at all of its leads.
    variable : Variable
        Its name and attributes.
    grid : Grid
        Where it lives.
    splits : bool
        Whether the file names the split of every time.
    leads : bool
        Whether the variables have a dim ``lead`` behind the time.
    """
    prediction = forecast.prediction.map(lambda array: array[..., columns, :, :])
    truth = None if forecast.truth is None else forecast.truth[..., columns, :, :]
    parts, where = _parts(prediction, truth)
    leading = {"member": "member"} | {where[name]: dim for name, dim in prediction.formulas.leading.items()}
    found = {}
    for part, array in parts.items():
        values = to_host(array)
        values = grid.to_file(values if leads else values[..., 0, :, :])
        dims = ("time", *(["lead"] if leads else []), *grid.file_dims)
        dims = (leading[part], *dims) if part in leading else dims
        beside = [*(["split"] if splits else []), *(["valid_time"] if leads else [])]
        found[_full(variable, part)] = Field(dims, values, _attrs(variable, part, prediction, grid, beside))
    main = dict(found[variable.name].attrs)
    main["parameters"] = " ".join(f"{name}: {_full(variable, part)}" for name, part in where.items())
    main["ancillary_variables"] = " ".join(name for name in found if name != variable.name)
    return found | {variable.name: Field(found[variable.name].dims, found[variable.name].values, main)}


def _parts(prediction: Prediction, truth: Array | None) -> tuple[dict[str, Array], dict[str, str]]:
    """Return what is written by the end of its name, "" for mean or class, and the part that holds each parameter."""
    mean, members = prediction.mean(), prediction.members
    aleatoric, epistemic = prediction.uncertainties()
    unknown = np.full(tuple(mean.shape), np.nan, to_host(mean[:0, ...]).dtype)
    parts = {"": mean, "truth": unknown if truth is None else to_host(truth).astype(unknown.dtype)}
    parts |= {} if aleatoric is None else {"aleatoric": aleatoric}
    parts |= {} if epistemic is None else {"epistemic": epistemic}
    if not prediction.is_categorical and (aleatoric is not None or epistemic is not None):
        parts |= {name: prediction.quantile(level) for name, level in QUANTILES.items()}
    parts |= {} if members is None else {"member": members}
    # A parameter that is written anyway is not written twice.
    known = {id(mean): "", id(members): "member", id(aleatoric): "aleatoric"}
    where = {}
    for name, array in prediction.parameters.items():
        where[name] = known.get(id(array), f"param_{name}")
        parts[where[name]] = array
    return parts, where


def _full(variable: Variable, part: str) -> str:
    return f"{variable.name}_{part}" if part else variable.name


def _attrs(variable: Variable, part: str, prediction: Prediction, grid: Grid, beside: list[str]) -> dict[str, Any]:
    """Return CF attributes; a standard name only for what is the quantity itself."""
    label = variable.long_name or variable.standard_name.replace("_", " ") or variable.name
    measure = prediction.formulas.measure
    unit = " [nat]" if measure == "entropy" else ""  # no unit to CF
    words = {
        "": f"most likely {label}" if prediction.is_categorical else f"mean of the predicted {label}",
        "truth": f"observed {label}",
        "member": f"members of the predicted {label}",
        **{kind: f"{kind} {measure} of the predicted {label}{unit}" for kind in ("aleatoric", "epistemic")},
        **{name: f"quantile {level:g} of the predicted {label}" for name, level in QUANTILES.items()},
    }.get(part, f"parameter {part.removeprefix('param_')} of the predictive distribution of {label}")
    units = prediction.uncertainty_units(variable.units) if part in ("aleatoric", "epistemic") else variable.units
    units = "1" if part.removeprefix("param_") in prediction.formulas.unitless else units
    attrs: dict[str, Any] = {"units": units, "long_name": words}
    itself = part in ("", "truth", "member", *QUANTILES)  # and not a width or a variance of it
    if variable.standard_name and itself:
        attrs["standard_name"] = variable.standard_name
    attrs |= kind_of_temperature(units, difference=not itself or variable.standard_name.endswith("_anomaly"))
    if variable.classes and part in ("", "truth"):
        attrs |= _flags(variable.classes)
    # CF names what lies beside the dims; a reader makes coordinates of them.
    beside = [*beside, *([] if grid.lat.ndim == 1 else ["lat", "lon"])]
    beside += [side_name("station")] if grid.stations else []
    beside += [side_name("class")] if prediction.formulas.leading.get(part.removeprefix("param_")) == "class" else []
    attrs |= {"grid_mapping": MAPPING} if grid.projection is not None and grid.projection.mapping else {}
    return attrs | ({"coordinates": " ".join(beside)} if beside else {})


def _flags(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what CF says of numbers that stand for names; of the type of the values, names without blanks."""
    return {
        "flag_values": np.arange(len(classes), dtype=np.float32),
        "flag_meanings": " ".join("_".join(name.split()) for name in classes),
    }
