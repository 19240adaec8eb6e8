"""A made world of maps whose every cell adds a known part to the answer.

The world of Mamalakis et al. (2022, doi:10.1017/eds.2022.7, arXiv:2103.10005). Each cell has a piecewise linear
function of its own value; the answer is the mean over cells. What each cell adds is therefore known without a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.known.correlation import Correlation
from pipeline.seeding import generator

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BREAKS = 5  # of each cell's function, one of them at zero


@dataclass(frozen=True, eq=False)
class PiecewiseWorld:
    """Maps ``x`` and the answer ``y = mean_i C_i(x_i)``, with ``C_i`` continuous, piecewise linear and zero at zero.

    Parameters
    ----------
    factor : Tensor of float32, shape (cell, cell)
        Lower Cholesky factor of the correlation of the inputs.
    breaks : Tensor of float32, shape (break, cell)
        Where the slope changes, rising, with a zero among them [standard deviations of the input].
    slopes : Tensor of float32, shape (break + 1, cell)
        Of the pieces, from the lowest on.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1, 1)
    >>> world = PiecewiseWorld(one, torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [1.0], [-1.0]]))
    >>> world.parts(torch.tensor([[-1.0], [0.5], [3.0]])).tolist()
    [[-2.0], [0.5], [-1.0]]
    """

    factor: Tensor
    breaks: Tensor
    slopes: Tensor

    @property
    def cells(self) -> int:
        """How many cells a map has."""
        return len(self.factor)

    def inputs(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw maps of normal numbers with the world's correlation.

        Parameters
        ----------
        count : int
            How many.
        generator : torch.Generator
            Draws them, on the world's device.

        Returns
        -------
        Tensor of float32, shape (count, cell)
        """
        import torch

        drawn = torch.randn(count, self.cells, generator=generator, device=self.factor.device)
        return drawn @ self.factor.T

    def parts(self, inputs: Tensor) -> Tensor:
        """Return what each cell's function says, ``C_i(x_i)``, in the precision of the inputs, shape (row, cell).

        A piece adds its slope times how far the way from zero to the value leads through it.
        """
        import torch

        zero = torch.zeros_like(inputs[:1])
        total = torch.zeros_like(inputs)
        for piece, slope in enumerate(self.slopes):
            low = self.breaks[piece - 1] if piece > 0 else None
            high = self.breaks[piece] if piece < len(self.breaks) else None
            total += slope * (inputs.clamp(low, high) - zero.clamp(low, high))
        return total

    def truth(self, inputs: Tensor) -> Tensor:
        """Return what each cell adds to the answer, ``C_i(x_i) / cells``, float64, shape (row, cell)."""
        return self.parts(inputs.double()) / self.cells

    def answers(self, inputs: Tensor) -> Tensor:
        """Return ``y``, summed in float64, shape (row,)."""
        import torch

        return self.parts(inputs).sum(dim=1, dtype=torch.float64) / self.cells

    def gradient(self, inputs: Tensor) -> Tensor:
        """Return the slope of each cell's part of the answer right where the input is, float64, shape (row, cell)."""
        import torch

        total = torch.zeros_like(inputs, dtype=torch.float64)
        for piece, slope in enumerate(self.slopes.double()):
            above = inputs >= self.breaks[piece - 1] if piece > 0 else torch.ones_like(inputs, dtype=torch.bool)
            below = inputs < self.breaks[piece] if piece < len(self.breaks) else torch.ones_like(above)
            total += slope * (above & below)
        return total / self.cells

    def slopes_of_regression(self) -> Tensor:
        """Return the slopes of the linear regression of ``y`` on all cells, float64, shape (cell,).

        Those that a regression comes to with ever more draws: of normal inputs they are the mean slopes of the pieces,
        each as often as inputs lie in it (Stein 1981, doi:10.1214/aos/1176345632), whatever the correlation.
        """
        import torch

        below = torch.special.ndtr(self.breaks.double())
        ends = torch.cat([torch.zeros_like(below[:1]), below, torch.ones_like(below[:1])])
        return (self.slopes.double() * ends.diff(dim=0)).sum(0) / self.cells


def draw_world(correlation: Correlation, seed: int, device: str = "cpu", breaks: int = BREAKS) -> PiecewiseWorld:
    """Draw slopes and breaks, each a map of normal numbers with the correlation of the inputs.

    Parameters
    ----------
    correlation : Correlation
        Of inputs, slopes and breaks alike.
    seed : int
        Of the world; it is the same one on every device.
    device : str
        Torch device it lives on.
    breaks : int
        How many breaks there are, that at zero included.

    Returns
    -------
    PiecewiseWorld

    Examples
    --------
    >>> from pipeline.attribution.known.correlation import made_correlation
    >>> world = draw_world(made_correlation().every(46), seed=0)
    >>> tuple(world.breaks.shape), tuple(world.slopes.shape)
    ((5, 10), (6, 10))
    """
    import torch

    factor = np.linalg.cholesky(correlation.matrix)
    random = generator(seed, "piecewise world")
    slopes = random.normal(size=(breaks + 1, len(factor))) @ factor.T
    drawn = random.normal(size=(breaks - 1, len(factor))) @ factor.T
    rising = np.sort(np.concatenate([drawn, np.zeros((1, len(factor)))]), axis=0)

    def put(array: np.ndarray) -> Tensor:
        return torch.as_tensor(array.astype(np.float32), device=device)

    return PiecewiseWorld(put(factor), put(rising), put(slopes))
