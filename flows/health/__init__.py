"""What ``finescale doctor`` looks at, one file a subject; each returns :class:`Finding` s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    subject : str
        What it belongs to: ``software``, ``gpu``, ``machine``, ``data``, ``prefect``.
    what : str
        What was looked at.
    found : str
        What is there.
    state : {"ok", "note", "fault"}
        ``fault``: it keeps runs from working. ``note``: runs work, and something is missing or unusual.
    wrong : str
        What is wrong with it.
    mend : str
        The command that mends it.
    """

    subject: str
    what: str
    found: str
    state: State = "ok"
    wrong: str = ""
    mend: str = ""
