"""Where and when: maps of attribution with the spread of members, groups of days, variables by lag."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.attribution.joined import ranked
from pipeline.report import driver_words, lags, numbers
from pipeline.report.explained import Explanation
from pipeline.report.figures import Picture, lagged, maps
from pipeline.report.numbers import label
from pipeline.report.sections import Figure, slug
from pipeline.report.sections.driver_checks import flag
from pipeline.report.study import Study
from pipeline.samples import variable_of

MOST_MAPS = 9
FEWEST_LAGS = 3
"""Lags from which on they are shown as a table of variables by lag."""
_MOST_LAGS_MAPPED = 12
_MOST_ROWS = 25
_WIDTH, _HIGHEST = 255, 240


@dataclass(frozen=True, eq=False)
class Fields:
    """What is drawn on maps.

    Parameters
    ----------
    names : tuple of str
        Of channels, or of variables with all their lags.
    fields : ndarray, shape (name, lat, lon)
        Means over days and members.
    unsure : ndarray of bool or None, shape (name, lat, lon)
        Where the members differ by more than their mean; None where that is not known.
    order : list of int
        The most important first.
    summed : bool
        Whether lags are added up.
    """

    names: tuple[str, ...]
    fields: np.ndarray
    unsure: np.ndarray | None
    order: list[int]
    summed: bool = False


def fields(one: Explanation) -> Fields | None:
    """Return the maps of an explanation; None where there are none, or no place to draw them."""
    if one.maps is None or one.grid is None:
        return None
    if one.blind or one.kind == "strength":
        total = np.abs(one.maps).sum(axis=0, keepdims=True)
        return Fields(("all channels",), total, None, [0])
    if lags.lag_count(one.channels) > _MOST_LAGS_MAPPED:
        names = tuple(dict.fromkeys(variable_of(channel) for channel in one.channels))
        own = [[k for k, channel in enumerate(one.channels) if variable_of(channel) == name] for name in names]
        summed = np.stack([one.maps[places].sum(axis=0) for places in own])
        weight = np.array([np.nan_to_num(one.importance[places]).sum() for places in own])
        return Fields(names, summed, None, ranked(weight), summed=True)
    unsure = None if one.spread is None else np.abs(one.maps) < one.spread
    return Fields(one.channels, one.maps, unsure, one.order)


def maps_of(study: Study, one: Explanation, most: int = MOST_MAPS) -> Figure | None:
    """Return the maps of the most important channels on one symmetric scale; of strengths one map of all channels.

    Cells get a dot where the members differ by more than their mean.
    """
    found = fields(one)
    if found is None:
        return None
    order = found.order[:most]
    scale = _scale(one, *(found.fields[k] for k in order))
    pictures = tuple(
        _map(
            study, one, found.fields[k], label(found.names[k]), scale, None if found.unsure is None else found.unsure[k]
        )
        for k in order
    )
    return Figure(
        slug("attribution", one.model, one.name), pictures, _caption(study, one, found, len(order)), flag(one)
    )


def _scale(one: Explanation, *drawn: np.ndarray) -> maps.Scale:
    if one.kind != "strength":
        return maps.Scale.of("field", one.units, *drawn)
    scale = maps.Scale.of("sequential", one.units, *drawn)
    return replace(scale, low=0.0, clips=(False, scale.clips[1]))


def _map(
    study: Study, one: Explanation, field: np.ndarray, title: str, scale: maps.Scale, unsure: np.ndarray | None
) -> Picture:
    assert one.grid is not None
    share = numbers.percent(driver_words.concentration(field))
    alt = f"{title}: a tenth of the cells carries {share} of the {driver_words.WHAT.get(one.kind, 'attribution')}."
    panel = maps.MapPanel(field, title, alt, unsure, source=f"attributions/{one.model}.nc, {one.name}_map")
    return maps.draw_map(panel, one.grid, scale, width=_WIDTH, highest=_HIGHEST, earth=study.on_earth)


def _caption(study: Study, one: Explanation, found: Fields, shown: int) -> str:
    what = {
        "departure": "attribution of each input cell",
        "sensitivity": "change for one standard deviation more of each input cell",
        "strength": "strength of each input cell",
    }.get(one.kind, "value of each input cell")
    lagged_ = ", summed over lags," if found.summed else ", summed over channels," if one.kind == "strength" else ""
    said = [
        f"Mean {what}{lagged_} over {study.step}s{' and members' if one.members > 1 else ''}; "
        f"{driver_words.inside(one.title)} of the "
        f"{one.label}{f', from {one.baseline}' if one.baseline else ''}."
    ]
    if one.kind != "strength":
        said.append(f"{'Same scale: blue' if shown > 1 else 'Blue'} is below zero, red above.")
    if found.unsure is not None:
        said.append(
            f"Dots: the {one.members} members differ by more than their mean (standard deviation above its size)."
        )
    elif one.members == 1:
        said.append("One member: whether others agree is not known.")
    if shown < len(found.names):
        said.append(f"The {shown} most important of {len(found.names)} {'variables' if found.summed else 'channels'}.")
    return " ".join(said)


def group_maps(study: Study, one: Explanation) -> list[Figure]:
    """Return maps of the leading channel in groups of days, a figure for each kind of group, all on one scale."""
    found, of = fields(one), one.shares
    if found is None or of is None or one.group_maps is None or len(of.groups) < 2:
        return []
    first = found.order[0]
    if one.kind == "strength":
        drawn = np.abs(one.group_maps).sum(axis=1)
    elif found.summed:
        own = [k for k, channel in enumerate(one.channels) if variable_of(channel) == found.names[first]]
        drawn = one.group_maps[:, own].sum(axis=1)
    else:
        drawn = one.group_maps[:, first]
    name, scale = label(found.names[first]), _scale(one, *drawn[1:])
    figures = []
    for kind in dict.fromkeys(of.kinds[1:]):
        pictures = tuple(
            _map(study, one, drawn[k], f"{of.groups[k]} ({numbers.plural(of.days[k], study.step)})", scale, None)
            for k in range(1, len(of.groups))
            if of.kinds[k] == kind
        )
        caption = f"{name} in groups of {study.step}s; one scale. {one.title} of the {one.label}."
        figures.append(Figure(slug("attribution", kind, one.model, one.name), pictures, caption, flag(one)))
    return figures


def by_lag(study: Study, one: Explanation) -> Figure | None:
    """Return signed attribution by variable and lag, added up over cells; None of few lags or without maps."""
    if one.maps is None or one.kind == "strength" or lags.lag_count(one.channels) < FEWEST_LAGS:
        return None
    sums = np.nansum(one.maps.reshape(len(one.channels), -1), axis=1)
    table = lags.by_lag(one.channels, sums)
    weight = [
        sum(
            float(np.nan_to_num(size))
            for channel, size in zip(one.channels, one.importance, strict=True)
            if variable_of(channel) == variable
        )
        for variable in table.variables
    ]
    order = ranked(np.array(weight))[:_MOST_ROWS]
    values = table.values[order]
    scale = maps.Scale.of("field", one.units, values)
    row, column = np.unravel_index(int(np.nanargmax(np.abs(values))), values.shape)
    unit = numbers.units(one.units)
    what = driver_words.WHAT.get(one.kind, "attribution")
    largest = numbers.with_units(numbers.number(float(values[row, column]), sign=True), one.units)
    alt = f"{label(table.variables[order[row]])} at lag {table.names[column]} is largest in size: {largest}."
    picture = lagged.lagged(
        values, [label(table.variables[k]) for k in order], table.names, scale, f"lag [{study.step}s], the oldest left",
        alt, f"Mean signed {what} [{unit}]" if unit else f"Mean signed {what}",
    )  # fmt: skip
    bins = f" Each column adds up {table.width} {study.step}s, the first maybe fewer." if table.width > 1 else ""
    more = f" The {len(order)} most important of {len(table.variables)} variables." * (
        len(order) < len(table.variables)
    )
    where = ", added up over cells" if one.maps[0].size > 1 else ""
    caption = (
        f"Attribution by variable and lag, the mean over the explained {study.step}s{where}; "
        f"{driver_words.inside(one.title)} of the {one.label}{f', from {one.baseline}' if one.baseline else ''}. "
        "Blue is below zero, red above; lag 0 is the newest input. "
        f"Positive and negative parts cancel in these sums.{bins}{more}"
    )
    return Figure(slug("lags", one.model, one.name), (picture,), caption, flag(one))
