"""Tests of the differences to the best baseline, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.report import numbers, tables
from pipeline.report.sections import slug
from pipeline.report.study import Study
from pipeline.report.tables import Cell, Column, Table

LEVEL = 0.05
_LEAST = 0.001


def paired_table(study: Study, variable: str, reference: str, rows: pd.DataFrame) -> Table | None:
    """Return differences with the p of both tests, a star where it is below 0.05; None where no test was made.

    Parameters
    ----------
    reference : str
        Baseline that the differences are to.
    rows : DataFrame
        Rows of ``comparisons.csv``, one a model, in order.
    """
    if not rows[["p_dm", "p_sign"]].notna().any(axis=None):
        return None
    unit = numbers.units(study.units[variable])
    decimals = numbers.decimals_for(rows["difference"])
    found = []
    for row in rows.itertuples():
        known = np.isfinite(row.low) and np.isfinite(row.high)
        found.append(
            (
                tables.model_cell(study, row.model),
                Cell(
                    numbers.number(row.difference, decimals, sign=True),
                    row.difference,
                    numbers.interval(row.low, row.high, decimals) if known else "",
                ),
                p_cell(row.p_dm),
                p_cell(row.p_sign),
            )
        )
    columns = (
        Column("Model", numeric=False), Column("Difference", unit, note="95\u00a0% interval below"),
        Column("Mean test", note="p, Diebold\u2013Mariano"), Column("Sign test", note="p, over blocks"),
    )  # fmt: skip
    return Table(slug("tests", variable), _caption(study, variable, reference, len(found)), columns, tuple(found), rows)


def p_cell(p: float) -> Cell:
    r"""Return a cell of a p; a star where it is below 0.05, and a dash where there is none.

    Examples
    --------
    >>> [p_cell(p).text.replace("\u00a0", " ") for p in (0.2, 0.04, 0.0001, float("nan"))]
    ['0.200', '0.040*', '< 0.001*', '–']
    """
    if not np.isfinite(p):
        return Cell(numbers.MISSING, float("inf"))
    text = f"<\u00a0{numbers.number(_LEAST, 3)}" if p < _LEAST else numbers.number(p, 3)
    return Cell(f"{text}*" if p < LEVEL else text, p)


def _caption(study: Study, variable: str, reference: str, count: int) -> str:
    name, step = study.word(variable), study.step
    loss = "square errors" if study.metrics[variable] == "rmse" else "losses"
    several = ""
    if count > 1:
        chance = numbers.number(count * LEVEL, 1 if count * LEVEL >= 0.1 else 2)
        several = (
            f" Of {count} models as good as the baseline, {chance} would have a star by chance alone; a p below "
            f"{numbers.number(LEVEL / count, 3)} holds even so."
        )
    return (
        f"Tests of the difference of the {name} to {numbers.label(reference)}, {variable} on {study.split}. The mean "
        f"test is of the mean difference of the {loss}, allowing for errors that last from {step} to {step}; the sign "
        "test is of which model is better more often, over blocks of time long enough to be independent (a dash: too "
        "few of them). Star: p below 0.05. A p is how often two models that are equally good would differ this much by "
        "chance; it says neither how large a difference is nor whether it holds elsewhere."
        f"{several}"
    )
