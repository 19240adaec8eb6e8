"""Whether the probabilities of classes can be trusted, in a sentence; and what else is said of classes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.report import targets
from pipeline.report.numbers import coverage, interval, label, listing, number, percent
from pipeline.report.sentences import named_set
from pipeline.report.study import FEW, Study

_ROOM = 0.02
_BY_LEVEL = 0.05
_BY_DESIGN = frozenset({"class_frequencies"})  # always answers the most common class
_AREA = 1.25  # how many times too large or too small an expected area must be to be told


@dataclass(frozen=True)
class Confidence:
    """How sure a model is of its most likely class, and how often it is right.

    Parameters
    ----------
    sure, right : float
        Mean probability of the most likely class; share of the area where it is the true one.
    low, high : float
        95\u00a0% interval of their difference; NaN where unknown.
    error : float
        Expected calibration error.
    """

    sure: float
    right: float
    low: float
    high: float
    error: float

    @classmethod
    def of(cls, data: xr.Dataset, variable: str) -> Confidence | None:
        """Return what the diagnostics say; None where they say nothing."""
        names = [f"{variable}_confidence_{part}" for part in ("mean", "right", "gap_low", "gap_high", "error")]
        if any(name not in data for name in names):
            return None
        found = cls(*(float(data[name].values) for name in names))
        return found if np.isfinite(found.sure) else None

    @property
    def gap(self) -> float:
        """How much too sure."""
        return self.sure - self.right

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def beyond_doubt(self) -> bool:
        """Whether the interval of the difference leaves zero out."""
        return self.known and (self.low > 0 or self.high < 0)


def trust(study: Study, variable: str | None = None) -> str:
    """Say whether the probabilities of the headline model can be trusted; empty where nothing is known of them.

    They are called right only where enough independent samples say so, at every level and for every class.
    """
    variable = variable or study.variable
    data = study.run.diagnostics(study.headline)
    found = None if data is None else Confidence.of(data, variable)
    if data is None or found is None:
        return ""
    said = f"he probabilities of {label(study.headline)}{targets.of(study, variable)}"
    ends = ""
    if found.known:
        low, high = sorted((100 * found.low, 100 * found.high))
        ends = f"; 95\u00a0% interval of the difference {interval(low, high, 1)} percentage points"
    words = (
        f"its most likely class has a probability of {coverage(found.sure)} on average and is right "
        f"{coverage(found.right)} of the time{ends}"
    )
    area = _expected_area(study, data, variable)
    few = study.effective
    if found.beyond_doubt and abs(found.gap) > _ROOM:
        verdict = f"T{said} are {'too high' if found.gap > 0 else 'too low'}"
    elif few is not None and few < FEW:
        verdict = f"Whether t{said} are right cannot be told from {number(min(few, FEW - 1), 0)} independent samples"
    elif not found.known:
        verdict = f"Whether t{said} are right cannot be told: no interval is known"
    elif found.error > _BY_LEVEL:
        off = percent(found.error)
        verdict = f"T{said} are right on average and not at every level, where they are off by {off} on average"
    elif area:
        verdict = f"T{said} are right for the most likely class, not for every class"
    else:
        slight = f"slightly too {'high' if found.gap > 0 else 'low'}" if found.beyond_doubt else ""
        verdict = f"T{said} {f'are {slight}' if slight else 'can be trusted'}"
    return f"{verdict}: {words}.{area}"


def _expected_area(study: Study, data: xr.Dataset, variable: str) -> str:
    """Say of which class the probabilities add up to far more or less area than it has; empty for none."""
    names = [f"{variable}_reliability_{part}" for part in ("probability", "frequency", "area")]
    if any(name not in data for name in names):
        return ""
    probability, frequency, area = (np.nan_to_num(np.asarray(data[name].values, float)) for name in names)
    expected, true = (probability * area).sum(axis=1), (frequency * area).sum(axis=1)
    off = [
        (max(expected[of] / true[of], true[of] / max(expected[of], 1e-12)), of)
        for of in range(1, len(study.classes))
        if true[of] > 0
    ]
    worst, of = max(off, default=(1.0, 0))
    if worst <= _AREA:
        return ""
    return (
        f" It expects {label(study.classes[of])} on {percent(float(expected[of]))} of the area, and it is on "
        f"{percent(float(true[of]))}."
    )


def rare(study: Study, variable: str) -> list[tuple[str, float]]:
    """Return the classes but the background with their share of the area of the test set, the rarest first."""
    data = study.run.diagnostics(study.headline)
    name = f"{variable}_share"
    if data is None or name not in data:
        return []
    shares = np.asarray(data[name].values, float)
    found = [(study.classes[of], float(shares[of])) for of in range(1, len(study.classes))]
    return sorted((pair for pair in found if np.isfinite(pair[1])), key=lambda pair: pair[1])


def never_answered(study: Study) -> tuple[str, ...]:
    """Return a sentence for models to which no cell of the test set is most likely of a class that is there.

    A mean over classes hides it. A model of the frequencies alone is not told of: it has no choice.
    """
    entries = study.run.experiment.get("models") or {}
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for model in study.models:
        if study.classes and (entries.get(model.partition("+")[0]) or {}).get("kind") not in _BY_DESIGN:
            lacking = tuple(label(name) for name in study.classes if _is_never_answered(study, model, name))
            if lacking:
                found[lacking].append(label(model))
    return tuple(
        f"{listing(models)} never {'answers' if len(models) == 1 else 'answer'} {listing(classes, 'or')} on "
        f"{named_set(study.split)}, where {'it is' if len(classes) == 1 else 'they are'} found: the IoU of "
        f"{'that class' if len(classes) == 1 else 'those classes'} is 0, which the mean over classes hides."
        for classes, models in found.items()
    )


def _is_never_answered(study: Study, model: str, name: str) -> bool:
    """Whether a class has a recall, which is 0, and no precision: it is there, and nowhere answered."""
    where = {"variable": study.variable, "group": f"class={name}"}
    recall = study.score(model, "recall", **where)
    return recall is not None and float(recall["value"]) == 0.0 and study.score(model, "precision", **where) is None
