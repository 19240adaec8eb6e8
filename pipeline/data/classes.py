"""Variables whose values are numbers of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import DataError


def flags(classes: Sequence[str]) -> dict[str, Any]:
    """Return the CF attributes that say which class each number stands for.

    References
    ----------
    CF conventions 1.11, section 3.5.

    Examples
    --------
    >>> flags(["clear", "cloud"])
    {'flag_values': [0, 1], 'flag_meanings': 'clear cloud'}
    """
    return {"flag_values": list(range(len(classes))), "flag_meanings": " ".join(classes)}


def check_classes(values: np.ndarray, classes: Sequence[str], where: str) -> None:
    """Refuse values that are no class number; NaN stands for unknown.

    Parameters
    ----------
    values : ndarray
        Of any shape.
    classes : sequence of str
        Names of the classes 0, 1, ...
    where : str
        Dataset and variable, for messages.

    Raises
    ------
    DataError
        If a value is none of 0 to ``len(classes) - 1``; the message names such values and how many there are.
    """
    known = np.isin(values, np.arange(len(classes))) | np.isnan(values)
    if known.all():
        return
    strange = np.unique(values[~known])
    shown = ", ".join(f"{value:g}" for value in strange[:5]) + (" and more" if len(strange) > 5 else "")
    names = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
    raise DataError(
        f"{where}: expected class numbers ({names}), got {shown} at {int((~known).sum())} places. Where the file "
        "numbers the classes otherwise, say so in the catalog (format npz) for every number: options: remap: "
        "{VARIABLE: {0: 0, 255: 1}}. Name a class that classes lacks; what stands for unknown goes under missing."
    )
