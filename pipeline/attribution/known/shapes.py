"""Frames and circles: images whose class is known pixel by pixel, for convolutional networks.

The world of Mamalakis et al. (2022, doi:10.1175/AIES-D-22-0012.1, arXiv:2202.03407). An image holds up to two square
frames and up to two circular ones, never as many of both. Pixels of squares count +1, those of circles -1; the class is
the sign of the sum. The network sees where there is a frame and not of which kind: it has to tell by the shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SIDE = 65  # pixels of a side of the image
LEAST, MOST = 12, 22  # outer side of a square [pixels]; of a circle, the side of the square of the same area
HOLE, FRAME = 7, 4  # smallest side of a hole, and by how much it is less than the outer side [pixels]
GAP = 2.0  # between two shapes [pixels]
_PAIRS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))  # squares and circles: two different counts of 0, 1, 2
_ROOT_PI = math.sqrt(math.pi)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the frames of some images are; two squares and then two circles each, some of them absent.

    Parameters
    ----------
    present : Tensor of bool, shape (image, 4)
        Which of them are there.
    side, hole : Tensor of int64, shape (image, 4)
        Outer and inner side [pixels]; of a circle those of the squares of the same areas, its radius times sqrt(pi).
    row, column : Tensor of float64, shape (image, 4)
        Centre; the middle of the first pixel is at 0.
    """

    present: Tensor
    side: Tensor
    hole: Tensor
    row: Tensor
    column: Tensor

    def where(self, chosen: Tensor) -> Layout:
        """Return the layout of chosen images."""
        return Layout(*(part[chosen] for part in (self.present, self.side, self.hole, self.row, self.column)))


@dataclass(frozen=True, eq=False)
class Images:
    """Images, their classes and what makes them.

    Parameters
    ----------
    inputs : Tensor of float32, shape (image, 1, 65, 65)
        1 on frames, else 0.
    squares : Tensor of int64, shape (image,)
        The class: 1 where squares cover more pixels than circles, else 0.
    truth : Tensor of float32, shape (image, 1, 65, 65)
        +1 on pixels of the kind that wins, -1 on those of the other, else 0.
    layout : Layout
        What was drawn.
    """

    inputs: Tensor
    squares: Tensor
    truth: Tensor
    layout: Layout


def draw_images(count: int, generator: torch.Generator) -> Images:
    """Draw images.

    Sizes and places of an image are drawn together until no two shapes lie within two pixels of each other; images
    whose squares and circles cover equally many pixels are drawn anew.

    Parameters
    ----------
    count : int
        How many.
    generator : torch.Generator
        Draws them, on its device.

    Returns
    -------
    Images

    Examples
    --------
    >>> import torch
    >>> made = draw_images(3, torch.Generator().manual_seed(0))
    >>> made.inputs.shape, bool((made.truth.abs() == made.inputs).all())
    (torch.Size([3, 1, 65, 65]), True)
    """
    import torch

    layout = _laid_out(count, generator)
    signed = painted(layout)
    while len(tied := torch.nonzero(signed.sum((1, 2)) == 0)[:, 0]):
        new = _laid_out(len(tied), generator)
        for name in ("present", "side", "hole", "row", "column"):
            getattr(layout, name)[tied] = getattr(new, name)
        signed[tied] = painted(new)
    wins = signed.sum((1, 2)) > 0
    truth = torch.where(wins[:, None, None], signed, -signed)[:, None]
    return Images(signed.abs()[:, None], wins.long(), truth, layout)


def painted(layout: Layout) -> Tensor:
    """Return the images of a layout: +1 on square frames, -1 on circular ones, float32, shape (image, 65, 65)."""
    import torch

    pixel = torch.arange(SIDE, dtype=torch.float32, device=layout.side.device)
    total = torch.zeros(len(layout.side), SIDE, SIDE, device=layout.side.device)
    for shape in range(4):
        chosen = torch.nonzero(layout.present[:, shape])[:, 0]
        row, column = (part[chosen, shape, None].float() for part in (layout.row, layout.column))
        side, hole = (part[chosen, shape, None, None].float() for part in (layout.side, layout.hole))
        if shape < 2:
            # A hole with an odd number of pixels fewer than its square lies half a pixel off the middle.
            off = 0.5 * ((side - hole) % 2)[:, :, 0]
            outside = _farther(pixel - row, pixel - column) > side / 2
            inside = _farther(pixel - row + off, pixel - column + off) < hole / 2
        else:
            away = ((pixel - row) ** 2)[:, :, None] + ((pixel - column) ** 2)[:, None, :]
            outside, inside = away > side**2 / math.pi, away <= hole**2 / math.pi
        frame = outside.logical_or_(inside).logical_not_()
        total.index_add_(0, chosen, frame.float(), alpha=1.0 if shape < 2 else -1.0)
    return total


def _farther(down: Tensor, right: Tensor) -> Tensor:
    """Return the larger distance along either axis, shape (image, row, column)."""
    import torch

    return torch.maximum(down.abs()[:, :, None], right.abs()[:, None, :])


def _laid_out(count: int, generator: torch.Generator) -> Layout:
    """Return a layout of images in which no shape touches another."""
    import torch

    pair = torch.tensor(_PAIRS, device=generator.device)[_integers(0, len(_PAIRS), (count,), generator)]
    present = torch.stack([pair[:, 0] > 0, pair[:, 0] > 1, pair[:, 1] > 0, pair[:, 1] > 1], dim=1)
    layout = _proposed(present, generator)
    while len(again := torch.nonzero(_touching(layout))[:, 0]):
        new = _proposed(present[again], generator)
        for name in ("side", "hole", "row", "column"):
            getattr(layout, name)[again] = getattr(new, name)
    return layout


def _proposed(present: Tensor, generator: torch.Generator) -> Layout:
    """Return sizes and places, each shape wholly inside the image."""
    import torch

    shape = tuple(present.shape)
    side = _integers(LEAST, MOST + 1, shape, generator)
    hole = HOLE + (_uniform(shape, generator) * (side - FRAME - HOLE + 1)).long()
    radius = torch.where(torch.arange(4, device=side.device) < 2, side / 2, side / _ROOT_PI)
    # From the first whole centre at which the shape fits; a square of an even side lies between two pixels.
    first = torch.ceil(radius.double())
    first[:, :2] -= 0.5 * (side[:, :2] % 2 == 0)
    room = (SIDE - 1 - 2 * first).long() + 1
    row = first + (_uniform(shape, generator) * room).floor()
    column = first + (_uniform(shape, generator) * room).floor()
    return Layout(present, side, hole, row, column)


def _touching(layout: Layout) -> Tensor:
    """Return which images have two shapes nearer to each other than the gap, bool, shape (image,)."""
    import torch

    touching = torch.zeros(len(layout.side), dtype=torch.bool, device=layout.side.device)
    half = layout.side / 2
    radius = layout.side / _ROOT_PI
    for one in range(4):
        for other in range(one + 1, 4):
            down = (layout.row[:, one] - layout.row[:, other]).abs()
            right = (layout.column[:, one] - layout.column[:, other]).abs()
            if other < 2:  # two squares
                away = torch.maximum(down, right) - half[:, one] - half[:, other]
            elif one < 2:  # a square and a circle
                away = torch.hypot((down - half[:, one]).clamp(min=0), (right - half[:, one]).clamp(min=0))
                away = away - radius[:, other]
            else:
                away = torch.hypot(down, right) - radius[:, one] - radius[:, other]
            touching |= layout.present[:, one] & layout.present[:, other] & (away < GAP)
    return touching


def _integers(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    import torch

    return torch.randint(low, high, shape, generator=generator, device=generator.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    import torch

    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
