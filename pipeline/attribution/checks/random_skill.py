"""Skill against random explanations: whether the map knows more than how many cells there are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.checks._cells import Changes, changes

LIMIT = 0.1
_EXACT = 1e-6  # infidelity of a map with which nothing is left to be known, as of a single cell


@CHECKS.register("random_skill")
class RandomSkill(Check):
    """Skill of the infidelity against that of random explanations (after Bommer et al. 2024).

    ``1 - infidelity / infidelity of random maps`` (doi:10.1175/AIES-D-23-0074.1): 1 is perfect, 0 as good as random.
    Random maps are uniform between 0 and 1 at every cell. In their place stands what does best among them, their
    mean, the same at every cell, scaled on each day by the one factor that makes it best, as only a map that knew the
    whole departure could be. So a map that adds up but puts the parts anywhere has no skill, while its infidelity may
    look fine. Orders of cells are held against random ones by the check ``deletion``, of strengths too.

    It costs as much as the infidelity: 32 forward passes a day, for departures times the draws of the baseline, and
    one more.
    """

    essential: ClassVar[bool] = False

    def suits(self, checked: Checked) -> bool:
        """Return whether the attributions predict changes."""
        return bool(checked.method.kind != "strength")

    def run(self, checked: Checked) -> Finding:
        """Return the skill."""
        few = checked.few()
        told = changes(few, np.ones((1, *few.inputs.shape[1:]), np.float32))
        reference = 0.0 if told.still else _best(told)
        if reference <= _EXACT:
            words = (
                "Perturbed inputs change the number by 0: there is nothing that a map could know."
                if told.still
                else f"A map that is the same at every cell misses {reference:.1g} of the mean square change of the "
                "number: there is nothing more to know."
            )
            return Finding("random_skill", 0.0, LIMIT, None, self.essential, words)
        skill = 1 - told.infidelity / reference
        return Finding(
            "random_skill", skill, LIMIT, skill > LIMIT, self.essential,
            f"The skill in predicting changes of the number is {skill:.3g}; the mean of random maps, scaled to fit "
            "best, has 0 and a perfect map has 1.",
        )  # fmt: skip


def _best(told: Changes) -> float:
    """Return the infidelity of the one field, scaled for each day as is best."""
    said = told.fields[..., 0]
    across, own = (said * told.actual).sum(axis=1), (said**2).sum(axis=1)
    gained = np.divide(across**2, own, out=np.zeros_like(own), where=own > 0).sum()
    whole = (told.actual**2).sum()
    return float((whole - gained) / whole)
