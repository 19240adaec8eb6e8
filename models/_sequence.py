"""Channels with lags as a sequence in time."""

from __future__ import annotations

from collections.abc import Iterable
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
    scalars : int
        How many of each step's positions, the last ones, are those of scalars.
    """

    lags: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    scalars: int = 0

    @property
    def fields(self) -> tuple[tuple[int, ...], ...]:
        """The steps without their scalars."""
        return tuple(step[: len(step) - self.scalars] for step in self.steps)

    @classmethod
    def of(cls, layout: Layout, kind: str, fewest: int = 2) -> Sequence:
        """Return the sequence in ``layout.channels``, named ``x``, ``x@-1``, ``x@-2``.

        Parameters
        ----------
        layout : Layout
            Channels by name, and which of them are scalars.
        kind : str
            The model that asks, for messages.
        fewest : int
            Steps that it needs.

        Raises
        ------
        ConfigError
            If there are fewer steps, or a variable lacks one that another has.

        Examples
        --------
        >>> import numpy as np
        >>> from pipeline.grid import Grid
        >>> grid = Grid(np.arange(2.0), np.arange(2.0))
        >>> names = ("tas", "psl", "tas@-1", "psl@-1", "day_cos")
        >>> mask, static = np.ones((2, 2), bool), np.zeros((0, 2, 2), np.float32)
        >>> Sequence.of(Layout(names, ("tas",), grid, grid, mask, static, scalars=("day_cos",)), "conv_lstm")
        Sequence(lags=(1, 0), steps=((2, 3, 4), (0, 1, 4)), scalars=1)
        """
        places: dict[int, dict[str, int]] = {}
        for place in layout.fields:
            name, _, lag = layout.channels[place].partition("@-")
            places.setdefault(int(lag or 0), {})[name] = place
        lags = tuple(sorted(places, reverse=True))
        if len(lags) < fewest:
            wanted = "several steps" if fewest > 1 else "one step or more"
            raise ConfigError(
                f"{kind}: expected channels of {wanted} in time, got {_few(layout.channels)}. "
                "Set prepare.inputs.lags: [0, 1, 2], or prepare.inputs.window."
            )
        names = sorted(set().union(*places.values()))
        missing = [f"{name}@-{lag}" if lag else name for lag in lags for name in names if name not in places[lag]]
        if missing:
            raise ConfigError(
                f"{kind}: expected every variable at each of the lags {_few(lags)}, got none for {_few(missing)}. "
                "Set prepare.inputs.lags for all predictors alike."
            )
        order = [name for _, name in sorted((place, name) for name, place in places[lags[-1]].items())]
        scalars = [place for place, name in enumerate(layout.channels) if name in layout.scalars]
        steps = tuple(tuple([places[lag][name] for name in order] + scalars) for lag in lags)
        return cls(lags, steps, len(scalars))


def _few(items: Iterable[object], most: int = 8) -> str:
    """Return a list as a message shows it: a window may have hundreds of lags."""
    listed = list(items)
    return f"{listed[:most]}" + (f" and {len(listed) - most} more" if len(listed) > most else "")
