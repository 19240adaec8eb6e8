"""Explanations of one model as netCDF, the file that the report reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipeline.attribution import Attribution
from pipeline.files import plain
from pipeline.samples import Schema


def to_dataset(attributions: Sequence[Attribution], schema: Schema) -> xr.Dataset:
    """Return ``<method>_map`` (channel, lat, lon) and ``<method>_importance``, ``_low``, ``_high`` (channel).

    What a method says of its own answer (measure, note, checks, whether to trust it) stands in the
    attributes of its importance, ``checks`` as JSON.
    """
    grid = schema.input_grid
    data: dict[str, Any] = {}
    for one in attributions:
        attrs = {
            "measure": one.measure,
            "note": one.note,
            "checks": json.dumps(plain(one.checks)),
            "trusted": json.dumps(bool(one.trusted)),
        }
        data[f"{one.method}_importance"] = (("channel",), np.asarray(one.importance, np.float32), attrs)
        for name, values in (("low", one.low), ("high", one.high)):
            if values is not None:
                data[f"{one.method}_{name}"] = (("channel",), np.asarray(values, np.float32))
        if one.maps is not None:
            maps = grid.to_file(np.asarray(one.maps, np.float32))
            data[f"{one.method}_map"] = (("channel", *grid.file_dims), maps, attrs)
    coords = {"channel": ("channel", np.asarray(schema.channels, dtype=object)), **grid.coords()}
    return xr.Dataset(data, coords, {"Conventions": "CF-1.11"})


def write_attributions(path: Path, attributions: Sequence[Attribution], schema: Schema) -> None:
    """Write the explanations of one model to ``path``."""
    to_dataset(attributions, schema).to_netcdf(path, engine="netcdf4")
