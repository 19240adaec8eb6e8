"""DeepESD: convolutions on the coarse grid, then one dense layer to all cells of the target."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Norm, norm
from models._layout import Layout
from pipeline.errors import ConfigError
from pipeline.model import ModelConfig


class DeepESDConfig(DeepConfig):
    """Options of DeepESD."""

    filters: tuple[int, ...] = Field(default=(50, 25, 10), min_length=1, description="Maps after each convolution.")
    padding: Literal["same", "valid"] = Field(
        default="same", description="same: zeros round the maps keep their size; valid: each convolution takes two off."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of features left out before the dense layer.")
    norm: Norm = Field(default="none", description="Normalisation after each convolution.")


@MODELS.register("deepesd")
class DeepESD(DeepModel):
    """Convolutional network of Baño-Medina et al.: the coarse maps' features, seen by every cell.

    The dense layer gives each cell and each parameter of the head (mean, log variance) its own
    weights. Fields that do not change in time are left out: to a dense layer they are part of its bias.

    Published ones are: CNN10 with ``filters: [50, 25, 10]`` and CNN1 with ``[50, 25, 1]`` (2020); DeepESD for
    temperature with ``[50, 25, 10]`` and ``padding: valid`` (2022); DeepESD of CORDEX ML-Bench with ``[50, 25, 1]``,
    ``padding: same`` and ``loss: mse``, which has 4 228 989 weights from 15 x 16 x 16 inputs to 16384 cells.
    Targets may be stations as well as grids: the dense layer asks for no neighbours.

    References
    ----------
    Baño-Medina, Manzanas and Gutiérrez (2020), doi:10.5194/gmd-13-2109-2020.
    Baño-Medina et al. (2022), doi:10.5194/gmd-15-6747-2022, for DeepESD.
    """

    Config: ClassVar[type[ModelConfig]] = DeepESDConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network."""
        return DeepESDNetwork(layout, parameters, self.config)


class DeepESDNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    def __init__(self, layout: Layout, parameters: int, config: DeepESDConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((len(layout.channels), *config.filters)):
            layers += [nn.Conv2d(before, after, 3, padding=config.padding), norm(config.norm, after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(config.dropout))
        self._answer = (parameters, len(layout.targets), layout.cells)
        rows, columns = _size(layout.input_grid.shape, config)
        self.head = nn.Linear(config.filters[-1] * rows * columns, parameters * len(layout.targets) * layout.cells)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        answer: Tensor = self.head(self.features(inputs)).reshape(-1, *self._answer)
        return answer


def _size(shape: tuple[int, int], config: DeepESDConfig) -> tuple[int, int]:
    """Return rows and columns of the last maps.

    Raises
    ------
    ConfigError
        If nothing is left of them.

    Examples
    --------
    >>> _size((16, 16), DeepESDConfig(padding="valid"))
    (10, 10)
    """
    lost = 0 if config.padding == "same" else 2 * len(config.filters)
    rows, columns = shape[0] - lost, shape[1] - lost
    if min(rows, columns) < 1:
        raise ConfigError(
            f"deepesd: expected an input grid of more than {lost} x {lost} cells for {len(config.filters)} "
            f"convolutions with padding: valid, got {shape[0]} x {shape[1]}. Take padding: same, fewer filters or "
            "a wider grid."
        )
    return rows, columns
