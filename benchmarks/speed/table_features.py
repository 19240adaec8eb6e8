"""Lags and rolling means of series at stations."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Work, copy_of, on_host
from benchmarks.speed._fields import noise
from benchmarks.speed._samples import windows_of
from pipeline.backend import Backend

LAGS, ROLLING, WINDOW = (0, 1, 2), (7, 30), 30


@SPEED.register("table-features")
def table_features(scale: Scale) -> Case:
    """Make the features of one regression for all stations, float64 (time, station, feature)."""
    days, stations, variables = WINDOW + scale.grown(40, 2000, 7300), scale.fixed(3, 50, 500), 4
    values = noise(days, variables, stations)
    count = days - WINDOW + 1
    width = variables * (len(LAGS) + len(ROLLING))

    def ours(backend: Backend) -> Work:
        from models._classical import Table
        from models._lag_features import LagConfig, LagFeatures
        from models._layout import Layout

        samples = windows_of(values, WINDOW, backend)
        layout = Layout.of(samples.schema)
        features = LagFeatures.of(LagConfig(lags=list(LAGS), rolling=list(ROLLING)), layout, "features")
        table = Table(backend, layout)
        return lambda: [block for _, block in features.blocks(samples, table)]

    def of_pandas() -> Work:
        import pandas as pd

        station = np.tile(np.arange(stations), days)
        frame = pd.DataFrame(values.transpose(0, 2, 1).reshape(-1, variables).astype(np.float64))
        frame["station"] = station

        def work() -> Any:
            groups = frame.groupby("station")
            parts = [groups.shift(lag) for lag in LAGS]
            rolled = [groups.rolling(length).mean() for length in ROLLING]
            parts += [each.reset_index(level=0, drop=True).sort_index() for each in rolled]
            made = pd.concat(parts, axis=1).to_numpy()
            return made.reshape(days, stations, width)[WINDOW - 1 :]

        return work

    return Case(
        f"lags 0, 1, 2 and means of 7 and 30 days of {variables} variables; {days} days at {stations} stations",
        float(count * stations),
        "rows",
        ours,
        copy_of(np.zeros((count, stations, width))),
        (Peer("pandas", on_host(of_pandas)),),
        tolerance=1e-5,
    )
