"""Can the error bars be trusted? Histograms, calibration, spread against error, both parts of the variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.report import error_bars, numbers, sparsified, tables
from pipeline.report.figures import Picture, bars, trust
from pipeline.report.metric_words import metric_words
from pipeline.report.places import mapped
from pipeline.report.sections import (
    Block,
    Figure,
    Heading,
    Section,
    Words,
    curves,
    leads,
    methods,
    regions,
    slug,
    unsure,
)
from pipeline.report.sections.skill import group_key, ordered_groups
from pipeline.report.study import Study

_MOST_CURVES = 6
_LEAN, _EVEN = 0.08, 0.2
_COVERAGE = ("coverage_50", "coverage_90", "coverage_95")
_DRY = (
    "No coverage is marked: intervals that begin at zero hold every dry day, so that even a perfect forecast's hold "
    "more truths than they say; histogram and calibration, drawn at random over that mass, do not have this flaw."
)


def build(study: Study) -> Section | None:
    """Return the section; None where no model gives error bars."""
    blocks: list[Block] = []
    data = study.run.diagnostics(study.headline)
    for variable in study.variables:
        part = _variable(study, data, variable)
        if part and len(study.variables) > 1:
            blocks.append(Heading(variable))
            blocks += [Words((error_bars.trust(study, variable),))] if variable != study.variable else []
        blocks += part
    lead = error_bars.trust(study)
    return Section("trust", "Can the error bars be trusted?", lead, tuple(blocks)) if blocks else None


def _variable(study: Study, data: xr.Dataset | None, variable: str) -> list[Block]:
    blocks: list[Block] = []
    if data is not None:
        said = sparsified.sentence(study, variable, data)
        blocks += [Words((said,))] if said else []
        drawn = (_histogram, _curve, _spread, _left_out)
        pictures = [p for draw in drawn if (p := draw(study, data, variable))]
        if pictures:
            caption = _caption(study, variable, left_out=bool(said), banded=_banded(study, data, variable))
            blocks.append(Figure(slug("calibration", variable), tuple(pictures), caption))
    dry = _DRY if error_bars.dry_days(study, variable) else ""
    table = tables.skill_table(
        study, variable, study.split, tables.TRUST, slug("trust", variable),
        f"Reliability and sharpness of {variable} on {study.split}. Narrow intervals (small widths) are good "
        "only where coverage is right.",
        note=dry,
        unjudged=frozenset(_COVERAGE) if dry else frozenset(),
    )  # fmt: skip
    blocks += [table] if table else []
    both = tables.skill_table(
        study, variable, study.split, tables.INTERVALS, slug("intervals", variable),
        f"Coverage and width of {variable} on {study.split} in one number: the width of the interval, and for a truth "
        "outside 4 times its distance to it, of the 90\u00a0% interval 20 times.",
    )  # fmt: skip
    blocks += [both] if both else []
    calibration = tables.skill_table(
        study, variable, study.split, tables.CALIBRATION, slug("calibration-scores", variable),
        f"Calibration of {variable} on {study.split} in one number each, beside size and variation of the predicted "
        "standard deviation: a small one is good only where the others are, and one that never varies tells nothing, "
        "even if its ENCE is near 0. Right forecasts lie a little above 0, too; few members raise ENCE and AUSE.",
        unjudged=frozenset(("sharpness", "cv_spread")),
    )  # fmt: skip
    blocks += [calibration] if calibration else []
    blocks += methods.blocks(study, variable)
    # What share is right for precipitation differs from season to season: no line to draw.
    blocks += [] if dry else _coverage_groups(study, variable)
    blocks += regions.blocks(study, variable)
    if data is not None:
        blocks += unsure.blocks(study, data, variable, mapped=mapped(data, variable))
    return blocks


def _caption(study: Study, variable: str, *, left_out: bool, banded: bool) -> str:
    band = " with its 95\u00a0% band (thin lines: other models)" if banded else " (thin lines: other models)"
    caption = (
        f"{numbers.label(study.headline)}, {variable} on {study.split}. In order as far as the model gives them: where "
        f"the truth falls in the forecast; calibration{band}; RMSE in bins "
        "of predicted spread, which rises less than the spread even for right forecasts where members are few"
    )
    return f"{caption}; RMSE of what is left where the least sure is left out first." if left_out else f"{caption}."


def _banded(study: Study, data: xr.Dataset, variable: str) -> bool:
    """Whether the headline model's calibration curve has a band; of few blocks it has none."""
    curve = curves.calibration(data, variable, study.headline, "")
    return curve is None or bool(np.isfinite(curve.low).any())


def _left_out(study: Study, data: xr.Dataset, variable: str) -> Picture | None:
    found = sparsified.Sparsified.of(data, variable)
    if found is None:
        return None
    colour, alt = study.colours[study.headline], sparsified.sentence(study, variable, data)
    return trust.sparsification(found.share, found.by_spread, found.oracle, colour, alt, "Leaving out the least sure")


def _histogram(study: Study, data: xr.Dataset, variable: str) -> Picture | None:
    for name, axis, title in (
        (f"{variable}_pit_count", "PIT: forecast probability of at most the truth", "PIT histogram"),
        (f"{variable}_rank_count", "rank of the truth among the members", "Rank histogram"),
    ):
        if name in data and np.nansum(data[name].values) > 0:
            counts = np.nan_to_num(np.asarray(data[name].values, float))
            return trust.histogram(counts, study.colours[study.headline], axis, _shape(counts), title)
    return None


def _shape(counts: np.ndarray) -> str:
    """Say what a histogram shows, and between which shares its bars are."""
    share, flat = counts / counts.sum(), 1 / len(counts)
    ends = (share[0] + share[-1]) / (2 * flat)
    low, high = share[: len(share) // 2].sum(), share[(len(share) + 1) // 2 :].sum()
    lean = f"truths lie more often in the {'upper' if high > low else 'lower'} half: forecasts are too "
    lean += "low" if high > low else "high"
    span = (
        f"bars from {numbers.percent(float(share.min()))} to {numbers.percent(float(share.max()))}, where "
        f"{numbers.percent(flat)} is flat"
    )
    told = []
    if ends > 1.3:
        told.append(f"both ends are {numbers.number(float(ends), 1)} times too full: the truth falls outside too often")
    elif ends < 0.7:
        told.append(f"the ends hold only {numbers.percent(float(ends))} of what they should: the spread is too wide")
    told += [lean] if abs(high - low) > _LEAN else []
    if not told:
        even = float(np.abs(share / flat - 1).max()) <= _EVEN
        told = ["nearly flat, as it should be" if even else "uneven, without a clear lean"]
    words = "; ".join(told)
    return f"{words[0].upper()}{words[1:]} ({span})."


def _curve(study: Study, data: xr.Dataset, variable: str) -> Picture | None:
    own = curves.calibration(data, variable, study.headline, study.colours[study.headline])
    if own is None:
        return None
    others = [model for model in study.models if model != study.headline and model not in study.baselines]
    found = [replace(own, cue=study.cues[study.headline])]
    for model in others:
        diagnostics = study.run.diagnostics(model) if len(found) < _MOST_CURVES else None
        curve = (
            curves.calibration(diagnostics, variable, model, study.colours[model]) if diagnostics is not None else None
        )
        found += [replace(curve, cue=study.cues[model])] if curve is not None else []
    return trust.calibration_curve(found, curves.finding(own), "Calibration", height=trust.HEIGHT)


def _spread(study: Study, data: xr.Dataset, variable: str) -> Picture | None:
    names = [f"{variable}_spread_bin_{part}" for part in ("spread", "rmse")]
    if any(name not in data for name in names):
        return None
    spread, error = (np.asarray(data[name].values, float) for name in names)
    good = np.isfinite(spread) & np.isfinite(error)
    if good.sum() < 2:
        return None
    rho = float(pd.Series(spread[good]).rank().corr(pd.Series(error[good]).rank()))
    ratio = float(np.sqrt(np.mean(spread[good] ** 2)) / np.sqrt(np.mean(error[good] ** 2)))
    told = "Larger spread goes with larger error" if rho > 0.5 else "Spread says little about the error"
    alt = (
        f"{told} (rank correlation over bins {numbers.number(rho, 2)}); spread is {numbers.number(ratio, 2)} "
        "times the error."
    )
    unit = numbers.units(study.units[variable])
    return trust.spread_error(
        spread, error, study.colours[study.headline], f" [{unit}]" if unit else "", alt, "Spread against error"
    )


def _coverage_groups(study: Study, variable: str) -> list[Block]:
    rows = study.scores("coverage_90", variable=variable, group=None)
    rows = rows[rows["value"].notna() & rows["group"].str.fullmatch(r"(?!lead=)[^=;]+=[^=;]+")]
    by_lead = leads.coverage(study, variable)
    blocks: list[Block] = [by_lead] if by_lead is not None else []
    for key, part in rows.groupby(rows["group"].map(group_key), sort=True):
        groups = ordered_groups(part["group"])
        if len(groups) < 2 or (key == "region" and regions.by_season(study, variable)):
            continue
        best = [m for m in study.models if m in set(part["model"])]
        kept = {row.name for row in bars.shortened([bars.Row(m, 0, 0, 0, "") for m in best], (study.headline,))}
        panels = {
            group.partition("=")[2]: [
                bars.Row(
                    r.model, 100 * r.value, 100 * r.low, 100 * r.high, study.colours[r.model], cue=study.cues[r.model]
                )
                for r in part[part["group"] == group].itertuples()
                if r.model in kept
            ]
            for group in groups
        }
        label = metric_words("coverage_90").label
        pictures = bars.multiples(panels, f"{label} [%]", f"{label} by {key}", mark=90.0)
        caption = (
            f"Share of truths inside the 90\u00a0% interval by {key}, {variable} on {study.split}; the "
            "dashed line, 90 %, is right."
        )
        blocks.append(Figure(slug("coverage", str(key), variable), tuple(pictures), caption))
    return blocks
