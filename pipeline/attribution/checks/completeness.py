"""Completeness: whether the parts add up to the whole that they are parts of."""

from __future__ import annotations

from typing import ClassVar

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.maps import departures

LIMIT = 0.01


@CHECKS.register("completeness")
class Completeness(Check):
    """By how much the attributions of a day miss the departure of its number from that at the baseline.

    All that is missing over all there is, so that days that hardly depart from the baseline cannot blow it up. One per
    cent is allowed (Sundararajan et al. 2017, arXiv:1703.01365, say five). Of departures alone, also of methods that
    do not add up by construction: by how much they miss is how far their numbers are from shares of a whole.
    """

    essential: ClassVar[bool] = True

    def suits(self, checked: Checked) -> bool:
        """Return whether the attributions are parts of a departure."""
        return bool(checked.method.kind == "departure")

    def run(self, checked: Checked) -> Finding:
        """Return the completeness gap, a share of the absolute departures."""
        whole = departures(checked.subject, checked.inputs, checked.which, checked.baseline)
        missing = (checked.values.double().sum((1, 2, 3)) - whole).abs()
        total = float(whole.abs().sum())
        gap = float(missing.sum()) / total if total > 0 else float(missing.sum())
        # What such a method owes is its order of cells; that its parts are shares of the whole it does not claim.
        passed = gap < LIMIT if checked.method.complete else (True if gap < LIMIT else None)
        return Finding(
            "completeness", gap, LIMIT, passed, self.essential,
            f"The parts miss the departure from the baseline by {100 * gap:.2f} % of it"
            + ("." if checked.method.complete else "; this method does not add up by construction."),
        )  # fmt: skip
