"""Checks of attribution maps: whether to believe them, by numbers.

A check is one file in this package and one registration of a class with ``suits`` and ``run``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attribution import Finding
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.subject import Subject
from pipeline.model import Context
from pipeline.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Checked:
    """A map that is checked, and what made it.

    Parameters
    ----------
    method : MapMethod
        That made it, and can be asked for another.
    subject : Subject
        The explained number.
    inputs : Tensor, shape (row, channel, lat, lon)
        Of the explained days.
    which : Tensor of int64, shape (row,)
        Their numbers.
    baseline : Baseline
        What attributions are departures from.
    values : Tensor, shape (row, channel, lat, lon)
        The attributions.
    days : int
        Most days that a check which asks the model or the method again should look at.
    """

    method: Any
    subject: Subject
    inputs: Tensor
    which: Tensor
    baseline: Baseline
    values: Tensor
    days: int

    def few(self) -> Checked:
        """Return the same of ``days`` days at most, evenly spread."""
        import torch

        count = len(self.inputs)
        if count <= self.days:
            return self
        place = torch.linspace(0, count - 1, self.days, device=self.inputs.device).round().long()
        return replace(self, inputs=self.inputs[place], which=self.which[place], values=self.values[place])


class Check(ABC):
    """One check.

    Class attributes
    ----------------
    essential : bool
        Whether a map that fails it says something else than it claims.
    """

    essential: ClassVar[bool] = False

    def suits(self, checked: Checked) -> bool:
        """Return whether the check has a meaning for what the method claims."""
        return True

    @abstractmethod
    def run(self, checked: Checked) -> Finding:
        """Return what was found."""


CHECKS: Registry[type[Check]] = Registry("check of explanations", "pipeline.attribution.checks")


def run_checks(names: Sequence[str], checked: Checked, context: Context) -> tuple[Finding, ...]:
    """Return what the checks of these names found, those that suit the method."""
    chosen = [check for check in (CHECKS.get(name)() for name in names) if check.suits(checked)]
    found = []
    with context.progress(f"checks of {checked.method.title.lower()} of {context.name}", len(chosen)) as bar:
        for check in chosen:
            found.append(check.run(checked))
            bar.advance()
    return tuple(found)
