"""Members of an ensemble of networks trained as one, from samples to fitted models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from torch import nn

from models._answer import Answer
from pipeline.errors import ConfigError, TrainingError
from pipeline.model import Context, Model, ModelConfig, Timing, samples_bytes
from pipeline.samples import Samples
from pipeline.training.course import Trained
from pipeline.training.loop import Tensors, fit_loss
from pipeline.training.losses import Loss
from pipeline.training.memory import saved_bytes
from pipeline.training.stacked import train_together
from pipeline.training.timing import time_stacked

MAPS = 1.3  # of what is kept for the gradient: the gradients of some of it beside it
COPIES = 5  # of the weights: themselves, their gradients, two moments, and the best ones so far


class Together(Model):
    """What a model whose fit is the training of one network has of the trait ``stackable``."""

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._network: nn.Module
        self._trained: Trained

    @abstractmethod
    def _begin(self, train: Samples, context: Context, learned: Tensors | None = None) -> tuple[Loss, Tensors]:
        """Build the network, and return the loss and the samples, unless they are given, that it learns from."""

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what samples, weights, gradients, moments and the maps of a batch take: one pass is looked at."""
        _, learned = self._begin(few, context)
        weights = sum(tensor.nbytes for tensor in self._network.parameters())
        inputs = learned.take(slice(0, len(few))).inputs
        maps = MAPS * saved_bytes(self._network, inputs, "cpu") * min(train, self.config.batch_size) // len(few)
        batch = int(min(train, self.config.batch_size)) * int(few.inputs[0].nbytes)  # whose windows are laid out
        steps = COPIES * int(weights) + int(maps)
        return samples_bytes(few, train + other) + batch + steps

    def answering(self, samples: Samples) -> Answer:
        """Return the fitted network and the head of its loss as one module, in eval mode."""
        return Answer.of(self, samples).eval()

    @abstractmethod
    def _tensors(self, samples: Samples, context: Context) -> Tensors:
        """Return samples with truth on the torch device."""

    @classmethod
    def fit_together(
        cls, models: Sequence[Self], train: Samples, validation: Samples, contexts: Sequence[Context]
    ) -> list[TrainingError | None]:
        """Train members as one stacked model; see :mod:`pipeline.training.stacked`.

        Raises
        ------
        ConfigError
            If they cannot be.
        """
        if (reason := _why_not(models[0])) is not None:
            raise ConfigError(
                f"{title(contexts[0])}: expected members that can be trained as one, got one where {reason}."
            )
        networks, loss, learned = cls._begin_all(models, train, contexts)
        first, context = models[0], contexts[0]
        trained = train_together(
            networks,
            learned,
            first._tensors(validation, context),
            loss,
            first.config,
            seeds=[context.seed_for("training") for context in contexts],
            titles=[title(context) for context in contexts],
            folder=context.folder,
            progress=context.progress,
        )
        for model, outcome in zip(models, trained, strict=True):
            if isinstance(outcome, Trained):
                model._trained = outcome
        return [outcome if isinstance(outcome, TrainingError) else None for outcome in trained]

    @classmethod
    def time_together(cls, models: Sequence[Self], train: Samples, contexts: Sequence[Context]) -> Timing | str:
        """Time some steps of members as one and of one alone, or say why they cannot be trained as one."""
        if (reason := _why_not(models[0])) is not None:
            return reason
        networks, loss, learned = cls._begin_all(models, train, contexts)
        fit_loss(loss, learned, learned, title(contexts[0]))
        return time_stacked(networks, learned, loss, models[0].config)

    @classmethod
    def _begin_all(
        cls, models: Sequence[Self], train: Samples, contexts: Sequence[Context]
    ) -> tuple[list[nn.Module], Loss, Tensors]:
        loss, learned = models[0]._begin(train, contexts[0])
        for model, context in zip(models[1:], contexts[1:], strict=True):
            model._begin(train, context, learned)
        return [model._network for model in models], loss, learned


def title(context: Context) -> str:
    """Return what the training of one member is called, in progress and in errors."""
    return f"fit {context.title}"


def _why_not(model: Together) -> str | None:
    """Return what speaks against it that the network does not know of."""
    if not issubclass(_owner(type(model), "_begin"), _owner(type(model), "fit")):
        return "it is fitted in a way of its own"
    return "its augmentations draw random numbers, each member its own" if model.config.augment else None


def _owner(kind: type, name: str) -> type:
    return next(base for base in kind.__mro__ if name in vars(base))
