"""Features of one regression for all series: lags and rolling means of every variable, scalars, static values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from models._classical import Table
from models._layout import Layout
from models._normal import NormalConfig
from models._spread import at_cells
from pipeline.errors import ConfigError, DataError
from pipeline.lagged import Lagged
from pipeline.prepare.arrays import rows
from pipeline.samples import Samples, variable_of

Array = Any

LAGS, ROLLING = (0, 1, 2), (7, 30, 90)  # what is taken of them by default: as far as the window reaches
BLOCK_BYTES = 64 * 2**20  # of the features of the samples that are worked off together


class LagConfig(NormalConfig):
    """Options of every regression on lags and rolling means."""

    lags: list[int] | None = Field(
        default=None, description="Steps back whose values are features. null: those of 0, 1, 2 that the inputs have."
    )
    rolling: list[int] | None = Field(
        default=None,
        description="Numbers of last steps whose mean is a feature. null: those of 7, 30, 90 that the inputs hold.",
    )

    sd: Literal["per_cell", "pooled"] = Field(
        default="per_cell",
        description="Standard deviation of the error. per_cell: each cell's own, that of all for a cell without truth "
        "in the train split; pooled: that of all cells.",
    )

    @field_validator("lags", "rolling")
    @classmethod
    def _several(cls, steps: list[int] | None, info: Any) -> list[int] | None:
        least = 0 if info.field_name == "lags" else 2
        if steps is not None and (len(set(steps)) != len(steps) or any(step < least for step in steps)):
            raise ValueError(f"expected different numbers of {least} or more, got {steps!r}")
        return steps if steps is None else sorted(steps)


@dataclass(frozen=True)
class LagFeatures:
    """Which features there are, by name, and how they are computed.

    Parameters
    ----------
    variables, scalars : tuple of str
        Of the inputs, without lags.
    lags, rolling : tuple of int
        Lags, and lengths of rolling means, of every variable.
    window : tuple of int
        Lags of the inputs, ascending: a rolling mean is over the first of them.
    statics : tuple of str
        Names of the static fields.
    """

    variables: tuple[str, ...]
    scalars: tuple[str, ...]
    lags: tuple[int, ...]
    rolling: tuple[int, ...]
    window: tuple[int, ...]
    statics: tuple[str, ...]

    @classmethod
    def of(cls, config: LagConfig, layout: Layout, name: str) -> LagFeatures:
        """Return the features that ``config`` asks of samples of that layout.

        Raises
        ------
        ConfigError
            If a lag or a rolling mean reaches beyond the window, no feature is left, or the inputs have many cells on
            another grid than the target; ``name`` is the model's.
        """
        fields = [channel for channel in layout.channels if channel not in layout.scalars]
        if fields and not layout.input_grid.same(layout.target_grid) and np.prod(layout.input_grid.shape) > 1:
            shapes = f"{layout.input_grid.shape} and {layout.target_grid.shape}"
            raise ConfigError(
                f"{name}: expected inputs at the cells of the target, or in one cell, got grids of {shapes}. "
                "Take pca_ridge or random_forest for predictors on a grid of their own."
            )
        variables = tuple(dict.fromkeys(variable_of(channel) for channel in fields))
        window = tuple(sorted({lag_of(channel) for channel in fields}))
        reach = next((place for place, lag in enumerate(window) if lag != window[0] + place), len(window))
        lags = tuple(lag for lag in LAGS if lag in window) if config.lags is None else tuple(config.lags)
        rolling = (
            tuple(length for length in ROLLING if length <= reach) if config.rolling is None else tuple(config.rolling)
        )
        for option, asked, beyond in (
            ("lags", lags, [lag for lag in lags if lag not in window]),
            ("rolling", rolling, [length for length in rolling if length > reach]),
        ):
            if beyond:
                raise ConfigError(
                    f"{name}: expected {option} within the inputs' window of {len(window)} steps ({reach} of them in "
                    f"a row), got {beyond[0]} in {list(asked)!r}. Lengthen prepare.inputs.window or shorten {option}."
                )
        found = cls(variables, layout.scalars, lags, rolling, window, layout.statics)
        if not found.names:
            raise ConfigError(
                f"{name}: expected a feature or more, got lags {list(lags)!r} and rolling {list(rolling)!r} of inputs "
                f"with the lags {list(window)!r}. Ask for one of them."
            )
        return found

    @property
    def names(self) -> list[str]:
        """Names of the features in their order."""
        lags = [f"{name}@-{lag}" if lag else name for lag in self.lags for name in self.variables]
        means = [f"{name}:{length}" for length in self.rolling for name in self.variables]
        return [*lags, *means, *self.scalars, *self.statics]

    def shares(self, channels: tuple[str, ...]) -> np.ndarray:
        """Return how much of each feature each channel is, float64, shape (feature, channel).

        A rolling mean is its channels in equal shares. Rows of static values are zero: they do not vary in time.
        """
        found, places = np.zeros((len(self.names), len(channels))), {name: k for k, name in enumerate(channels)}
        width = len(self.variables)
        made = [(lag,) for lag in self.lags] + [self.window[:length] for length in self.rolling]
        for number, lags in enumerate(made):
            for place, name in enumerate(self.variables):
                found[number * width + place, [places[name_at(name, lag)] for lag in lags]] = 1.0 / len(lags)
        for number, name in enumerate(self.scalars, len(made) * width):
            found[number, places[name]] = 1.0
        return found

    def spread(self, parts: Array, items: np.ndarray, samples: Samples, table: Table) -> Array:
        """Return parts of features at some cells as those of input cells, which add up to the same.

        Parameters
        ----------
        parts : array of float64, shape (sum, item, feature)
            Those of static values are left out.
        items : ndarray of int, shape (item,)
            Positions among the cells of the mask.
        samples : Samples
            Whose channels come out. Those of scalars are shared evenly over their cells.
        table : Table
            Of the model.

        Returns
        -------
        array of float64, shape (sum, channel, lat, lon)
        """
        xp, schema, backend = table.backend.xp, samples.schema, table.backend
        scalar = np.isin(schema.channels, self.scalars)
        shares, shape = self.shares(schema.channels), schema.input_grid.shape
        own = parts @ backend.asarray(np.where(scalar, 0.0, shares))
        cells = int(np.prod(shape))
        even = xp.sum(parts @ backend.asarray(np.where(scalar, shares, 0.0)), axis=1)[:, :, None] / cells
        if cells == 1:
            maps = xp.sum(own, axis=1)[:, :, None]
        elif self.variables:
            maps = at_cells(table, items, own)
        else:
            maps = xp.zeros((parts.shape[0], len(schema.channels), cells), dtype=xp.float64)
        return xp.reshape(maps + even, (parts.shape[0], -1, *shape))

    def blocks(self, samples: Samples, table: Table) -> Iterator[tuple[slice, Array]]:
        """Yield samples, few at a time, and their features, float64, shape (time, cell, feature).

        Windows that are not laid out are not laid out here: a rolling mean is the difference of two cumulative
        sums, in float64.
        """
        table.layout.order(samples)  # refuses other channels and grids
        lagged = samples.lagged
        source = _LaidOut(self, samples, table) if lagged is None else _Windows(self, samples, lagged, table)
        cells, xp = table.layout.cells, table.backend.xp
        static = table.backend.asarray(samples.schema.static[:, table.layout.mask].T, dtype=xp.float64)
        size = max(1, BLOCK_BYTES // (8 * max(1, cells * len(self.names))))
        for start in range(0, len(samples), size):
            part = slice(start, min(start + size, len(samples)))
            count = part.stop - part.start
            pieces = [*source.fields(part), source.scalars(part)]
            features = xp.concat([xp.broadcast_to(piece, (count, cells, piece.shape[2])) for piece in pieces], axis=2)
            if self.statics:
                features = xp.concat([features, xp.broadcast_to(static, (count, *static.shape))], axis=2)
            yield part, features


def lag_of(channel: str) -> int:
    """Return how many steps back a channel is.

    Examples
    --------
    >>> lag_of("rain@-3"), lag_of("rain")
    (3, 0)
    """
    _, _, lag = channel.partition("@-")
    return int(lag or 0)


def name_at(variable: str, lag: int) -> str:
    """Return the channel of a variable at a lag.

    Examples
    --------
    >>> name_at("rain", 3), name_at("rain", 0)
    ('rain@-3', 'rain')
    """
    return f"{variable}@-{lag}" if lag else variable


def _at_cells(values: Array, table: Table) -> Array:
    """Return values of shape (time, variable, lat, lon) as float64, (time, cell, variable), one cell staying one."""
    xp = table.backend.xp
    flat = xp.reshape(values, (*values.shape[:2], -1))
    if flat.shape[2] > 1:
        flat = xp.take(flat, table.backend.asarray(np.flatnonzero(table.layout.mask)), axis=2)
    return xp.permute_dims(xp.astype(flat, xp.float64), (0, 2, 1))


class _LaidOut:
    """Features of inputs that are one array, channels found by name."""

    def __init__(self, features: LagFeatures, samples: Samples, table: Table) -> None:
        self._features, self._inputs, self._table = features, samples.inputs, table
        self._place = {name: place for place, name in enumerate(samples.schema.channels)}

    def fields(self, part: slice) -> Iterator[Array]:
        """Yield every lag, then every rolling mean, shape (time, cell or 1, variable)."""
        xp, wanted = self._table.backend.xp, self._features
        if not wanted.variables:
            return
        for lag in wanted.lags:
            yield self._at(part, lag)
        total, summed = None, 0
        for length in wanted.rolling:
            for lag in wanted.window[summed:length]:
                value = self._at(part, lag)
                total = value if total is None else total + value
            summed = length
            yield xp.asarray(total) / length

    def scalars(self, part: slice) -> Array:
        """Return the scalars, shape (time, 1, scalar)."""
        xp, names = self._table.backend.xp, self._features.scalars
        place = self._table.backend.asarray(np.array([self._place[name] for name in names], np.int64))
        return xp.astype(xp.take(self._inputs[part, :, 0, 0], place, axis=1), xp.float64)[:, None, :]

    def _at(self, part: slice, lag: int) -> Array:
        place = np.array([self._place[name_at(name, lag)] for name in self._features.variables])
        values = self._table.backend.xp.take(self._inputs[part, ...], self._table.backend.asarray(place), axis=1)
        return _at_cells(values, self._table)


class _Windows:
    """The same of windows that are not laid out."""

    def __init__(self, features: LagFeatures, samples: Samples, lagged: Lagged, table: Table) -> None:
        xp, channels = table.backend.xp, samples.schema.channels
        self._features, self._lagged, self._table = features, lagged, table
        width = lagged.values.shape[1]
        names = [variable_of(name) for name in channels[:width]]
        order = table.backend.asarray(np.array([names.index(name) for name in features.variables], np.int64))
        self._values = _at_cells(xp.take(lagged.values, order, axis=1), table)
        self._place = {lag_of(channels[place * width]): place for place in range(lagged.index.shape[1])}
        there = list(channels[width * lagged.index.shape[1] :])
        self._scalars = table.backend.asarray(np.array([there.index(name) for name in features.scalars], np.int64))
        if features.rolling:
            # A step that no window has may be missing; it must not reach the sums behind it.
            known = xp.where(xp.isfinite(self._values), self._values, xp.zeros_like(self._values))
            nothing = xp.zeros((1, *known.shape[1:]), dtype=xp.float64)
            self._sums = xp.concat([nothing, xp.cumulative_sum(known, axis=0)], axis=0)

    def fields(self, part: slice) -> Iterator[Array]:
        """Yield every lag, then every rolling mean, shape (time, cell or 1, variable)."""
        wanted = self._features
        for lag in wanted.lags:
            yield rows(self._values, self._step(part, lag))
        for length in wanted.rolling:
            last, first = self._step(part, wanted.window[0]), self._step(part, wanted.window[length - 1])
            if bool((last - first != length - 1).any()):
                raise DataError(
                    f"expected windows of consecutive steps for rolling means, got one of {length} steps that spans "
                    f"{int((last - first).max()) + 1}; its steps lie across a gap."
                )
            yield (rows(self._sums, last + 1) - rows(self._sums, first)) / length

    def scalars(self, part: slice) -> Array:
        """Return the scalars, shape (time, 1, scalar)."""
        xp = self._table.backend.xp
        numbers = rows(self._lagged.scalars, self._lagged.now[part])
        return xp.astype(xp.take(numbers, self._scalars, axis=1), xp.float64)[:, None, :]

    def _step(self, part: slice, lag: int) -> np.ndarray:
        return self._lagged.index[part, self._place[lag]]
