"""Made global weather with labelled tropical cyclones and atmospheric rivers; formulas in ``docs/synthetic.md``.

Read in this order: ``config`` (options and the kinds of events), ``events`` (which there are, and their paths),
``shapes`` (what one does to the fields), ``world`` (all of them in weather noise), ``files`` (the same in ClimateNet's
layout).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import xarray as xr

from pipeline.backend import Backend
from pipeline.data import READERS, Reader
from pipeline.data.catalog import Entry
from pipeline.data.synthetic.storms.config import CHANNELS, LABELS, StormConfig
from pipeline.data.synthetic.storms.files import write_files
from pipeline.data.synthetic.storms.world import StormWorld
from pipeline.errors import DataError
from pipeline.registry import suggest

__all__ = ["StormConfig", "StormWorld", "SyntheticStormsReader", "write_files"]


@READERS.register("synthetic_storms")
class SyntheticStormsReader(Reader):
    """Makes maps with the channels of ClimateNet and ``LABELS``; entries with the same options are the same maps."""

    class Options(StormConfig):
        """Keys of an entry of format ``synthetic_storms``."""

    needs_files: ClassVar[bool] = False

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the channels that the entry has, and no others."""
        wanted = [spec.source or name for name, spec in entry.variables.items()]
        known = (*CHANNELS, LABELS)
        for name in wanted:
            if name not in known:
                raise DataError(f"{entry.name}: no variable {name!r}.{suggest(name, known)} Known: {', '.join(known)}.")
        return StormWorld(StormConfig.model_validate(entry.options)).dataset(wanted)
