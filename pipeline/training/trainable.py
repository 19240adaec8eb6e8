"""A fitted network as uncertainty methods see it: its weights, its loss, its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pipeline.model import Model
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.training.augment import Augmenter
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors
from pipeline.training.losses import Loss, LossSpec


@dataclass(frozen=True, eq=False)
class Trainable:
    """What a method may do with a fitted model that is a network.

    Parameters
    ----------
    network : Module
        The fitted network in eval mode on the torch device, mapping inputs to (time, parameter, target, cell). A
        method works on a copy (``copy.deepcopy``) and leaves this one as it is.
    channels : tuple of str
        Names of its inputs, in order; ``answer`` finds them in samples by name.
    loss : Loss
        What it was trained on. What a loss learns from the train split, such as weights of classes, is not kept:
        :meth:`~pipeline.training.losses.Loss.fit` it anew before its values are asked for.
    config : TrainingConfig
        How it was trained: learning rate, batch size, epochs.
    augment : Augmenter or None
        What was done to every batch of the train split.
    tensors : callable
        From samples to their :class:`~pipeline.training.loop.Tensors` on the device; they need a target.
    answer : callable
        From a network of the same shape and samples to its prediction, in the space of the samples. The network is
        used as it is, in train or eval mode.
    fresh : callable
        From a seed to a network as it is before training, on the device.
    with_loss : callable
        From a loss to a model of the same kind and options that has yet to be fitted on it.
    """

    network: nn.Module
    channels: tuple[str, ...]
    loss: Loss
    config: TrainingConfig
    augment: Augmenter | None
    tensors: Callable[[Samples], Tensors]
    answer: Callable[[nn.Module, Samples], Prediction]
    fresh: Callable[[int], nn.Module]
    with_loss: Callable[[LossSpec], Model]
