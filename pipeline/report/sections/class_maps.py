"""Where and when, of classes: maps beside the truth, what is wrong on them, and where models are right."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import numbers, sentences
from pipeline.report.class_samples import Block as Part
from pipeline.report.class_samples import Choice, Sample, blocks, choose
from pipeline.report.figures import Picture, class_map, maps
from pipeline.report.places import placed
from pipeline.report.sections import Block, Figure, Heading, Section, slug
from pipeline.report.sections.reduction import bound
from pipeline.report.study import Study

_NAMES = {1: ("only",), 2: ("best", "worst"), 3: ("best", "middle", "worst")}
_TALLEST = 620


def build(study: Study) -> Section | None:
    """Return the section; None where the headline model has neither maps nor predictions."""
    found: list[Block] = []
    lead = ""
    for variable in study.variables:
        part, sentence = _variable(study, variable)
        if part and len(study.variables) > 1:
            found.append(Heading(variable))
        found += part
        lead = lead or sentence
    return Section("where", "Where and when", lead, tuple(found)) if found else None


def telling(study: Study, highest: int) -> Picture | None:
    """Return truth and prediction of the sample in the middle, for the first screen; None without predictions."""
    data = study.run.predictions(study.headline)
    if data is None:
        return None
    with data:
        grid = Grid.of(data)
        choice = None if grid.stations else choose(study, data, study.variable)
    if choice is None:
        return None
    sample = choice.middle
    title = f"The {study.step} in the middle by IoU"
    shown = class_map.panels(sample.truth, sample.predicted, len(study.classes))[:2]
    key = class_map.keys(shown, study.classes, "no truth")
    alt = _finding(study, sample)
    return class_map.class_maps(
        shown, key, grid, alt, title, highest=highest, earth=study.on_earth, source=study.predictions_of(study.variable)
    )


def _variable(study: Study, variable: str) -> tuple[list[Block], str]:
    found: list[Block] = []
    lead = ""
    data = study.run.predictions(study.headline)
    if data is not None:
        with data:
            grid = Grid.of(data)
            choice = None if grid.stations else choose(study, data, variable)
            parts = blocks(study, data, variable)
        if choice is not None:
            lead = _lead(study, choice)
            found.append(_samples(study, variable, choice, grid))
        found += [_images(study, variable, parts)] if parts else []
    diagnostics = study.run.diagnostics(study.headline)
    # Tiles lie on one another: a pixel of theirs is no place.
    if diagnostics is not None and not Grid.of(diagnostics).image and placed(Grid.of(diagnostics)):
        found += _accuracy(study, variable, diagnostics)
        lead = lead or _where(study, variable, diagnostics)
    return found, lead


def _lead(study: Study, choice: Choice) -> str:
    best, worst = choice.samples[0], choice.samples[-1]
    name = numbers.label(study.headline)
    if len(choice.samples) == 1:
        return f"The mean IoU of {name} is {numbers.number(best.iou, 2)} on the only {study.step} with truth."
    return (
        f"By single {study.step}s, the mean IoU of {name} runs from {numbers.number(worst.iou, 2)} to "
        f"{numbers.number(best.iou, 2)}, with {numbers.number(choice.middle.iou, 2)} in the middle."
    )


def _where(study: Study, variable: str, data: xr.Dataset) -> str:
    field = bound(data, f"{variable}_accuracy")
    low, high = (float(share) for share in np.nanquantile(field, [0.05, 0.95]))
    return (
        f"{numbers.label(study.headline)} names the right class {numbers.percent(low)} to {numbers.percent(high)} of "
        "the time in nine of ten places."
    )


def _samples(study: Study, variable: str, choice: Choice, grid: Grid) -> Figure:
    pictures = []
    for word, sample in zip(_NAMES[len(choice.samples)], choice.samples, strict=True):
        shown = class_map.panels(sample.truth, sample.predicted, len(study.classes))
        title = f"{word.capitalize()}: {sample.words}, mean IoU {numbers.number(sample.iou, 2)}"
        key = class_map.keys(shown, study.classes, "no truth")
        pictures.append(
            class_map.class_maps(
                shown,
                key,
                grid,
                _finding(study, sample),
                title,
                highest=_TALLEST,
                earth=study.on_earth,
                source=study.predictions_of(variable),
            )
        )
    which = {1: "The only one", 2: "Best and worst", 3: "Best, middle and worst"}[len(choice.samples)]
    caption = (
        f"{variable} on {sentences.named_set(study.split)}, {numbers.label(study.headline)}. {which} by mean IoU over "
        f"the classes that are there or are predicted, {choice.rule}."
    )
    return Figure(slug("samples", variable), tuple(pictures), caption)


def _images(study: Study, variable: str, parts: tuple[Part, ...]) -> Figure:
    pictures = []
    for part in parts:
        shown = class_map.panels(part.truth, part.predicted, len(study.classes))
        key = class_map.keys(shown, study.classes, "no tile or no truth")
        rows, columns = ((int(axis[0]), int(axis[-1])) for axis in (part.grid.lat, part.grid.lon))
        right = _right(part.truth, part.predicted)
        alt = (
            f"{numbers.label(part.image)}, rows {rows[0]} to {rows[1]}, columns {columns[0]} to {columns[1]}: "
            f"{numbers.label(study.headline)} names the right class of {numbers.percent(right)} of the pixels."
        )
        title = f"{numbers.label(part.image)}: {numbers.percent(right)} of the pixels right"
        pictures.append(
            class_map.class_maps(
                shown,
                key,
                part.grid,
                alt,
                title,
                highest=_TALLEST,
                earth=False,
                source=study.predictions_of(variable),
            )
        )
    caption = (
        f"The whole part of each image that {sentences.named_set(study.split)} holds, put together from its tiles: "
        f"truth, prediction of {numbers.label(study.headline)} and what is wrong."
    )
    return Figure(slug("images", variable), tuple(pictures), caption)


def _accuracy(study: Study, variable: str, data: xr.Dataset) -> list[Block]:
    grid, field = Grid.of(data), bound(data, f"{variable}_accuracy")
    if not np.isfinite(field).any():
        return []
    low = float(np.nanquantile(field, 0.05))
    name, mean = numbers.label(study.headline), numbers.percent(float(np.nanmean(field)))
    alt = (
        f"{name} names the right class {mean} of the time in the mean over places, "
        f"and less than {numbers.percent(low)} of it in a twentieth of them."
    )
    scale = maps.Scale.of("spread", "%", 100 * field)
    pictures = [
        maps.draw_map(
            maps.MapPanel(100 * field, "Right class", alt, source=study.diagnostics_of(f"{variable}_accuracy")),
            grid,
            scale,
            highest=330,
            earth=study.on_earth,
        )
    ]
    pictures += _rarest(study, variable, data, grid)
    caption = (
        f"How often {name} names the right class on {sentences.named_set(study.split)}, and how "
        "often the rarest class is there and is predicted. Where all is background, being right is easy."
    )
    return [Figure(slug("accuracy", variable), tuple(pictures), caption)]


def _rarest(study: Study, variable: str, data: xr.Dataset, grid: Grid) -> list[Picture]:
    """Return maps of how often the rarest class that is there, is there and is predicted."""
    names = [f"{variable}_{side}" for side in ("truth", "predicted")]
    if any(name not in data for name in names):
        return []
    truth, predicted = (100 * np.asarray(data[name].values, float) for name in names)
    shares = np.array([np.nanmean(field) if np.isfinite(field).any() else 0.0 for field in truth])
    there = [number for number in range(1, len(study.classes)) if shares[number] > 0]
    if not there:
        return []
    of = min(there, key=lambda number: float(shares[number]))
    scale = maps.Scale.of("sequential", "%", truth[of], predicted[of])
    found = []
    for field, word in ((truth[of], "true"), (predicted[of], "predicted")):
        mean = numbers.percent(float(np.nanmean(field)) / 100)
        alt = f"{study.classes[of]} is {word} {mean} of the time in the mean over places."
        title, name = f"{numbers.label(study.classes[of])}, {word}", names[word == "predicted"]
        panel = maps.MapPanel(field, title, alt, source=study.diagnostics_of(name))
        found.append(maps.draw_map(panel, grid, scale, highest=330, earth=study.on_earth))
    return found


def _right(truth: np.ndarray, predicted: np.ndarray) -> float:
    known = (truth >= 0) & (predicted >= 0)
    return float((truth == predicted)[known].mean()) if known.any() else float("nan")


def _finding(study: Study, sample: Sample) -> str:
    """Say how good a sample is, and which of its classes is found least."""
    found = []
    for number, name in enumerate(study.classes):
        there = (sample.truth == number) & (sample.predicted >= 0)
        if number and there.any():
            found.append((float((sample.predicted == number)[there].mean()), name))
    told = ""
    if found:
        share, name = min(found)
        told = f"; of {numbers.label(name)}, {numbers.percent(share)} of the cells are found"
    return f"Classes on {sample.words}: mean IoU {numbers.number(sample.iou, 2)}{told}."
