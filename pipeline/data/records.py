"""Records that loading leaves behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_DOWN = re.compile(r"down to (\S+)")
ONE_GRID = "One entry is one grid: make an entry of each."
"""What is told of files that lie on several."""


@dataclass(frozen=True)
class Repair:
    """Something about a file that was mended on load.

    Parameters
    ----------
    kind : str
        What was done, in a word or two: ``"units"``, ``"missing"``, ``"longitudes"``.
    variable : str or None
        Which variable; None for all, such as a coordinate.
    count : int
        How many values it changed; 0 where it changed names alone.
    text : str
        The same in a sentence, for the log and the report.
    """

    kind: str
    variable: str | None
    count: int
    text: str

    def like(self, other: Repair) -> bool:
        """Whether both say the same of different times of a dataset."""
        return (self.kind, self.variable, self._stem) == (other.kind, other.variable, other._stem)

    def and_of(self, later: Repair) -> Repair:
        """Return one for both of two that are alike: counts of values add up, what is said of coordinates is said once.

        Examples
        --------
        >>> one = Repair("minimum", "pr", 3, "3 values of pr down to -0.1 are set to 0")
        >>> one.and_of(Repair("minimum", "pr", 4, "4 values of pr down to -0.2 are set to 0")).text
        '7 values of pr down to -0.2 are set to 0'
        """
        if self.variable is None:
            return self
        count = self.count + later.count
        lowest = max((self, later), key=lambda one: -float(found[1]) if (found := _DOWN.search(one.text)) else 0.0)
        own = lowest.text.removeprefix(f"{lowest.count} ")
        return Repair(self.kind, self.variable, count, own if own == lowest.text else f"{count} {own}")

    @property
    def _stem(self) -> str:
        return _DOWN.sub("", self.text.removeprefix(f"{self.count} "))


@dataclass(frozen=True)
class Found:
    """A file of an entry, and where it was found.

    Parameters
    ----------
    path : Path
        The file on this machine; for a member of an archive the extracted one.
    sha256 : str
        Of the file as the catalog names it: of the archive, where the file is a member of one. Of
        a folder (a Zarr store): of its files' names and digests.
    url : str or None
        Its URL in the catalog.
    place : {"absolute", "mirror", "cache", "catalog", "download"}
        How it was found.
    bytes : int
        Size.
    """

    path: Path
    sha256: str
    url: str | None
    place: Literal["absolute", "mirror", "cache", "catalog", "download"]
    bytes: int
