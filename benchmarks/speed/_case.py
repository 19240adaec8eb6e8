"""What a speed benchmark consists of: our way, the ways of others, a limit, and what is wanted of the ratios."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipeline.backend import Backend

Size = Literal["tiny", "small", "full"]
Work = Callable[[], Any]
"""What is timed, once it is all set up; it returns its answer."""


@dataclass(frozen=True)
class Scale:
    """How much data.

    Parameters
    ----------
    size : {"tiny", "small", "full"}
        ``tiny`` only shows that it works; ``small`` suits a laptop, ``full`` a GPU.
    times : float
        Of that size; growth is looked at from a quarter of it to four times.
    """

    size: Size = "small"
    times: float = 1.0

    def grown(self, tiny: int, small: int, full: int) -> int:
        """Return the number of what there is more of where there are more data: days, samples, rows."""
        return max(1, round(self.fixed(tiny, small, full) * self.times))

    def fixed(self, tiny: int, small: int, full: int) -> int:
        """Return the number of what stays as it is where there are more data."""
        return {"tiny": tiny, "small": small, "full": full}[self.size]


@dataclass(frozen=True)
class Took:
    """An answer that brings its own seconds, where a clock around the work would tell something else."""

    seconds: float
    answer: Any = None


@dataclass(frozen=True)
class Peer:
    """How others do it; on the host, unless they know the device themselves.

    Parameters
    ----------
    name : str
        As the table says it.
    make : callable
        Sets it up on a backend.
    needs : str
        Library that it is left out without, by the name it is imported by; empty where nothing can be missing.
    install : str
        What ``pip install`` calls that library.
    share : float
        What its seconds are multiplied by, where it does a part of the work.
    compared : bool
        Whether its answer is the same numbers as ours.
    everywhere : bool
        Whether it also runs on a GPU, beside ours.
    """

    name: str
    make: Callable[[Backend], Work]
    needs: str = ""
    install: str = ""
    share: float = 1.0
    compared: bool = True
    everywhere: bool = False

    @property
    def missing(self) -> str:
        """What is said where its library is not installed; empty where it is."""
        if not self.needs or importlib.util.find_spec(self.needs) is not None:
            return ""
        return f"{self.name}: not installed (pip install {self.install or self.needs})"


@dataclass(frozen=True)
class Limit:
    """What nothing can pass: the same bytes copied, the same products alone.

    Parameters
    ----------
    name : str
        As the table says it.
    make : callable
        Sets it up on a backend.
    """

    name: str
    make: Callable[[Backend], Work]


@dataclass(frozen=True)
class Wanted:
    """What the ratios are meant to reach.

    Parameters
    ----------
    peer : float or None
        Times as fast as the first peer.
    cpu, gpu : float or None
        Share of the limit on either.
    """

    peer: float | None = None
    cpu: float | None = None
    gpu: float | None = None


@dataclass(frozen=True)
class Case:
    """A benchmark at one scale.

    Parameters
    ----------
    words : str
        What is done, and to how much.
    count, unit : float and str
        What a rate counts: 120 of ``MB``, 256 of ``samples``.
    ours : callable
        Sets up our way on a backend.
    limit : Limit or None
        None where there is none.
    peers : tuple of Peer
        Others, the one that counts most first.
    tolerance : float
        How far our answer may be from that of others, as a share of its largest value.
    wanted : Wanted
        Of the ratios.
    grows : bool
        Whether more data make it longer; else growth is not looked at.
    agreement : callable, optional
        Returns the difference where answers cannot be held beside each other as arrays.
    why_no_limit : str
        Said where there is none.
    comparable : bool
        Whether answers are numbers that others have too, also our own on the CPU.
    notes : mapping of str to float
        What else is kept, such as the seconds of stages; the work fills it.
    """

    words: str
    count: float
    unit: str
    ours: Callable[[Backend], Work]
    limit: Limit | None = None
    peers: tuple[Peer, ...] = ()
    tolerance: float = 1e-5
    wanted: Wanted = Wanted()
    grows: bool = True
    agreement: Callable[[Backend], float] | None = None
    why_no_limit: str = ""
    comparable: bool = True
    notes: dict[str, float] = field(default_factory=dict)


def on_host(make: Callable[[], Work]) -> Callable[[Backend], Work]:
    """Return ``make`` as what a peer is set up by, which asks nothing of the backend."""
    return lambda backend: make()


def copy_of(*arrays: np.ndarray) -> Limit:
    """Return a plain copy of the same bytes as the limit: read once, written once into new memory."""

    def make(backend: Backend) -> Work:
        there = [backend.asarray(array) for array in arrays]

        def copy() -> list[Any]:
            return [backend.xp.asarray(array, copy=True) for array in there]

        return copy

    return Limit("a copy of the same bytes", make)


def megabytes(*arrays: np.ndarray) -> float:
    """Return the size of arrays in 10^6 bytes."""
    return sum(array.nbytes for array in arrays) / 1e6
