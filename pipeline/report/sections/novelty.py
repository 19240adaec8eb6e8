"""How unusual the test set is: sentences, and every sample along time. A part of the limits."""

from __future__ import annotations

import numpy as np

from pipeline.report import numbers, unusual, unusual_words
from pipeline.report.figures import novelty
from pipeline.report.sections import Block, Figure, Words
from pipeline.report.study import Study
from pipeline.report.unusual import Unusual

_FEW_STATIONS = 5


def blocks(study: Study) -> list[Block]:
    """Return the sentences and the figure; nothing where the run says nothing of it."""
    said = unusual_words.sentences(study)
    if not said:
        return []
    found = Unusual.of(study)
    words = Words(said, listed=len(said) > 1)
    return [words] if found is None or not found.known else [words, _figure(study, found)]


def _figure(study: Study, found: Unusual) -> Figure:
    order = np.argsort(found.time, kind="stable")
    data = novelty.Track(
        time=_drawn(found.time)[order],
        height=_height(found.novelty)[order],
        error=None if found.error is None else found.error[order],
        season=None if found.season is None else found.season[order],
    )
    what = f"{'wrong share' if study.classes else 'RMSE'} of {numbers.label(study.headline)}"
    unit, title = "" if study.classes else study.unit, f"Every {study.step} of {study.split}"
    picture = novelty.track(data, what, unit, _finding(study, found), title)
    return Figure("novelty", (picture,), _caption(study, found))


def _height(values: np.ndarray) -> np.ndarray:
    """Return the novelty of every time; of many stations what a tenth of them exceed, of few that of the farthest."""
    known = np.isfinite(values)
    level = 0.9 if known.any(axis=0).sum() > _FEW_STATIONS else 1.0
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    place = np.maximum(np.ceil(level * known.sum(axis=1)).astype(int) - 1, 0)
    found = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return np.asarray(np.where(known.any(axis=1), found, np.nan))


def _drawn(time: np.ndarray) -> np.ndarray:
    """Return times that matplotlib draws: those of other calendars by their date, 30 February as 2 March."""
    if time.dtype.kind != "O":
        return time
    months = np.array([f"{stamp.year:04d}-{stamp.month:02d}" for stamp in time], "datetime64[M]")
    return np.asarray(months.astype("datetime64[D]") + np.array([stamp.day - 1 for stamp in time]))


def _finding(study: Study, found: Unusual) -> str:
    highest = np.nanmax(np.where(np.isfinite(found.novelty), found.novelty, -1.0), axis=1)
    top = int(np.argmax(highest))
    when = f"number {found.time[top]}" if found.time.dtype.kind in "iu" else str(found.time[top])[:10]
    verb = "is" if found.count == 1 else "are"
    return (
        f"{found.count:,} of {found.known:,} {unusual.noun(study, found)}s {verb} unusual; the farthest, {when}, is "
        f"{numbers.number(float(highest[top]), 2)} times as far as 99\u00a0% of train."
    )


def _caption(study: Study, found: Unusual) -> str:
    left = {"years": "their own year was", "blocks": "their own block was", "basins": "their own basin was"}
    each, shown = unusual.station(study), f"Novelty of every {study.step}"
    if found.table:
        many = int(np.isfinite(found.novelty).any(axis=0).sum()) > _FEW_STATIONS
        shown = f"Novelty that a tenth of the {each}s exceed" if many else f"Novelty of the farthest {each}"
        shown += f", every {study.step}"
    yearly = " less their mean annual cycle" if found.seasonal else ""
    text = (
        f"{shown} of {study.split}. Novelty is the distance of inputs{yearly} from the mean of train, over what "
        f"99\u00a0% of {unusual.against(study, found)} stay below; above 1 is unusual. It is the larger of the "
        f"Mahalanobis distance in {numbers.plural(found.components, 'principal component')} "
        f"({numbers.percent(found.explained)} of the variance) and of the residual outside of them; train samples are "
        f"measured with what was fitted while {left[found.left_out]} left out."
    )
    if found.season is not None:
        text += " The line is the same of means over 91 days."
    return text if found.error is None else f"{text} Colour and size: the error on that {study.step}."
