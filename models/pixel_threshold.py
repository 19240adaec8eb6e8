"""One channel and one threshold a class: the simplest rule that reads the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._pixels import PixelConfig, PixelModel, frequencies
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any
Criterion = Literal["iou", "youden"]


class PixelThresholdConfig(PixelConfig):
    """Options of :class:`PixelThreshold`."""

    criterion: Criterion = Field(
        default="iou",
        description="What the best threshold has most of: iou, hits over all that is either forecast or true; youden, "
        "the share of hits less that of false alarms.",
    )
    quantiles: int = Field(
        default=200, ge=2, description="Thresholds tried a channel: so many quantiles of the class, and of the rest."
    )


@dataclass(frozen=True)
class Rule:
    """A cell is of a class where a feature is at least a threshold, or below it.

    Parameters
    ----------
    place : int
        Number of the feature.
    threshold : float
        In the numbers of the samples.
    above : bool
        Whether cells at or above it are meant, else those below.
    score : float
        Of the criterion, over the rows the rule was chosen on.
    """

    place: int
    threshold: float
    above: bool
    score: float


@MODELS.register("pixel_threshold")
class PixelThreshold(PixelModel):
    """A list of rules, the rarest class first: "cyclone where the wind is above 17, else river where ...".

    For every class but the commonest the channel, threshold and direction are taken that tell it best from
    the rest of the cells that no earlier rule has caught. A cell is answered the shares of the classes in the
    train split among those caught by the same rule; where even the best rule for a rare class catches
    mostly others, they are the most likely there, and the rare class is merely likelier than elsewhere.

    References
    ----------
    Youden (1950), doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3.
    """

    Config = PixelThresholdConfig
    kind: ClassVar[str] = "pixel_threshold"

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Choose the rules; the validation split is not looked at."""
        self.start(train, context)
        backend, config = context.backend, self.config
        found = self.pixels.train_rows(train, config.max_rows, context)
        rows, labels = found.features, found.labels
        counts = np.bincount(labels, minlength=len(self.layout.classes))
        order = [int(number) for number in np.argsort(counts, kind="stable") if counts[number]]
        rules: list[dict[str, Any]] = []
        for number in order[:-1]:
            hit = labels == number
            if not hit.any() or hit.all():
                continue  # earlier rules have caught all of it, or all of the others
            rule = best_rule(rows, hit, config.quantiles, config.criterion, backend.xp)
            rules.append(asdict(rule) | {"class": number})
            left = ~backend.to_host(caught(rows, rule))
            rows, labels = backend.xp.take(rows, backend.asarray(np.flatnonzero(left)), axis=0), labels[left]
        self.choices = {"rows": len(found.labels), "rules": rules}
        shares = frequencies(self.pixels.counts(train, self._group, len(rules) + 1, context))
        self.arrays = {"shares": backend.asarray(shares)}
        return self

    @property
    def _rules(self) -> list[Rule]:
        return [Rule(**{key: rule[key] for key in Rule.__annotations__}) for rule in self.choices["rules"]]

    def _group(self, rows: Array) -> Array:
        """Return the number of the first rule that catches each row, that of rules where none does."""
        xp, rules = self.table.backend.xp, self._rules
        group = xp.full(rows.shape[0], len(rules), dtype=xp.int64)
        for number in reversed(range(len(rules))):
            group = xp.where(caught(rows, rules[number]), xp.full_like(group, number), group)
        return group

    def chances(self, rows: Array) -> Array:
        """Return the shares of the classes among the cells that the same rule catches."""
        return self.table.backend.xp.take(self.arrays["shares"], self._group(rows), axis=0)

    def summary(self) -> dict[str, Any]:
        """Return the rules in words, thresholds in the units of their channel where those are known."""
        names = self.pixels.names
        said = [
            f"{self.layout.classes[rule['class']]}: {names[rule['place']]} {'>=' if rule['above'] else '<'} "
            f"{self._in_units(rule['place'], rule['threshold'])} ({self.config.criterion} {rule['score']:.3f})"
            for rule in self.choices["rules"]
        ]
        return {"rows": self.choices["rows"], "rules": said}

    def _in_units(self, place: int, threshold: float) -> str:
        """Return a threshold in units if the way there is the same everywhere, else in standardised numbers."""
        affine, channels = self.layout.channel_affine, len(self.layout.channels)
        if affine is None or place >= channels or affine.scale.shape[1:] != (1, 1) or affine.transform(place) != "none":
            return f"{threshold:.4g} (standardised)"
        return f"{threshold * float(affine.scale[place, 0, 0]) + float(affine.shift[place, 0, 0]):.6g}"


def caught(rows: Array, rule: Rule) -> Array:
    """Return where a rule holds, shape (row,)."""
    column = rows[:, rule.place]
    return column >= rule.threshold if rule.above else column < rule.threshold


def best_rule(rows: Array, hit: np.ndarray, quantiles: int, criterion: Criterion, xp: Any) -> Rule:
    """Return the rule that tells the rows where ``hit`` best from the others; of equal ones the first.

    Parameters
    ----------
    rows : array, shape (row, feature)
        What rules read.
    hit : ndarray of bool, shape (row,)
        Some are, some are not.
    quantiles : int
        Thresholds tried a feature, of the rows that are and of those that are not.
    criterion : {"iou", "youden"}
        With h hits, f false alarms, P rows that are and N that are not: ``h / (P + f)`` or ``h / P - f / N``.
    xp : module
        Namespace of ``rows``.

    Examples
    --------
    >>> rows = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> best_rule(rows, np.array([False, False, True, True]), 5, "iou", np)
    Rule(place=0, threshold=3.0, above=True, score=1.0)
    """
    inside, outside = (xp.asarray(np.flatnonzero(part)) for part in (hit, ~hit))
    own, rest = (xp.take(rows, part, axis=0) for part in (inside, outside))
    best: Rule | None = None
    for place in range(rows.shape[1]):
        mine, theirs = xp.sort(own[:, place]), xp.sort(rest[:, place])
        tried = xp.concat([xp.take(part, _spread(part.shape[0], quantiles, xp)) for part in (mine, theirs)])
        below, false_below = (xp.searchsorted(part, tried) for part in (mine, theirs))
        for above in (True, False):
            hits = (mine.shape[0] - below) if above else below
            false = (theirs.shape[0] - false_below) if above else false_below
            hits, false = xp.astype(hits, xp.float64), xp.astype(false, xp.float64)
            if criterion == "iou":
                score = hits / (mine.shape[0] + false)
            else:
                score = hits / mine.shape[0] - false / theirs.shape[0]
            at = int(xp.argmax(score))
            if best is None or float(score[at]) > best.score:
                best = Rule(place, float(tried[at]), above, float(score[at]))
    if best is None:
        raise ValueError(f"expected features to choose from, got rows of shape {tuple(rows.shape)}.")
    return best


def _spread(count: int, quantiles: int, xp: Any) -> Array:
    return xp.asarray(np.unique(np.linspace(0, count - 1, quantiles).round().astype(np.int64)))
