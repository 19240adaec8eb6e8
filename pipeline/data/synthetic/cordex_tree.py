"""A small folder tree of made data in the layout of CORDEX ML-Bench, with what is odd about the real one.

With it the benchmark's experiments can be tried before gigabytes are fetched, and tested. Names, dims, types,
coordinates and stamps are those of the real files; the grid is smaller and the weather is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

LEVELS = (850, 700, 500)
TEST_PERIODS = {"historical": "1981-2000", "mid_century": "2041-2060", "end_century": "2080-2099"}
TRAIN_PERIODS = {"ESD_pseudo_reality": "1961-1980", "Emulator_hist_future": "1961-1980_2080-2099"}
WARMING = 0.03  # K a year
_BASE = {"u": (5.0, 6.0), "v": (0.0, 5.0), "q": (4e-3, 2e-3), "t": (270.0, 6.0), "z": (3000.0, 80.0)}
_UNITS = {"u": "m s-1", "v": "m s-1", "q": "kg kg-1", "t": "K", "z": "m"}


@dataclass(frozen=True)
class Domain:
    """What is particular about the files of a domain.

    Parameters
    ----------
    gcm : str
        The climate model in the names of its files.
    coarse : tuple of float
        First latitude and longitude of the predictors [degrees], 2 degrees apart.
    fine : tuple of float
        First and last latitude, first and last longitude of the target [degrees].
    hour : int
        Of the day that times are stamped.
    letters : str
        Order of the predictors in the training files.
    projected : bool
        Whether the target lies on a projected grid with 2-D coordinates.
    """

    gcm: str
    coarse: tuple[float, float]
    fine: tuple[float, float, float, float]
    hour: int
    letters: str
    projected: bool = False


DOMAINS = {
    "NZ": Domain("ACCESS-CM2", (-55.5, 157.5), (-47.56, -33.93, 166.04, 179.67), 0, "uvqtz"),
    "SA": Domain("ACCESS-CM2", (-40.0, 11.0), (-34.7, -22.0, 20.5, 33.2), 12, "tuvzq"),
    "ALPS": Domain("CNRM-CM5", (30.0, -4.0), (36.5, 51.1, -0.3, 22.2), 12, "uvqtz", projected=True),
}


def write_cordex_tree(
    root: Path, domain: str, *, days: int = 400, cells: int = 32, coarse: int = 16, seed: int = 0
) -> Path:
    """Write ``root/{domain}_domain``: both training experiments and six sets of test predictors; return it.

    Parameters
    ----------
    root : Path
        Made if it is not there.
    domain : {"NZ", "SA", "ALPS"}
        Coordinates, stamps and oddities are those of this domain.
    days : int
        Days in every period of the file names, from the first of January of its first year.
    cells, coarse : int
        Cells along each side of the target and of the predictors; the benchmark has 128 and 16.
    seed : int
        Of the weather.

    Raises
    ------
    KeyError
        If there is no such domain.
    """
    made = _Maker(domain, DOMAINS[domain], days, cells, coarse, seed)
    folder = Path(root) / f"{domain}_domain"
    for experiment, period in TRAIN_PERIODS.items():
        years = [int(part[:4]) for part in period.split("_")]
        predictors, target = made.train(years)
        place = folder / "train" / experiment
        _write(predictors, place / f"predictors/{made.place.gcm}_{period}.nc")
        _write(made.static(), place / "predictors/Static_fields.nc")
        _write(target, place / f"target/pr_tasmax_{made.place.gcm}_{period}.nc")
    for name, period in TEST_PERIODS.items():
        for quality in ("perfect", "imperfect"):
            data = made.test(int(period[:4]), imperfect=quality == "imperfect")
            _write(data, folder / f"test/{name}/predictors/{quality}/{made.place.gcm}_{period}.nc")
    return folder


@dataclass(frozen=True)
class _Maker:
    name: str
    place: Domain
    days: int
    cells: int
    coarse: int
    seed: int

    def train(self, years: list[int]) -> tuple[xr.Dataset, xr.Dataset]:
        """Return predictors and target of the periods that begin in ``years``, one after another."""
        weather = [self._weather(year) for year in years]
        fields = {name: np.concatenate([part[name] for part in weather]) for name in weather[0]}
        time = np.concatenate([_noleap(year, self.days, self.place.hour) for year in years])
        predictors = self._predictors(fields, self.place.letters)
        return self._stamped(predictors, time), self._stamped(self._target(fields), time, target=True)

    def test(self, year: int, *, imperfect: bool) -> xr.Dataset:
        """Return test predictors; imperfect ones are biased, in another order, and of the calendar noleap."""
        fields = self._weather(year)
        if not imperfect:
            data = self._predictors(fields, self.place.letters)
            return self._stamped(data, _noleap(year, self.days, self.place.hour))
        biased = {name: 1.1 * field + 0.5 * _BASE[name[0]][1] for name, field in fields.items()}
        data = self._predictors(biased, "uvqtz"[::-1])
        time = xr.date_range(f"{year}-01-01T12:00", periods=self.days, calendar="noleap", use_cftime=True)
        data = data.assign_coords(time=time)
        data["time"].encoding = {"units": "days since 1850-01-01", "calendar": "noleap", "dtype": "float64"}
        data["time"].attrs["bounds"] = "time_bnds"
        count = np.arange(self.days, dtype=float)
        return data.assign(time_bnds=(("time", "bnds"), np.stack([count, count + 1.0], axis=1)))

    def static(self) -> xr.Dataset:
        """Return the orography; on a projected grid without coordinates."""
        dims = ("y", "x") if self.place.projected else ("lat", "lon")
        coords = {} if self.place.projected else {name: self._axes()[name] for name in dims}
        return xr.Dataset({"orog": (dims, self._heights().astype(np.float32))}, coords)

    def _weather(self, year: int) -> dict[str, np.ndarray]:
        """Return the predictors of a period, shape (time, lat, lon): patterns that last, and the season."""
        rng = np.random.default_rng([self.seed, year])
        where = np.linspace(0.0, 1.0, self.coarse)
        waves = [np.cos(np.pi * (k * where[:, None] + m * where)) for k in range(3) for m in range(3)]
        shapes = np.stack(waves).reshape(9, -1)
        season = np.cos(2 * np.pi * (np.arange(self.days) - 20) / 365.0)
        warming = WARMING * (year - 1961)
        states = {letter: _persistent(rng, self.days, 9) for letter in "uvqtz"}
        fields = {}
        for level in LEVELS:
            for letter, (mean, deviation) in _BASE.items():
                flat = states[letter] @ shapes / 3.0 + 0.2 * rng.standard_normal((self.days, shapes.shape[1]))
                trend = (season[:, None] + warming / deviation) if letter == "t" else 0.0
                values = mean + deviation * (flat + trend)
                fields[f"{letter}_{level}"] = values.reshape(self.days, self.coarse, self.coarse)
        fields["z_850"][:, 0, 0] = 1500.0  # below the ground: the same at all times
        return fields

    def _predictors(self, fields: dict[str, np.ndarray], letters: str) -> xr.Dataset:
        dims = ("time", "lat", "lon")
        lat, lon = (first + 2.0 * np.arange(self.coarse) for first in self.place.coarse)
        parts = {
            f"{letter}_{level}": (dims, fields[f"{letter}_{level}"].astype(np.float32), {"units": _UNITS[letter]})
            for letter in letters
            for level in (LEVELS if letters[0] == "u" else LEVELS[::-1])
        }
        degrees = {"lat": "degrees_north", "lon": "degrees_east"}
        coords = {name: (name, values, {"units": degrees[name]}) for name, values in (("lat", lat), ("lon", lon))}
        return xr.Dataset(parts, coords)

    def _target(self, fields: dict[str, np.ndarray]) -> xr.Dataset:
        """Return daily maximum temperature and precipitation made from the predictors and the orography."""
        rng = np.random.default_rng([self.seed, 1, len(fields["t_850"])])
        warm, moist, west = (self._fine(fields[name]) for name in ("t_850", "q_850", "u_700"))
        noise = rng.standard_normal(warm.shape)
        tasmax = warm + 18.0 - 6.5e-3 * self._heights() + noise
        wetness = (moist - 4e-3) / 2e-3 + 0.05 * west + 4e-4 * self._heights() + 0.5 * noise
        pr = 6.0 * np.maximum(wetness - 0.5, 0.0) ** 1.5
        dims = ("time", "y", "x") if self.place.projected else ("time", "lat", "lon")
        attrs = {"standard_name": "air_temperature", "units": "K"}
        kind = np.float32 if self.place.projected else np.float64
        data = xr.Dataset({"pr": (dims, pr.astype(kind)), "tasmax": (dims, tasmax.astype(np.float32), attrs)})
        data = data.assign_coords(self._axes())
        if self.place.projected:
            data["tasmax"].attrs["grid_mapping"] = "Lambert_Conformal"
        if self.name == "SA":
            data["pr"].attrs["units"] = "mm/day"
            data["tasmax"].attrs["grid_mapping"] = "crs"
            data["tasmax"].encoding = {"_FillValue": np.float32(9.96921e36), "missing_value": np.float32(9.96921e36)}
            edges = {f"{axis}_bnds": ((axis, "bnds"), np.zeros((self.cells, 2))) for axis in ("lat", "lon")}
            data = data.assign({"crs": ((), np.int32(0), {"grid_mapping_name": "latitude_longitude"}), **edges})
        return data

    def _axes(self) -> dict[str, xr.Variable]:
        south, north, west, east = self.place.fine
        lat, lon = np.linspace(south, north, self.cells), np.linspace(west, east, self.cells)
        names = {"lat": ("latitude", "degrees_north"), "lon": ("longitude", "degrees_east")}
        attrs = {name: {"standard_name": word, "units": units} for name, (word, units) in names.items()}
        if not self.place.projected:
            return {
                "lat": xr.Variable("lat", lat.astype(np.float32), attrs["lat"]),
                "lon": xr.Variable("lon", lon.astype(np.float32), attrs["lon"]),
            }
        # Turned a little, as a cone's grid is.
        bent = 0.05 * (lon - lon.mean())[None, :] ** 2 * 0.1
        fields = {"lat": lat[:, None] - bent, "lon": lon[None, :] + 0.02 * (lat - lat.mean())[:, None]}
        axes = {name: xr.Variable(("y", "x"), fields[name], attrs[name]) for name in fields}
        for name, first in (("y", 1412.5), ("x", 2062.5)):
            word = {"units": "km", "standard_name": f"projection_{name}_coordinate", "axis": name.upper()}
            axes[name] = xr.Variable(name, first + 12.5 * np.arange(self.cells), word)
        return axes

    def _heights(self) -> np.ndarray:
        along = np.linspace(0.0, 3.0 * np.pi, self.cells)
        heights: np.ndarray = 900.0 * (1.0 + np.sin(along)[:, None] * np.cos(0.7 * along)[None, :])
        return heights

    def _fine(self, field: np.ndarray) -> np.ndarray:
        """Return a field of the predictors' grid, shape (time, lat, lon), between its cells on the target's."""
        at = np.linspace(3.0, self.coarse - 4.0, self.cells)
        low = np.floor(at).astype(int)
        part = at - low
        rows = field[:, low] * (1 - part)[None, :, None] + field[:, low + 1] * part[None, :, None]
        fine: np.ndarray = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
        return fine

    def _stamped(self, data: xr.Dataset, time: np.ndarray, *, target: bool = False) -> xr.Dataset:
        units = {"NZ": ("days since 1961-01-01", "int64"), "ALPS": ("days since 1949-12-01", "float64")}
        # Minutes as float32 are rounded by up to eight of them: only the date can be trusted.
        units["SA"] = ("minutes since 1961-01-01", "float32" if target else "float64")
        data = data.assign_coords(time=time)
        words, kind = units[self.name]
        data["time"].encoding = {"units": words, "dtype": kind, "calendar": "standard"}
        return data


def _persistent(rng: np.random.Generator, days: int, count: int) -> np.ndarray:
    """Return series of mean 0 and deviation 1 with a correlation of 0.7 from day to day, shape (days, count)."""
    series = rng.standard_normal((days, count))
    for day in range(1, days):
        series[day] = 0.7 * series[day - 1] + np.sqrt(1 - 0.7**2) * series[day]
    return series


def _noleap(year: int, days: int, hour: int) -> np.ndarray:
    """Return consecutive days without 29 February, as Gregorian dates."""
    dates = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-01-01") + 2 * days + 2)
    leap = (dates.astype("datetime64[M]").astype(int) % 12 == 1) & (
        (dates - dates.astype("datetime64[M]")).astype(int) == 28
    )
    kept: np.ndarray = dates[~leap][:days].astype("datetime64[ns]") + np.timedelta64(hour, "h")
    return kept


def _write(data: xr.Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(path, engine="netcdf4")
