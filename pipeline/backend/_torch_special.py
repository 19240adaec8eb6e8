"""Special functions of tensors, with their gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import TraitError

_STEP = 1e-4  # of a shape: what a central difference misses, its square, and what rounding adds are both below 1e-7

_OWN: dict[str, Callable[..., Tensor]] = {
    "erf": torch.special.erf,
    "ndtr": torch.special.ndtr,
    "ndtri": torch.special.ndtri,
    "gammaln": torch.special.gammaln,
}


def apply(name: str, *arrays: Any) -> Tensor:
    """Return the function called ``name`` of tensors, elementwise.

    Raises
    ------
    TraitError
        If a gradient is asked for and there is none.
    """
    like = next(array for array in arrays if isinstance(array, Tensor))
    tensors = [array if isinstance(array, Tensor) else torch.as_tensor(array).to(like) for array in arrays]
    if name in _OWN:
        plain: Tensor = _OWN[name](*tensors)
        return plain
    if name == "gammainc":
        chance: Tensor = _GammaInc.apply(*torch.broadcast_tensors(*tensors))  # type: ignore[no-untyped-call]
        return chance
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise TraitError(
            f"expected a function with a gradient, got {name}, which has none here. Ask for something else, or take a "
            "method without gradients."
        )
    import scipy.special

    found = getattr(scipy.special, name)(*(tensor.detach().cpu().numpy() for tensor in tensors))
    answer: Tensor = torch.as_tensor(np.asarray(found)).to(like)
    return answer


class _GammaInc(torch.autograd.Function):
    """P(a, x); torch knows its derivative by x alone, that by a is a central difference in double precision."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(a, x)
        found: Tensor = torch.special.gammainc(a, x)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        a, x = (saved.double() for saved in ctx.saved_tensors)
        step = _STEP * a.clamp(max=1.0)
        by_a = (torch.special.gammainc(a + step, x) - torch.special.gammainc(a - step, x)) / (2 * step)
        by_x = torch.where(x > 0, ((a - 1) * x.clamp(min=1e-300).log() - x - torch.lgamma(a)).exp(), 0.0)
        return (gradient * by_a).to(gradient.dtype), (gradient * by_x).to(gradient.dtype)
