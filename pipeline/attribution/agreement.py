"""Whether the members of an ensemble, fitted on the same data, explain their predictions alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.likeness import correlations

LIMIT = 0.5


def agreement(values: Sequence[np.ndarray]) -> Finding:
    """Return how much the maps of members are alike: the mean correlation over pairs of members and days.

    Pearson's correlation of each day's maps over cells; cells that are zero in all members on all days are left out.
    Networks of the same skill may attribute differently where inputs are correlated (Krell et al. 2025,
    doi:10.1017/eds.2025.19), and then one member's map says little. Two unrelated maps give about 0.

    Parameters
    ----------
    values : sequence of ndarray, each of shape (time, channel, lat, lon)
        The attributions of each member on the same days.

    Returns
    -------
    Finding
        Its value is NaN, and nothing decided, for a single member or maps of zeros.

    Examples
    --------
    >>> one = np.arange(12.0).reshape(2, 1, 2, 3)
    >>> agreement([one, 2 * one + 1]).value, agreement([one, -one]).value
    (1.0, -1.0)
    >>> agreement([one]).words
    'There is 1 member only, with which no other can agree.'
    """
    if len(values) < 2:
        return Finding(
            "agreement", float("nan"), LIMIT, None, False, "There is 1 member only, with which no other can agree."
        )
    flat = [np.reshape(each, (len(each), -1)) for each in values]
    kept = np.any([(each != 0).any(axis=0) for each in flat], axis=0)
    read = [each[:, kept].astype(np.float64) for each in flat]
    pairs = [correlations(one, other) for place, one in enumerate(read) for other in read[place + 1 :] if kept.any()]
    daily = np.concatenate(pairs) if pairs else np.empty(0)
    daily = daily[np.isfinite(daily)]
    if not len(daily):
        return Finding(
            "agreement", float("nan"), LIMIT, None, False,
            f"The maps of the {len(values)} members are the same number at every cell: there is nothing to compare.",
        )  # fmt: skip
    # Rounding may carry a correlation of identical maps beyond 1.
    found = float(np.clip(daily.mean(), -1, 1).round(12))
    return Finding(
        "agreement", found, LIMIT, found > LIMIT, False,
        f"Daily maps of {len(values)} members correlate by {found:.2f} on average over pairs.",
    )  # fmt: skip
