"""The samples of a segmentation one by one: how good each is, which are shown, and images put together from tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.classes.confusion import Iou
from pipeline.report.figures.class_map import UNKNOWN
from pipeline.report.numbers import label, plural
from pipeline.report.study import Study

_LEAST = 3  # samples to choose the best, the middle and the worst from


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample: numbers of classes of shape (lat, lon), -1 where nothing is known.

    Parameters
    ----------
    words : str
        Which it is: its date, or where the tile was cut.
    iou : float
        Mean IoU over the classes that are there or are predicted.
    """

    words: str
    truth: np.ndarray
    predicted: np.ndarray
    iou: float


@dataclass(frozen=True, eq=False)
class Choice:
    """Samples from the best to the worst by their mean IoU, and among which they were chosen.

    Parameters
    ----------
    samples : tuple of Sample
        The best, the one in the middle and the worst; fewer where there are fewer.
    middle : Sample
        The one in the middle.
    rule : str
        Among which: ``"of the 41 days on which all 3 classes are there"``.
    """

    samples: tuple[Sample, ...]
    middle: Sample
    rule: str


@dataclass(frozen=True, eq=False)
class Block:
    """The part of an image that a test set covers, put together from its tiles; -1 where there is no tile.

    Parameters
    ----------
    image : str
        Name of the image.
    grid : Grid
        Its rows and columns there.
    unsure : mapping of str to ndarray
        ``aleatoric`` and ``epistemic`` entropy, as far as the model tells them; NaN where there is no tile.
    """

    image: str
    grid: Grid
    truth: np.ndarray
    predicted: np.ndarray
    unsure: Mapping[str, np.ndarray] = field(default_factory=dict)


def choose(study: Study, data: xr.Dataset, variable: str) -> Choice | None:
    """Return the samples that are shown of the verdict's test set; None where none has truth.

    They are those with the best, the middle and the worst mean IoU, among the samples whose truth holds most
    classes: one that is all background says nothing. Nothing is drawn at random.

    Parameters
    ----------
    data : Dataset
        Predictions of a model, as ``Run.predictions`` opens them.
    """
    rows = np.flatnonzero(data["split"].values.astype(str) == study.split)
    if not len(rows):
        return None
    grid, classes, parts = Grid.of(data), len(study.classes), blocks(study, data, variable)
    matrices = np.stack([_confusion(*_fields(data, variable, int(row), parts), grid.area, classes) for row in rows])
    quality = Iou().value(matrices.reshape(len(rows), -1))
    if not np.isfinite(quality).any():
        return None
    held = (matrices.sum(axis=2) > 0).sum(axis=1)
    least = next((many for many in range(classes, 0, -1) if (held >= many).sum() >= _LEAST), 1)
    among = np.flatnonzero((held >= least) & np.isfinite(quality))
    order = among[np.argsort(-quality[among], kind="stable")]
    places = sorted({0, (len(order) - 1) // 2, len(order) - 1})
    shown = {
        place: Sample(
            _words(study, data, int(rows[order[place]])),
            *_fields(data, variable, int(rows[order[place]]), parts),
            float(quality[order[place]]),
        )
        for place in places
    }
    return Choice(tuple(shown.values()), shown[(len(order) - 1) // 2], _rule(study, len(order), least))


def blocks(study: Study, data: xr.Dataset, variable: str) -> tuple[Block, ...]:
    """Return every image of the verdict's test set, as far as its tiles cover it; none where samples are no tiles."""
    if "image" not in data or "first_x" not in data:
        return ()
    rows = np.flatnonzero(data["split"].values.astype(str) == study.split)
    images = data["image"].values.astype(str)
    return tuple(_block(data, variable, rows[images[rows] == name], name) for name in dict.fromkeys(images[rows]))


def codes(values: np.ndarray) -> np.ndarray:
    """Return numbers of classes as int, -1 for NaN.

    Examples
    --------
    >>> codes(np.array([0.0, 2.0, np.nan])).tolist()
    [0, 2, -1]
    """
    return np.where(np.isfinite(values), np.nan_to_num(values), UNKNOWN).astype(np.int16)


def _confusion(truth: np.ndarray, predicted: np.ndarray, area: np.ndarray, classes: int) -> np.ndarray:
    """Return the area of every pair of true and predicted class in one sample."""
    known = (truth >= 0) & (predicted >= 0)
    pairs = truth[known].astype(int) * classes + predicted[known]
    return np.bincount(pairs, area[known], classes * classes).reshape(classes, classes)


def _fields(data: xr.Dataset, variable: str, row: int, parts: tuple[Block, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction of one sample; a tile's truth is whole, also where another tile is scored by it."""
    one = data[[f"{variable}_truth", variable]].isel(time=row)
    truth, predicted = codes(one[f"{variable}_truth"].values), codes(one[variable].values)
    whole = next((part for part in parts if part.image == str(data["image"].values[row])), None)
    if whole is not None:
        top, left = (int(data[f"first_{name}"].values[row]) for name in ("y", "x"))
        top, left = top - int(whole.grid.lat[0]), left - int(whole.grid.lon[0])
        truth = whole.truth[top : top + truth.shape[0], left : left + truth.shape[1]]
    return truth, predicted


def _words(study: Study, data: xr.Dataset, row: int) -> str:
    if "image" not in data:
        moment = str(data["time"].values[row])
        return moment[:10] if study.step != "hour" else moment[:16].replace("T", " ")
    y, x = (int(data[f"first_{name}"].values[row]) for name in ("y", "x"))
    height, width = Grid.of(data).shape
    image = label(str(data["image"].values[row]))
    return f"rows {y} to {y + height - 1}, columns {x} to {x + width - 1} of {image}"


def _rule(study: Study, count: int, least: int) -> str:
    many = plural(count, study.step)
    if least <= 1:
        return f"of the {many}" if count > 1 else f"the only {study.step}"
    held = f"all {least} classes" if least == len(study.classes) else f"{least} classes or more"
    return f"of the {many} that hold {held}"


def _block(data: xr.Dataset, variable: str, rows: np.ndarray, image: str) -> Block:
    height, width = Grid.of(data).shape
    corners = [(int(data["first_y"].values[row]), int(data["first_x"].values[row])) for row in rows]
    top, left = (min(corner[axis] for corner in corners) for axis in (0, 1))
    bottom, right = (max(corner[axis] for corner in corners) + size for axis, size in ((0, height), (1, width)))
    truth, predicted = (np.full((bottom - top, right - left), UNKNOWN, np.int16) for _ in range(2))
    parts = [part for part in ("aleatoric", "epistemic") if f"{variable}_{part}" in data]
    unsure = {part: np.full(truth.shape, np.nan) for part in parts}
    for row, (y, x) in zip(rows, corners, strict=True):
        place = np.s_[y - top : y - top + height, x - left : x - left + width]
        true, said = _fields(data, variable, int(row))
        # Truth that two tiles share is scored in one of them: there its prediction is shown.
        take = (true >= 0) | (predicted[place] < 0)
        truth[place] = np.where(true >= 0, true, truth[place])
        predicted[place] = np.where(take, said, predicted[place])
        for part, whole in unsure.items():
            whole[place] = np.where(take, data[f"{variable}_{part}"].values[row], whole[place])
    grid = Grid(np.arange(top, bottom, dtype=float), np.arange(left, right, dtype=float), ("y", "x"), image=True)
    return Block(image, grid, truth, predicted, unsure)
