"""What a loss is, and what it is told of the cells beside output and truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipeline.model_config import ModelConfig
from pipeline.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


Likelihood = Literal["nll", "square", ""]


@dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """Where the cells of an output lie, and what a number of the target is in units.

    Parameters
    ----------
    area : Tensor, shape (cell,)
        Area weights.
    index : Tensor of int64, shape (cell,)
        Of each cell in the flattened target grid.
    shape : tuple of int
        Rows and columns of the target grid.
    scale, shift : Tensor, shape (target, cell), or None
        Units are ``number * scale + shift``; None where the day of the year has a part in it.
    """

    area: Tensor
    index: Tensor
    shape: tuple[int, int]
    scale: Tensor | None = None
    shift: Tensor | None = None

    def cells(self, known: Tensor) -> Cells:
        """Return the cells of a batch whose truth is there where ``known``, (time, target, cell), is True."""
        return Cells(
            known=known, area=self.area, index=self.index, shape=self.shape, scale=self.scale, shift=self.shift
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells(Place):
    """The cells of one batch.

    Parameters
    ----------
    known : Tensor of bool, shape (time, target, cell)
        Where there is truth. The loop leaves the others out of its sum; a loss that looks at several
        cells at once must leave them out itself.
    """

    known: Tensor


class Loss(ABC):
    """What is made small, and what the network's output means.

    Parameters
    ----------
    config : ModelConfig, optional
        Options; those of ``Config`` with their defaults if left out.

    Attributes
    ----------
    Config : type of ModelConfig
        The loss's own options: the keys beside ``kind`` in the YAML.
    parameters : tuple of str
        What the network answers at every cell, in order.
    family : str
        Name in ``pipeline.prediction.FAMILIES`` of the distribution they make.
    locations : tuple of str
        Those of the parameters that are values of the target, to which a network may add one: the mean, every member.
    of_classes : bool
        Whether the target is a class: such a loss also takes ``classes``, their names or how many there are.
    likelihood : {"nll", "square", ""}
        Whether it is a negative log likelihood, so that weights have a posterior; ``square``: up to the variance of
        the errors, as a squared error is; empty: none.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    parameters: tuple[str, ...]
    family: str
    locations: tuple[str, ...] = ("mean",)
    of_classes: bool = False
    likelihood: Likelihood = ""

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def fit(self, target: Tensor, cells: Cells) -> None:  # noqa: B027 - most losses learn nothing
        """Learn from the train split what the loss itself needs; called once before training.

        Parameters
        ----------
        target : Tensor, shape (time, target, cell)
            The truth of the whole train split, in the numbers of the samples; NaN where it is missing. It may be
            larger than memory (:class:`~pipeline.training.streamed.Streamed`): take it, and ``cells.known``, some
            samples at a time, ``target[start:stop]``. ``len``, ``shape``, ``dtype`` and ``device`` are there as well.
        cells : Cells
            ``cells.known`` says where it is there.

        Raises
        ------
        DataError
            If the loss does not suit such a target.
        """

    @abstractmethod
    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss, finite, broadcastable to (time, target, cell).

        Shape (time, target, cell) for a loss of single cells, (time, target, 1) for one of whole
        fields: it then counts with the weight of all known cells of its field.

        Parameters
        ----------
        output : Tensor, shape (time, parameter, target, cell)
            What the network answered; float32.
        target : Tensor, shape (time, target, cell)
            The truth, finite: filled with zeros where ``cells.known`` is False. Of classes their numbers.
        cells : Cells
            Which truth is there, where the cells lie, and their units.
        """

    @abstractmethod
    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return the family's parameters, (time, target, cell), those with members or classes in front of that."""

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean of the distribution, shape (time, target, cell)."""
        return self.distribution(output)["mean"]

    def explained(self, output: Tensor) -> Tensor:
        """Return what explanations ask about, shape (time, answer, cell): the mean, or the probabilities of classes."""
        return self.mean(output)


LOSSES: Registry[type[Loss]] = Registry("loss", "pipeline.training.losses")
"""Losses by the names of YAML files."""
