"""What drives the predictions? Shares, maps and curves of each explanation, with the checks beside them."""

from __future__ import annotations

import re

import numpy as np

from pipeline.attribution.joined import ranked
from pipeline.report import driver_words, numbers
from pipeline.report.explained import Explanation, explanations
from pipeline.report.figures import Picture, shares
from pipeline.report.sections import (
    Block,
    Figure,
    Folded,
    Heading,
    Section,
    Words,
    driver_aggregates,
    driver_checks,
    driver_maps,
    driver_parts,
    slug,
)
from pipeline.report.study import Study

_MOST_PANEL_BARS = 12
_MAPS = (driver_maps.MOST_MAPS, 6, 4, 4, 4, 4)
"""Most maps of the first explanation, of the second and so on, so that the page stays small; none of those after."""
_WHOLE = 2
"""Explanations of which groups and single days are drawn; of the others the table has the numbers."""


_TITLE = "What drives the predictions?"


def build(study: Study) -> Section | None:
    """Return the section; None where no model was explained."""
    order = sorted(study.run.explained, key=lambda model: not study.headline.startswith(model))
    found = {model: explanations(study, model) for model in order}
    found = {model: several for model, several in found.items() if several}
    aggregates = [block for model in order for block in driver_aggregates.blocks(study, model)]
    if not found:
        words = next((block for block in aggregates if isinstance(block, Words)), None)
        return None if words is None else Section("drivers", _TITLE, words.items[0], tuple(aggregates))
    main, *others = found.values()
    blocks: list[Block] = []
    for place, one in enumerate(main):
        blocks += _explanation(study, one, place)
    blocks += aggregates
    if others:
        blocks += [Heading("Other models"), *_others(study, [one for several in others for one in several])]
    return Section("drivers", _TITLE, driver_words.lead(main, study.step), tuple(blocks))


def _explanation(study: Study, one: Explanation, place: int) -> list[Block]:
    """Return the blocks of one explanation: light, checks, shares, maps; groups, days and curves folded.

    Maps of groups of days are those of the first alone.
    """
    most, whole = (_MAPS[place] if place < len(_MAPS) else 0), place < _WHOLE
    blocks: list[Block] = [
        Heading(f"{numbers.label(one.model)}: {driver_words.inside(one.title)} of the {one.label}"),
        *driver_checks.blocks(one, first=place == 0),
    ]
    if one.silent:
        return [*blocks, Words((f"The {one.measure} is zero for all channels: there is nothing to draw.",))]
    shown = (
        driver_parts.importance(study, one), driver_parts.effects(study, one),
        driver_maps.by_lag(study, one), driver_maps.maps_of(study, one, most) if most else _elsewhere(one),
    )  # fmt: skip
    blocks += [block for block in shown if block is not None]
    further = (
        *(driver_parts.by_groups(study, one) if whole else ()),
        *(driver_maps.group_maps(study, one) if place == 0 else ()),
        driver_parts.share_table(one),
        driver_parts.channel_table(one),
        driver_parts.each_day(study, one) if whole else None,
        driver_checks.curves(one),
    )
    folded = tuple(block for block in further if block is not None)
    return [*blocks, Folded(_summary(study, one, whole=whole), folded)] if folded else blocks


def _elsewhere(one: Explanation) -> Words | None:
    """Return where the maps are that are not drawn."""
    if driver_maps.fields(one) is None:
        return None
    return Words((f"Its maps are not drawn, as the page would grow too large: attributions/{one.model}.nc has them.",))


def _summary(study: Study, one: Explanation, *, whole: bool) -> str:
    """Return what is folded away, in words."""
    said = []
    if one.shares is not None and not one.blind:
        said.append(f"groups of {study.step}s" if len(one.shares.groups) > 1 else "all shares")
    if one.shares is None:
        said.append("all numbers")
    if whole and one.kind == "departure" and one.daily is not None:
        said.append(f"single {study.step}s")
    if any(check.curves for check in one.checks):
        said.append("curves of the checks")
    return f"More: {numbers.listing(said or ['maps'])}"


def _others(study: Study, several: list[Explanation]) -> list[Block]:
    """Return one figure of shares or importance an explanation, a panel a model, and the lights of all in one table."""
    blocks: list[Block] = []
    for name in dict.fromkeys(one.name for one in several):
        blocks += _panels(study, [one for one in several if one.name == name])
    return [*blocks, driver_checks.lights(several)]


def _panels(study: Study, same: list[Explanation]) -> list[Block]:
    first = same[0]
    if all(one.blind for one in same):
        return []
    deaf = [numbers.label(one.model) for one in same if one.silent]
    used = [one for one in same if not one.silent]
    nothing = f"{numbers.listing(deaf)}: zero for all channels." if deaf else ""
    what = f"share of the {driver_words.absolute(first)}" if first.shares is not None else first.measure
    start = f"{first.title} of the {first.label}"
    if not used:
        return [Words((f"{start}, {what}: {nothing}",))]
    bars = {one.model: {bar.name: bar for bar in driver_parts.all_bars(one)} for one in used}
    names = list(dict.fromkeys(name for own in bars.values() for name in own))
    # The same channels in the same order, so that models can be told apart at a glance.
    weight = np.array([sum(own[name].value for own in bars.values() if name in own) for name in names])
    order = [names[k] for k in ranked(weight)[:_MOST_PANEL_BARS]]
    drawn = {one.model: [bars[one.model][name] for name in order if name in bars[one.model]] for one in used}
    limits = shares.bounds([bar for own in drawn.values() for bar in own])
    pictures = tuple(_panel(study, one, drawn[one.model], limits) for one in used)
    every = [bar for own in drawn.values() for bar in own]
    parts = (
        f"{start}: {what}{', one scale' if len(used) > 1 else ''}.{driver_parts.ends(first, every, study.step)}",
        f"The {len(order)} largest of {len(names)}." if len(order) < len(names) else "",
        nothing[:1].upper() + nothing[1:], _warned(used), _shared_note(used),
    )  # fmt: skip
    caption = " ".join(part for part in parts if part)
    return [Figure(slug("importance", "others", first.name), pictures, caption)]


def _panel(study: Study, one: Explanation, own: list[shares.Bar], limits: tuple[float, float]) -> Picture:
    red = " (red: not to be relied on)" if one.light == "red" else ""
    top = max(own, key=lambda bar: bar.value)
    alt = f"{numbers.label(top.name)} has the largest value for {numbers.label(one.model)}."
    axis = "share [%]" if one.shares is not None else f"[{numbers.units(one.measure_units) or '1'}]"
    return shares.bar_rows(
        own, axis, alt, numbers.label(one.model) + red, width=255, colour=driver_parts.colour(study, one), limits=limits
    )


def _warned(several: list[Explanation]) -> str:
    red = [numbers.label(one.model) for one in several if one.light == "red"]
    return f"Red, not to be relied on: {numbers.listing(red)}." if red else ""


def _shared_note(several: list[Explanation]) -> str:
    """Return the sentences that all notes share: the others tell of one model alone."""
    first, *others = (re.split(r"(?<=\.) ", one.note) for one in several)
    return " ".join(sentence for sentence in first if all(sentence in other for other in others))
