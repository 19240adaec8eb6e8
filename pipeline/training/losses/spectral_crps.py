"""CRPS of a field and of its Fourier coefficients: members that are right cell by cell and in their scales."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import DataError
from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._members import MembersConfig, MembersLoss, fair_crps


class SpectralCrpsConfig(MembersConfig):
    """Options of the spectral score."""

    weight: float = Field(default=0.1, ge=0, description="Weight of the coefficients' score beside the cells'.")
    low_pass: float = Field(
        default=1.0, gt=0, le=1, description="Largest wavenumber that counts, as a share of the Nyquist wavenumber."
    )


@LOSSES.register("spectral_crps")
class SpectralCrps(MembersLoss):
    """Fair CRPS of cells plus ``weight`` times the mean fair CRPS of Fourier coefficients.

    Real and imaginary part of ``rfft2`` are numbers of their own. Fields lie on the target grid, cells
    without truth are zero in members and truth alike. Coefficients are multiplied by ``sqrt(2 / n)``, with n the
    cells that have truth: of a field without correlation each part then varies as one cell does, and both
    scores are of the same size. Coefficients that stand for their conjugate as well count twice. Wavenumbers
    are in cycles a cell; those above ``low_pass`` times 1/2, on a circle, are left out.

    References
    ----------
    Ferro (2014), doi:10.1002/qj.2270, for the fair CRPS; a sum of proper scores of the field and of a
    linear map of it is proper.
    """

    Config: ClassVar[type[ModelConfig]] = SpectralCrpsConfig

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Refuse targets without two dims to transform.

        Raises
        ------
        DataError
            If the target grid has a single row or column, such as a table of stations.
        """
        if min(cells.shape) < 2:
            raise DataError(
                f"spectral_crps: expected a target grid of several rows and columns, got {cells.shape}; "
                "stations have no spectrum. Take fair_crps or energy_score."
            )

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell; the coefficients' part is the same in all cells of a field."""
        known = cells.known
        count = known.sum(-1, keepdim=True).clamp(min=1).to(output.dtype)
        members = self._coefficients(torch.where(known[:, None], output, 0.0), cells)
        truth = self._coefficients(torch.where(known, target, 0.0), cells)
        weight = self._weights(cells.shape, output)
        score: Tensor = (fair_crps(members, truth) * weight).sum((-3, -2, -1)) / (2 * weight.sum())
        same_size: Tensor = self.config.weight * (2 / count).sqrt()
        return fair_crps(output, target) + same_size * score[..., None]

    def _coefficients(self, values: Tensor, cells: Cells) -> Tensor:
        """Return (..., target, cell) as (..., target, row, column, part) of the half plane."""
        rows, columns = cells.shape
        flat = values.new_zeros(*values.shape[:-1], rows * columns).index_copy(-1, cells.index, values)
        return torch.view_as_real(torch.fft.rfft2(flat.reshape(*values.shape[:-1], rows, columns)))

    def _weights(self, shape: tuple[int, int], like: Tensor) -> Tensor:
        """Return how often each coefficient of the half plane counts, shape (row, column, 1)."""
        rows, columns = shape
        down = torch.fft.fftfreq(rows, device=like.device)[:, None]
        along = torch.fft.rfftfreq(columns, device=like.device)[None, :]
        kept = torch.hypot(down, along) <= 0.5 * self.config.low_pass * (1 + 1e-6)
        alone = (along == 0) | (along == 0.5)
        twice: Tensor = (kept * torch.where(alone, 1.0, 2.0)).to(like.dtype)
        return twice[..., None]
