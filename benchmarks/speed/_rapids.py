"""The familiar comparison: cuML beside scikit-learn and cuDF beside pandas, on data shaped like climate's.

Each takes the same call by the same name: estimators and frames of :class:`~pipeline.backend.Backend`, the gpu's and
the cpu's. Data lie where the library wants them before the clock starts. Nothing here has run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed._case import Case, Scale, Work
from benchmarks.speed._fields import noise
from pipeline.backend import Backend

FEATURES = 64
ESTIMATORS: Mapping[str, Mapping[str, Any]] = {
    "KMeans": {"n_clusters": 8, "n_init": 1, "max_iter": 50, "random_state": 0},
    "PCA": {"n_components": 16, "svd_solver": "full"},
    "Ridge": {"alpha": 1.0},
    "RandomForestRegressor": {
        "n_estimators": 50,
        "max_depth": 12,
        "max_features": 0.33,
        "random_state": 0,
        "n_jobs": -1,
    },
    "NearestNeighbors": {"n_neighbors": 20, "algorithm": "brute", "n_jobs": -1},
    "LogisticRegression": {"C": 1.0, "max_iter": 200},
}
FRAMES: Mapping[str, Callable[[Any, Any], Any]] = {
    "groupby": lambda frame, stations: frame.groupby(["station", "month"])["tas"].mean(),
    "join": lambda frame, stations: frame.merge(stations, on="station", how="left"),
    "rolling": lambda frame, stations: frame["tas"].rolling(30).mean(),
    "sort": lambda frame, stations: frame.sort_values(["tas", "pr"]),
}


def data(scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Return days of correlated predictors (time, feature), and what follows from them with noise."""
    days = scale.grown(400, 20000, 200000)
    patterns = noise(12, FEATURES, seed=1)
    inputs = noise(days, 12) @ patterns + 0.3 * noise(days, FEATURES, seed=2)
    return inputs, (inputs[:, :4].sum(axis=1) + noise(days, seed=3)).astype(np.float32)


def estimator(name: str, scale: Scale) -> Case:
    """Return the case of an estimator: fit, and what it says of the same days."""
    inputs, truth = data(scale)
    classes = (truth > 0).astype(np.float32)

    def ours(backend: Backend) -> Work:
        x = backend.asarray(inputs)
        y = backend.asarray(classes if name == "LogisticRegression" else truth)

        def work() -> Any:
            made = backend.estimator(name, **ESTIMATORS[name])
            if made.fallback is not None:
                raise RuntimeError(f"expected cuML's {name}, got scikit-learn's, for {made.fallback}.")
            if name == "PCA":
                return made.fit(x).transform(x)
            if name == "KMeans":
                return made.fit(x).predict(x)
            if name == "NearestNeighbors":
                return made.fit(x).kneighbors(x[:1000])
            return made.fit(x, y).predict(x)

        return work

    return Case(
        f"{name} of {len(inputs)} days, {FEATURES} predictors",
        float(len(inputs)),
        "days",
        ours,
        why_no_limit="none measured",
        comparable=name == "Ridge",  # the others differ by sign, order or draw
        tolerance=1e-3,
    )


def frame(name: str, scale: Scale) -> Case:
    """Return the case of a verb of tables: daily values at stations."""
    days, stations = scale.grown(100, 3650, 36500), scale.fixed(5, 200, 1000)
    rows = days * stations
    day, station = np.divmod(np.arange(rows), stations)
    columns = {
        "station": station.astype(np.int32),
        "month": (day // 30 % 12).astype(np.int32),
        "tas": noise(rows),
        "pr": noise(rows, seed=1),
    }

    def ours(backend: Backend) -> Work:
        made = backend.xdf.DataFrame(columns)
        places = backend.xdf.DataFrame({"station": np.arange(stations, dtype=np.int32), "height": noise(stations)})
        return lambda: FRAMES[name](made, places)

    return Case(
        f"{name} of {rows} rows, {days} days at {stations} stations",
        float(rows),
        "rows",
        ours,
        why_no_limit="none measured",
        comparable=False,
    )


CASES: Mapping[str, Callable[[Scale], Case]] = {
    **{name: partial(estimator, name) for name in ESTIMATORS},
    **{name: partial(frame, name) for name in FRAMES},
}
