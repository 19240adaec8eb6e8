"""Maximum sensitivity: whether the map stays when the inputs hardly change."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.checks._cells import cells_checked, generator

LIMIT = 0.25
RADIUS = 0.02  # standard deviations
_DRAWS = 4


@CHECKS.register("max_sensitivity")
class MaxSensitivity(Check):
    """Maximum sensitivity (Yeh et al. 2019, arXiv:1901.09392): the largest change of the map in the neighbourhood.

    Inputs move by uniform noise of at most 0.02 standard deviations, about one per cent of what they are. The largest
    change of each day's map over the draws, in the L2 norm, the mean over days, over the mean norm of the maps: days
    of small maps cannot blow it up.

    It costs four maps a day: with integrated gradients of 32 steps 128 passes forward and back and 8 forward.
    """

    essential: ClassVar[bool] = False

    def run(self, checked: Checked) -> Finding:
        """Return the largest relative change."""
        import torch

        few = checked.few()
        cells, days = cells_checked(few), few.which.tolist()
        largest = np.zeros(len(days))
        for draw in range(_DRAWS):
            noise = [cells.uniform(generator(few.subject, "neighbourhood", day, draw)) for day in days]
            near = few.inputs + RADIUS * torch.as_tensor(np.stack(noise)).to(few.inputs)
            there = few.method.attribute(few.subject, near, few.which, few.baseline)
            moved = (there - few.values).detach().double().flatten(1).norm(dim=1)
            largest = np.maximum(largest, moved.cpu().numpy())
        size = few.values.double().flatten(1).norm(dim=1).cpu().numpy()
        if size.sum() == 0 and largest.sum() == 0:
            return Finding(
                "max_sensitivity", 0.0, LIMIT, None, self.essential,
                "The map is 0 at every cell, here and near by: there is nothing that could change.",
            )  # fmt: skip
        # A map that is zero here alone changes by all that it is near by.
        change = float(largest.sum() / (size.sum() or largest.sum()))
        return Finding(
            "max_sensitivity", change, LIMIT, change < LIMIT, self.essential,
            f"Noise of up to {RADIUS:g} standard deviations on the inputs changes the map by {100 * change:.1f} % at "
            "most.",
        )  # fmt: skip
