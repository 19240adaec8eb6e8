"""Labels of a segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.training.streamed import Streamed

BLOCK = 32  # samples at once: memory, not result


def check_labels(target: Tensor | Streamed, classes: Sequence[str], where: str = "the train split") -> None:
    """Refuse labels that are no number of a class; NaN is one that is not known.

    Raises
    ------
    DataError
        If there are any.

    Examples
    --------
    >>> import torch
    >>> check_labels(torch.tensor([0.0, 1.0, torch.nan]), ("sea", "ice"))
    """
    labels = strange = 0
    first = 0.0
    for start in range(0, len(target), BLOCK):
        part = target[start : start + BLOCK]
        known = part.isfinite()
        wrong = part[known & ((part != part.round()) | (part < 0) | (part >= len(classes)))]
        first = float(wrong[0]) if len(wrong) and not strange else first
        labels, strange = labels + int(known.sum()), strange + len(wrong)
    if strange:
        meant = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
        raise DataError(
            f"expected labels that are numbers of the classes {meant}, got {first:g} in {where}, where "
            f"{strange} of {labels} labels are none of them. Name every class in the order of its number, or "
            "give the value that stands for a missing label as such."
        )
