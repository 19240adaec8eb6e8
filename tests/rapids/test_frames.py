# ruff: noqa: TID251 - looks at what the door calls
"""Every method that the verbs of tables call on a frame is one of cuDF's, with the arguments that it is given."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

TABLES = Path(__file__).resolve().parents[2] / "pipeline/backend/tables.py"
# Whose method it is. A method that is not listed fails the test below, so the list is whole.
OWNERS = {
    "assign": "DataFrame", "drop": "DataFrame", "drop_duplicates": "DataFrame", "groupby": "DataFrame",
    "merge": "DataFrame", "nans_to_nulls": "DataFrame", "rename": "DataFrame", "reset_index": "DataFrame",
    "sort_values": "DataFrame", "shift": "DataFrame GroupBy", "rolling": "DataFrame GroupBy", "agg": "GroupBy",
    "where": "Series", "astype": "Series", "floor": "Datetime",
}  # fmt: skip
# Read as attributes, or called by a name that is put together.
ATTRIBUTES = {"Series": ("dt",), "Datetime": ("year", "month", "day"), "DataFrame": ("index",)}


@pytest.fixture(scope="module")
def classes():
    import cudf
    from cudf.core.groupby.groupby import DataFrameGroupBy
    from cudf.core.series import DatetimeProperties
    from cudf.core.window.rolling import Rolling, RollingGroupby

    return {
        "DataFrame": cudf.DataFrame,
        "Series": cudf.Series,
        "GroupBy": DataFrameGroupBy,
        "Datetime": DatetimeProperties,
        "Rolling": Rolling,
        "RollingGroupby": RollingGroupby,
    }


def calls() -> list[ast.Call]:
    """Return calls of methods of frames: what hangs on no module."""
    modules = {"tables", "xdf", "dict", "Path"}
    return [
        node
        for node in ast.walk(ast.parse(TABLES.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and not (isinstance(node.func.value, ast.Attribute) and node.func.value.attr in modules)
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in modules)
        and node.func.attr not in ("fromkeys", "values", "items", "join")
    ]


CALLS = {ast.unparse(call): call for call in calls()}


def test_every_method_has_an_owner():
    assert CALLS
    assert {call.func.attr for call in CALLS.values()} <= set(OWNERS)


@pytest.mark.parametrize("text", CALLS)
def test_a_method_takes_what_it_is_given(classes, text):
    call = CALLS[text]
    names = {str(word.arg): None for word in call.keywords if word.arg is not None}
    for owner in OWNERS[call.func.attr].split():
        method = getattr(classes[owner], call.func.attr)
        inspect.signature(method).bind(None, *[None] * len(call.args), **names)


@pytest.mark.parametrize("owner", ATTRIBUTES)
def test_attributes_are_there(classes, owner):
    for name in ATTRIBUTES[owner]:
        assert hasattr(classes[owner], name)


def test_every_way_to_sum_up_is_there(classes):
    from pipeline.backend.tables import GROUPED, ROLLED

    assert all(hasattr(classes["GroupBy"], how) for how in GROUPED)
    assert all(hasattr(classes[kind], how) for kind in ("Rolling", "RollingGroupby") for how in ROLLED)


def test_groups_that_roll_take_a_window_and_the_fewest_values(classes):
    inspect.signature(classes["RollingGroupby"]).bind(None, 3, min_periods=2)
    inspect.signature(classes["DataFrame"].rolling).bind(None, 3, min_periods=2)


def test_the_steps_of_resampling_are_roundings_that_cudf_has():
    from cudf.core.column.datetime import DatetimeColumn

    text = inspect.getsource(DatetimeColumn._round_dt)
    assert all(f'"{step}": plc.datetime.RoundingFrequency' in text for step in ("h", "D"))
