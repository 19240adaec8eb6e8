"""Clusters of cells found without labels; each answers the classes that the train split has in it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import FEW_ROWS
from models._pixels import PixelConfig, PixelModel, frequencies, moments
from pipeline.errors import DataError
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any


class PixelKMeansConfig(PixelConfig):
    """Options of :class:`PixelKMeans`."""

    clusters: int = Field(default=12, ge=2, le=1000, description="Number of clusters, more than there are classes.")
    starts: int = Field(default=4, ge=1, description="Times it is begun anew; the tightest clusters are kept.")
    max_rows: int = Field(
        default=200_000, ge=100, description="Most cells of the train split that clusters are made of, drawn at random."
    )


@MODELS.register("pixel_kmeans")
class PixelKMeans(PixelModel):
    """What the channels tell apart by themselves: k-means on standardised channels, with no look at labels.

    Then the classes of all known cells of the train split are counted in each cluster, and a cell of that
    cluster is answered their shares.

    References
    ----------
    Lloyd (1982), doi:10.1109/TIT.1982.1056489.
    """

    Config = PixelKMeansConfig
    traits: ClassVar[frozenset[str]] = PixelModel.traits | {"seeded"}
    kind: ClassVar[str] = "pixel_kmeans"

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Find the clusters and count the classes in them; the validation split is not looked at."""
        self.start(train, context)
        xp, config = context.backend.xp, self.config
        rows = xp.astype(self.pixels.taken(train, self._drawn(train, context)), xp.float64)
        mean, sd = moments(rows, xp)
        found = context.estimator(
            "KMeans", n_clusters=config.clusters, n_init=config.starts, random_state=context.seed_for("clusters")
        ).fit((rows - mean) / sd)
        self.arrays = {"centres": xp.astype(found.cluster_centers_, xp.float64), "mean": mean, "sd": sd}
        counts = self.pixels.counts(train, self._nearest, config.clusters, context)
        shares = frequencies(counts)
        self.arrays["shares"] = context.backend.asarray(shares)
        self.choices = {
            "rows": int(rows.shape[0]),
            "clusters": config.clusters,
            "cluster_classes": [self.layout.classes[number] for number in shares.argmax(axis=1)],
        }
        return self

    def _drawn(self, train: Samples, context: Context) -> np.ndarray:
        """Return ascending positions of the rows that clusters are made of, known or not."""
        count, most = len(train) * self.layout.cells, self.config.max_rows
        if count < self.config.clusters:
            raise DataError(
                f"{train.name}: expected as many cells as clusters ({self.config.clusters}) or more, got {count}."
            )
        if count <= most:
            return np.arange(count)
        if most < FEW_ROWS * count:
            context.warn(
                f"{context.name}: clusters are made of {most} of {count} cells of the train split, drawn at random; a "
                "larger max_rows takes more memory and time."
            )
        draw = np.random.default_rng(context.seed_for("rows"))
        return np.sort(draw.choice(count, most, replace=False, shuffle=False))

    def _nearest(self, rows: Array) -> Array:
        """Return the number of the nearest centre of every row."""
        xp, arrays = self.table.backend.xp, self.arrays
        own = (xp.astype(rows, xp.float64) - arrays["mean"]) / arrays["sd"]
        centres = arrays["centres"]
        # Squared distances less the row's own square, the same for all centres.
        return xp.argmin(xp.sum(centres**2, axis=1)[None, :] - 2.0 * (own @ centres.T), axis=1)

    def chances(self, rows: Array) -> Array:
        """Return the shares of the nearest cluster."""
        return self.table.backend.xp.take(self.arrays["shares"], self._nearest(rows), axis=0)
