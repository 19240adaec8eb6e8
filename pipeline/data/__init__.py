"""Files to regular datasets: catalog, files, one reader a format, repairs, checks.

A reader is one file in this folder and one registration of a name, which is what a catalog entry
says under ``format``::

    @READERS.register("mat")
    class MatReader(Reader):
        class Options(ReaderOptions):
            time: str = "time"

        def read(self, entry, files, backend):
            options = self.Options.model_validate(entry.options)
            ...
            return dataset

What a reader does is open: names, units and times stay as the file has them, and values stay on
disk where the format allows it. What is odd about a file (calendars, longitudes, units, fill
values) is mended in one place for all formats, ``regular.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from pipeline.registry import Registry

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.backend import Backend
    from pipeline.data.catalog import Entry

__all__ = ["READERS", "Reader", "ReaderOptions"]


class ReaderOptions(BaseModel):
    """Base of a reader's own keys, the ``options`` of a catalog entry; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reader(ABC):
    """Opens the files of one format.

    Class attributes
    ----------------
    Options : type of BaseModel
        The reader's own keys, unknown ones refused; mostly a :class:`ReaderOptions`. A catalog
        checks an entry's ``options`` against it before any file is looked for.
    tabular : bool
        Whether the format holds tables, which are read through ``backend.xdf``.
    needs_files : bool
        Whether entries must name files; a generator has none.
    suffixes : tuple of str
        Endings of file names that ``finescale data add`` takes for this format, such as ``".nc"``.
    """

    Options: ClassVar[type[BaseModel]] = ReaderOptions
    tabular: ClassVar[bool] = False
    needs_files: ClassVar[bool] = True
    suffixes: ClassVar[tuple[str, ...]] = ()

    def within(self, entry: Entry, path: Path) -> tuple[Path, ...]:
        """Return the files of ``entry`` in what its ``path`` means, which alone are digested and read.

        By default that is ``path`` itself: a file, or a folder that is one dataset. A format that is a tree of
        folders finds the entry's own files in it.
        """
        return (path,)

    def layout(self, entry: Entry) -> str:
        """Return what the folder that an entry's ``path`` means holds, for messages; empty where it may be a file."""
        return ""

    @abstractmethod
    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the variables of ``files`` as one dataset, lazily where the format allows it.

        Parameters
        ----------
        entry : Entry
            The catalog entry; its ``options`` fit :attr:`Options`.
        files : tuple of Path
            The entry's files on this machine, whole and checked; empty if ``needs_files`` is False.
        backend : Backend
            Tables are read through ``backend.xdf``. The answer is on the host.

        Returns
        -------
        Dataset
            Names as in the file. Fill values and packing that the format declares are decoded;
            times may be numbers with CF attributes ``units`` and ``calendar``, or decoded.
            Variables carry ``attrs["units"]`` where the file says them. What the reader itself had
            to mend stands in the dataset's ``attrs["repairs"]``, a tuple of ``records.Repair``.

        Raises
        ------
        DataError
            If a file is damaged or is not what ``options`` say.
        """


READERS: Registry[type[Reader]] = Registry("reader", "pipeline.data")
