"""Whether members are trained faster as one: a few steps of either way, timed on this device."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pipeline.backend.out_of_memory import is_out_of_memory
from pipeline.model import Timing
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import Loss
from pipeline.training.randomness import seeded
from pipeline.training.run import Run
from pipeline.training.stack import Stack, laid
from pipeline.training.stacked import why_not_stacked
from pipeline.training.tensors import Tensors

BIG = 0.25
"""Seconds of one member's step from which on the device has enough to do with it: nothing is tried."""
ROUNDS, LASTING = 3, 0.1  # the best of so many rounds of either way, each of steps of so many seconds


def time_stacked(networks: Sequence[nn.Module], samples: Tensors, loss: Loss, config: TrainingConfig) -> Timing | str:
    """Return what a step costs in either way, or why members like these cannot be trained as one.

    Parameters
    ----------
    networks : sequence of Module
        As many as would be trained as one; they stay as they are.
    samples : Tensors
        The train split; its first batch is learned from.
    loss : Loss
        Fitted.
    config : TrainingConfig
        Options.
    """
    if (reason := why_not_stacked(networks[0], config)) is not None:
        return reason
    with seeded(0, str(samples.device)):
        single = _single(copy.deepcopy(networks[0]), samples, loss, config)
        once = min(_seconds(single, 1) for _ in range(2))  # the first one warms up
        if once > BIG:
            return Timing(len(networks), once, None)
        try:
            together = _together(networks, samples, loss, config)
            _seconds(together, 1)
        except Exception as error:
            return _why(error)
        steps = min(20, max(1, round(LASTING / once)))
        rounds = [(_seconds(single, steps), _seconds(together, steps)) for _ in range(ROUNDS)]
    alone, stacked = (min(seconds) for seconds in zip(*rounds, strict=True))
    return Timing(len(networks), alone, stacked)


def _single(network: nn.Module, samples: Tensors, loss: Loss, config: TrainingConfig) -> Callable[[], Tensor]:
    run, index = Run(network.train(), loss, config, samples, None, "timing"), _first(samples, config)

    def step() -> Tensor:
        run.learn(samples.take(index))
        return next(network.parameters())

    return step


def _together(
    networks: Sequence[nn.Module], samples: Tensors, loss: Loss, config: TrainingConfig
) -> Callable[[], Tensor]:
    stack, index = Stack(networks, loss, config), _first(samples, config).expand(len(networks), -1)

    def step() -> Tensor:
        stack.learn(laid(samples, index), config.lr)
        return next(iter(stack.weights(0).values()))

    return step


def _first(samples: Tensors, config: TrainingConfig) -> Tensor:
    return torch.arange(min(len(samples), config.batch_size), device=samples.device)


def _seconds(step: Callable[[], Tensor], count: int) -> float:
    """Return the mean seconds of ``count`` steps; reading a weight waits for the device."""
    started = time.perf_counter()
    for _ in range(count):
        last = step()
    float(last.detach().flatten()[0])
    return (time.perf_counter() - started) / count


def _why(error: Exception) -> str:
    if is_out_of_memory(error):
        return "all of them together want more memory than the device has"
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "random" in said:
        return "it draws random numbers, which would not be those of a member alone"
    return f"torch.vmap cannot lay it over several members ({said})"
