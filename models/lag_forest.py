"""A random forest of all series together on lags and rolling means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import FEW_ROWS, known_truth, rmse
from models._lag_features import LagConfig
from models._lag_model import LagModel
from models._leaves import COUNT, DISTRIBUTION, MEMBERS, LeafMembers, leaf_arrays
from models._members import laid_out
from models._spread import item_weights
from pipeline.backend.estimators import Estimator, load_estimator
from pipeline.errors import ConfigError, DataError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.trees import TreePart

Array = Any

COMPLETE = 0.95  # share of rows with truth at all leads from which one forest answers them all


class LagForestConfig(LagConfig):
    """Options of :class:`LagForest`."""

    distribution: Literal["auto", "normal", "point", "members"] = Field(  # type: ignore[assignment]  # one more
        default="auto", description=DISTRIBUTION
    )
    members: int = Field(default=50, ge=2, le=1000, description=COUNT)
    trees: int = Field(default=200, ge=1, description="Number of trees.")
    max_features: float = Field(default=1 / 3, gt=0, le=1, description="Share of the features tried at each split.")
    min_samples_leaf: int = Field(default=5, ge=1, description="Least number of rows in a leaf.")
    max_rows: int = Field(
        default=50_000,
        ge=10,
        description="Most rows, samples times cells, that are fitted on; drawn where there are more.",
    )


@MODELS.register("lag_forest")
class LagForest(LagModel):
    """Trees from lags, rolling means, scalars and static values to all leads, for every series alike.

    One forest answers all leads, fitted on the rows whose truth is known at all of them; where those
    are fewer than 95 % of the rows with any truth, each lead has a forest of its own, fitted on its own
    rows. The error is normal, its standard deviation the root mean square validation residual, see
    ``sd``.

    With ``distribution: members`` it is a quantile regression forest: the members of a sample at a cell are the truth
    of train rows that share leaves with it, in proportion to how often they do, evenly along the first lead. The
    spread follows the sample, little in a drought and much in a flood, and is skewed as the truth is. Amounts are
    never negative; a row of the same cell gives the amount that was observed, nothing where it was dry, a row of
    another one its number on this cell's scale. Leads of a member go together where one forest answers all; cells do
    not. Nothing beyond the observed can be forecast.

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32, doi:10.1023/A:1010933404324.
    Meinshausen (2006), J. Mach. Learn. Res. 7, 983-999, https://www.jmlr.org/papers/v7/meinshausen06a.html.
    """

    Config = LagForestConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "seeded", "shared", "trees"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._forests: list[Estimator] = []
        self._leaves: list[LeafMembers] = []

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Grow the trees on the train split."""
        table = self.begin(train, context)
        truth = known_truth(table, train)
        there = context.backend.to_host(self.truth_rows(context.backend.xp.isfinite(truth), slice(None)))
        complete, some = np.asarray(there.all(axis=1)), np.asarray(there.any(axis=1))
        together = complete.sum() >= COMPLETE * some.sum()
        parts: list[np.ndarray] = [complete] if together else list(there.T)
        self._forests, self._leaves, self.arrays = [], [], {}
        with context.progress(f"fit {context.name}", len(parts)) as step:
            for place, known in enumerate(parts):
                outputs = slice(None) if together else slice(place, place + 1)
                self._forests.append(self._grow(train, truth, known, outputs, context, place))
                step.advance()
        mean, weight = self.mean(validation), table.weight
        error = rmse(mean, known_truth(table, validation), weight, context.backend.xp)
        rows = [min(int(known.sum()), self.config.max_rows) for known in parts]
        self.choices = {"forests": len(parts), "rows": rows, "validation_rmse": error}
        self.keep_error(train, truth, validation)
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return a distribution, the mean or members, for every cell of the mask."""
        table = self.table
        if not self._leaves:
            return super().predict(inputs, context)
        return laid_out(table, self.config.members, len(inputs), self._members(inputs))

    def regress(self, features: Array) -> Array:
        """Return what the trees say, float32 as they compare."""
        xp = self.table.backend.xp
        narrow = xp.astype(features, xp.float32)
        found = [xp.asarray(forest.predict(narrow)) for forest in self._forests]
        return xp.concat([xp.reshape(each, (features.shape[0], -1)) for each in found], axis=1)

    def tree_parts(self, samples: Samples, weights: np.ndarray, context: Context) -> list[TreePart]:
        """Return the forests behind weighted sums of the mean, see :meth:`pipeline.model.Model.tree_parts`.

        Items are cells. A rolling mean shares its part evenly over its steps. Static values of two samples are the
        same, and have no part in what is different between them.
        """
        if self._leaves:
            raise ConfigError(MEMBERS.format("lag_forest"))
        items, own = item_weights(self.table, weights)
        backend, found = self.table.backend, []
        place = backend.asarray(items)

        def rows(asked: Samples) -> Array:
            xp, blocks = backend.xp, self.features.blocks(asked, self.table)
            return xp.concat([xp.astype(xp.take(block, place, axis=1), xp.float32) for _, block in blocks], axis=0)

        def spread(parts: Array) -> Array:
            return self.features.spread(parts, items, samples, self.table)

        for number, forest in enumerate(self._forests):
            outputs = own if len(self._forests) == 1 else own[:, :, number : number + 1]
            if bool(backend.xp.any(outputs != 0)):
                found.append(TreePart(forest, rows, outputs, spread))
        return found

    def save(self, folder: Path) -> None:
        """Write options and trees into ``folder``, each forest in a folder of its own."""
        super().save(folder)
        for place, forest in enumerate(self._forests):
            (folder / f"forest-{place}").mkdir()
            forest.save(folder / f"forest-{place}")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved forests on the side of ``context.backend``."""
        model = super().load(folder, context)
        model._forests = [
            load_estimator(context.backend, "RandomForestRegressor", folder / f"forest-{place}")
            for place in range(model.choices["forests"])
        ]
        if model.config.distribution == "members":
            model._leaves = [
                LeafMembers.of(forest, model.arrays, f"leaf_{place}") for place, forest in enumerate(model._forests)
            ]
        return model

    def _members(self, inputs: Samples) -> Iterator[tuple[slice, Array]]:
        """Yield times and the members at all cells, shape (member, time, column)."""
        xp, count, targets = self.table.backend.xp, self.config.members, len(self.table.layout.targets)
        for part, block in self.features.blocks(inputs, self.table):
            rows = xp.astype(xp.reshape(block, (-1, block.shape[2])), xp.float32)
            found = []
            for leaves in self._leaves:
                chosen = xp.reshape(leaves.draw(rows, count), (-1,))
                found.append(xp.reshape(xp.take(leaves.targets, chosen, axis=0), (count, rows.shape[0], -1)))
            apart = xp.reshape(xp.concat(found, axis=2), (count, *block.shape[:2], targets))
            members = xp.reshape(xp.permute_dims(apart, (0, 1, 3, 2)), (count, block.shape[0], -1))
            yield part, xp.maximum(members, xp.astype(self.arrays["least"], xp.float32)[None, None, :])

    def _grow(
        self, train: Samples, truth: Array, known: np.ndarray, outputs: slice, context: Context, place: int
    ) -> Estimator:
        """Return the forest of some targets on the rows that are ``known``, shape (row,)."""
        xp, chosen = context.backend.xp, np.flatnonzero(known)
        if not len(chosen):
            name = self.table.layout.targets[place]
            raise DataError(f"expected truth of {name!r} in the split {train.name!r}, got missing values only.")
        if len(chosen) > self.config.max_rows:
            if self.config.max_rows < FEW_ROWS * len(chosen):
                context.warn(
                    f"{context.name}: {self.config.max_rows} of {len(chosen)} rows (samples times series) are drawn to "
                    "grow trees on; a larger max_rows takes more memory and time."
                )
            draw = np.random.default_rng(context.seed_for(f"rows {place}"))
            chosen = np.sort(draw.choice(chosen, self.config.max_rows, replace=False))
        X, y = self._rows(train, truth, chosen)
        y = y[:, outputs]
        forest: Estimator = context.estimator(
            "RandomForestRegressor",
            n_estimators=self.config.trees,
            max_features=self.config.max_features,
            min_samples_leaf=self.config.min_samples_leaf,
            random_state=context.seed_for(f"forest {place}"),
        ).fit(X, xp.reshape(y, (-1,)) if y.shape[1] == 1 else y)
        if self.config.distribution == "members":
            self.arrays |= leaf_arrays(f"leaf_{place}", forest, self.config.trees, X, y, y)
            self._leaves.append(LeafMembers.of(forest, self.arrays, f"leaf_{place}"))
        return forest

    def _rows(self, train: Samples, truth: Array, chosen: np.ndarray) -> tuple[Array, Array]:
        """Return features and truth of the chosen rows, float32."""
        xp, cells, X, y = self.table.backend.xp, self.table.layout.cells, [], []
        for part, block in self.features.blocks(train, self.table):
            inside = chosen[(chosen >= part.start * cells) & (chosen < part.stop * cells)] - part.start * cells
            place = self.table.backend.asarray(inside)
            X.append(xp.astype(xp.take(xp.reshape(block, (-1, block.shape[2])), place, axis=0), xp.float32))
            y.append(xp.astype(xp.take(self.truth_rows(truth, part), place, axis=0), xp.float32))
        return xp.concat(X, axis=0), xp.concat(y, axis=0)
