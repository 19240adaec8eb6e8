"""How unsure, and why: maps of noise and of what members disagree over, and both along time beside the error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pipeline.report import leads, numbers, places, sentences
from pipeline.report.class_samples import blocks as assembled
from pipeline.report.figures import Picture, maps
from pipeline.report.figures import unsure as figures
from pipeline.report.figures.time import WIDE
from pipeline.report.sections import Block, Figure, Heading, Words, slug
from pipeline.report.study import Study
from pipeline.report.unsure import PARTS, Unsure, over, words
from pipeline.units import of_variance

_APART = 0.4  # a part whose map reaches less than this share of the other's is drawn on a scale of its own
_WIDTHS = (WIDE, 690, maps.WIDTH)  # of the course, beside no map, one and two
_TITLES = {
    ("variance", True): {"aleatoric": "Expected noise (aleatoric)", "epistemic": "Members disagree (epistemic)"},
    ("entropy", True): {"aleatoric": "Members are unsure (aleatoric)", "epistemic": "Members disagree (epistemic)"},
    ("variance", False): {"aleatoric": "Expected noise (aleatoric)", "epistemic": "Spread of the members"},
    ("entropy", False): {"aleatoric": "Entropy (aleatoric)", "epistemic": "Members disagree (epistemic)"},
}


def blocks(study: Study, data: xr.Dataset, variable: str, *, mapped: bool) -> list[Block]:
    """Return what the headline model says of its uncertainty: a sentence, the maps and the course; none without any.

    Parameters
    ----------
    data : Dataset
        Its diagnostics.
    mapped : bool
        Whether maps show anything.
    """
    found = Unsure.of(study, data, variable)
    if found is None:
        return []
    drawn, scale = _maps(study, found, variable) if mapped else ([], "")
    beside = _course(study, found, variable, len(drawn))
    # With several targets their names are the headings.
    told: list[Block] = [] if len(study.variables) > 1 else [Heading("How unsure, and why")]
    told.append(Words((words(study, variable, found),)))
    if not drawn and beside is None:
        return told
    pictures = (*drawn, *([beside] if beside is not None else []))
    return [*told, Figure(slug("unsure", variable), pictures, _caption(study, found, variable, len(drawn), scale))]


def _maps(study: Study, found: Unsure, variable: str) -> tuple[list[Picture], str]:
    """Return a map of each part, of variances their roots, and what is said of their scales."""
    unit = study.units[variable] if found.measure == "variance" else "nat"
    fields = {part: _shown(found, field) for part, field in found.maps.items()}
    fields = {part: field for part, field in fields.items() if np.isfinite(field).any()}
    scales, said = _scales(unit, fields)
    where = over(study, variable, found)
    titles, pictures = _TITLES[found.measure, len(fields) == 2], []
    for part, field in fields.items():
        mean = float(_shown(found, np.asarray(found.means[part])))
        what = f"{part} {'standard deviation' if found.measure == 'variance' else 'entropy'}"
        alt = (
            f"The {what} is {numbers.with_units(numbers.number(mean), unit)} on average{where}, and at most "
            f"{numbers.with_units(numbers.number(float(np.nanmax(field))), unit)}."
        )
        panel = maps.MapPanel(field, titles[part], alt, source=study.diagnostics_of(f"{variable}_{part}"))
        pictures.append(maps.draw_map(panel, found.grid, scales[part], earth=study.on_earth))
    return pictures, said


def _shown(found: Unsure, values: np.ndarray) -> np.ndarray:
    """Return deviations, which are in the units of the target, for variances."""
    return np.sqrt(values) if found.measure == "variance" else values


def _scales(unit: str, fields: Mapping[str, np.ndarray]) -> tuple[dict[str, maps.Scale], str]:
    """Return the scale of each map, one for both unless one of them would be but dark, and what is said of it."""
    shared = maps.Scale.of("spread", unit, *fields.values())
    highest = [float(np.nanmax(field)) for field in fields.values()]
    if len(fields) < 2:
        return dict.fromkeys(fields, shared), ""
    if min(highest) < _APART * max(highest):
        own = {part: maps.Scale.of("spread", unit, field) for part, field in fields.items()}
        return own, "; each map has a scale of its own"
    return dict.fromkeys(fields, shared), "; same scale"


def _course(study: Study, found: Unsure, variable: str, beside: int) -> Picture | None:
    history = found.history
    if history is None or not np.isfinite(history.total).any():
        return None
    number = found.measure == "variance"
    unit = numbers.units(of_variance(study.units[variable])) if number else "nat"
    axis = f"{found.measure}{f' [{unit}]' if unit else ''}"
    names = ("", found.error) if number else ("share", "wrong class")
    data = figures.Course(history.time, history.parts, history.error, axis, *names)
    least, most = (history.date(int(place(history.total))) for place in (np.nanargmin, np.nanargmax))
    alt = f"The predictive {found.measure} is lowest {least} and highest {most}"
    both = np.isfinite(history.total) & np.isfinite(history.error)
    if both.sum() > 2 and np.ptp(history.total[both]) > 0 and np.ptp(history.error[both]) > 0:
        r = float(np.corrcoef(history.total[both], history.error[both])[0, 1])
        alt += f"; its correlation in time with the {found.error} is {numbers.number(r, 2)}"
    title = f"By {'month' if history.monthly else study.step}"
    return figures.course(data, study.colours[study.headline], f"{alt}.", title, width=_WIDTHS[beside])


def _caption(study: Study, found: Unsure, variable: str, drawn: int, scale: str) -> str:
    lead = "" if study.run.shown_lead is None else f", {leads.ahead(study.run.shown_lead, study.step)}"
    what = f"{numbers.label(study.headline)}, {variable} on {sentences.named_set(study.split)}{lead}"
    if drawn:
        number = found.measure == "variance"
        field = "root of the mean predictive variance" if number else "mean predictive entropy"
        highest = numbers.number(float(np.log(max(len(study.classes), 1))))
        most = "" if number else f" (at most {highest} nat, all classes as likely)"
        what = f"{what}: {field} by {places.kind(found.grid, study.quantities[variable])}{most}{scale}"
    if found.history is None:
        return f"{what}."
    where = over(study, variable, found)
    mean = "monthly means" if found.history.monthly else "means" if where else "values"
    stacked = ", one part on the other," if len(found.means) > 1 else ""
    return f"{what}{'. By' if drawn else ', by'} time: {mean}{where}{stacked} beside the {found.error}."


def images(study: Study, variable: str) -> list[Block]:
    """Return maps of the parts on every image, put together from its tiles; none where samples are no tiles."""
    data = study.run.predictions(study.headline)
    if data is None:
        return []
    with data:
        parts = assembled(study, data, variable)
    kinds = [kind for kind in PARTS if any(kind in part.unsure for part in parts)]
    if not kinds:
        return []
    scales = [maps.Scale.of("spread", "nat", *(part.unsure[kind] for part in parts)) for kind in kinds]
    pictures = []
    for part in parts:
        panels = [
            maps.MapPanel(part.unsure[kind], f"{kind} [nat]", "", source=study.predictions_of(variable))
            for kind in kinds
        ]
        means = numbers.listing(f"{numbers.number(float(np.nanmean(part.unsure[kind])))} nat {kind}" for kind in kinds)
        name = numbers.label(part.image)
        alt = f"The predictive entropy is {means} on average over {name}."
        pictures.append(figures.on_image(panels, scales, alt, name))
    scale = "each part has one scale on all of them" if len(kinds) > 1 else "they have the same scale"
    caption = (
        f"Predictive entropy of {numbers.label(study.headline)} on the images of {sentences.named_set(study.split)}, "
        f"put together from their tiles; {scale}."
    )
    return [Figure(slug("unsure-images", variable), tuple(pictures), caption)]
