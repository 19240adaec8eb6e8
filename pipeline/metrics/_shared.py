"""What scores make of truth and climatology alone, kept for the next model: all models of a split have the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pipeline.backend import array_namespace

Array = Any
_ROOM = 2**26  # bytes of all that is kept for one variable


class Shared:
    """What is made of the truth and climatology of one variable, by key; a part of it has its own store.

    What is too large for the room that is left is given back without being kept, and is made again by the next model.

    Parameters
    ----------
    room : int
        How many bytes may be kept, with those of all parts.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._room = [room]  # of this store and its parts together
        self._known: dict[tuple[Any, ...], Array] = {}
        self._parts: dict[tuple[Any, ...], Shared] = {}

    def part(self, key: tuple[Any, ...]) -> Shared:
        """Return the store of a part, the same for the same key."""
        if key not in self._parts:
            found = Shared()
            found._room = self._room
            self._parts[key] = found
        return self._parts[key]

    def once(self, key: tuple[Any, ...], make: Callable[[], Array]) -> Array:
        """Return the array of floats that ``make`` answers, worked out once a key if there is room for it.

        Examples
        --------
        >>> import numpy as np
        >>> shared = Shared(room=16)
        >>> made = [shared.once((size,), lambda: np.zeros(size)) for size in (2, 2, 1, 1)]
        >>> made[0] is made[1], made[2] is made[3]
        (True, False)
        """
        if key in self._known:
            return self._known[key]
        found = make()
        size = math.prod(found.shape) * array_namespace(found).finfo(found.dtype).bits // 8
        if size <= self._room[0] and self._known.setdefault(key, found) is found:  # or another thread was first
            self._room[0] -= size
        return found
