"""Predictions as CF-1.11 netCDF: one file a model, all of its splits one after another in time.

For every variable: ``<var>_truth``, ``<var>`` (the mean), ``<var>_aleatoric``, ``<var>_epistemic``,
``<var>_q05`` to ``<var>_q95``, ``<var>_member``, and ``<var>_param_<name>`` for the family's other
parameters. The attribute ``parameters`` of ``<var>`` says where each parameter stands ("mean:
tas_member sd: tas_param_sd"), so that the exact distribution can be read back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import FAMILIES, Array, Prediction
from pipeline.units import of_variance

QUANTILES: Mapping[str, float] = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_CHUNK = 2**22  # values of one parameter worked on at a time: about 32 MiB in float64


@dataclass(frozen=True)
class Variable:
    """Name and CF attributes of a predicted variable; empty ones are left out of the file."""

    name: str
    units: str
    standard_name: str = ""
    long_name: str = ""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a model said about one split.

    Parameters
    ----------
    split : str
        ``validation`` or the name of a test set.
    time : ndarray, shape (time,)
        ``datetime64`` or cftime objects.
    prediction : Prediction
        In units; parameters of shape (time, target, lat, lon), NaN outside the mask.
    truth : array, shape (time, target, lat, lon), or None
        In the same units; None where the split has no truth.
    """

    split: str
    time: np.ndarray
    prediction: Prediction
    truth: Array | None


def to_dataset(forecasts: Sequence[Forecast], *, model: str, variables: Sequence[Variable], grid: Grid) -> xr.Dataset:
    """Return the forecasts of one model as one CF dataset on the host.

    Parameters
    ----------
    forecasts : sequence of Forecast
        One a split, all of the same family and number of members.
    model : str
        The experiment's name for the model, for the title.
    variables : sequence of Variable
        The targets, in array order.
    grid : Grid
        The target grid.

    Raises
    ------
    DataError
        If there is no forecast, if families differ, or if a shape does not fit.
    """
    if not forecasts:
        raise DataError(f"expected predictions of {model!r} for at least one split, got none.")
    families = {forecast.prediction.family for forecast in forecasts}
    if len(families) > 1:
        raise DataError(f"expected one family of predictions of {model!r} in all splits, got {sorted(families)}.")
    for forecast in forecasts:
        _check_shape(forecast, (len(forecast.time), len(variables), *grid.shape), model)
    time = np.concatenate([np.asarray(forecast.time) for forecast in forecasts])
    split = np.repeat([forecast.split for forecast in forecasts], [len(forecast.time) for forecast in forecasts])
    coords: dict[str, Any] = {
        "time": ("time", time, {"standard_name": "time", "long_name": "time"}),
        "split": ("time", split.astype(object), {"long_name": "name of the split"}),
        **grid.coords(),
    }
    members = forecasts[0].prediction.members
    if members is not None:
        number = np.arange(members.shape[0], dtype=np.int32)
        coords["member"] = ("member", number, {"standard_name": "realization", "units": "1"})
    parts: dict[str, xr.Variable] = {}
    for target, variable in enumerate(variables):
        parts |= _variable(forecasts, target, variable, grid)
    attrs = {"Conventions": "CF-1.11", "title": f"Predictions of {model}", "model": model, "family": families.pop()}
    return xr.Dataset(parts, coords, attrs)


def write(path: Path, dataset: xr.Dataset) -> None:
    """Write the dataset of :func:`to_dataset` to ``path`` as compressed netCDF-4.

    Chunks hold whole fields of a few days of one member, so that reading a day opens little else.
    """
    encoding = {}
    for name, field in dataset.data_vars.items():
        sizes = [1 if dim in ("member", "time") else size for dim, size in zip(field.dims, field.shape, strict=True)]
        sizes[field.dims.index("time")] = max(1, min(field.sizes["time"], 2**16 // max(1, int(np.prod(sizes)))))
        encoding[name] = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": sizes, "_FillValue": np.nan}
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)


def read(path: Path) -> xr.Dataset:
    """Return the dataset at ``path``, in memory.

    Raises
    ------
    DataError
        If there is no such file, or it is not one of :func:`write`.
    """
    if not path.is_file():
        raise DataError(f"expected predictions at {str(path)!r}, which is not there. Run the stage predict first.")
    dataset = xr.load_dataset(path, engine="netcdf4")
    if "family" not in dataset.attrs or "split" not in dataset.coords:
        raise DataError(f"expected predictions with a family and splits in {str(path)!r}, got {dict(dataset.attrs)!r}.")
    return dataset


def names_of_variables(dataset: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the predicted variables, in array order."""
    return tuple(str(name) for name, field in dataset.data_vars.items() if "parameters" in field.attrs)


def from_dataset(dataset: xr.Dataset) -> tuple[Forecast, ...]:
    """Return the forecasts that :func:`to_dataset` was given, one a split, parameters bit for bit.

    A split whose truth is NaN everywhere has none. Calendars that numpy knows come back as
    ``datetime64``.
    """
    names = names_of_variables(dataset)
    splits = dataset["split"].to_numpy()
    forecasts = []
    for split in dict.fromkeys(splits):
        rows = np.flatnonzero(splits == split)
        part = dataset.isel(time=rows)
        parameters = {
            name: np.stack([part[where].to_numpy() for where in places], axis=-3)
            for name, places in _places(dataset, names).items()
        }
        truth = np.stack([part[f"{name}_truth"].to_numpy() for name in names], axis=-3)
        known = truth if bool(np.isfinite(truth).any()) else None
        prediction = Prediction(dataset.attrs["family"], parameters)
        forecasts.append(Forecast(str(split), part["time"].to_numpy(), prediction, known))
    return tuple(forecasts)


def _places(dataset: xr.Dataset, names: Sequence[str]) -> dict[str, list[str]]:
    """Return for every parameter the variables that hold it, one a target."""
    places: dict[str, list[str]] = {}
    for name in names:
        words = str(dataset[name].attrs["parameters"]).split()
        for parameter, where in zip(words[::2], words[1::2], strict=True):
            places.setdefault(parameter.removesuffix(":"), []).append(where)
    return places


def _check_shape(forecast: Forecast, shape: tuple[int, ...], model: str) -> None:
    members = forecast.prediction.formulas.member_parameters
    shapes = {
        name: tuple(array.shape[1:] if name in members else array.shape)
        for name, array in forecast.prediction.parameters.items()
    }
    if forecast.truth is not None:
        shapes["truth"] = tuple(forecast.truth.shape)
    for name, got in shapes.items():
        if got != shape:
            raise DataError(
                f"expected {name} of {model!r} on {forecast.split!r} in shape (time, target, lat, lon) = {shape}, "
                f"got {got}."
            )


def _variable(forecasts: Sequence[Forecast], target: int, variable: Variable, grid: Grid) -> dict[str, xr.Variable]:
    """Return the netCDF variables of one target, all splits one after another."""
    dims = ("time", *grid.dims)
    families = FAMILIES.get(forecasts[0].prediction.family)
    lead = families.member_parameters[:1]
    fields: dict[str, np.ndarray] = {}
    per_split = [_fields(forecast, target, lead) for forecast in forecasts]
    for name in per_split[0]:
        fields[name] = np.concatenate([part[name] for part in per_split], axis=-3)
    where = {name: f"{variable.name}_param_{name}" for name in families.parameters}
    # A parameter that is written anyway is not written twice: members, and the mean of mean families.
    where |= dict.fromkeys(lead, f"{variable.name}_member")
    if not lead and "mean" in where:
        where["mean"] = variable.name
    for name, place in where.items():
        if place == f"{variable.name}_param_{name}":
            raw = [_of_target(forecast.prediction.parameters[name], target) for forecast in forecasts]
            fields[f"param_{name}"] = np.concatenate(raw, axis=-3)
    result = {}
    for name, values in fields.items():
        full = f"{variable.name}_{name}" if name else variable.name
        attrs = _attrs(variable, name)
        if not name:
            attrs["parameters"] = " ".join(f"{key}: {place}" for key, place in where.items())
            attrs["ancillary_variables"] = " ".join(f"{variable.name}_{other}" for other in fields if other)
        result[full] = xr.Variable(("member", *dims) if values.ndim == 4 else dims, values, attrs)
    return result


def _fields(forecast: Forecast, target: int, lead: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return mean, truth, variances, quantiles and members of one split, worked out in chunks of time."""
    prediction = forecast.prediction.map(lambda array: array[..., target : target + 1, :, :])
    size = max(int(np.prod(array.shape)) for array in prediction.parameters.values()) // max(1, len(forecast.time))
    step = max(1, _CHUNK // max(1, size))
    pieces = [_piece(_rows(prediction, start, start + step)) for start in range(0, len(forecast.time), step)]
    fields = {name: np.concatenate([piece[name] for piece in pieces], axis=0) for name in pieces[0]}
    mean = fields.pop("")
    truth = np.full_like(mean, np.nan) if forecast.truth is None else _of_target(forecast.truth, target)
    fields = {"": mean, "truth": truth.astype(mean.dtype), **fields}
    if lead:
        fields["member"] = _of_target(forecast.prediction.parameters[lead[0]], target)
    return fields


def _rows(prediction: Prediction, start: int, stop: int) -> Prediction:
    return prediction.map(lambda array: array[..., start:stop, :, :, :])


def _piece(prediction: Prediction) -> dict[str, np.ndarray]:
    fields = {"": prediction.mean()}
    aleatoric, epistemic = prediction.variances()
    fields |= {} if aleatoric is None else {"aleatoric": aleatoric}
    fields |= {} if epistemic is None else {"epistemic": epistemic}
    if prediction.variance() is not None:
        fields |= {name: prediction.quantile(level) for name, level in QUANTILES.items()}
    return {name: to_host(values)[:, 0, :, :] for name, values in fields.items()}


def _of_target(array: Array, target: int) -> np.ndarray:
    return to_host(array[..., target, :, :])


def _attrs(variable: Variable, part: str) -> dict[str, str]:
    """Return CF attributes; a standard name only for what is the quantity itself."""
    label = variable.long_name or variable.standard_name.replace("_", " ") or variable.name
    words = {
        "": f"mean of the predicted {label}",
        "truth": f"observed {label}",
        "member": f"members of the predicted {label}",
        "aleatoric": f"aleatoric variance of the predicted {label}",
        "epistemic": f"epistemic variance of the predicted {label}",
        **{name: f"quantile {level:g} of the predicted {label}" for name, level in QUANTILES.items()},
    }.get(part, f"parameter {part.removeprefix('param_')} of the predictive distribution of {label}")
    units = of_variance(variable.units) if part in ("aleatoric", "epistemic") else variable.units
    attrs = {"units": units, "long_name": words}
    if variable.standard_name and part in ("", "truth", "member", *QUANTILES):
        attrs["standard_name"] = variable.standard_name
    return attrs
