"""Hard constraints: the mean over each coarse cell is held to the coarse value of the same variable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models._blocks import Blocks
from models._layout import Layout
from pipeline.errors import ConfigError, DataError
from pipeline.model_config import ModelConfig
from pipeline.registry import suggest
from pipeline.samples import Affine, Schema
from pipeline.training.losses import Loss

FAMILIES = ("point", "normal", "members")
ROUNDING = 1e-5  # of the largest value of a channel: what float32 may leave below zero


class ConstraintConfig(ModelConfig):
    """Options of the constraint."""

    kind: Literal["additive", "multiplicative", "softmax"] = Field(
        description="multiplicative and softmax are for amounts that cannot be negative."
    )
    channel: str | dict[str, str] | None = Field(
        default=None,
        description="Input channel with the coarse values, or one for each target; default: the target's own name.",
    )


def check_family(config: ConstraintConfig, loss: Loss) -> None:
    """Refuse a loss whose predictive mean no constraint can hold.

    Raises
    ------
    ConfigError
        If its family is neither point, normal nor members.
    """
    if loss.family not in FAMILIES or (loss.family != "members" and "mean" not in loss.parameters):
        raise ConfigError(
            f"constraint {config.kind}: expected a loss of family {', '.join(FAMILIES)} with a mean to hold, got one "
            f"of {loss.family!r}. Take mse, normal_nll or fair_crps, or no constraint."
        )


def check_units(config: ConstraintConfig, schema: Schema) -> None:
    """Refuse a channel whose units are not those of its target.

    Raises
    ------
    DataError
        If they differ.
    """
    for number, place in enumerate(_channels(config, schema)):
        theirs, mine = schema.channel_units[place], schema.target_units[number]
        if theirs != mine:
            raise DataError(
                f"constraint {config.kind}: expected the channel {schema.channels[place]!r} in the units of the target "
                f"{schema.targets[number]!r}, {mine!r}, got {theirs!r}. Give both the same units in the data catalog."
            )


def _refuse_transformed(layout: Layout, channels: Sequence[int]) -> None:
    """Refuse channels whose mean is not that of the variable."""
    for place in channels:
        kind = "none" if layout.channel_affine is None else layout.channel_affine.transform(place)
        if kind != "none":
            raise DataError(
                f"constraint: expected the channel {layout.channels[place]!r} as it is, got its {kind}: block means "
                "are of the variable itself. Take it out of prepare.inputs.transform."
            )


def constrain(network: nn.Module, layout: Layout, loss: Loss, config: ConstraintConfig) -> Constraint:
    """Hold what ``network`` answers from now on; it stays the same module, with the same weights.

    Raises
    ------
    ConfigError, DataError
        As :class:`Constraint` does.
    """
    constraint = Constraint(layout, loss, config)
    # A part of the network, so that it goes along to other devices and into copies; it has no weights.
    network.add_module("constraint", constraint)
    network.register_forward_hook(_hold)
    return constraint


def _hold(network: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
    held: Tensor = network.get_submodule("constraint")(arguments[0], output)
    return held


class Constraint(nn.Module):
    """Moves a network's mean (each of its members) so that it keeps the coarse values.

    With ``v`` the network's value in units at the cells of one coarse cell, ``x`` the coarse value,
    ``w`` area weights that sum to 1 over its cells, and ``z`` the number before it is turned to units:

    - additive: ``v + (x - sum w v)``
    - multiplicative: ``p x / sum w p`` with ``p = log(1 + exp(v / scale))``, which is ``v / scale`` where
      that is large, and positive without a limit below which the network would no longer learn
    - softmax: ``e x / sum w e`` with ``e = exp(z - max z)``; the maximum over the block only keeps the
      exponential from overflowing

    So ``sum w`` of the answer is ``x`` to the rounding of float32 numbers: all is done in float64 and
    cast once. Cells of rows and columns that are left over behind the last whole block stay free.

    Parameters
    ----------
    layout : Layout
        Grids, mask, and the ways from numbers to units.
    loss : Loss
        Says which parameter is the mean.
    config : ConstraintConfig
        Kind and channel.

    Raises
    ------
    ConfigError
        If a channel is not among the inputs.
    DataError
        If the grids do not nest, cells of a block are outside of the mask, or numbers have no fixed
        way to units.

    References
    ----------
    Harder et al. (2023), Hard-constrained deep learning for climate downscaling, arXiv:2208.05424.
    Theirs are unweighted means; the weights here are those by which ``coarsen`` makes coarse fields.
    """

    cells: Tensor
    coarse: Tensor
    weights: Tensor
    channel_scale: Tensor
    channel_shift: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, layout: Layout, loss: Loss, config: ConstraintConfig) -> None:
        super().__init__()
        check_family(config, loss)
        self._kind = config.kind
        self._first = 0 if loss.family == "members" else loss.parameters.index("mean")
        self._all = loss.family == "members"
        self._channels = _channels(config, layout)
        blocks = Blocks.between(layout.input_grid, layout.target_grid, layout.mask)
        channel = _affine("inputs", layout.channel_affine, (len(layout.channels), *layout.input_grid.shape))
        _refuse_transformed(layout, self._channels)
        target = _affine("target", layout.target_affine, (len(layout.targets), *layout.mask.shape))
        for name, values in (
            ("cells", blocks.cells),
            ("coarse", blocks.coarse),
            ("weights", blocks.weights),
            ("channel_scale", _flat(channel.scale)[self._channels][:, blocks.coarse]),
            ("channel_shift", _flat(channel.shift)[self._channels][:, blocks.coarse]),
            ("scale", target.scale[:, layout.mask][:, blocks.cells]),
            ("shift", target.shift[:, layout.mask][:, blocks.cells]),
        ):
            if not np.isfinite(values).all():
                raise DataError(
                    f"constraint: expected a finite {name} in every block, got NaN: some cells have no values."
                )
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, inputs: Tensor, output: Tensor) -> Tensor:
        """Return ``output``, the answer to ``inputs``, with the mean held to their coarse values.

        Parameters
        ----------
        inputs : Tensor, shape (time, channel, lat, lon)
            In the numbers of the samples.
        output : Tensor, shape (time, parameter, target, cell)
            In the numbers of the samples.
        """
        # Half precision would cost the constraint its last digits.
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        last = output.shape[1] if self._all else self._first + 1
        mean = output[:, self._first : last]
        held = self._held(mean[..., self.cells].double(), self.values(inputs)[:, None, :, :, None])
        numbers = ((held - self.shift) / self.scale).to(output.dtype)
        mean = mean.index_copy(-1, self.cells.flatten(), numbers.flatten(-2))
        return torch.cat([output[:, : self._first], mean, output[:, last:]], dim=1)

    def values(self, inputs: Tensor) -> Tensor:
        """Return the coarse values in units, float64, shape (time, target, block)."""
        chosen = inputs[:, self._channels].flatten(2)[:, :, self.coarse].double()
        return chosen * self.channel_scale + self.channel_shift

    def check_inputs(self, inputs: Iterable[Tensor]) -> None:
        """Refuse negative coarse values, in any block of inputs, where the constraint can only hold amounts.

        Raises
        ------
        DataError
            If there are any, beyond rounding.
        """
        least, most = math.inf, 0.0
        for part in inputs:
            values = self.values(part)
            least, most = min(least, float(values.min())), max(most, float(values.abs().max()))
        if self._kind != "additive" and least < -ROUNDING * most:
            raise DataError(
                f"constraint {self._kind}: expected coarse values that are not negative, got {least:g}. "
                "Take the additive constraint, or units that start at zero (K, mm/day)."
            )

    def _held(self, numbers: Tensor, coarse: Tensor) -> Tensor:
        """Return values in units; all (time, parameter, target, block, cell of the block)."""
        if self._kind == "additive":
            values = numbers * self.scale + self.shift
            return values + (coarse - self._block_mean(values))
        if self._kind == "multiplicative":
            logarithm = _log_softplus(numbers + self.shift / self.scale) + self.scale.log()
        else:
            logarithm = numbers
        share = (logarithm - logarithm.amax(-1, keepdim=True)).exp()
        # What rounding left below zero is zero: a share of it would turn the block's signs.
        return share * (coarse.clamp(min=0.0) / self._block_mean(share))

    def _block_mean(self, values: Tensor) -> Tensor:
        return (values * self.weights).sum(-1, keepdim=True)


def _log_softplus(x: Tensor) -> Tensor:
    """Return ``log(log(1 + exp(x)))``, which tends to ``x`` far below zero, where exp would vanish.

    Examples
    --------
    >>> _log_softplus(torch.tensor([-1000.0, 0.0])).tolist()
    [-1000.0, -0.3665129244327545]
    """
    low = -30.0  # softplus(x) is exp(x) there, to the last digit of float64
    return torch.where(x < low, x, functional.softplus(x.clamp(min=low)).log())


def _channels(config: ConstraintConfig, names: Layout | Schema) -> list[int]:
    """Return where the channel of each target stands."""
    asked, targets, known = config.channel, names.targets, names.channels
    if isinstance(asked, str) and len(targets) > 1:
        raise ConfigError(
            f"constraint.channel: expected one channel for each of the targets {list(targets)}, got {asked!r}. "
            f"Write {{{', '.join(f'{name}: <channel>' for name in targets)}}}, or leave it out if names are the same."
        )
    chosen = dict.fromkeys(targets, asked) if isinstance(asked, str) else asked or {name: name for name in targets}
    if set(chosen) != set(targets):
        raise ConfigError(
            f"constraint.channel: expected a channel for each of the targets {list(targets)}, got {chosen!r}."
        )
    for target in targets:
        if chosen[target] not in known or chosen[target] in names.scalars:
            raise ConfigError(
                f"constraint.channel: expected an input channel that is a field of the same variable as the target "
                f"{target!r}, got {chosen[target]!r}.{suggest(str(chosen[target]), known)} Known: {', '.join(known)}."
            )
    return [known.index(str(chosen[target])) for target in targets]


def _affine(what: str, affine: Affine | None, shape: tuple[int, ...]) -> Affine:
    if affine is None:
        raise DataError(
            f"constraint: expected {what} with one way to units for all days, got anomalies by day of the year. "
            f"Set prepare.{what}.anomaly: none."
        )
    scale, shift = (np.broadcast_to(np.asarray(part, np.float64), shape) for part in (affine.scale, affine.shift))
    return Affine(scale, shift)


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(values.shape[0], -1)
