"""Monte-Carlo dropout: networks with parts left out at random, as in training, when they predict."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod

_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_MAPS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@UNCERTAINTY.register("mc_dropout")
class McDropout(WeightMethod):
    """Draws of the network with its own dropout left on (Gal and Ghahramani 2016, arXiv:1506.02142).

    Each draw is one thinned network, the same units left out for all samples, so that a member is a function of its
    inputs and its fields go together in time. It costs no training. A network trained without dropout has nothing
    to leave out and is refused. How wide it is depends on the share alone, not on the number of samples: it does not
    narrow as data grow, and may need a calibration.
    """

    Config: ClassVar[type[ModelConfig]] = DrawsConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say which options of dropout are missing; None where one is above zero."""
        found = {name: value for name, value in model.model_dump().items() if name.endswith("dropout")}
        if any(found.values()):
            return None
        named = " or ".join(sorted(found)) or "dropout, which this kind of model has none of"
        return f"expected a network trained with dropout, got none. Set {named} above 0, such as 0.1, or take swag."

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Find what each layer of dropout leaves out units of, and along which axes samples lie.

        Raises
        ------
        CalibrationError
            If no layer leaves out anything.
        """
        inputs = trainable.tensors(train).inputs
        shapes = [_shapes(trainable.network, inputs[:count]) for count in (1, 2)]
        self.arrays = {
            name: torch.tensor([int(small == large) for small, large in zip(one, shapes[1][name], strict=True)])
            for name, one in shapes[0].items()
        }
        if not self.arrays:
            raise CalibrationError(
                f"{context.name}: expected a network trained with dropout, got none. Set its dropout above 0, such as "
                "0.1, or take swag."
            )
        shares = {name: float(module.p) for name, module in _layers(trainable.network)}
        self.notes = {"dropout": shares}

    def draw(self, network: nn.Module, number: int) -> None:
        """Put masks in the place of dropout; each draws its units when it is first asked."""
        for name, module in _layers(network):
            parent, _, own = name.rpartition(".")
            fixed = self.arrays[name].tolist()
            seed = int(torch.randint(2**62, ()))
            mask = _Mask(module.p, fixed, isinstance(module, _MAPS), seed)
            setattr(network.get_submodule(parent), own, mask)


class _Mask(nn.Module):
    """Leaves out the same units of all samples.

    Parameters
    ----------
    share : float
        Of the units that are left out.
    drawn : list of int
        By axis 1 where units lie, 0 where samples do.
    maps : bool
        Whether whole maps are left out, along the second axis.
    seed : int
        Of the draw.
    """

    def __init__(self, share: float, drawn: list[int], maps: bool, seed: int) -> None:
        super().__init__()
        self._share, self._seed = share, seed
        self._drawn = [number * (axis == 1) for axis, number in enumerate(drawn)] if maps else drawn
        self._mask: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return the values of the units that stay, scaled up for those that do not."""
        if self._mask is None:
            shape = [size if drawn else 1 for size, drawn in zip(values.shape, self._drawn, strict=True)]
            # On the host, so that every device leaves out the same.
            random = torch.Generator().manual_seed(self._seed)
            keep = torch.rand(shape, generator=random) >= self._share
            self._mask = (keep / (1.0 - self._share)).to(values.device, values.dtype)
        return values * self._mask


def _layers(network: nn.Module) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, _LAYERS) and module.p > 0]


def _shapes(network: nn.Module, inputs: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of dropout gets."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        found[name] = tuple(given[0].shape)

    hooks = [module.register_forward_pre_hook(partial(note, name)) for name, module in _layers(network)]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found
