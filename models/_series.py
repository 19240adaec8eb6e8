"""What networks of series have in common: every cell of the mask is a series of its own, with shared weights."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from models._deep import DeepConfig, DeepModel
from models._layout import Layout
from models._sequence import Sequence
from pipeline.errors import ConfigError
from pipeline.grid import Grid

Size = Annotated[int, Field(ge=1)]


class SeriesConfig(DeepConfig):
    """Options of every network of series."""

    batch_size: int = Field(
        default=256, ge=1, description="Dates a step; each brings a row for every series, and memory grows with rows."
    )


class SeriesModel(DeepModel):
    """A network with one set of weights for every series.

    A series is a cell of the mask with the predictors of its own place; what sets it apart from the others
    is its static values. All leads are answered at once.
    """

    traits: ClassVar[frozenset[str]] = DeepModel.traits | {"shared"}
    tasks: ClassVar[frozenset[str]] = frozenset({"series"})


def own_cells(layout: Layout, kind: str) -> np.ndarray:
    """Return the cell of the inputs, in the flattened grid, that each cell of the mask reads.

    Both grids are the same one; or both have one cell only, as an index and its predictor, wherever they
    are said to lie; or every channel is a scalar, known at any cell.

    Raises
    ------
    ConfigError
        If the predictors of a series are not at its own place.
    """
    inputs, target = layout.input_grid, layout.target_grid
    places = np.flatnonzero(layout.mask)
    if inputs.same(target) or inputs.shape == target.shape == (1, 1):
        return places
    if not layout.fields:
        return np.zeros_like(places)
    raise ConfigError(
        f"{kind}: expected the predictors of every series at its own place, got inputs on {_said(inputs)} for a target "
        f"on {_said(target)}. Take cnn_lstm for predictors on a grid, or give inputs and target the same places."
    )


def _said(grid: Grid) -> str:
    return f"{len(grid.stations)} stations" if grid.stations else f"a grid of {grid.shape[0]} x {grid.shape[1]} cells"


class Cells(nn.Module):
    """Channels at the cell of each series, and its static values.

    Attributes
    ----------
    static : Tensor, shape (static, cell)
        The same at all times.
    """

    places: Tensor
    static: Tensor

    def __init__(self, layout: Layout, kind: str) -> None:
        super().__init__()
        places = own_cells(layout, kind)
        size = int(np.prod(layout.input_grid.shape))
        self._all = np.array_equal(places, np.arange(size))
        self.register_buffer("places", torch.tensor(places), persistent=False)
        static = torch.tensor(layout.static[:, layout.mask], dtype=torch.float32)
        self.register_buffer("static", static, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (time, channel, cell)."""
        flat = inputs.flatten(2)
        return flat if self._all else flat.index_select(2, self.places)


class Windows(nn.Module):
    """Every series as a sequence of steps, the oldest first: its fields, the scalars and its static values.

    Channels are found by one look-up made once: 365 lags of five variables cost no more than a copy.

    Parameters
    ----------
    layout : Layout
        Channels by name, grids, mask and static fields.
    kind : str
        The model that asks, for messages.

    Attributes
    ----------
    steps, features : int
        Lags, and numbers at each of them.

    Raises
    ------
    ConfigError
        If channels have no lags, or are not at the places of the target.
    """

    index: Tensor

    def __init__(self, layout: Layout, kind: str) -> None:
        super().__init__()
        sequence = Sequence.of(layout, kind)
        self.cells = Cells(layout, kind)
        index = torch.tensor(sequence.steps)
        self.steps, self._known = index.shape
        self.features = self._known + len(layout.static)
        self.register_buffer("index", index.flatten(), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (step, row, feature); rows are all cells of the first date, then the next.

        Examples
        --------
        >>> import numpy as np
        >>> from pipeline.grid import Grid
        >>> grid = Grid(np.arange(1.0), np.arange(2.0))
        >>> mask, static = np.ones((1, 2), bool), np.array([[[7.0, 8.0]]])
        >>> windows = Windows(Layout(("a", "a@-1"), ("b",), grid, grid, mask, static), "lstm")
        >>> windows(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])).tolist()
        [[[3.0, 7.0], [4.0, 8.0]], [[1.0, 7.0], [2.0, 8.0]]]
        """
        found = self.cells(inputs).index_select(1, self.index)
        found = found.reshape(found.shape[0], self.steps, self._known, found.shape[2])
        if len(self.cells.static):
            static = self.cells.static.to(found.dtype).expand(found.shape[0], self.steps, -1, -1)
            found = torch.cat([found, static], dim=2)
        rows: Tensor = found.permute(1, 0, 3, 2).flatten(1, 2)
        return rows


class Head(nn.Module):
    """A linear layer from a row's features to the parameters of the loss for every target, all leads at once."""

    def __init__(self, layout: Layout, parameters: int, width: int, dropout: float) -> None:
        super().__init__()
        self._cells, self._answer = layout.cells, (parameters, len(layout.targets))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, parameters * len(layout.targets))

    def forward(self, rows: Tensor) -> Tensor:
        """Map (time x cell, feature) to (time, parameter, target, cell)."""
        answer: Tensor = self.linear(self.dropout(rows))
        return answer.reshape(-1, self._cells, *self._answer).permute(0, 2, 3, 1)


def start(layer: nn.Linear | nn.Conv1d | nn.Conv2d, share: float = 1.0) -> Any:
    """Return the layer with weights that keep ``share`` of the signal's variance before a ReLU, and no bias.

    References
    ----------
    He et al. (2015), arXiv:1502.01852.
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    bias: Any = layer.bias
    with torch.no_grad():
        layer.weight *= share**0.5
        bias.zero_()
    return layer
