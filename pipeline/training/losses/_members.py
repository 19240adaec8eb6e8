"""The head shared by losses whose network answers members."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import Loss


class MembersConfig(ModelConfig):
    """Options of every loss of members."""

    members: int = Field(default=8, ge=2, le=100, description="Members that the network answers at every cell.")


class MembersLoss(Loss):
    """Members, each as likely as the others: an ensemble made small as one.

    Any network can answer them, one number a member; one that draws noise answers as many as it
    draws, and its losses take the number of members from the output.
    """

    Config: ClassVar[type[ModelConfig]] = MembersConfig
    family = "members"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.parameters = tuple(f"member_{number:02d}" for number in range(self.config.members))
        self.locations = self.parameters

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``members``, shape (member, time, target, cell)."""
        return {"members": output.movedim(1, 0)}

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean over members."""
        return output.mean(dim=1)


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """Return the fair CRPS of ensembles, from one sort: O(M log M), not M^2.

    ``mean |x - y| - sum (2 i - M - 1) x_(i) / (M (M - 1))`` with i = 1 ... M; its second term is half the
    mean distance between two different members. Its expectation over members drawn from F is the CRPS
    of F, whatever their number; it can be negative.

    Parameters
    ----------
    members : Tensor, shape (time, member, ...)
        At least two.
    truth : Tensor, shape (time, ...)
        What came true.

    References
    ----------
    Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270.

    Examples
    --------
    >>> fair_crps(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])).tolist()
    [0.0]
    """
    size = members.shape[1]
    rank = torch.arange(1, size + 1, dtype=members.dtype, device=members.device)
    weight = ((2 * rank - size - 1) / (size * (size - 1))).reshape(-1, *[1] * (members.ndim - 2))
    # Errors are sorted, not members: weights sum to 0, so it is the same, and small numbers keep their digits.
    error = members - truth[:, None]
    return error.abs().mean(dim=1) - (weight * error.sort(dim=1).values).sum(dim=1)
