"""A small made climate from a seed whose best possible score is known; formulas in ``docs/synthetic.md``.

Read in this order: ``config`` (options and constants), ``fields`` (random fields), ``terrain``,
``weather`` (the predictors), ``imperfect`` (the same as another model would give them), ``target``
(fine temperature), ``stations``, ``climate`` (all of it as datasets), ``known_best`` (what no model
can beat).

Worlds of their own beside it: ``storms`` (maps with labelled cyclones and rivers) and ``basins`` (weather and
streamflow).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader
from pipeline.data.catalog import Entry
from pipeline.data.synthetic.basins import BasinConfig, BasinWorld, SyntheticBasinsReader
from pipeline.data.synthetic.climate import Part, SyntheticClimate
from pipeline.data.synthetic.config import SyntheticConfig
from pipeline.data.synthetic.imperfect import Imperfection, worsened
from pipeline.data.synthetic.known_best import KnownBest, known_best
from pipeline.data.synthetic.storms import StormConfig, StormWorld, SyntheticStormsReader, write_files

__all__ = [
    "BasinConfig",
    "BasinWorld",
    "KnownBest",
    "StormConfig",
    "StormWorld",
    "SyntheticBasinsReader",
    "SyntheticClimate",
    "SyntheticConfig",
    "SyntheticReader",
    "SyntheticStormsReader",
    "generate",
    "known_best",
    "write_files",
]


def generate(config: SyntheticConfig) -> SyntheticClimate:
    """Return the made climate of ``config``, the same for the same options.

    Examples
    --------
    >>> generate(SyntheticConfig(years=1)).tas.shape
    (365, 16, 24)
    """
    return SyntheticClimate(config)


@READERS.register("synthetic")
class SyntheticReader(Reader):
    """Makes one part of a made climate; entries with the same options belong together."""

    class Options(Imperfection, SyntheticConfig):
        """Keys of an entry of format ``synthetic``."""

        part: Part = Field(description="coarse, fine, static, stations, or truth, which is for tests alone.")

    needs_files: ClassVar[bool] = False

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the part that the options name."""
        options = self.Options.model_validate(entry.options)
        own = set(Imperfection.model_fields)
        config = SyntheticConfig(**options.model_dump(exclude={"part", *own}))
        imperfection = Imperfection(**options.model_dump(include=own))
        data = SyntheticClimate(config).dataset(options.part)
        return worsened(data, config, imperfection) if options.part == "coarse" else data
