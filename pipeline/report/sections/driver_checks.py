"""Whether to believe an explanation: its light, what each check found, and the curves of checks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.attribution import Finding
from pipeline.report import driver_words, numbers, tables
from pipeline.report.explained import Explanation
from pipeline.report.figures import Picture, lines
from pipeline.report.palette import LIGHT, STRONG
from pipeline.report.sections import Block, Figure, Flag, Signal, slug

_RESULT = {None: "not decided", True: "passed", False: "failed"}
_FIRST = ("check", "value", "limit", "result", "essential", "words", "light")
_LIGHT = " The light is red where an essential check failed, amber where another did, grey where none decided."
_CURVE = (330, 230)


def flag(one: Explanation) -> Flag:
    """Return the light of an explanation for captions of figures."""
    return Flag(one.light, driver_words.mark(one))


def blocks(one: Explanation, *, first: bool) -> list[Block]:
    """Return the light with what was done, and the checks as a table where there are any."""
    said: list[Block] = [Signal(Flag(one.light, driver_words.flag(one)), one.note)]
    return [*said, table(one, explain=first)] if one.checks else said


def table(one: Explanation, *, explain: bool) -> tables.Table:
    """Return the checks of an explanation: number, limit, whether it passed, in words.

    Parameters
    ----------
    explain : bool
        Whether the caption says what the light is made of.
    """
    columns = (
        tables.Column("Check", numeric=False), tables.Column("Number"), tables.Column("Limit"),
        tables.Column("Result", numeric=False), tables.Column("In words", numeric=False, wide=True),
    )  # fmt: skip
    rows = tuple(
        (
            tables.text(numbers.label(check.check)),
            tables.Cell(numbers.number(check.value), check.value),
            tables.Cell(_limit(check.limit), check.limit),
            tables.Cell(
                _RESULT[check.passed], _RESULT[check.passed], "essential" if check.essential else "", check.light
            ),
            tables.text(check.words),
        )
        for check in one.checks
    )
    frame = pd.DataFrame(
        [
            (check.check, check.value, check.limit, _RESULT[check.passed], check.essential, check.words, one.light)
            for check in one.checks
        ],
        columns=_FIRST,
    )
    caption = f"Checks of {driver_words.inside(one.title)}." + _LIGHT * explain
    return tables.Table(slug("checks", one.model, one.name), caption, columns, rows, frame)


def _limit(value: float) -> str:
    """Return a limit as it was chosen, without the digits of a measurement."""
    return f"{value:.3g}".replace("-", numbers.MINUS) if np.isfinite(value) else numbers.MISSING


def lights(several: Sequence[Explanation]) -> tables.Table:
    """Return the lights of explanations of several models, with what their checks found."""
    heads = ("Model", "Explanation", "Light", "Checks")
    columns = tuple(tables.Column(head, numeric=False, wide=head == "Checks") for head in heads)
    rows = tuple(
        (
            tables.text(numbers.label(one.model)),
            tables.text(f"{one.title} of the {one.label}"),
            tables.Cell(one.light, one.light, mark=one.light),
            tables.text(" ".join(check.words for check in one.checks) or numbers.MISSING),
        )
        for one in several
    )
    frame = pd.DataFrame(
        [
            (one.model, one.name, one.label, one.light, check.check, check.value, check.limit, _RESULT[check.passed])
            for one in several
            for check in one.checks
        ],
        columns=("model", "explanation", "explained", "light", "check", "value", "limit", "result"),
    )
    return tables.Table("checks", "Whether to believe each explanation.", columns, rows, frame)


def curves(one: Explanation) -> Figure | None:
    """Return the curves that checks have to draw; None without any."""
    pictures: list[Picture] = []
    said: list[str] = []
    for check in one.checks:
        drawn = check.curves
        if not len(drawn.get("x", ())):
            continue
        if "deletion" in drawn:
            pictures += _removals(one, check)
            said.append(
                "Deletion: inputs are put to the baseline, those with the highest attribution first, or put back in "
                "insertion; grey: random orders, the mean and the middle 95\u00a0% of them."
            )
        elif "rho" in drawn:
            pictures.append(_randomised(check))
            said.append(
                "Randomisation: rank correlation of the map with that of the trained network while its weights are "
                "shuffled layer by layer, from the output on; it must fall to about zero."
            )
        else:
            pictures.append(_any(check))
            said.append(f"{numbers.label(check.check).capitalize()}: what the check drew.")
    if not pictures:
        return None
    return Figure(slug("check-curves", one.model, one.name), tuple(pictures), " ".join(said), flag(one))


def _removals(one: Explanation, check: Finding) -> list[Picture]:
    x, unit = check.curves["x"], numbers.units(one.units)
    # Without a direction the check follows how far the number moves.
    number = "explained number" if one.kind == "departure" else "absolute change"
    what = f"{number} [{unit}]" if unit else number
    chance = check.curves.get("random_deletion")
    found = []
    for name, colour in (("deletion", STRONG[0][0]), ("insertion", STRONG[1][0])):
        if name not in check.curves:
            continue
        # Insertion is deletion read backwards: so are random orders.
        turn = slice(None) if name == "deletion" else slice(None, None, -1)
        drawn = [lines.Line(name, colour, x, check.curves[name], strong=True)]
        if chance is not None:
            low, high = (check.curves.get(f"random_{end}") for end in ("low", "high"))
            drawn.insert(
                0,
                lines.Line(
                    "random", LIGHT.muted, x, chance[turn], None if low is None else low[turn],
                    None if high is None else high[turn], dash=1,
                ),
            )  # fmt: skip
        shares = "put to the baseline" if name == "deletion" else "put back"
        axis = lines.Axis(f"share of inputs {shares}", what, marks=False, span=(0.0, 1.0))
        ends = f"{numbers.number(float(check.curves[name][0]))} to {numbers.number(float(check.curves[name][-1]))}"
        ends = numbers.with_units(ends, one.units)
        alt = f"{name.capitalize()} curve of {driver_words.inside(one.title)}, from {ends}."
        found.append(lines.lines(drawn, axis, alt, name.capitalize(), width=_CURVE[0], height=_CURVE[1]))
    return found


def _randomised(check: Finding) -> Picture:
    x, rho = check.curves["x"], check.curves["rho"]
    low = min(-0.2, float(np.nanmin(rho)) - 0.05)
    axis = lines.Axis("share of layers shuffled", "rank correlation", level=0.0, span=(0.0, 1.0), limits=(low, 1.05))
    alt = f"The rank correlation with the trained network's map ends at {numbers.number(float(rho[-1]), 2)}."
    line = lines.Line("", STRONG[0][0], x, rho, strong=True)
    return lines.lines([line], axis, alt, "Randomisation", width=_CURVE[0], height=_CURVE[1])


def _any(check: Finding) -> Picture:
    x = check.curves["x"]
    tones = [tone for tone, _ in STRONG]
    drawn = [
        lines.Line(numbers.label(name), tones[k % len(tones)], x, values, dash=k // len(tones))
        for k, (name, values) in enumerate((name, y) for name, y in check.curves.items() if name != "x")
    ]
    axis = lines.Axis("x", "", marks=False, span=(float(x.min()), float(x.max())))
    title = numbers.label(check.check).capitalize()
    return lines.lines(drawn, axis, f"Curves of the check {title.lower()}.", title, width=_CURVE[0], height=_CURVE[1])
