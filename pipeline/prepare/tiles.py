"""Images cut into tiles, train, validation and test by blocks of columns or rows with a margin between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.prepare.align import Axis
from pipeline.prepare.splits import Span, TrainSplit, train_split_at
from pipeline.registry import suggest

if TYPE_CHECKING:
    from pipeline.split_config import BlockSplitConfig

Images = Sequence[tuple[str, xr.Dataset]]
APART = 10  # between the numbers of two tiles as times: none is the step before another


@dataclass(frozen=True)
class Tile:
    """Where a tile was cut: its image, and its first row and column there."""

    image: str
    y: int
    x: int


@dataclass(frozen=True)
class TileSplit:
    """Which tiles belong to which split; the counterpart of a split by dates.

    Parameters
    ----------
    positions : mapping of str to tuple of int
        First tile of each split and the one behind its last.
    spans : mapping of str to tuple of str
        In words, for reports: ``("x 0", "299")``.
    margin : int
        Pixels between train and the others.
    """

    positions: Mapping[str, tuple[int, int]]
    spans: Mapping[str, Span]
    margin: int
    gap: str = field(default="", init=False)

    def select(self, name: str) -> np.ndarray:
        """Return the tiles of the split called ``name``."""
        return np.arange(*self.positions[name])

    def train_split(self, time: np.ndarray) -> TrainSplit:
        """Return the train tiles, for everything that is fitted."""
        return train_split_at(self.select("train"), len(time))


@dataclass(frozen=True, eq=False)
class Tiles:
    """All tiles of all splits, one behind the other.

    Parameters
    ----------
    axis : Axis
        Their numbers stand for times.
    predictors, target : Dataset
        Dims (time, y, x), pixels counted from 0 in every tile. Truth that two tiles of validation or a test set
        share is in the first one alone, so that no pixel is scored twice.
    origins : tuple of Tile
        Where each was cut.
    """

    axis: Axis
    predictors: xr.Dataset
    target: xr.Dataset
    origins: tuple[Tile, ...]


def cut(images: Images, predictors: Sequence[str], target: Sequence[str], split: BlockSplitConfig) -> Tiles:
    """Cut ``images`` into tiles as ``split`` says.

    Every block is covered whole: the last tile of a row or column begins early enough to end with the block, and
    overlaps the one before.

    Parameters
    ----------
    images : sequence of (str, Dataset)
        Name and variables of dims (y, x), pixels numbered from 0.
    predictors, target : sequence of str
        Names of their variables.
    split : BlockSplitConfig
        Blocks, tile and stride.

    Raises
    ------
    SplitError
        If an image is named that is not there, a block reaches beyond an image, or is smaller than a tile.
    DataError
        If an image lacks a variable.
    """
    known = dict(images)
    wanted = {"train": split.train, "validation": split.validation, **split.test}
    origins: list[Tile] = []
    fresh: list[np.ndarray] = []
    positions, spans = {}, {}
    for name, pixels in wanted.items():
        first = len(origins)
        for image in _images_of(name, split, known):
            found, own = _cover(known[image], image, name, pixels, split)
            origins += found
            fresh += own
        positions[name] = (first, len(origins))
        spans[name] = (f"{split.along} {pixels[0]}", str(pixels[1]))
    stacked = {part: _stack(known, origins, names, split.tile) for part, names in
               (("predictors", predictors), ("target", target))}  # fmt: skip
    truth = stacked["target"].where(xr.DataArray(np.stack(fresh), dims=("time", "y", "x")))
    for name in target:
        truth[name].attrs = stacked["target"][name].attrs
    axis = _axis(len(origins), TileSplit(positions, spans, split.margin))
    return Tiles(axis, stacked["predictors"], truth, tuple(origins))


def strips(tiles: Sequence[Tile]) -> np.ndarray:
    """Return the strip of its image that each tile is in, int of shape (tile,): rows of tiles across the longer side.

    The next strip of an image is one more; the strips of the next image begin two further.

    Examples
    --------
    >>> strips([Tile("a", 0, 410), Tile("a", 0, 448), Tile("a", 64, 410), Tile("a", 64, 448), Tile("b", 0, 410)])
    array([0, 0, 1, 1, 3])
    """
    found, first = np.zeros(len(tiles), int), 0
    for image in dict.fromkeys(tile.image for tile in tiles):
        own = [number for number, tile in enumerate(tiles) if tile.image == image]
        starts = [np.array([getattr(tiles[number], side) for number in own]) for side in ("y", "x")]
        rows, columns = (np.unique(side, return_inverse=True)[1] for side in starts)
        along = rows if rows.max() >= columns.max() else columns
        found[own] = first + along
        first += int(along.max()) + 2
    return found


def _images_of(name: str, split: BlockSplitConfig, known: Mapping[str, xr.Dataset]) -> list[str]:
    chosen = split.images.get(name, list(known))
    for image in chosen:
        if image not in known:
            raise SplitError(
                f"split.images.{name}: no image {image!r}.{suggest(image, known)} Known: {', '.join(known)}."
            )
    return chosen


def _cover(
    data: xr.Dataset, image: str, name: str, pixels: tuple[int, int], split: BlockSplitConfig
) -> tuple[list[Tile], list[np.ndarray]]:
    """Return the tiles that cover a block of an image, and where each has pixels that no earlier one had."""
    sizes = {"y": int(data.sizes["y"]), "x": int(data.sizes["x"])}
    if pixels[1] >= sizes[split.along]:
        raise SplitError(
            f"split {name!r}: expected {split.along} below {sizes[split.along]} in image {image!r}, got {pixels[1]}."
        )
    bounds = {dim: (0, size - 1) for dim, size in sizes.items()} | {split.along: pixels}
    height, width = split.tile
    stride = split.stride if name == "train" and split.stride is not None else split.tile
    starts = []
    for dim, length, step in (("y", height, stride[0]), ("x", width, stride[1])):
        low, high = bounds[dim]
        if high - low + 1 < length:
            raise SplitError(
                f"split {name!r}: expected a block of {length} pixels or more along {dim}, the size of a tile, got "
                f"{high - low + 1} in image {image!r}. Take a smaller split.tile."
            )
        begins = list(range(low, high - length + 2, step))
        starts.append(begins if begins[-1] + length > high else [*begins, high - length + 1])
    seen = np.zeros((sizes["y"], sizes["x"]), bool)
    tiles, fresh = [], []
    for y in starts[0]:
        for x in starts[1]:
            part = seen[y : y + height, x : x + width]
            # Of train tiles all truth is learned from: overlapping ones are as good as others.
            fresh.append(np.ones_like(part) if name == "train" else ~part)
            part[...] = True
            tiles.append(Tile(image, y, x))
    return tiles, fresh


def _stack(
    images: Mapping[str, xr.Dataset], origins: Sequence[Tile], names: Sequence[str], size: tuple[int, int]
) -> xr.Dataset:
    """Return the variables ``names`` of all tiles, dims (time, y, x)."""
    height, width = size
    parts = {}
    for name in names:
        for image, data in images.items():
            if name not in data:
                raise DataError(
                    f"image {image!r}: no variable {name!r}.{suggest(name, map(str, data.data_vars))} Known: "
                    f"{', '.join(map(str, data.data_vars))}."
                )
        arrays = {
            image: np.asarray(data[name].transpose("y", "x").values, np.float32) for image, data in images.items()
        }
        cuts = [arrays[tile.image][tile.y : tile.y + height, tile.x : tile.x + width] for tile in origins]
        attrs = images[origins[0].image][name].attrs
        for image, data in images.items():
            for key, what in (("units", "units"), ("flag_meanings", "classes")):
                mine, first = data[name].attrs.get(key), attrs.get(key)
                if mine != first:
                    raise DataError(
                        f"image {image!r}: expected {name!r} with the {what} {first!r}, as the first image has it, got "
                        f"{mine!r}. Write the same for both in the catalog."
                    )
        parts[name] = (("time", "y", "x"), np.stack(cuts), attrs)
    coords = {"time": np.arange(len(origins)), "y": np.arange(height), "x": np.arange(width)}
    return xr.Dataset(parts, coords)


def _axis(count: int, split: TileSplit) -> Axis:
    every = np.arange(count)
    return Axis(
        time=every,
        count=every * APART,
        phase=np.zeros(count),
        step=1,
        positions={name: split.select(name) for name in split.positions},
        predictors=(every,),
        target=every,
        split=split,
        matched_by="tile",
        notes=(),
    )
