"""How far the test set lies from the train climate, read from ``diagnostics/novelty.nc``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.novelty.reference import EXPECTED
from pipeline.novelty.relation import NOTHING, Value
from pipeline.report.study import Study


@dataclass(frozen=True, eq=False)
class Unusual:
    """What is known of the novelty of the test set that the verdict is about.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Dates, or numbers of tiles.
    novelty : ndarray, shape (time, sample)
        Of the samples, of a table of every station; above 1 one is unusual, NaN where it misses an input.
    season : ndarray, shape (time,), or None
        Of the 91 days around.
    error : ndarray, shape (time,), or None
        Of the headline model; RMSE of each time, of classes the share that is wrong.
    sides : tuple of (Value, Value)
        Its error, and the coverage of its 90 % intervals, on the unusual samples and on the rest.
    rank : Value
        Correlation of novelty and error.
    shares : mapping of str to Value
        Of unusual samples, by split.
    seasons : mapping of str to float
        Share of samples in unusual seasons, by split; empty where not known.
    forcings : mapping of str to float
        By forcing, the share of samples with it outside its range in train.
    left_out : str
        What was left out of train in turn: ``years``, ``blocks`` or ``basins``.
    components : int
        Principal components.
    explained : float
        The share of variance that they hold.
    seasonal : bool
        Whether distances are from a mean annual cycle.
    """

    time: np.ndarray
    novelty: np.ndarray
    season: np.ndarray | None
    error: np.ndarray | None
    sides: tuple[tuple[Value, Value], ...]
    rank: Value
    shares: Mapping[str, Value]
    seasons: Mapping[str, float]
    forcings: Mapping[str, float]
    left_out: str
    components: int
    explained: float
    seasonal: bool

    @classmethod
    def of(cls, study: Study) -> Unusual | None:
        """Return what the run says; None where it says nothing of the test set."""
        data = study.run.novelty
        if data is None or "novelty" not in data or study.split not in data["set"].values:
            return None
        test = data.isel(time=np.flatnonzero(data["split"].values.astype(str) == study.split))
        related = "error" in data and study.headline in data["model"].values and data.attrs.get("test") == study.split
        own = test.sel(target=study.variable, model=study.headline) if related else None
        sides: tuple[tuple[Value, Value], ...] = ((NOTHING, NOTHING),) * 2
        if own is not None:
            sides = tuple(
                (_value(own.sel(side=side), "error_by_side"), _value(own.sel(side=side), "coverage_90"))
                for side in ("unusual", "rest")
            )
        return cls(
            time=test["time"].values,
            novelty=np.asarray(test["novelty"].values, float).reshape(test.sizes["time"], -1),
            season=np.asarray(test["season_novelty"].values, float) if "season_novelty" in test else None,
            error=None if own is None else np.asarray(own["error"].values, float),
            sides=sides,
            rank=NOTHING if own is None else _value(own, "rank_correlation"),
            shares={str(name): _value(data.sel(set=name), "unusual_share") for name in data["set"].values},
            seasons=_by_set(data, "season_unusual_share"),
            forcings=_forcings(data, study.split),
            left_out=str(data.attrs["fitted_left_out"]),
            components=int(data.attrs["fitted_components"]),
            explained=float(data.attrs["fitted_explained"]),
            seasonal=bool(data.attrs["fitted_harmonics"]),
        )

    @property
    def count(self) -> int:
        """Unusual samples."""
        return int((self.novelty > 1.0).sum())

    @property
    def known(self) -> int:
        """Samples whose novelty is known."""
        return int(np.isfinite(self.novelty).sum())

    @property
    def table(self) -> bool:
        """Whether stations are samples of their own."""
        return bool(self.novelty.shape[1] > 1)


def _value(data: xr.Dataset, name: str) -> Value:
    return Value(*(float(data[f"{name}{end}"].values) for end in ("", "_low", "_high")))


def _forcings(data: xr.Dataset, split: str) -> dict[str, float]:
    if "forcing_outside" not in data:
        return {}
    return {str(name): float(data["forcing_outside"].sel(set=split, forcing=name)) for name in data["forcing"].values}


def _by_set(data: xr.Dataset, name: str) -> dict[str, float]:
    return {str(one): float(data[name].sel(set=one)) for one in data["set"].values} if name in data else {}


def disagreement(study: Study) -> tuple[str, float] | None:
    """Return an ensemble and on how many samples its members disagree more than on 99 % of the validation samples.

    It is the headline model, if that is one, else the first; None where there is none.
    """
    data = study.run.novelty
    if data is None or "disagreement_share" not in data:
        return None
    test = data.isel(time=np.flatnonzero(data["split"].values.astype(str) == study.split))
    names = [str(name) for name in test["ensemble"].values]
    name = study.headline if study.headline in names else names[0]
    shares = np.asarray(test["disagreement_share"].sel(ensemble=name, target=study.variable).values, float)
    known = np.isfinite(shares)
    return (name, float((shares[known] >= 1.0 - EXPECTED).mean())) if known.any() else None


def noun(study: Study, found: Unusual) -> str:
    """Return what one sample is: ``day``, ``station-day``, ``tile``."""
    return f"{station(study)}-{study.step}" if found.table else study.step


def station(study: Study) -> str:
    """Return what a row of a table is: ``station``, or ``basin`` where rivers flow."""
    return "basin" if study.quantities[study.variable] == "flow" else "station"


def centre(study: Study) -> str:
    """Return what distances are from: ``the train climate``, of tiles ``the mean of train``."""
    return "the mean of train" if study.step == "tile" else "the train climate"


def against(study: Study, found: Unusual) -> str:
    """Return what samples are compared with: ``the train days of their time of the year``."""
    one = noun(study, found)
    if found.left_out == "basins":
        return f"the {one}s of train basins that were left out in turn"
    return f"the train {one}s{' of their time of the year' if found.seasonal else ''}"
