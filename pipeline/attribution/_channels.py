"""Which channels are of one variable, in the order of time."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.samples import Schema, variable_of


@dataclass(frozen=True)
class VariableChannels:
    """The channels of one variable.

    Parameters
    ----------
    name : str
        Of the variable.
    places : list of int
        Its channels among all, the oldest lag first.
    scalar : bool
        Whether it is the same number at every cell.
    """

    name: str
    places: list[int]
    scalar: bool = False


def lag_of(channel: str) -> int:
    """Return how many steps back a channel is from.

    Examples
    --------
    >>> lag_of("rain@-3"), lag_of("rain")
    (3, 0)
    """
    return int(channel.partition("@-")[2] or 0)


def places_by_variable(schema: Schema | None, channels: int) -> list[VariableChannels]:
    """Return the channels of every variable; without a schema every channel is one of its own.

    Examples
    --------
    >>> places_by_variable(None, 2)[1]
    VariableChannels(name='1', places=[1], scalar=False)
    """
    if schema is None:
        return [VariableChannels(str(place), [place]) for place in range(channels)]
    return by_variable(schema.channels, schema.scalars)


def by_variable(channels: tuple[str, ...], scalars: tuple[str, ...] = ()) -> list[VariableChannels]:
    """Return the channels of every variable, in the order in which variables come first.

    Examples
    --------
    >>> [(each.name, each.places) for each in by_variable(("rain", "tmax", "rain@-1"))]
    [('rain', [2, 0]), ('tmax', [1])]
    """
    found: dict[str, list[int]] = {}
    for place, name in enumerate(channels):
        found.setdefault(variable_of(name), []).append(place)
    return [
        VariableChannels(name, sorted(places, key=lambda place: -lag_of(channels[place])), name in scalars)
        for name, places in found.items()
    ]
