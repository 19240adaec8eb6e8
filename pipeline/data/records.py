"""Records that loading leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
