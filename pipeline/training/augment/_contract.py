"""What an augmentation is, and what it is told of the samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import Field

from pipeline.model_config import ModelConfig
from pipeline.registry import Registry
from pipeline.training.augment._batch import Batch

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.grid import Grid
    from pipeline.samples import Affine


class World(Protocol):
    """What is known of the samples: a :class:`~pipeline.samples.Schema`, or what a network was built from."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in the order of the batch; ``"V850@-1"`` for a lag."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""

    @property
    def scalars(self) -> tuple[str, ...]:
        """Those of the channels that are the same number at every cell."""

    @property
    def input_grid(self) -> Grid:
        """Where the inputs live."""

    @property
    def target_grid(self) -> Grid:
        """Where the target lives."""

    @property
    def static(self) -> np.ndarray:
        """Fields without time, which the network has for itself, shape (static, lat, lon)."""

    @property
    def channel_affine(self) -> Affine | None:
        """From the inputs' numbers to units; None where an anomaly by day of the year was taken."""

    @property
    def target_affine(self) -> Affine | None:
        """The same for the targets."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a segmentation."""


class AugmentationConfig(ModelConfig):
    """Options of every augmentation."""

    probability: float = Field(default=1.0, gt=0, le=1, description="Share of the samples that it is done to.")


class Augmentation(ABC):
    """One change of a batch.

    Parameters
    ----------
    config : AugmentationConfig, optional
        Options; those of ``Config`` with their defaults if left out.

    Attributes
    ----------
    Config : type of AugmentationConfig
        The augmentation's own options: the keys beside ``kind`` in the YAML.
    keeps : str
        What it keeps of the samples, in one sentence.
    needs : frozenset of str
        Traits that a model must have.
    mixes : bool
        Whether it gives a batch its ``second`` truth: one of a list at most does.
    whole : bool
        Whether it asks for maps of the whole grid, so that it comes before any that ``cuts``.
    cuts : bool
        Whether it leaves a part of the maps.
    """

    Config: ClassVar[type[AugmentationConfig]] = AugmentationConfig
    keeps: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    mixes: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    cuts: ClassVar[bool] = False

    def __init__(self, config: AugmentationConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def prepare(self, world: World) -> Self:
        """Return one that knows where the channels stand; most have nothing to know.

        Raises
        ------
        ConfigError
            If it would not keep what it should on such samples, or a name is none of theirs.
        """
        return self

    @abstractmethod
    def __call__(self, batch: Batch) -> Batch:
        """Return another batch of as many samples; ``batch`` itself stays as it is.

        Random numbers come from torch's own generators, which the training loop starts anew in every epoch.
        Small draws are made on the host, so that they cost no wait for a GPU.
        """

    def chosen(self, batch: Batch) -> Tensor:
        """Draw which samples it is done to, bool on the host, shape (time,)."""
        import torch

        drawn: Tensor = torch.rand(len(batch)) < self.config.probability
        return drawn

    def describe(self) -> str:
        """Return the options in a few words, for the report."""
        return ", ".join(f"{name} {value}" for name, value in self.config.model_dump().items() if value is not None)


AUGMENTATIONS: Registry[type[Augmentation]] = Registry("augmentation", "pipeline.training.augment")
"""Augmentations by the names of YAML files."""
