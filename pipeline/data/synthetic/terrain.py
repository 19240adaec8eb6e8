"""The made region: a sea in the west, a coast with bays, mountains behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic.config import TERRAIN, SyntheticConfig
from pipeline.data.synthetic.fields import block_mean, refine, smooth_noise
from pipeline.grid import Grid
from pipeline.seeding import generator

KM_PER_DEGREE = 111.2


@dataclass(frozen=True, eq=False)
class Terrain:
    """What does not change in time; all fields on the fine grid, shape (lat, lon).

    Parameters
    ----------
    coarse, fine : Grid
        The two grids, nested.
    height : ndarray
        Height of the ground [m].
    coarse_height : ndarray
        Height of the coarse model's ground, the block means of ``height``, interpolated [m].
    land : ndarray
        Land share in (0, 1).
    slope_east, slope_north : ndarray
        Rise of the ground per distance east and north [m/m].
    shore : ndarray
        How much the sea breeze is felt, in [0, 1]: 0 over the sea.
    """

    coarse: Grid
    fine: Grid
    height: np.ndarray
    coarse_height: np.ndarray
    land: np.ndarray
    slope_east: np.ndarray
    slope_north: np.ndarray
    shore: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Cells with at least half land, where there is a fine temperature."""
        return np.asarray(self.land >= 0.5)

    @property
    def excess(self) -> np.ndarray:
        """Height over that of the coarse model [km]."""
        return np.asarray((self.height - self.coarse_height) / 1000)


def make_grids(config: SyntheticConfig) -> tuple[Grid, Grid]:
    """Return the coarse grid of one degree and the fine grid nested in it."""

    def centres(start: float, cells: int, step: float) -> np.ndarray:
        return start + step * (np.arange(cells) + 0.5)

    grids = []
    for (rows, columns), step in ((config.coarse, 1.0), (config.fine, 1.0 / config.refine)):
        grids.append(Grid(centres(TERRAIN.south, rows, step), centres(TERRAIN.west, columns, step)))
    return grids[0], grids[1]


def make_terrain(config: SyntheticConfig) -> Terrain:
    """Return the terrain; it depends on the seed and the sizes alone."""
    c = TERRAIN
    coarse, fine = make_grids(config)
    cells = float(config.refine)  # Fine cells per degree.
    bays = smooth_noise(generator(config.seed, "synthetic:coast"), (config.fine[0],), (c.bay_length * cells,))
    coast = c.west + config.coarse[1] * (c.coast + c.bays * bays)
    inland = fine.lon[None, :] - coast[:, None]
    land = 1 / (1 + np.exp(-inland / c.shore))
    ridges = smooth_noise(generator(config.seed, "synthetic:ridges"), config.fine, (c.ridge_length * cells,) * 2)
    # Standardised, so that every seed has mountains of about the same height.
    ridges = (ridges - ridges.mean()) / ridges.std()
    rise = 1 - np.exp(-np.maximum(inland, 0) / c.rise)
    height = land * rise * c.ridge_height * np.logaddexp(0, c.ridge_sharpness * ridges)
    north = KM_PER_DEGREE * 1000 / cells
    east = north * np.cos(np.deg2rad(fine.lat))[:, None]
    return Terrain(
        coarse=coarse,
        fine=fine,
        height=height,
        coarse_height=refine(block_mean(height, config.refine), config.refine),
        land=land,
        slope_east=np.gradient(height, axis=1) / east,
        slope_north=np.gradient(height, axis=0) / north,
        shore=land * np.exp(-np.maximum(inland, 0) / c.coast_length),
    )
