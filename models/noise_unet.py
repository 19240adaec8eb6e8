"""Members from noise: a residual UNet whose every draw is one possible field."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from models import MODELS
from models._deep import DeepModel
from models._layers import need_grids
from models._layout import Layout
from models._residual import Inlet, OwnChannel, Readout, Trunk
from models.residual_unet import ResidualUNetConfig
from pipeline.backend.passes import Passes
from pipeline.errors import ConfigError
from pipeline.model import Context, ModelConfig
from pipeline.registry import suggest
from pipeline.training.losses import Loss, LossSpec, make_loss

LEAK = 0.1


class NoiseUNetConfig(ResidualUNetConfig):
    """Options of the noise-fed UNet."""

    loss: LossSpec = Field(
        default={"kind": "fair_crps", "members": 2},
        description="A loss of members, or a list of such with a weight each; its members are drawn in training.",
    )
    draws: int = Field(default=10, ge=2, le=1000, description="Members of a prediction.")
    noise: int = Field(default=8, ge=1, description="Maps of noise, at the lowest and at full resolution each.")
    nonnegative: tuple[str, ...] = Field(
        default=(), description="Targets that cannot be negative, such as pr: exact zeros are possible."
    )

    @model_validator(mode="after")
    def _members(self) -> NoiseUNetConfig:
        family = make_loss(self.loss).family
        if family != "members":
            raise ValueError(
                f"expected a loss of members, which the network draws, got {self.loss!r} of family {family!r}. "
                "Take fair_crps, energy_score or spectral_crps, or residual_unet for this loss."
            )
        return self


@MODELS.register("noise_unet")
class NoiseUNet(DeepModel):
    """Residual UNet with noise among its maps, trained on a proper score of its draws.

    A draw is one field of all targets at once: noise at the lowest resolution moves whole regions,
    noise at full resolution single cells, and the targets share it, so that temperature and
    precipitation of a member belong together. In training as many members are drawn as the loss has;
    two are enough for a fair score to have the right gradient in the mean, and the cheapest. A
    prediction has ``draws`` of them, whatever the loss.

    Targets under ``nonnegative`` end in ``max(0, x)`` in units, so that a dry day is exactly zero;
    they need numbers with a fixed way to units (``prepare.target.anomaly: none``). While training, the
    gradient below zero is a tenth of that above, though the value is zero: a cell whose members are all
    dry where it rained can still learn. Predictions and explanations have no such leak.

    What explanations look into is the mean of as many draws, with one fixed noise for all samples.

    References
    ----------
    Shen and Meinshausen (2024), Engression, doi:10.1093/jrsssb/qkae108.
    Lang et al. (2024), AIFS-CRPS, arXiv:2412.15832, for the fair score of members as a loss.
    """

    Config: ClassVar[type[ModelConfig]] = NoiseUNetConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If inputs or target are stations, or a nonnegative target is not known or has no fixed zero.
        """
        need_grids(layout, "noise_unet")
        return NoiseUNetNetwork(layout, parameters, self.config, self._loss)

    def asker(self, network: nn.Module, context: Context) -> Callable[[Tensor], Tensor]:
        """Return what makes ``draws`` members of samples, shape (time, member, target, cell).

        Where memory is short they are made some at a time; what is too large is tried once a prediction.
        """
        passes = Passes(self.config.draws, context.name, what="draws", tell=context.warn)
        return partial(network, draws=self.config.draws, passes=passes)

    def steady(self) -> nn.Module:
        """Return the network as explanations see it: ``draws`` members, the same noise for all samples."""
        return _Steady(self._network, self.config.draws)


class NoiseUNetNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, member, target, cell), with new noise at every call."""

    def __init__(self, layout: Layout, members: int, config: NoiseUNetConfig, loss: Loss) -> None:
        super().__init__()
        self._members, self._noise = members, config.noise
        self.inlet = Inlet(layout, len(layout.channels))
        self.trunk = Trunk(
            layout.target_grid.shape,
            self.inlet.channels,
            width=config.width,
            depth=config.depth,
            kind=config.norm,
            dropout=config.dropout,
        )
        self.large = _mixed(config.noise, self.trunk.widths[-1])
        self.fine = _mixed(config.noise, self.trunk.widths[0])
        self.readout = Readout(layout, 1, config.width, config.cells)
        self.own = OwnChannel(layout, loss, 1)
        self.end = _End(layout, config.nonnegative)

    def forward(
        self, inputs: Tensor, draws: int | None = None, common: bool = False, passes: Passes | None = None
    ) -> Tensor:
        """Return ``draws`` members of every sample (as many as the loss has if left out).

        With ``common`` all samples get the same noise. ``passes`` says how many members are made at once, and is told
        where memory is short; all noise is drawn before, so that members are the same in any case.
        """
        count = self._members if draws is None else draws
        levels = self.trunk.encode(self.inlet(inputs))
        noise = {place: self._draw(levels[place], count, common) for place in (0, -1)}

        def some(part: slice) -> Tensor:
            # Noise enters behind the encoder, which so runs once for all members.
            own = [_repeated(level, part.stop - part.start) for level in levels]
            for place, mixed in ((0, self.fine), (-1, self.large)):
                own[place] = own[place] + mixed(noise[place][:, part].flatten(0, 1))
            answer = self.own(_repeated(inputs, part.stop - part.start), self.readout(self.trunk.decode(own)))
            members: Tensor = self.end(answer[:, 0].unflatten(0, (len(inputs), part.stop - part.start)))
            return members

        if passes is None:
            return some(slice(0, count))
        return torch.cat(list(passes.each(count, some)), dim=1)

    def _draw(self, like: Tensor, count: int, common: bool) -> Tensor:
        """Return noise for the maps ``like`` of all samples, (time, member, noise, lat, lon)."""
        shape = (1 if common else len(like), count, self._noise, *like.shape[2:])
        noise = torch.randn(shape, dtype=like.dtype, device=like.device)
        return noise.expand(len(like), *shape[1:])


class _End(nn.Module):
    """Holds targets that cannot be negative to zero or more, in units."""

    floor: Tensor

    def __init__(self, layout: Layout, names: tuple[str, ...]) -> None:
        super().__init__()
        floor = torch.full((len(layout.targets), layout.cells), -torch.inf)
        for name in names:
            place = _place(layout, name)
            floor[place] = _zero(layout, place)
        self._used = bool(names)
        self.register_buffer("floor", floor, persistent=False)

    def forward(self, members: Tensor) -> Tensor:
        """Return members, shape (time, member, target, cell), of the same value or the floor."""
        if not self._used:
            return members
        held = torch.maximum(members, self.floor)
        if not self.training:
            return held
        below = torch.minimum(members, self.floor)
        # Adds nothing, and a gradient below the floor: LEAK * 1, where that of `held` is zero. Above it
        # `below` is the floor, without a gradient. Infinite floors cancel to NaN and are left out.
        leak = torch.where(torch.isfinite(self.floor), LEAK * (below - below.detach()), 0.0)
        return held + leak


class _Steady(nn.Module):
    """A network whose samples share their noise: what it says of one does not depend on the batch."""

    def __init__(self, network: nn.Module, draws: int) -> None:
        super().__init__()
        self._network, self._draws = network, draws

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (time, member, target, cell)."""
        members: Tensor = self._network(inputs, self._draws, common=True)
        return members


def _mixed(noise: int, width: int) -> nn.Conv2d:
    """Return what turns noise into maps as large as those it is added to, so that members differ from the start."""
    made = nn.Conv2d(noise, width, 1, bias=False)
    nn.init.normal_(made.weight, std=noise**-0.5)
    return made


def _repeated(maps: Tensor, count: int) -> Tensor:
    """Return (time, ...) as (time * count, ...), each sample ``count`` times in a row."""
    again = maps[:, None].expand(-1, count, *maps.shape[1:]).flatten(0, 1)
    return again.contiguous(memory_format=torch.channels_last)


def _place(layout: Layout, name: str) -> int:
    if name not in layout.targets:
        raise ConfigError(
            f"noise_unet: expected targets under nonnegative, got {name!r}.{suggest(name, layout.targets)} "
            f"Known: {', '.join(layout.targets)}."
        )
    return layout.targets.index(name)


def _zero(layout: Layout, place: int) -> Tensor:
    """Return the number that is zero in units, shape (cell,)."""
    affine: Any = layout.target_affine
    if affine is None:
        raise ConfigError(
            f"noise_unet: expected the nonnegative target {layout.targets[place]!r} in numbers that have one zero for "
            "all days, got anomalies by day of the year. Set prepare.target: {anomaly: none, scale: per_field}, "
            "for this variable alone under prepare.target.variables."
        )
    shape = (len(layout.targets), *layout.mask.shape)
    parts = (torch.tensor(part).expand(shape) for part in (affine.scale, affine.shift))
    scale, shift = (part[place] for part in parts)
    return (0.0 - shift / scale)[torch.tensor(layout.mask)]
