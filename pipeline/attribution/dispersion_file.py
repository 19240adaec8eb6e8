"""Aggregates of explanations as variables of a netCDF file."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pipeline.attribution._aggregate import Aggregate, Aggregates
from pipeline.projection import MAPPING

Variables = dict[str, tuple[Any, ...]]

_DOI = "doi:10.1029/2023MS003641"


def to_variables(aggregates: Aggregates, prefix: str) -> Variables:
    """Return what a file holds of aggregates, CF-1.11, for :meth:`xarray.Dataset.assign`.

    - ``PREFIX_saliency`` (channel, lat, lon) and ``PREFIX_dispersion`` (target_lat, target_lon) [km], with the mean
      distance, its interval and the sampling error as attributes;
    - ``PREFIX_share, _share_low, _share_high`` (PREFIX_variable);
    - of groups of days the same with ``PREFIX_group_`` in front and the dim PREFIX_group first, and
      ``PREFIX_group_distance, _distance_low, _distance_high, _distance_sampling_error`` [km];
    - coordinates ``target_lat, target_lon`` and the names along PREFIX_variable and PREFIX_group.

    Dims are those of the grids in files: ``y, x``, or ``station``. The coordinates of the input grid and ``channel``
    are those of the dataset it is assigned to.

    Parameters
    ----------
    aggregates : Aggregates
        What is written.
    prefix : str
        Of the names, unique in the file.

    Examples
    --------
    >>> import xarray as xr
    >>> import torch
    >>> from pipeline.attribution.dispersion import saliency_aggregates
    >>> from pipeline.grid import Grid
    >>> from pipeline.samples import Schema
    >>> grid, none = Grid(np.arange(3.0), np.arange(4.0)), np.zeros((0, 3, 4))
    >>> mask, day = np.ones((3, 4), bool), np.timedelta64(1, "D")
    >>> schema = Schema(("tas",), ("K",), ("tas",), ("K",), grid, grid, mask, none, (), day)
    >>> found = saliency_aggregates(torch.nn.Conv2d(1, 1, 1), torch.ones(5, 1, 3, 4), schema)
    >>> xr.Dataset(to_variables(found, "looks"))["looks_dispersion"].dims
    ('target_lat', 'target_lon')
    """
    grid = aggregates.schema.target_grid
    own = {f"target_{name}": variable for name, variable in grid.coords().items() if name != MAPPING}
    found: Variables = {
        name: (tuple(f"target_{dim}" for dim in variable.dims), variable.values, _beside(name, variable))
        for name, variable in own.items()
    }
    names = np.asarray(aggregates.variables, dtype=object)
    found[f"{prefix}_variable"] = ((f"{prefix}_variable",), names, {"long_name": "input variable"})
    found |= _stacked([aggregates.whole], aggregates, prefix)
    about = found[f"{prefix}_dispersion"][2]
    for name, value in _distances(aggregates.whole).items():
        about[name] = float(value)
    if not aggregates.groups:
        return found
    of, group = list(aggregates.groups.values()), f"{prefix}_group"
    labels = np.asarray(tuple(aggregates.groups), dtype=object)
    found[group] = ((group,), labels, {"long_name": "group of explained samples"})
    days = np.asarray([each.days for each in of], np.int64)
    found[f"{group}_days"] = ((group,), days, {"long_name": "days of the group", "units": "1"})
    found |= _stacked(of, aggregates, prefix, (group,))
    for name in _distances(of[0]):
        values = np.asarray([_distances(each)[name] for each in of])
        found[f"{group}_{name}"] = (
            (group,),
            values,
            {"long_name": f"mean saliency dispersion: {name.replace('_', ' ')}", "units": "km"},
        )
    return found


def _beside(name: str, variable: xr.Variable) -> dict[str, Any]:
    """Return attributes; of the axes of a plane without what makes them the plane's, for those of the inputs are."""
    if name not in ("target_y", "target_x"):
        return dict(variable.attrs)
    said = variable.attrs.get("standard_name", variable.attrs.get("long_name", name)).replace("_", " ")
    return {"long_name": f"{said} of the targets", "units": variable.attrs.get("units", "1")}


def _distances(one: Aggregate) -> dict[str, float]:
    return {
        "distance": one.distance,
        "distance_low": one.low,
        "distance_high": one.high,
        "distance_sampling_error": one.sampling_error,
    }


def _stacked(of: list[Aggregate], aggregates: Aggregates, name: str, front: tuple[str, ...] = ()) -> Variables:
    """Return maps and shares of aggregates, along ``front`` where there is such a dim."""
    schema, prefix = aggregates.schema, front[0] if front else name
    source, target = schema.input_grid, schema.target_grid
    groups = " in groups of days" if front else ""

    def joined(values: list[np.ndarray]) -> np.ndarray:
        both = np.asarray(values, np.float32)
        return both if front else both[0]

    dims = tuple(f"target_{dim}" for dim in target.file_dims)
    found: Variables = {
        f"{prefix}_saliency": (
            (*front, "channel", *source.file_dims),
            source.to_file(joined([each.saliency for each in of])),
            {
                "long_name": f"aggregated saliency map{groups}",
                "units": "1",
                "references": _DOI,
                "comment": aggregates.note,
                "maps": [each.maps for each in of],
                "empty": [each.empty for each in of],
            },
        ),
        f"{prefix}_dispersion": (
            (*front, *dims),
            target.to_file(joined([each.dispersion for each in of])),
            {
                "long_name": f"saliency dispersion: mean distance of what a cell's answer depends on{groups}",
                "units": "km",
                "references": _DOI,
                "comment": aggregates.note,
            }
            | ({"coordinates": "target_lat target_lon"} if target.lat.ndim == 2 else {}),
        ),
    }
    for end, said in (("", ""), ("_low", ": lower end of its 95 % interval"), ("_high", ": upper end of the same")):
        values = joined([getattr(each, f"shares{end}") for each in of])
        about = {"long_name": f"share of the saliency{groups}{said}", "units": "1"}
        found[f"{prefix}_share{end}"] = ((*front, f"{name}_variable"), values, about)
    return found
