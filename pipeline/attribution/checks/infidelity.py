"""Infidelity: whether the map predicts what the number does when inputs change."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.checks._cells import changes

LIMIT = 0.25


@CHECKS.register("infidelity")
class Infidelity(Check):
    """Infidelity (Yeh et al. 2019, arXiv:1901.09392), relative to the mean square of the change itself.

    Zero: the map predicts every change of the number; 1: no better than attributing nothing. Of departures the change
    is that of random blocks of inputs put to the baseline, of sensitivities that of small noise on the inputs.
    Several draws of a baseline are all asked, as the attributions are their mean. Strengths have no units that a
    change could be predicted in.

    It costs 32 forward passes a day, for departures times the draws of the baseline, and one more.
    """

    essential: ClassVar[bool] = False

    def suits(self, checked: Checked) -> bool:
        """Return whether the attributions predict changes."""
        return bool(checked.method.kind != "strength")

    def run(self, checked: Checked) -> Finding:
        """Return the relative infidelity."""
        few = checked.few()
        told = changes(few, np.zeros((0, *few.inputs.shape[1:]), np.float32))
        if told.nothing:
            return Finding(
                "infidelity", 0.0, LIMIT, None, self.essential,
                "Perturbed inputs change the number by 0, and the map says so: there is nothing to predict.",
            )  # fmt: skip
        what = (
            "random blocks of inputs put to the baseline" if few.method.kind == "departure" else "noise on the inputs"
        )
        return Finding(
            "infidelity", told.infidelity, LIMIT, told.infidelity < LIMIT, self.essential,
            f"What the map says of {what} misses {_share(told.infidelity)} of the mean square change of the number.",
        )  # fmt: skip


def _share(value: float) -> str:
    """Return a share in per cent; beyond ten times the whole as times.

    Examples
    --------
    >>> _share(0.031), _share(1e4)
    ('3.1 %', '1e+04 times')
    """
    return f"{100 * value:.1f} %" if value < 10 else f"{value:.3g} times"
