"""How much memory large arrays may take, and where those go that are too large for it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import Backend
from pipeline.backend.memory import fits
from pipeline.rows.lazy import Rows
from pipeline.rows.parts import blocks
from pipeline.rows.stored import Stored, store

Array = Any

log = logging.getLogger(__name__)


class Room:
    """Where large arrays are kept: in memory while there is room, else in files of their own.

    Whatever works on them gets the same numbers from either.

    Parameters
    ----------
    backend : Backend
        Whose memory it is.
    budget : int or None
        Bytes that arrays may take; None: as many as there are.
    folder : Path or None
        Where files go; must be there, and on the same disk as what keeps them. None with no budget alone.
    """

    def __init__(self, backend: Backend, budget: int | None = None, folder: Path | None = None) -> None:
        if budget is not None and folder is None:
            raise ValueError("expected a folder for what is beyond the budget, got none.")
        self.backend, self._left, self._folder = backend, budget, folder
        self._numbers = itertools.count()

    def fits(self, size: int) -> bool:
        """Return whether an array of that many bytes is kept in memory."""
        return self._left is None or fits(size, self._left)

    def opened(self, path: Path) -> Array:
        """Return the rows of an npy file, which stays as it is: as an array where there is room, else as they are.

        Raises
        ------
        DataError
            If it is no such file, or cut short.
        """
        stored = Stored.open(path, self.backend)
        if not self.fits(stored.nbytes):
            return stored
        if self._left is not None:
            self._left -= stored.nbytes
        # Mapped, on the host: what a stage does not ask for takes no memory, and processes side by side share the rest.
        return self.backend.asarray(np.load(path, mmap_mode="r", allow_pickle=False))

    def keep(
        self, values: Array, name: str = "rows", look: Callable[[Array, slice], None] = lambda block, part: None
    ) -> Array:
        """Return ``values`` as they are to be kept: an array, or rows of a file.

        Parameters
        ----------
        values : array or Rows
            Worked out block by block, once.
        name : str
            Of the file.
        look : callable
            Shown every block and where it stands, on its way.
        """
        if not isinstance(values, Rows):
            for part in blocks(values):
                look(values[part, ...], part)
            return values
        dtype = np.dtype(values.dtype)
        if self.fits(values.nbytes):
            kept = self.backend.xp.empty(values.shape, dtype=getattr(self.backend.xp, dtype.name))
            for part in blocks(values):
                block = values[part, ...]
                look(block, part)
                kept[part, ...] = block
            if self._left is not None:
                self._left -= values.nbytes
            return kept
        assert self._folder is not None
        path = self._folder / f"{name}-{next(self._numbers):02d}.npy"
        log.info("%s: %.0f MiB in a file, as they are more than memory has room for", name, values.nbytes / 2**20)
        with store(path, values.shape, dtype) as add:
            for part in blocks(values):
                block = values[part, ...]
                look(block, part)
                add(np.asarray(self.backend.to_host(block)))
        return Stored.open(path, self.backend)
