"""Statistics of tiles of images that do not know where in a tile something lies."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace

Array = Any

LEVELS = (0.05, 0.5, 0.95)
STATISTICS = 3 + len(LEVELS)


def tile_statistics(tiles: Array) -> Array:
    """Return statistics of every channel of every tile, float64 of shape (tile, channel * 6, 1).

    Mean, deviation, roughness (root mean square difference of neighbours) and three quantiles: a cloud
    may lie anywhere in a tile, so that its pixels one by one say nothing of how unusual the tile is.

    Parameters
    ----------
    tiles : array of float64, shape (tile, channel, y, x)
        Two or more pixels a side; NaN in a channel gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> tile = np.array([[0.0, 1.0], [0.0, 1.0]]).reshape(1, 1, 2, 2)
    >>> tile_statistics(tile).ravel().round(3).tolist()
    [0.5, 0.5, 0.707, 0.0, 0.0, 1.0]
    """
    xp = array_namespace(tiles)
    flat = xp.reshape(tiles, (*tiles.shape[:2], -1))
    down, across = tiles[:, :, 1:, :] - tiles[:, :, :-1, :], tiles[:, :, :, 1:] - tiles[:, :, :, :-1]
    steps = xp.concat([xp.reshape(part, (*tiles.shape[:2], -1)) for part in (down, across)], axis=2)
    mean = xp.mean(flat, axis=2)
    ordered = xp.sort(flat, axis=2)
    last = flat.shape[2] - 1
    quantiles = [ordered[:, :, int(level * last)] for level in LEVELS]
    # A sort puts NaN last, where only the highest quantile would see it.
    found = [
        mean,
        xp.std(flat, axis=2),
        xp.sqrt(xp.mean(steps * steps, axis=2)),
        *(part + 0.0 * mean for part in quantiles),
    ]
    return xp.reshape(xp.stack(found, axis=2), (tiles.shape[0], -1, 1))
