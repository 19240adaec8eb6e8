"""What each variable carries: importance, shares by groups of days, single days, curves of effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.attribution.joined import Shares, ranked
from pipeline.report import driver_words, numbers, tables
from pipeline.report.explained import Explanation
from pipeline.report.figures import Picture, daily, lines, shares
from pipeline.report.figures.shares import Bar
from pipeline.report.numbers import label
from pipeline.report.sections import Figure, slug
from pipeline.report.sections.driver_checks import flag
from pipeline.report.study import Study

MOST_BARS = 25
_MOST_SMALL = 8
_MOST_EFFECTS = 12
_KINDS = {"season": "seasons", "third": "thirds of the explained number", "regime": "weather regimes"}
_NAN = float("nan")


def colour(study: Study, one: Explanation) -> str:
    """Return the colour of the explained model."""
    return study.colours.get(one.model, study.colours[study.headline])


def importance(study: Study, one: Explanation) -> Figure | None:
    """Return the shares of variables over all days, else the importance of channels.

    None where no channels are told apart, and where curves of effects say more.
    """
    if one.blind or one.effects:
        return None
    bars = all_bars(one)[:MOST_BARS]
    picture = shares.bar_rows(bars, axis(one), _alt(one, bars), width=640, colour=colour(study, one))
    name = slug("importance", one.model, one.name)
    return Figure(name, (picture,), f"{_measured(one)}{ends(one, bars, study.step)}{_more(one, len(bars))}", flag(one))


def all_bars(one: Explanation) -> list[Bar]:
    """Return what is drawn of all days, the largest first: shares of variables [%], else importance of channels."""
    if one.shares is not None:
        return group_bars(one.shares, 0, one.shares.order, members=one.members > 1)
    several = one.members > 1
    return [
        Bar(
            one.channels[k], float(one.importance[k]), float(one.low[k]), float(one.high[k]),
            float(one.least[k]) if several else _NAN, float(one.most[k]) if several else _NAN,
        )
        for k in one.order
        if np.isfinite(one.importance[k])
    ]  # fmt: skip


def group_bars(of: Shares, group: int, order: list[int], *, members: bool) -> list[Bar]:
    """Return the shares of variables in a group of days [%], in an order of variables."""
    parts = [100 * part[group] for part in (of.share, of.low, of.high, of.least, of.most)]
    if not members:
        parts[3:] = [np.full_like(parts[0], np.nan)] * 2
    return [Bar(of.variables[k], *(float(part[k]) for part in parts)) for k in order]


def axis(one: Explanation) -> str:
    """Return the name of the axis of :func:`all_bars` with units."""
    if one.shares is not None:
        return f"share of the {driver_words.absolute(one)} [%]"
    unit = numbers.units(one.measure_units)
    return f"{one.measure} [{unit}]" if unit else one.measure


def ends(one: Explanation, bars: list[Bar], step: str) -> str:
    """Return what the lines of bars are, for captions."""
    said = []
    if any(np.isfinite(bar.low) and np.isfinite(bar.high) for bar in bars):
        of = "" if one.shares is None else f" over {step}s"
        hollow = "; hollow: it includes zero" if any(bar.unsure for bar in bars) else ""
        said.append(f"Thick line: 95\u00a0% interval{of}{hollow}.")
    else:
        said.append("No interval is known.")
    if any(np.isfinite(bar.least) for bar in bars):
        said.append(f"Thin line below it: lowest to highest of {one.members} members.")
    return " " + " ".join(said)


def _measured(one: Explanation) -> str:
    if one.shares is None:
        return f"{one.title} of the {one.label}: {one.measure}."
    lags = ", all its lags together," if len(one.shares.variables) < len(one.channels) else ""
    return f"{one.title} of the {one.label}: share of each variable{lags} in the {driver_words.absolute(one)}."


def _more(one: Explanation, shown: int) -> str:
    every = len(one.shares.variables) if one.shares is not None else int(np.isfinite(one.importance).sum())
    what = "variables" if one.shares is not None else "channels"
    return f" The {shown} largest of {every} {what}." if shown < every else ""


def _alt(one: Explanation, bars: list[Bar]) -> str:
    first = bars[0]
    if one.shares is not None:
        share = numbers.percent(first.value / 100)
        return f"{label(first.name)} carries {share} of the {driver_words.absolute(one)} for {label(one.model)}."
    return f"{label(first.name)} ranks first for {label(one.model)} by {driver_words.inside(one.title)}."


def by_groups(study: Study, one: Explanation) -> list[Figure]:
    """Return shares in groups of days, a figure for each kind of group, all on one scale."""
    of = one.shares
    if of is None or one.blind:
        return []
    order = of.order[:_MOST_SMALL]
    panels = {k: group_bars(of, k, order, members=one.members > 1) for k in range(1, len(of.groups))}
    limits = shares.bounds([bar for bars in panels.values() for bar in bars])
    found = []
    for kind in dict.fromkeys(of.kinds[1:]):
        pictures = []
        for k, bars in panels.items():
            if of.kinds[k] != kind:
                continue
            first = bars[ranked(np.array([bar.value for bar in bars]))[0]]
            alt = f"{of.groups[k]}: {label(first.name)} carries {numbers.percent(first.value / 100)} of it."
            title = f"{of.groups[k]} ({numbers.plural(of.days[k], study.step)})"
            pictures.append(
                shares.bar_rows(
                    bars, "share [%]", alt, title, width=255, colour=colour(study, one), limits=limits
                )
            )  # fmt: skip
        every = [bar for k, bars in panels.items() if of.kinds[k] == kind for bar in bars]
        lines_ = ends(one, every, study.step) + _more(one, len(order))
        caption = f"The same shares by {_KINDS.get(kind, kind)}, one scale.{lines_}"
        found.append(Figure(slug("shares", kind, one.model, one.name), tuple(pictures), caption, flag(one)))
    return found


def share_table(one: Explanation) -> tables.Table | None:
    """Return the shares of all groups of days; None where there are none to tell apart."""
    of = one.shares
    if of is None or one.blind:
        return None
    frame = pd.DataFrame([
        {
            "group": of.groups[g], "kind": of.kinds[g], "days": of.days[g], "variable": of.variables[v],
            **{end: getattr(of, end)[g, v] for end in ("share", "low", "high", "least", "most")},
        }
        for g in range(len(of.groups))
        for v in of.order
    ])  # fmt: skip
    columns = (
        tables.Column("Variable", numeric=False),
        *(tables.Column(f"{name}", "%", note=f"{count:,}") for name, count in zip(of.groups, of.days, strict=True)),
    )
    cells = [tables.figures([100 * float(of.share[g, v]) for v in of.order], 1) for g in range(len(of.groups))]
    names = [tables.text(label(of.variables[v])) for v in of.order]
    rows = tuple((name, *row) for name, row in zip(names, zip(*cells, strict=True), strict=True))
    caption = "Shares by group; small print: how many samples. The CSV has intervals and the range of members."
    return tables.Table(slug("share-table", one.model, one.name), caption, columns, rows, frame)


def channel_table(one: Explanation) -> tables.Table | None:
    """Return the importance of all channels; None where there are shares of variables."""
    if one.shares is not None:
        return None
    order = [k for k in one.order if np.isfinite(one.importance[k])]
    parts = {"importance": one.importance, "low": one.low, "high": one.high, "least": one.least, "most": one.most}
    shown = [tables.figures([float(parts[key][k]) for k in order]) for key in ("importance", "low", "high")]
    rows = tuple(
        (tables.text(label(one.channels[k])), *cells)
        for k, cells in zip(order, zip(*shown, strict=True), strict=True)
    )  # fmt: skip
    columns = (tables.Column("Channel", numeric=False), *map(tables.Column, ("Importance", "Low", "High")))
    frame = pd.DataFrame({"channel": [one.channels[k] for k in order], **{key: v[order] for key, v in parts.items()}})
    caption = f"All channels: {axis(one)}, 95\u00a0% interval."
    return tables.Table(slug("channels", one.model, one.name), caption, columns, rows, frame)


def each_day(study: Study, one: Explanation) -> Figure | None:
    """Return what each variable adds to the explained number on every day; None for parts that do not add up."""
    if one.kind != "departure" or one.daily is None or one.shares is None or one.time is None or len(one.time) < 2:
        return None
    order = np.argsort(one.time, kind="stable")
    own, top = one.daily[order], one.shares.order[: daily.TOP]
    parts, names = [own[:, k] for k in top], [label(one.shares.variables[k]) for k in top]
    rest = one.shares.order[daily.TOP :]
    if rest:
        parts.append(own[:, rest].sum(axis=1))
        names.append(f"{len(rest)} others" if len(rest) > 1 else label(one.shares.variables[rest[0]]))
    unit = numbers.units(one.units)
    whole = None if one.numbers is None else one.numbers[order]
    dates = [str(stamp)[:10] if one.time.dtype.kind not in "iu" else f"{int(stamp):,}" for stamp in one.time[order]]
    most = int(np.abs(parts[0]).argmax())
    alt = (
        f"What {label(one.shares.variables[top[0]])} adds is largest on {dates[most]}: "
        f"{numbers.with_units(numbers.number(float(parts[0][most]), sign=True), one.units)}."
    )
    axis_name = f"departure [{unit}]" if unit else "departure"
    picture = daily.stacked(np.stack(parts), names, whole, dates, axis_name, "predicted departure", alt)
    caption = (
        f"Signed attribution of each variable, summed over cells and lags, on every explained {study.step} in order of "
        f"time{', and the departure from the baseline that was predicted' if whole is not None else ''}; "
        f"{driver_words.inside(one.title)} of the {one.label}."
    )
    return Figure(slug("daily", one.model, one.name), (picture,), caption, flag(one))


def effects(study: Study, one: Explanation) -> Figure | None:
    """Return curves of effects, one panel a channel, that with the largest effect first; None without any."""
    if not one.effects:
        return None
    size = {name: float(np.nan_to_num(value)) for name, value in zip(one.channels, one.importance, strict=True)}
    curves = sorted(one.effects, key=lambda curve: -size.get(curve.channel, 0.0))
    shown = curves[:_MOST_EFFECTS]
    every = np.concatenate([part[np.isfinite(part)] for c in shown for part in (c.effect, c.low, c.high)])
    low, high = float(every.min(initial=0.0)), float(every.max(initial=0.0))
    room = 0.05 * (high - low) or 1.0
    unit = numbers.units(one.units)
    pictures: list[Picture] = []
    for curve in shown:
        x_unit = numbers.units(curve.units)
        name = label(curve.channel)
        span = (float(curve.at.min()), float(curve.at.max()))
        if span[0] == span[1]:
            span = (span[0] - 0.5, span[1] + 0.5)
        known = bool(np.isfinite(curve.low).all() and np.isfinite(curve.high).all())
        line = lines.Line(
            name, colour(study, one), curve.at, curve.effect, curve.low if known else None,
            curve.high if known else None, strong=True,
        )  # fmt: skip
        swing = numbers.with_units(numbers.number(float(np.ptp(curve.effect))), one.units)
        pictures.append(
            lines.lines(
                [line],
                lines.Axis(
                    f"mean over cells [{x_unit}]" if x_unit else "mean over cells",
                    f"effect [{unit}]" if unit else "effect", level=0.0, marks=False, span=span,
                    limits=(low - room, high + room),
                ),
                f"{name}: the curve spans {swing}.", name, width=255, height=200,
            )
        )  # fmt: skip
    more = f" The {len(shown)} largest of {len(curves)} channels." if len(shown) < len(curves) else ""
    caption = (
        f"{one.title} of the {one.label}: its change while the mean of one channel over the cells is moved; the mean "
        f"over {study.step}s is zero. Band: 95\u00a0% interval over {study.step}s; same vertical scale.{more}"
    )
    return Figure(slug("effects", one.model, one.name), tuple(pictures), caption, flag(one))
