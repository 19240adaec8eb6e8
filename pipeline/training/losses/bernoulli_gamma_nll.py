"""Negative log likelihood of precipitation: wet or dry, and how much where wet."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from pipeline.errors import DataError
from pipeline.training.losses import LOSSES, Cells, Loss

LOGIT_LIMIT, LOG_SHAPE_LIMIT = 15.0, 5.0
"""Bounds of what the network answers: probabilities within 3e-7 of 0 and 1, shapes in 0.007 ... 148; no term
of the likelihood overflows float32 inside."""
START, LEAST_AMOUNT = 0.5, 1e-3
"""An answer of zero means a wet day of ``softplus(0.5)``, about one deviation; none has less than a thousandth."""
BLOCK = 512  # days looked at at once: memory, not result
NEGATIVE = 1e-4  # in numbers: what packing in files may leave below zero
SEVERAL = (
    "A model has one loss for all of its targets: where some are no precipitation take one of members, such as "
    "fair_crps, or an experiment for each target. Amounts need prepare.target.variables: {pr: {anomaly: none}}."
)


@LOSSES.register("bernoulli_gamma_nll")
class BernoulliGammaNll(Loss):
    """``-log(1 - p)`` on dry days, ``-log p - log f(y; shape, scale)`` on wet ones [nat]; f the gamma density.

    The network answers the logit of p, the logarithm of the shape, and the mean amount of a wet day through
    a softplus; the scale is that amount over the shape. A softplus grows as its argument does: through an
    exponential, inputs a little beyond the train days would multiply the amount. The target's numbers are
    amounts: zero is dry, none is negative (``prepare.target: {anomaly: none}``). A day is wet where its amount is
    above zero; the share of days above a threshold such as 1 mm follows from the distribution.

    References
    ----------
    Cannon (2008), Probabilistic multisite precipitation downscaling by an expanded Bernoulli-gamma density
    network, doi:10.1175/2008JHM960.1.
    """

    parameters = ("wet_logit", "log_shape", "amount")
    family = "bernoulli_gamma"
    likelihood = "nll"

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Refuse a target whose numbers are not amounts.

        Raises
        ------
        DataError
            If some are negative, or zero is not dry.
        """
        least = torch.zeros(target.shape[1], dtype=target.dtype, device=target.device)
        for start in range(0, len(target), BLOCK):
            part = slice(start, start + BLOCK)
            least = torch.minimum(least, torch.where(cells.known[part], target[part], 0.0).amin((0, 2)))
        lowest, number = float(least.min()), len(least)
        shifted = cells.shift is not None and bool((cells.shift != 0).any())
        if lowest < -NEGATIVE or shifted:
            what = "a shift from zero" if shifted else f"{lowest:g}"
            more = f" in target {int(least.argmin()) + 1} of {number}" if number > 1 else ""
            raise DataError(
                f"bernoulli_gamma_nll: expected a target whose numbers are amounts from zero on, got {what}{more}. "
                + (SEVERAL if number > 1 else "Set prepare.target: {anomaly: none, scale: per_field}.")
            )

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        logit, log_shape, log_scale = self._split(output)
        wet = target > 0
        amount = torch.where(wet, target, 1.0)
        shape = log_shape.exp()
        density = (shape - 1) * amount.log() - amount * (-log_scale).exp() - shape * log_scale - torch.lgamma(shape)
        return torch.where(wet, -logsigmoid(logit) - density, -logsigmoid(-logit))

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``wet``, ``shape`` and ``scale``."""
        logit, log_shape, log_scale = self._split(output)
        return {"wet": logit.sigmoid(), "shape": log_shape.exp(), "scale": log_scale.exp()}

    def mean(self, output: Tensor) -> Tensor:
        """Return ``wet * shape * scale``: the chance of rain times the mean amount."""
        logit, log_shape, log_scale = self._split(output)
        return logit.sigmoid() * (log_shape + log_scale).exp()

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logit = output[:, 0].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        log_shape = output[:, 1].clamp(-LOG_SHAPE_LIMIT, LOG_SHAPE_LIMIT)
        amount = softplus(output[:, 2] + START) + LEAST_AMOUNT
        return logit, log_shape, amount.log() - log_shape
