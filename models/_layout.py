"""What a fitted network must remember of the samples: channels by name, grids, mask, static fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.lowest import lowest
from pipeline.samples import Affine, Samples, Schema
from pipeline.units import NEVER_NEGATIVE

NAMES, ARRAYS = "layout.json", "layout.safetensors"


@dataclass(frozen=True, eq=False)
class Layout:
    """The part of a :class:`~pipeline.samples.Schema` that a network is built from.

    Parameters
    ----------
    channels, targets : tuple of str
        In the order of the network's arrays.
    input_grid, target_grid : Grid
        Where inputs and target live.
    mask : ndarray of bool, shape (lat, lon)
        Target cells that are answered.
    static : ndarray of float32, shape (static, lat, lon)
        On the target grid; there may be none.
    scalars : tuple of str
        Those of ``channels`` that are the same number at every cell.
    channel_affine, target_affine : Affine or None
        From a sample's numbers to units, see :class:`~pipeline.samples.Schema`.
    leads : tuple of int
        Steps ahead that are answered.
    classes : tuple of str
        Of a segmentation.
    class_shares : tuple of float
        Their shares in the train split.
    target_units : tuple of str
        Of the targets.
    statics : tuple of str
        Names of the static fields.
    quantities : tuple of str
        What the targets are, see :func:`pipeline.units.quantity`.
    """

    channels: tuple[str, ...]
    targets: tuple[str, ...]
    input_grid: Grid
    target_grid: Grid
    mask: np.ndarray
    static: np.ndarray
    scalars: tuple[str, ...] = ()
    channel_affine: Affine | None = None
    target_affine: Affine | None = None
    leads: tuple[int, ...] = (0,)
    classes: tuple[str, ...] = ()
    class_shares: tuple[float, ...] = ()
    target_units: tuple[str, ...] = ()
    statics: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()

    @classmethod
    def of(cls, schema: Schema) -> Layout:
        """Return the layout of ``schema``."""
        static = np.asarray(schema.static, np.float32)
        return cls(
            schema.channels,
            schema.targets,
            schema.input_grid,
            schema.target_grid,
            schema.mask,
            static,
            schema.scalars,
            schema.channel_affine,
            schema.target_affine,
            schema.leads,
            schema.classes,
            schema.class_shares,
            schema.target_units,
            schema.statics,
            schema.quantities,
        )

    @property
    def fields(self) -> list[int]:
        """Where the channels stand that differ from cell to cell."""
        return [place for place, name in enumerate(self.channels) if name not in self.scalars]

    @property
    def least(self) -> np.ndarray | None:
        """The number that stands for no rain and no flow at every cell, minus infinity for other targets.

        float32, shape (target, lat, lon); None where no target is such an amount, or its zero is not one number,
        since an anomaly by day of the year was taken.
        """
        if self.target_affine is None or not set(self.quantities) & set(NEVER_NEGATIVE):
            return None
        return np.asarray(lowest(self.quantities, self.target_affine, self.mask.shape), np.float32)

    @property
    def cells(self) -> int:
        """How many cells the mask has."""
        return int(self.mask.sum())

    def order(self, samples: Samples) -> list[int] | None:
        """Return where the network's channels stand in ``samples``; None if they stand as they should.

        Raises
        ------
        DataError
            If a channel is missing or a grid is another one.
        """
        there = samples.schema.channels
        missing = [name for name in self.channels if name not in there]
        if missing:
            raise DataError(
                f"{samples.name}: expected the channels {list(self.channels)} that the model was fitted on, "
                f"got {list(there)} without {missing}. Prepare the inputs with the same predictors and lags."
            )
        for what, mine, theirs in (
            ("inputs", self.input_grid, samples.schema.input_grid),
            ("target", self.target_grid, samples.schema.target_grid),
        ):
            if not mine.same(theirs):
                raise DataError(
                    f"{samples.name}: expected the {what} on the grid of {mine.shape} cells that the model was "
                    f"fitted on, got a grid of {theirs.shape} cells elsewhere. Regrid them to the same one."
                )
        return None if there == self.channels else [there.index(name) for name in self.channels]

    def save(self, folder: Path) -> None:
        """Write the layout into ``folder``."""
        names: dict[str, Any] = {
            "channels": self.channels,
            "targets": self.targets,
            "input_dims": self.input_grid.dims,
            "target_dims": self.target_grid.dims,
            "input_stations": self.input_grid.stations,
            "target_stations": self.target_grid.stations,
            "scalars": self.scalars,
            "transforms": () if self.channel_affine is None else self.channel_affine.transforms,
            "leads": self.leads,
            "classes": self.classes,
            "class_shares": self.class_shares,
            "target_units": self.target_units,
            "statics": self.statics,
            "quantities": self.quantities,
        }
        (folder / NAMES).write_text(json.dumps(names, indent=1))
        arrays = {
            "input_lat": self.input_grid.lat,
            "input_lon": self.input_grid.lon,
            "target_lat": self.target_grid.lat,
            "target_lon": self.target_grid.lon,
            "mask": self.mask,
            "static": self.static,
        }
        for side, affine in (("channel", self.channel_affine), ("target", self.target_affine)):
            arrays |= {} if affine is None else {f"{side}_scale": affine.scale, f"{side}_shift": affine.shift}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)

    @classmethod
    def load(cls, folder: Path) -> Layout:
        """Return the layout that :meth:`save` wrote."""
        names, arrays = json.loads((folder / NAMES).read_text()), load_file(folder / ARRAYS)
        return cls(
            tuple(names["channels"]),
            tuple(names["targets"]),
            _grid("input", names, arrays),
            _grid("target", names, arrays),
            arrays["mask"],
            arrays["static"],
            tuple(names["scalars"]),
            _affine(arrays, "channel", tuple(names["transforms"])),
            _affine(arrays, "target"),
            tuple(names["leads"]),
            tuple(names["classes"]),
            tuple(names["class_shares"]),
            tuple(names["target_units"]),
            tuple(names["statics"]),
            tuple(names["quantities"]),
        )


def _grid(side: str, names: dict[str, list[str]], arrays: dict[str, np.ndarray]) -> Grid:
    first, second = names[f"{side}_dims"]
    return Grid(arrays[f"{side}_lat"], arrays[f"{side}_lon"], (first, second), tuple(names[f"{side}_stations"]))


def _affine(arrays: dict[str, np.ndarray], side: str, transforms: tuple[str, ...] = ()) -> Affine | None:
    found = [arrays.get(f"{side}_{part}") for part in ("scale", "shift")]
    return None if found[0] is None or found[1] is None else Affine(found[0], found[1], transforms)
