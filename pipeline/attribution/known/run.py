"""The two benchmarks, from the world to the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution.known import networks, piecewise, shapes
from pipeline.attribution.known.correlation import Correlation
from pipeline.attribution.known.methods import Answer, Asked, Skipped, Variant, ask, variants
from pipeline.attribution.known.networks import Learned, Lesson
from pipeline.attribution.known.result import Result, Row
from pipeline.attribution.known.settings import OF_CELLS, OF_IMAGES, STEP, Settings
from pipeline.backend import Backend
from pipeline.progress import Progress, silent
from pipeline.seeding import derive_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_DRAWS = 50  # inputs that drawn baselines are made of
_VALIDATION, _IMAGES = 4000, 2000  # draws that the network is held against
_FIRST = 30_000  # draws that mean and spread of the answers are taken from

REGRESSION, OWN_GRADIENT = "linear regression", "gradient of the world"


@dataclass(frozen=True, eq=False)
class Finished:
    """What a benchmark leaves.

    Parameters
    ----------
    result : Result
        The scores.
    answers : tuple of Answer
        What every method said.
    truth : ndarray of float64, shape (sample, cell)
        What it should have said.
    parts : tuple of Asked
        The networks, and the samples of each.
    """

    result: Result
    answers: tuple[Answer, ...]
    truth: np.ndarray
    parts: tuple[Asked, ...]


def of_cells(correlation: Correlation, settings: Settings, backend: Backend, progress: Progress = silent) -> Finished:
    """Run the benchmark of Mamalakis et al. (2022, doi:10.1017/eds.2022.7) in a piecewise linear world.

    Parameters
    ----------
    correlation : Correlation
        Of the whole map; thinned in the small version.
    settings : Settings
        Size, samples, steps and seed.
    backend : Backend
        Whose torch device computes.
    progress : Progress
        Shows training and methods.

    Returns
    -------
    Finished

    Raises
    ------
    UnknownNameError
        If the settings name a method that there is not.
    """
    import torch

    name, seed = "attribution", settings.seed
    tried = tuple(variants(OF_CELLS, settings.methods))  # an unknown name is told before the network is trained
    small = settings.size == "small"
    correlation = correlation.every(STEP) if small else correlation
    world = piecewise.draw_world(correlation, seed, backend.torch_device)
    random = _generator(seed, "draws", backend)
    answers = world.answers(world.inputs(_FIRST, random))
    mean, deviation = answers.mean(), answers.std()

    def standard(inputs: Tensor) -> Tensor:
        return (world.answers(inputs) - mean) / deviation

    def draw(count: int) -> tuple[Tensor, Tensor]:
        inputs = world.inputs(count, random)
        return inputs[:, None, None], standard(inputs).float()

    held = world.inputs(_VALIDATION, random)
    held_answers = standard(held)
    widths = networks.NARROW if small else networks.WIDTHS
    network = networks.dense(world.cells, widths, _generator(seed, "network")).to(backend.torch_device)
    learned = networks.learn(
        network, draw, torch.nn.functional.mse_loss,
        lambda asked: networks.r_squared(asked(held[:, None, None]), held_answers), settings.lesson(name), progress,
    )  # fmt: skip
    slopes = world.slopes_of_regression() / deviation
    flat = networks.r_squared(held.double() @ slopes, held_answers)  # of standard answers, so without an intercept
    inputs = world.inputs(settings.count(name), random)
    truth = world.truth(inputs).cpu().numpy()
    part = Asked(network, inputs[:, None, None], world.inputs(_DRAWS, random)[:, None, None], truth)
    found, skipped = _ask_all(tried, (part,), seed, progress)
    found.append(_reference(REGRESSION, "departure", inputs.double() * slopes))
    found.append(_reference(OWN_GRADIENT, "sensitivity", world.gradient(inputs)))
    facts = (
        ("world", f"piecewise linear, {world.cells} cells, {len(world.breaks)} breaks a cell, seed {seed}"),
        ("correlation", f"{correlation.words}, effective rank {correlation.effective_rank:.1f}"),
        ("network", f"dense, {' '.join(map(str, widths))}, {_weights(network)} weights"),
        ("fit", f"R2 {learned.skill:.4f} on {_VALIDATION} further draws after {_work(learned, settings.lesson(name))}"),
        ("linear regression", f"R2 {flat:.4f}; squared error of the network over its own "
         f"{(1 - learned.skill) / (1 - flat):.4f}"),
        ("device", _device(backend)),
    )  # fmt: skip
    numbers = {"r2": learned.skill, "steps": learned.steps, "linear_r2": flat, "cells": world.cells}
    return _finished(name, facts, numbers, found, skipped, (part,), seed)


def of_images(settings: Settings, backend: Backend, progress: Progress = silent) -> Finished:
    """Run the benchmark of Mamalakis et al. (2022, doi:10.1175/AIES-D-22-0012.1) on images of frames and circles.

    The logit of the class that the network says is explained, of images that it gets right.

    Parameters
    ----------
    settings : Settings
        Size, samples, steps and seed.
    backend : Backend
        Whose torch device computes.
    progress : Progress
        Shows training and methods.

    Returns
    -------
    Finished

    Raises
    ------
    UnknownNameError
        If the settings name a method that there is not.
    """
    import torch

    name, seed = "attribution-shapes", settings.seed
    tried = tuple(variants(OF_IMAGES, settings.methods))
    random = _generator(seed, "draws", backend)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        drawn = shapes.draw_images(count, random)
        return drawn.inputs, drawn.squares

    held = shapes.draw_images(_IMAGES, random)
    network = networks.convolutional(_generator(seed, "network")).to(backend.torch_device)
    learned = networks.learn(
        network, draw, torch.nn.functional.cross_entropy,
        lambda asked: float((classes(asked, held.inputs) == held.squares).float().mean()),
        settings.lesson(name), progress,
    )  # fmt: skip
    drawn = shapes.draw_images(settings.count(name), random)
    said = classes(network, drawn.inputs)
    parts = []
    for number in (0, 1):
        right = (said == number) & (drawn.squares == number)
        truth = drawn.truth[right].flatten(1).double().cpu().numpy()
        parts.append(Asked(networks.of_class(network, number), drawn.inputs[right], held.inputs[:_DRAWS], truth))
    found, skipped = _ask_all(tried, parts, seed, progress)
    right_ones = sum(len(part.inputs) for part in parts)
    facts = (
        ("world", f"square and circular frames, {shapes.SIDE} x {shapes.SIDE} pixels, seed {seed}"),
        ("network", f"convolutional, {_weights(network)} weights"),
        ("fit", f"{learned.skill:.4f} of {_IMAGES} further images right after "
         f"{_work(learned, settings.lesson(name))}"),
        ("explained", f"the logit of the class it says, of {right_ones} images that it gets right, of {len(said)}"),
        ("device", _device(backend)),
    )  # fmt: skip
    numbers = {"accuracy": learned.skill, "steps": learned.steps}
    return _finished(name, facts, numbers, found, skipped, parts, seed)


def classes(network: nn.Module, images: Tensor, rows: int = 500) -> Tensor:
    """Return the class that a network says of each image, int64, shape (image,)."""
    import torch

    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in torch.split(images, rows)])


def _reference(name: str, kind: str, values: Tensor) -> Answer:
    """Return what no method says, for comparison with those that do."""
    host = values.cpu().numpy()
    return Answer(Variant(name), kind, host, np.arange(len(host)), float("nan"), float("nan"))


def _ask_all(
    tried: Sequence[Variant | Skipped], parts: Sequence[Asked], seed: int, progress: Progress
) -> tuple[list[Answer], list[Skipped]]:
    found: list[Answer] = []
    skipped = [each for each in tried if isinstance(each, Skipped)]
    with progress("ask the methods", len(tried) - len(skipped)) as bar:
        for variant in tried:
            if isinstance(variant, Variant):
                said = ask(variant, parts, derive_seed(seed, "methods"))
                if isinstance(said, Skipped):
                    skipped.append(said)
                else:
                    found.append(said)
                bar.advance(note=variant.name)
    return found, skipped


def _finished(
    name: str,
    facts: tuple[tuple[str, str], ...],
    numbers: dict[str, float],
    found: Sequence[Answer],
    skipped: Sequence[Skipped],
    parts: Sequence[Asked],
    seed: int,
) -> Finished:
    truth = np.concatenate([part.truth for part in parts])
    rows = [row for answer in found for row in Row.all_of(answer, truth, seed)]
    rows.sort(key=lambda row: -row.mean if np.isfinite(row.mean) else 2.0)
    return Finished(Result(name, facts, numbers, tuple(rows), tuple(skipped)), tuple(found), truth, tuple(parts))


def _generator(seed: int, purpose: str, backend: Backend | None = None) -> torch.Generator:
    import torch

    device = "cpu" if backend is None else backend.torch_device
    return torch.Generator(device=device).manual_seed(derive_seed(seed, purpose))


def _weights(network: Any) -> int:
    return sum(part.numel() for part in network.parameters())


def _work(learned: Learned, lesson: Lesson) -> str:
    return f"{learned.steps} steps of {lesson.batch} draws, none of which comes twice"


def _device(backend: Backend) -> str:
    import torch

    threads = f"{torch.get_num_threads()} threads" if backend.torch_device == "cpu" else ", ".join(backend.device_names)
    return f"{backend.name}, {threads}; torch {torch.__version__}"
