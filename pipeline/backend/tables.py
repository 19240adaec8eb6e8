"""Verbs of tables that pandas and cuDF both have, with one meaning on either side.

The two differ where it does not show: cuDF keeps NaN and missing values apart and lets NaN through sums, does not
keep the order of rows in a join, and answers a group without values by none where pandas answers a sum of zero. Here a
gap is a gap whichever it is, groups without values are gaps, and the order of rows is said. Columns that are not named
in a call are left as they are; no verb writes into the table it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, DataError
from pipeline.registry import suggest

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

Frame = Any

GROUPED = ("mean", "sum", "min", "max", "std", "count")
ROLLED = ("mean", "sum", "min", "max", "std")
STEPS = ("h", "D", "MS", "YS")
_ROW, _PERIOD = "__row", "__period"


def read(path: str | Path, backend: Backend, **options: Any) -> Frame:
    """Return a file as a frame of ``backend.xdf``: Parquet by its suffix, else comma-separated text.

    Parameters
    ----------
    path : path
        ``.parquet`` and ``.pq`` are Parquet.
    backend : Backend
        Its ``xdf`` reads.
    **options
        Of the library's ``read_parquet`` or ``read_csv``; those that both sides have.
    """
    if Path(path).suffix in (".parquet", ".pq"):
        return backend.xdf.read_parquet(path, **options)
    return backend.xdf.read_csv(path, **options)


def join(left: Frame, right: Frame, on: Sequence[str], how: str = "left") -> Frame:
    """Return ``left`` with the columns of ``right`` beside it, its rows in their order.

    Parameters
    ----------
    left, right : frame
        Of the same library.
    on : sequence of str
        Columns that both have. No two rows of ``right`` may have the same values in them.
    how : {"left", "inner"}
        Whether rows of ``left`` without a match stay, with gaps, or go.

    Raises
    ------
    ConfigError
        If ``how`` is something else.
    DataError
        If ``right`` has two rows for one.

    Examples
    --------
    >>> import pandas as pd
    >>> rain = pd.DataFrame({"site": ["b", "a", "b"], "rain": [1.0, 2.0, 3.0]})
    >>> join(rain, pd.DataFrame({"site": ["a", "b"], "height": [10, 20]}), ["site"]).height.tolist()
    [20, 10, 20]
    """
    _known("how", how, ("left", "inner"))
    keys = list(on)
    if len(right[keys].drop_duplicates()) < len(right):
        raise DataError(
            f"expected one row for every {' and '.join(keys)} in the table that is joined, got some twice. "
            "Leave out what stands there twice, or group it first."
        )
    numbered = left.reset_index(drop=True)
    numbered = numbered.assign(**{_ROW: numbered.index})
    joined = numbered.merge(right, on=keys, how=how).sort_values(_ROW, ignore_index=True)
    return joined.drop(columns=[_ROW])


def group(frame: Frame, by: Sequence[str], how: Mapping[str, str]) -> Frame:
    """Return one row for every set of values in ``by``, sorted by them.

    Parameters
    ----------
    frame : frame
        Any order of rows.
    by : sequence of str
        Columns that make groups; rows with a gap in them are left out.
    how : mapping of str to str
        What is taken of a column: mean, sum, min, max, std (of a sample) or count. Gaps are left out; a group of gaps
        alone is a gap, its count zero.

    Examples
    --------
    >>> import pandas as pd
    >>> rain = pd.DataFrame({"site": ["b", "a", "b"], "rain": [1.0, 2.0, 3.0]})
    >>> group(rain, ["site"], {"rain": "mean"}).rain.tolist()
    [2.0, 2.0]
    """
    for each in how.values():
        _known("how", each, GROUPED)
    grouped = _gaps(frame[[*by, *how]]).groupby(list(by), sort=True)
    found, count = grouped.agg(dict(how)), grouped.agg(dict.fromkeys(how, "count"))
    masked = {
        name: found[name] if each == "count" else found[name].where(count[name] > 0) for name, each in how.items()
    }
    return found.assign(**masked)[list(how)].reset_index()


def rolling(
    frame: Frame,
    columns: Sequence[str],
    length: int,
    how: str = "mean",
    *,
    time: str,
    by: Sequence[str] = (),
    least: int | None = None,
) -> Frame:
    """Return the table in the order of ``by`` and ``time``, with columns such as ``rain:mean7``, of the last 7 rows.

    Parameters
    ----------
    frame : frame
        One row a group and time.
    columns : sequence of str
        Numbers; gaps in them are left out.
    length : int
        Rows of a window, the row itself the last of them.
    how : {"mean", "sum", "min", "max", "std"}
        What is taken of them.
    time : str
        Column by which rows follow each other.
    by : sequence of str
        Columns that make groups: a window does not reach into another.
    least : int, optional
        Values that a window must hold, else there is a gap; by default all of ``length``.

    Examples
    --------
    >>> import pandas as pd
    >>> rain = pd.DataFrame({"day": [2, 1, 3], "rain": [2.0, 1.0, 6.0]})
    >>> rolling(rain, ["rain"], 2, "sum", time="day")["rain:sum2"].tolist()
    [nan, 3.0, 8.0]
    """
    _known("how", how, ROLLED)
    ordered = _ordered(frame, time, by)
    part = ordered[[*by, *columns]]
    windows = part.groupby(list(by), sort=True) if by else part
    rolled = getattr(windows.rolling(length, min_periods=length if least is None else least), how)()
    rolled = rolled.reset_index(drop=True)
    return ordered.assign(**{f"{name}:{how}{length}": rolled[name] for name in columns})


def lag(frame: Frame, columns: Sequence[str], rows: Sequence[int], *, time: str, by: Sequence[str] = ()) -> Frame:
    """Return the table in the order of ``by`` and ``time``, with a column ``rain@-2`` of ``rain`` two rows before.

    Parameters
    ----------
    frame : frame
        One row a group and time.
    columns : sequence of str
        What is wanted of earlier rows.
    rows : sequence of int
        How many rows earlier; below zero: later.
    time : str
        Column by which rows follow each other. A row that is missing is not counted: fill the axis first.
    by : sequence of str
        Columns that make groups: none looks into another.

    Examples
    --------
    >>> import pandas as pd
    >>> rain = pd.DataFrame({"day": [2, 1, 3], "rain": [2.0, 1.0, 6.0]})
    >>> lag(rain, ["rain"], [1], time="day")["rain@-1"].tolist()
    [nan, 1.0, 2.0]
    """
    ordered = _ordered(frame, time, by)
    part = ordered[[*by, *columns]]
    shifting = part.groupby(list(by), sort=True) if by else part
    new: dict[str, Any] = {}
    for back in rows:
        shifted = shifting.shift(back)
        new |= {f"{name}@{-back:+d}": shifted[name] for name in columns}
    return ordered.assign(**new)


def resample(
    frame: Frame, step: str, how: Mapping[str, str], backend: Backend, *, time: str, by: Sequence[str] = ()
) -> Frame:
    """Return one row for every group and period that has rows, sorted by both; ``time`` is the period's begin.

    Parameters
    ----------
    frame : frame
        Any order of rows.
    step : {"h", "D", "MS", "YS"}
        Hours, days, or months and years by their first day.
    how : mapping of str to str
        What is taken of each column, as in :func:`group`.
    backend : Backend
        Whose frame it is.
    time : str
        Column of datetime64.
    by : sequence of str
        Columns that make groups.

    Examples
    --------
    >>> import pandas as pd
    >>> from pipeline.backend import get_backend
    >>> days = pd.to_datetime(["2001-01-30", "2001-01-31", "2001-02-01"])
    >>> rain = pd.DataFrame({"day": days, "rain": [1.0, 3.0, 5.0]})
    >>> resample(rain, "MS", {"rain": "mean"}, get_backend("cpu"), time="day").rain.tolist()
    [2.0, 5.0]
    """
    _known("step", step, STEPS)
    stamps = frame[time].dt
    if step in ("h", "D"):
        begin = stamps.floor(step)
    else:
        month = stamps.month if step == "MS" else stamps.month * 0 + 1
        parts = {"year": stamps.year, "month": month, "day": stamps.day * 0 + 1}
        begin = backend.xdf.to_datetime(backend.xdf.DataFrame(parts)).astype(frame[time].dtype)
    found = group(frame.assign(**{_PERIOD: begin}), [*by, _PERIOD], how)
    return found.rename(columns={_PERIOD: time})


def _ordered(frame: Frame, time: str, by: Sequence[str]) -> Frame:
    keys = [*by, time]
    if len(frame[keys].drop_duplicates()) < len(frame):
        raise DataError(f"expected one row for every {' and '.join(keys)}, got some twice. Group them first.")
    return _gaps(frame).sort_values(keys, ignore_index=True)


def _gaps(frame: Frame) -> Frame:
    """Return the frame with NaN as missing values, which cuDF keeps apart."""
    return frame.nans_to_nulls() if hasattr(frame, "nans_to_nulls") else frame


def _known(option: str, asked: str, known: Sequence[str]) -> None:
    if asked not in known:
        raise ConfigError(f"expected {option} of {', '.join(known)}, got {asked!r}.{suggest(asked, known)}")
