"""Channels with lags as a sequence in time."""

from __future__ import annotations

from dataclasses import dataclass

from models._layout import Layout
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Sequence:
    """Where the channels of each step stand.

    Parameters
    ----------
    lags : tuple of int
        Steps back in time, the oldest first, 0 last.
    steps : tuple of tuple of int
        For each lag the positions of its channels: fields in one order for all, then scalars, which
        are known for the day itself alone and given with every step.
    """

    lags: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, layout: Layout) -> Sequence:
        """Return the sequence in ``layout.channels``, named ``x``, ``x@-1``, ``x@-2``.

        Raises
        ------
        ConfigError
            If there is one step only, or a variable lacks one that another has.

        Examples
        --------
        >>> import numpy as np
        >>> from pipeline.grid import Grid
        >>> grid = Grid(np.arange(2.0), np.arange(2.0))
        >>> names = ("tas", "psl", "tas@-1", "psl@-1", "day_cos")
        >>> mask, static = np.ones((2, 2), bool), np.zeros((0, 2, 2), np.float32)
        >>> Sequence.of(Layout(names, ("tas",), grid, grid, mask, static, scalars=("day_cos",)))
        Sequence(lags=(1, 0), steps=((2, 3, 4), (0, 1, 4)))
        """
        places: dict[int, dict[str, int]] = {}
        for place in layout.fields:
            name, _, lag = layout.channels[place].partition("@-")
            places.setdefault(int(lag or 0), {})[name] = place
        lags = tuple(sorted(places, reverse=True))
        if len(lags) < 2:
            raise ConfigError(
                f"conv_lstm: expected channels of several steps in time, got {list(layout.channels)}. "
                "Set prepare.inputs.lags: [0, 1, 2]."
            )
        names = sorted(set().union(*places.values()))
        missing = [f"{name}@-{lag}" for lag in lags for name in names if name not in places[lag]]
        if missing:
            raise ConfigError(
                f"conv_lstm: expected every variable at each of the lags {list(lags)}, got none for {missing}. "
                "Set prepare.inputs.lags for all predictors alike."
            )
        order = [name for _, name in sorted((place, name) for name, place in places[lags[-1]].items())]
        scalars = [place for place, name in enumerate(layout.channels) if name in layout.scalars]
        return cls(lags, tuple(tuple([places[lag][name] for name in order] + scalars) for lag in lags))
