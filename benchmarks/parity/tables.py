"""The verbs of tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from io import StringIO
from typing import Any

import numpy as np

from benchmarks.parity.record import ROUNDING, SUMS, Record
from pipeline.backend import Backend
from pipeline.backend import tables as verbs

Given = Mapping[str, np.ndarray]


def columns() -> dict[str, np.ndarray]:
    """Return daily rain and temperature of three sites, rows in disorder, with gaps."""
    rng = np.random.default_rng(0)
    days, sites = 500, 3
    order = rng.permutation(days * sites)
    rain = rng.gamma(1.0, 4.0, days * sites)
    rain[rng.random(days * sites) < 0.1] = np.nan
    time = np.datetime64("2001-01-01T06", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return {
        "site": np.repeat(np.arange(sites), days)[order],
        "time": np.tile(time, sites)[order],
        "rain": rain[order],
        "tas": rng.normal(size=days * sites)[order],
    }


def made(verb: str, backend: Backend, given: Given) -> dict[str, np.ndarray]:
    """Return all columns of what a verb makes of the table."""
    frame = backend.xdf.DataFrame(
        {name: list(values) if values.dtype.kind == "M" else values for name, values in given.items()}
    )
    found = backend.to_host_frame(VERBS[verb](frame, backend, given))
    return {str(name): _host(found[name]) for name in found.columns}


def _host(column: Any) -> np.ndarray:
    if column.dtype.kind == "M":
        return column.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return column.to_numpy(dtype=float, na_value=np.nan)


def _read(frame: Any, backend: Backend, given: Given) -> Any:
    text = "\n".join(
        [
            "site,rain",
            *(
                f"{site},{'' if np.isnan(rain) else rain}"
                for site, rain in zip(given["site"], given["rain"], strict=True)
            ),
        ]
    )
    return backend.xdf.read_csv(StringIO(text))


def _join(frame: Any, backend: Backend, given: Given) -> Any:
    return verbs.join(frame, backend.xdf.DataFrame({"site": [2, 0], "height": [30.0, 10.0]}), ["site"])


def _group(frame: Any, backend: Backend, given: Given) -> Any:
    parts = [verbs.group(frame, ["site"], {"rain": how, "tas": how}) for how in verbs.GROUPED]
    return backend.xdf.concat(parts, ignore_index=True)


def _rolling(frame: Any, backend: Backend, given: Given) -> Any:
    for how in verbs.ROLLED:
        frame = verbs.rolling(frame, ["rain", "tas"], 7, how, time="time", by=["site"], least=3)
    return frame


def _resample(frame: Any, backend: Backend, given: Given) -> Any:
    options = {"time": "time", "by": ["site"]}
    parts = [verbs.resample(frame, step, {"rain": "sum", "tas": "mean"}, backend, **options) for step in verbs.STEPS]
    return backend.xdf.concat(parts, ignore_index=True)


def _lag(frame: Any, backend: Backend, given: Given) -> Any:
    return verbs.lag(frame, ["rain", "tas"], [1, 7, -2], time="time", by=["site"])


VERBS = {"read": _read, "join": _join, "group": _group, "rolling": _rolling, "resample": _resample, "lag": _lag}

RECORDS = tuple(
    Record(
        "table", name, columns, partial(made, name), SUMS if name == "rolling" else ROUNDING, strict=False, placed=False
    )
    for name in VERBS
)
