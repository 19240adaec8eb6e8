"""The numbers behind a figure: a table a panel, as CSV, so that anybody can draw it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from pipeline.grid import Grid

MOST = 60_000
"""Bytes of the numbers of one panel that a page carries; of larger ones it says where they are."""
_DIGITS = "%.8g"


@dataclass(frozen=True, eq=False)
class Data:
    """The numbers of one panel.

    Parameters
    ----------
    columns : mapping of str to sequence
        Values of equal number by the name of their column with its units.
    keys : int
        How many columns say where a value belongs: panels that agree in them share a table.
    source : str
        Which file of the run folder holds them, and which variable of it; empty where no file does.

    Examples
    --------
    >>> print(Data({"lead [months]": [1, 2], "RMSE [K]": [0.5, 0.75]}).csv, end="")
    lead [months],RMSE [K]
    1,0.5
    2,0.75
    """

    columns: Mapping[str, Sequence[Any] | np.ndarray]
    keys: int = 1
    source: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """The table."""
        return pd.DataFrame({name: _plain(values) for name, values in self.columns.items()})

    @property
    def csv(self) -> str:
        """The table as CSV text, numbers with all digits that they are kept with."""
        return written(self.frame)


def below(parts: Iterable[Mapping[str, Any]]) -> Data:
    """Return tables of several lines below each other; the first two columns say whose and where.

    Examples
    --------
    >>> print(below([{"line": "a", "x": [1, 2], "y": [3.0, 4.0]}, {"line": "b", "x": [1], "y": [5.0]}]).csv, end="")
    line,x,y
    a,1,3
    a,2,4
    b,1,5
    """
    table = pd.concat([pd.DataFrame(dict(part)) for part in parts], ignore_index=True)
    return Data({str(name): column.to_numpy() for name, column in table.items()}, 2)


def written(frame: pd.DataFrame) -> str:
    """Return a table as CSV text."""
    return str(frame.to_csv(index=False, lineterminator="\n", float_format=_DIGITS))


def link(text: str) -> str:
    r"""Return CSV text as a ``data:`` URI; most of a table of numbers stands for itself, so that it stays small.

    Examples
    --------
    >>> link("a<b\n1,2\n")
    'data:text/csv;charset=utf-8,a%3Cb%0A1,2%0A'
    """
    return "data:text/csv;charset=utf-8," + quote(text, safe=",;:.-+_()[]/=~*!")


def combined(panels: Sequence[tuple[str, Data]]) -> pd.DataFrame:
    """Return the tables of several panels as one.

    Panels that agree in where values belong stand side by side; else they stand below each other, and the first
    column, ``panel``, says which row is of which.

    Examples
    --------
    >>> place = {"lat": [40.0, 41.0], "lon": [5.0, 5.0]}
    >>> both = [("", Data({**place, name: [1.0, 2.0]}, keys=2)) for name in ("Truth", "Prediction")]
    >>> list(combined(both).columns)
    ['lat', 'lon', 'Truth', 'Prediction']
    >>> print(written(combined([("DJF", Data({"model": ["a"], "RMSE": [1.0]})), ("JJA", both[0][1])])), end="")
    panel,model,RMSE,lat,lon,Truth
    DJF,a,1,,,
    JJA,,,40,5,1
    JJA,,,41,5,2
    """
    frames = [data.frame for _, data in panels]
    if len(frames) == 1:
        return frames[0]
    keys = panels[0][1].keys
    first = frames[0].iloc[:, :keys]
    names = [column for frame in frames for column in frame.columns[keys:]]
    apart = len(set(names)) == len(names)
    if apart and all(data.keys == keys and frame.iloc[:, :keys].equals(first) for (_, data), frame in _zip(panels)):
        return pd.concat([first, *(frame.iloc[:, keys:] for frame in frames)], axis=1)
    titles = [title or f"panel {number}" for number, (title, _) in enumerate(panels, 1)]
    for title, frame in zip(titles, frames, strict=True):
        frame.insert(0, "panel", title, allow_duplicates=True)
    return pd.concat(frames, ignore_index=True)


def of_map(grid: Grid, fields: Mapping[str, np.ndarray | None], source: str = "") -> Data:
    """Return fields on a grid as rows of places, those without any value left out.

    Parameters
    ----------
    fields : mapping of str to ndarray of shape (lat, lon), or None
        By name with units; None is left out.
    """
    shape = grid.shape
    lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
    names = ("row", "column") if grid.image else ("lat [degrees_north]", "lon [degrees_east]")
    values = {
        name: np.asarray(field, float).reshape(shape).ravel() for name, field in fields.items() if field is not None
    }
    where: dict[str, Any] = {} if not grid.stations else {"station": np.array(grid.stations, object)}
    where |= dict(zip(names, (lat.ravel(), lon.ravel()), strict=True))
    return Data({**where, **values}, len(where), source)


def known(frame: pd.DataFrame, keys: int) -> pd.DataFrame:
    """Return the rows in which anything is known."""
    return frame[frame.iloc[:, keys:].notna().any(axis=1)] if len(frame.columns) > keys else frame


def _zip(panels: Sequence[tuple[str, Data]]) -> list[tuple[tuple[str, Data], pd.DataFrame]]:
    return [(panel, panel[1].frame) for panel in panels]


def _plain(values: Sequence[Any] | np.ndarray) -> Any:
    """Return values as a column: times as ISO dates, with the hour where they have one."""
    array = np.asarray(values) if not isinstance(values, np.ndarray) else values
    if array.dtype.kind == "M":
        days = array.astype("datetime64[D]")
        return np.datetime_as_string(days if (days == array).all() else array.astype("datetime64[s]"))
    return array
