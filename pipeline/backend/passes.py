"""Work in as many passes as there is memory for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pipeline.backend.out_of_memory import first_line, is_out_of_memory
from pipeline.errors import MemoryBudgetError, NoRoomError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

Made = TypeVar("Made")


@dataclass(eq=False)
class Passes:
    """How many rows are worked on in one pass: fewer once memory has been short.

    Where memory suffices nothing is changed. Where it does not, a row is answered in a smaller pass, for which a
    library may take another kernel: the same number up to its last digits.

    Parameters
    ----------
    rows : int
        Most rows in one pass; halved in place, and it stays so.
    name : str
        Of what is asked, for the log.
    advance : callable
        Told after each pass, for progress.
    what : str
        What rows are, in the plural.
    tell : callable, optional
        Told in a sentence of how many rows there was room for in the end, the same whenever it is as many; the log by
        default, which has all that was tried.
    """

    rows: int
    name: str = "model"
    advance: Callable[[], None] = field(default=lambda: None)
    what: str = "rows"
    tell: Callable[[str], None] = field(default=log.info)

    def each(self, count: int, compute: Callable[[slice], Made], cost: int = 1) -> Iterator[Made]:
        """Yield ``compute`` of slices of ``count`` rows, in order.

        Parameters
        ----------
        count : int
            Rows in all.
        compute : callable
            Of a slice; called again on half of it where memory is short. What it draws it has to draw anew from a
            seed of its own, or before it is called.
        cost : int
            Rows that go through for one row that is asked for, all in one pass.

        Raises
        ------
        Exception
            What the library says, if memory is short for a single row; whatever else ``compute`` raises.

        Examples
        --------
        >>> def compute(part):
        ...     if part.stop - part.start > 2:
        ...         raise MemoryError("std::bad_alloc")
        ...     return list(range(part.start, part.stop))
        >>> list(Passes(4).each(5, compute))
        [[0, 1], [2, 3], [4]]
        """
        done, cut = 0, False
        while done < count:
            size = max(1, self.rows // cost)
            part = slice(done, min(done + size, count))
            try:
                made = compute(part)
            except Exception as error:
                if part.stop - part.start == 1 or not _short(error):
                    raise
                said = str(error)
            else:
                done = part.stop
                if cut:
                    self.tell(f"{self.name}: short of memory, on with {self._counted(cost)} in one pass.")
                    cut = False
                self.advance()
                yield made
                continue
            # Outside of the clause: the error held on to what lay on the device.
            empty_device_cache()
            tried, cut = part.stop - part.start, True
            log.info("%s: %d %s at once are too many (%s)", self.name, tried, self.what, first_line(said))
            while max(1, self.rows // cost) >= tried:  # always the same sizes, however few rows there are
                self.rows //= 2

    def over(self, count: int, compute: Callable[[slice], Tensor], cost: int = 1) -> Tensor:
        """Return what :meth:`each` yields, tensors with as many rows as their slices, joined along the first axis.

        Examples
        --------
        >>> import torch
        >>> Passes(2).over(3, lambda part: torch.arange(3)[part] * 2).tolist()
        [0, 2, 4]
        """
        import torch

        return torch.cat(list(self.each(count, compute, cost)))

    def _counted(self, cost: int) -> str:
        size = max(1, self.rows // cost)
        return f"{size} {self.what if size > 1 else self.what.removesuffix('s')}"


def empty_device_cache() -> None:
    """Let the device have back what torch holds and does not use: pieces too small for what comes next."""
    torch = sys.modules.get("torch")  # who has not imported it holds nothing by it
    if torch is not None and torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def _short(error: Exception) -> bool:
    """Return whether fewer rows at once may help: a library's word, or that of a pass within the pass."""
    if isinstance(error, MemoryBudgetError):
        return not isinstance(error, NoRoomError)
    return is_out_of_memory(error)
