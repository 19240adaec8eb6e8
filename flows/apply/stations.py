"""Tables of fewer stations than a model knows: their places are kept, and nothing is answered there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from flows.apply.bundle import OWN_PAST, Bundle
from pipeline.errors import PredictError
from pipeline.grid import Grid
from pipeline.prepare.inputs import is_table
from pipeline.samples import Samples

APART = frozenset({"shared"})  # traits of models that answer for each station by its own predictors


def require_separate(bundle: Bundle, lacking: tuple[str, ...]) -> None:
    """Refuse inputs that lack stations, where the model may read all of them at once.

    Raises
    ------
    PredictError
        If it may.
    """
    schema = bundle.recipe.schema
    own_rows = is_table(schema.input_grid, schema.target_grid)
    if not lacking or (own_rows and bundle.traits & (APART | OWN_PAST)):
        return
    others = bundle.models(lambda traits: bool(traits & APART)) if own_rows else ()
    said = (
        f", or take a model with one set of weights for every station: --model {' or '.join(others)}" if others else ""
    )
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    raise PredictError(
        f"predict: expected all {len(schema.input_grid.stations)} stations of the predictors that {bundle.name!r} was "
        f"fitted on, got none for {', '.join(lacking[:5])}{more}: it reads all stations at once, so that what it says "
        f"of one leans on the others. Give the predictors of these stations, too{said}."
    )


def without_stations(samples: Samples, lacking: tuple[str, ...]) -> Samples:
    """Return samples of which nothing is answered at the stations ``lacking``."""
    if not lacking:
        return samples
    grid = samples.schema.target_grid
    there = np.broadcast_to(~np.isin(grid.stations, lacking), (len(samples), *grid.shape))
    return replace(samples, usable=there if samples.usable is None else samples.usable & there)


def with_stations(data: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return a table with the stations of ``grid`` that it lacks, without values, where it has one of them at least.

    Examples
    --------
    >>> row = Grid(np.array([[50.0, 51.0]]), np.array([[7.0, 8.0]]), ("row", "station"), ("a", "b"))
    >>> places = {"station": ["a"], "lat": ("station", [50.0]), "lon": ("station", [7.0])}
    >>> both = with_stations(xr.Dataset({"rain": ("station", [3.0])}, places), row)
    >>> both["rain"].values.tolist(), both["lat"].values.tolist()
    ([3.0, nan], [50.0, 51.0])
    """
    data, there = with_places(data, grid), stations_of(data)
    lacking = [place for place, name in enumerate(grid.stations) if name not in there]
    if not lacking or len(lacking) == len(grid.stations):
        return data
    names = [str(name) for name in data["station"].values]
    whole = data.assign_coords(station=names).reindex(station=[*names, *(grid.stations[place] for place in lacking)])
    for name, known in (("lat", grid.lat), ("lon", grid.lon)):
        values = np.concatenate([data[name].values, known[0, lacking]])
        whole = whole.assign_coords({name: ("station", values, data[name].attrs)})
    return whole


def with_places(data: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return a table whose stations lie where ``grid`` has those of the same name, if the file does not say where.

    Examples
    --------
    >>> row = Grid(np.array([[50.0, 51.0]]), np.array([[7.0, 8.0]]), ("row", "station"), ("a", "b"))
    >>> nowhere = {"station": ["b"], "lat": ("station", [np.nan]), "lon": ("station", [np.nan])}
    >>> with_places(xr.Dataset({"rain": ("station", [3.0])}, nowhere), row)["lat"].values.tolist()
    [51.0]
    """
    if not stations_of(data) & set(grid.stations):
        return data
    place = {name: number for number, name in enumerate(grid.stations)}
    known = np.array([place.get(str(name), -1) for name in data["station"].values])
    for name, axis in (("lat", grid.lat), ("lon", grid.lon)):
        own = np.asarray(data[name].values, float)
        filled = np.where(np.isnan(own) & (known >= 0), axis[0, known], own)
        data = data.assign_coords({name: ("station", filled, data[name].attrs)})
    return data


def stations_of(data: xr.Dataset) -> set[str]:
    """Return the identifiers of a table; none of a grid."""
    return {str(name) for name in data["station"].values} if "station" in data.dims else set()
