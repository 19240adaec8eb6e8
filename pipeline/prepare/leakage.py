"""The proof that nothing after the train span has an influence on what is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.novelty.fitted import Novelty
from pipeline.novelty.storage import state as novelty_state
from pipeline.prepare.align import Predictors
from pipeline.prepare.arrays import rows
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.dates import as_times, calendar_of, microseconds
from pipeline.prepare.frequencies import class_names
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.storage import state


@dataclass(frozen=True)
class LeakageReport:
    """What moved when every value after the train span was replaced.

    Parameters
    ----------
    compared : tuple of str
        Names of all that was compared byte for byte: what was fitted, and the train samples.
    moved : tuple of str
        Those that changed; empty is the proof.
    """

    compared: tuple[str, ...]
    moved: tuple[str, ...]


def check_leakage(
    predictors: Predictors,
    target: xr.Dataset,
    static: Sequence[xr.Dataset] = (),
    forcings: Sequence[xr.Dataset] = (),
    *,
    config: PrepareConfig,
    split: TimeSplit,
    months: Sequence[int] | None = None,
    region: Mapping[str, tuple[float, float]] | None = None,
    backend: Backend,
    seed: int = 0,
    classes: bool = False,
) -> LeakageReport:
    """Prepare twice, once with noise for every value after the train span, and compare.

    Takes the arguments of :func:`~pipeline.prepare.prepared.prepare`, less the test sets with data of their
    own, on which nothing is fitted, and a ``seed`` for the noise, which
    also takes half of the truth away and gives truth to cells that have none.

    Examples
    --------
    >>> import pandas as pd
    >>> from pipeline.backend import get_backend
    >>> time, coords = pd.date_range("1999-01-01", periods=90), {"lat": [0.0, 1.0], "lon": [0.0, 1.0]}
    >>> noise = np.random.default_rng(0).normal(size=(90, 2, 2)).astype("float32")
    >>> data = xr.Dataset({"tas": (("time", "lat", "lon"), noise)}, coords={"time": time, **coords})
    >>> split = TimeSplit(("1999-01", "1999-01"), ("1999-02", "1999-02"), {"test": ("1999-03", "1999-03")})
    >>> check_leakage([("era", data)], data, config=PrepareConfig(), split=split, backend=get_backend("cpu")).moved
    ()
    """

    def both(sources: Predictors, truth: xr.Dataset, series: Sequence[xr.Dataset]) -> dict[str, bytes]:
        prepared = prepare(
            sources, truth, static, series, config=config, split=split, months=months, region=region, backend=backend,
            classes=classes,
        )  # fmt: skip
        return fitted_bytes(prepared)

    before = both(predictors, target, forcings)  # first, as it checks the data
    generator = np.random.default_rng(seed)
    noisy = [(name, _replaced(data, split, generator, missing=0.0)) for name, data in predictors]
    series = [_replaced(data, split, generator, missing=0.0) for data in forcings]
    known = classes and config.target.label is None  # class numbers as they come, of the one target of a segmentation
    kinds = len(class_names(target, str(next(iter(target.data_vars))))) if known else 0
    after = both(noisy, _replaced(target, split, generator, missing=0.5, kinds=kinds), series)
    names = sorted(set(before) | set(after))
    return LeakageReport(tuple(names), tuple(name for name in names if before.get(name) != after.get(name)))


def fitted_bytes(prepared: Prepared) -> dict[str, bytes]:
    """Return the bytes of everything fitted and of the train samples, by name."""
    arrays, facts = state(prepared)
    train, chosen = prepared.samples("train"), prepared.windows["train"]
    arrays |= {f"train/{part}": getattr(train, part) for part in ("target", "previous", "day")}
    if train.lagged is None:
        arrays["train/inputs"] = train.inputs
    else:  # the steps that windows are made of, and which: laid out they are as many times the data
        steps = np.unique(train.lagged.index)
        arrays |= {"train/steps": rows(train.lagged.values, steps), "train/windows": train.lagged.index}
    if train.usable is not None:
        arrays["train/usable"] = train.usable
    arrays |= {f"windows/{part}": getattr(chosen, part) for part in ("index", "now", "previous", "ahead", "first")}
    strange, said = _novelty(prepared)
    arrays, facts = arrays | strange, facts | said
    found = {name: np.ascontiguousarray(prepared.backend.to_host(array)).tobytes() for name, array in arrays.items()}
    return found | {name: repr(value).encode() for name, value in facts.items()}


def _novelty(prepared: Prepared) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what tells unusual samples; nothing where train is too short for that."""
    try:
        cells = None if prepared.cells is None else prepared.cells["train"]
        fitted = Novelty.fit(prepared.inputs("train"), cells, prepared.scalars.forcings)
    except DataError:
        return {}, {}
    arrays, facts = novelty_state(fitted)
    return {f"novelty/{name}": array for name, array in arrays.items()}, {"novelty": facts}


def _replaced(
    data: xr.Dataset, split: TimeSplit, generator: np.random.Generator, *, missing: float, kinds: int = 0
) -> xr.Dataset:
    """Return ``data`` with noise after the train span, a share of which is NaN; of ``kinds`` classes, if any."""
    time = as_times(data["time"].values)
    later = microseconds(time) >= split.end("train", calendar_of(time))
    changed: dict[str, Any] = {}
    for name, variable in data.data_vars.items():
        values = np.array(variable.transpose("time", ...).values, np.float32)
        shape = values[later].shape
        noise = generator.integers(0, kinds, shape).astype(float) if kinds else generator.normal(0, 1e3, shape)
        noise[generator.random(noise.shape) < missing] = np.nan
        values[later] = noise
        changed[str(name)] = (("time", *(dim for dim in variable.dims if dim != "time")), values, variable.attrs)
    return data.assign(changed)
