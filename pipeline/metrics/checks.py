"""What is held of cases before they are scored, and what is told of members that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import ConfigError, DataError
from pipeline.metrics import Array, Case
from pipeline.registry import suggest


@dataclass(frozen=True)
class MissingMembers:
    """How many values of an ensemble lack members; they are scored with those that are there.

    Parameters
    ----------
    model, variable, split : str
        Of what.
    members : int
        How many there should be.
    values : int
        Values with truth.
    lacking : int
        Those of them without one or more members.
    alone : int
        Those of them with one member: no spread, and so no score that needs it.
    """

    model: str
    variable: str
    split: str
    members: int
    values: int
    lacking: int
    alone: int

    @property
    def warning(self) -> str:
        """A sentence for the report."""
        share = 100.0 * self.lacking / self.values
        words = (
            f"{f'{share:.1f}' if share >= 0.1 else 'Less than 0.1'} % of the values of {self.variable} from "
            f"{self.model} on {self.split!r} lack one or more of their {self.members} members: scored with those that "
            "are there."
        )
        if self.alone:
            words += f" {self.alone} of them have a single member, so that fair CRPS and spread / skill are not known."
        return words


def missing_of(case: Case, model: str, variable: str, split: str) -> MissingMembers | None:
    """Return how many values lack members, where there is truth; None where none does, or there are no members."""
    gone = case.missing
    if gone is None:
        return None
    xp, size = array_namespace(gone), case.prediction.member_count
    lacking, alone = (int(xp.count_nonzero(case.valid & found)) for found in (gone > 0, gone == size - 1))
    values = int(xp.count_nonzero(case.valid))
    return MissingMembers(model, variable, split, size, values, lacking, alone) if lacking else None


def check_reference(reference: str | None, cases: Mapping[str, Any]) -> None:
    """Refuse a reference that is none of the models."""
    if reference is not None and reference not in cases:
        near, known = suggest(reference, cases), ", ".join(cases)
        raise ConfigError(f"expected one of the models as reference, got {reference!r}.{near} Known: {known}.")


def check_truth(
    cases: Mapping[str, Case], *, shape: tuple[int, int], split: str, variable: str, valid: np.ndarray
) -> None:
    """Refuse cases of another shape than (time, cell), without truth, or whose truth stands elsewhere than others'."""
    for model, case in cases.items():
        if tuple(case.truth.shape) != shape:
            raise DataError(
                f"expected the truth of {variable} for {model!r} on {split!r} in shape (time, cell) = {shape}, "
                f"got {tuple(case.truth.shape)}."
            )
        if not np.array_equal(to_host(case.valid), valid):
            raise DataError(
                f"expected all models to be scored on the same truth of {variable} on {split!r}, got other "
                f"missing values for {model!r}: their differences would not be paired."
            )
    if not valid.any():
        raise DataError(
            f"expected truth of {variable} on {split!r}, got none that is finite. "
            f"A split without truth is predicted and not scored."
        )


def check_finite(case: Case, model: str, variable: str, split: str) -> None:
    """Refuse a prediction that is not finite where the truth is: left out, it would pass for a good one.

    Members of an ensemble may be missing where one at least is there.
    """
    of_values = case.prediction.family == "members"
    for name, array in case.prediction.parameters.items():
        xp = array_namespace(array)
        none = xp.all(xp.isnan(array), axis=0) if of_values else xp.isnan(array)
        wrong: Array = case.valid & (none | (xp.any(xp.isinf(array), axis=0) if of_values else xp.isinf(array)))
        count = int(xp.count_nonzero(wrong))
        if count:
            wanted = "finite members, one at least," if of_values else f"a finite {name}"
            lacking = "without" if of_values else "that are not"
            raise DataError(
                f"expected {wanted} of {variable} from {model!r} wherever {split!r} has truth, got {count} "
                f"values {lacking}. A model must predict every cell of the mask."
            )
