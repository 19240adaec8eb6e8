"""Files of a CORDEX ML-Bench submission: the template they must match, how they are written.

A submission is a tree ``{name}/{D}_Domain/{experiment}/{period}/{quality}/Predictions_pr_tasmax_{GCM}_{period}.nc``;
every file holds ``pr`` and ``tasmax`` on the coordinates, in the types and with the attributes of the
benchmark's templates, at the times of the test predictors. Generative models give ten members in a further
dim ``member``, which stands last: the dims of the template come first and in its order.

Source: https://github.com/WCRP-CORDEX/ml-benchmark, folders ``submission`` and ``format_predictions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.data.netcdf import open_netcdf
from pipeline.errors import DataError
from pipeline.files import write_atomic

VARIABLES = ("pr", "tasmax")
MEMBERS = 10
UNITS = {"pr": "mm d-1", "tasmax": "K"}
_TASMAX = {
    "standard_name": "air_temperature",
    "long_name": "Daily Maximum Near-Surface Air Temperature",
    "units": "K",
}
OFFICIAL: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "NZ": {"tasmax": {**_TASMAX, "cell_methods": "time: maximum over days"}},
    # As it stands there, without the second bracket.
    "SA": {
        "tasmax": {**_TASMAX, "cell_methods": "time: maximum (interval: 1 day time: mean"},
        "pr": {"units": "mm/day"},
    },
    "ALPS": {"tasmax": {**_TASMAX, "cell_methods": "time: maximum"}},
}
"""Attributes of the official templates by domain and variable; ``pr`` has next to none."""
_NEAR = 1e-4  # degrees; cells of float32 and float64 coordinates are the same


@dataclass(frozen=True, eq=False)
class Template:
    """What every file of a domain must look like.

    Parameters
    ----------
    data : Dataset
        ``pr`` and ``tasmax`` of one time with their coordinates, attributes and encodings, times as numbers.
    """

    data: xr.Dataset

    @classmethod
    def read(cls, folder: Path, domain: str) -> Template:
        """Return the official template of a domain, the files ``pr_{domain}.nc`` and ``tasmax_{domain}.nc``.

        Raises
        ------
        DataError
            If one is not there, lacks its variable, or their grids differ.
        """
        parts = []
        for name in VARIABLES:
            path = Path(folder) / f"{name}_{domain}.nc"
            if not path.is_file():
                raise DataError(f"expected the template {path}, which is not there.")
            parts.append(_only(path, (name,)))
        first, second = parts
        for name in _places(first):
            if name not in second.coords or not first[name].equals(second[name]):
                raise DataError(f"{folder}: expected the same {name} in both templates of {domain}, got others.")
        return cls(first.assign({VARIABLES[1]: second[VARIABLES[1]].drop_vars("time", errors="ignore").variable}))

    @classmethod
    def of_target(cls, path: Path, domain: str) -> Template:
        """Return the template that a target file of a domain is itself, with the official attributes that it lacks.

        Raises
        ------
        DataError
            If the file lacks ``pr`` or ``tasmax``.
        """
        data = _only(path, VARIABLES)
        for name, attrs in OFFICIAL.get(domain, {}).items():
            data[name].attrs = {**attrs, **data[name].attrs}
        return cls(data)

    @property
    def dims(self) -> tuple[str, ...]:
        """Dims of a variable: ``("time", "lat", "lon")``, or ``("time", "y", "x")`` on a projected grid."""
        return tuple(map(str, self.data[VARIABLES[0]].dims))

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the coordinates other than time."""
        return _places(self.data)


def times_of(path: Path) -> xr.Variable:
    """Return the times of test predictors as the file has them: numbers with ``units`` and ``calendar``.

    Raises
    ------
    DataError
        If the file has none.
    """
    with open_netcdf(path, None, None) as data:
        if "time" not in data.coords or data["time"].ndim != 1:
            raise DataError(f"{path}: expected a coordinate time of one dim, got {tuple(map(str, data.coords))}.")
        time: xr.Variable = data["time"].variable.load().copy()
    time.attrs.pop("bounds", None)
    return time


def dates_of(time: xr.Variable) -> list[tuple[int, int, int]]:
    """Return year, month and day of times as :func:`times_of` gives them.

    Examples
    --------
    >>> dates_of(xr.Variable("time", [59.5], {"units": "days since 1961-01-01", "calendar": "noleap"}))
    [(1961, 3, 1)]
    """
    import cftime

    calendar = str(time.attrs.get("calendar", "standard"))
    dates = cftime.num2date(np.asarray(time.values, float), str(time.attrs["units"]), calendar=calendar)
    return [(date.year, date.month, date.day) for date in np.atleast_1d(dates)]


def submission_dataset(fields: Mapping[str, xr.DataArray], time: xr.Variable, template: Template) -> xr.Dataset:
    """Return one file's content: the fields on the template's coordinates, in its types, with its attributes.

    Parameters
    ----------
    fields : mapping of str to DataArray
        ``pr`` [mm d-1] and ``tasmax`` [K]: dims ``time``, those of the template (rows or columns may run the other
        way) and perhaps ``member``, coordinates ``lat`` and ``lon``. May be lazy.
    time : Variable
        Times of the test predictors, as many as the fields have.
    template : Template
        What the file must match.

    Raises
    ------
    DataError
        If a variable is missing, or places, times or the number of members do not fit.
    """
    missing = [name for name in VARIABLES if name not in fields]
    if missing:
        raise DataError(f"expected predictions of pr and tasmax, got {', '.join(fields)} without {', '.join(missing)}.")
    parts = {}
    for name in VARIABLES:
        field = _on_places(fields[name], template, name)
        if field.sizes["time"] != len(time):
            raise DataError(
                f"{name}: expected {len(time)} times, those of the test predictors, got {field.sizes['time']}."
            )
        count = field.sizes.get("member")
        if count is not None and count != MEMBERS:
            raise DataError(f"{name}: expected {MEMBERS} members in a submission, got {count}.")
        dims = (*template.dims, "member") if count is not None else template.dims
        like = template.data[name]
        values = field.transpose(*dims).data.astype(_stored(like))
        parts[name] = xr.Variable(dims, values, like.attrs, _encoding(like))
    coords = {name: template.data[name].variable.copy() for name in template.places}
    for variable in coords.values():
        variable.encoding = _encoding(variable)
    clock = time.copy()
    clock.encoding = {key: clock.encoding[key] for key in ("dtype", "_FillValue") if key in clock.encoding}
    if "member" in parts[VARIABLES[0]].dims:
        coords["member"] = xr.Variable("member", np.arange(MEMBERS, dtype=np.int32), {"standard_name": "realization"})
    return xr.Dataset(parts, {**coords, "time": clock})


def write_submission(path: Path, data: xr.Dataset) -> None:
    """Write the dataset of :func:`submission_dataset`; folders are made, a whole file replaces another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    # A day is read as a whole.
    encoding = {name: {**data[name].encoding, **packed, "chunksizes": (1, *data[name].shape[1:])} for name in VARIABLES}
    with write_atomic(path) as temporary:
        data.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def submission_path(
    root: Path, name: str, *, domain: str, experiment: str, period: str, quality: str, predictors: Path
) -> Path:
    """Return where the predictions for the test predictors in the file ``predictors`` belong.

    Examples
    --------
    >>> options = {"domain": "NZ", "experiment": "ESD_pseudo_reality", "period": "historical", "quality": "perfect"}
    >>> submission_path(Path("out"), "team", **options, predictors=Path("ACCESS-CM2_1981-2000.nc")).as_posix()
    'out/team/NZ_Domain/ESD_pseudo_reality/historical/perfect/Predictions_pr_tasmax_ACCESS-CM2_1981-2000.nc'
    """
    folder = root / name / f"{domain}_Domain" / experiment / period / quality
    return folder / f"Predictions_pr_tasmax_{predictors.stem}.nc"


def _only(path: Path, names: tuple[str, ...]) -> xr.Dataset:
    with open_netcdf(path, None, None) as data:
        absent = [name for name in names if name not in data.data_vars]
        if absent:
            raise DataError(f"{path}: expected {' and '.join(names)}, got {', '.join(map(str, data.data_vars))}.")
        part = data[list(names)].isel(time=slice(0, 1)).load()
    used = set(part[names[0]].dims)
    return part.drop_vars([name for name in part.coords if not part[name].ndim or not set(part[name].dims) <= used])


def _places(data: xr.Dataset) -> tuple[str, ...]:
    return tuple(str(name) for name in data.coords if name != "time")


def _stored(like: xr.DataArray) -> np.dtype:
    stored: np.dtype = np.dtype(like.encoding.get("dtype", like.dtype))
    return stored


def _encoding(like: xr.DataArray | xr.Variable) -> dict[str, object]:
    return {key: like.encoding[key] for key in ("dtype", "_FillValue", "missing_value") if key in like.encoding}


def _on_places(field: xr.DataArray, template: Template, name: str) -> xr.DataArray:
    """Return the field in the order of the template's rows and columns."""
    rows, columns = template.dims[1:]
    if not {rows, columns} <= set(field.dims):
        raise DataError(f"{name}: expected the dims {rows} and {columns} of the template, got {field.dims}.")
    for step in ({}, {rows: slice(None, None, -1)}, {columns: slice(None, None, -1)}):
        turned = field.isel(step)
        if all(_same(turned[axis], template.data[axis]) for axis in ("lat", "lon")):
            return turned
    raise DataError(
        f"{name}: expected the cells of the template, {_span(template.data[name])}, got {_span(field)}: predict the "
        "whole domain, without data.region."
    )


def _same(one: xr.DataArray, other: xr.DataArray) -> bool:
    return one.shape == other.shape and bool(np.allclose(one.values, other.values, rtol=0.0, atol=_NEAR))


def _span(field: xr.DataArray) -> str:
    parts = [f"{axis} {float(field[axis].min()):g} to {float(field[axis].max()):g}" for axis in ("lat", "lon")]
    cells = " x ".join(str(size) for dim, size in field.sizes.items() if dim not in ("time", "member"))
    return f"{' and '.join(parts)} on {cells} cells"
