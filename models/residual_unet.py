"""Residual UNet on the target grid, whose size does not depend on the number of cells."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Norm, need_grids
from models._layout import Layout
from models._residual import Cells, Inlet, OwnChannel, Readout, Trunk
from pipeline.model import ModelConfig
from pipeline.training.losses import Loss


class ResidualUNetConfig(DeepConfig):
    """Options of the residual UNet."""

    batch_size: int = Field(default=32, ge=1, description="Samples a step.")
    width: int = Field(default=16, ge=1, description="Maps at full resolution; twice as many at every level down.")
    depth: int = Field(default=3, ge=1, le=6, description="How often the resolution is halved.")
    cells: Cells = Field(
        default="bias", description="What a cell has of its own in the readout: nothing (shared), a bias, or weights."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of maps left out at the lowest level.")
    norm: Norm = Field(
        default="group",
        description="Normalisation after each convolution; none keeps the size of a day's maps and suits few samples.",
    )


@MODELS.register("residual_unet")
class ResidualUNet(DeepModel):
    """UNet of residual blocks and group norm that adds detail to an interpolated field.

    Inputs are carried over to the target grid by their real coordinates and meet the static fields
    there: orography and land mask under ``data.static`` tell a valley from a plateau. Where an input
    channel has a target's own name, the network answers the difference to that channel, interpolated
    and times one learned number; else the whole value. There is no dense layer: unlike ``unet`` it
    stays as small on 128 x 128 cells as on a few, but sees the state of the atmosphere only as far as
    its convolutions reach, about ``2^(depth + 2)`` cells of the target grid.

    References
    ----------
    Ronneberger, Fischer and Brox (2015), doi:10.1007/978-3-319-24574-4_28.
    He et al. (2016), doi:10.1109/CVPR.2016.90. Wu and He (2018), Group normalization,
    doi:10.1007/978-3-030-01261-8_1.
    """

    Config: ClassVar[type[ModelConfig]] = ResidualUNetConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network."""
        need_grids(layout, "residual_unet")
        return ResidualUNetNetwork(layout, parameters, self.config, self._loss)


class ResidualUNetNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    def __init__(self, layout: Layout, parameters: int, config: ResidualUNetConfig, loss: Loss) -> None:
        super().__init__()
        self.inlet = Inlet(layout, len(layout.channels))
        self.trunk = Trunk(
            layout.target_grid.shape,
            self.inlet.channels,
            width=config.width,
            depth=config.depth,
            kind=config.norm,
            dropout=config.dropout,
        )
        self.readout = Readout(layout, parameters, config.width, config.cells)
        self.own = OwnChannel(layout, loss, parameters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        answer: Tensor = self.own(inputs, self.readout(self.trunk(self.inlet(inputs))))
        return answer
