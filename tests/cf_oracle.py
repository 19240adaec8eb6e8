"""The IOOS compliance checker as an oracle: what it finds wrong with a file."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

TOO_STRICT = ("Coordinate variable 'time' should have standard_name='time', found: 'forecast_reference_time'",)
"""The checker takes the name of a dim for its meaning. CF does not: of forecasts, ``time`` is when they were made."""


def found_wrong(path: Path) -> list[str]:
    """Return all that the newest rules of the checker, CF-1.11 as our files say, find wrong: errors and advice."""
    from compliance_checker.runner import CheckSuite

    CheckSuite.load_all_available_checkers()
    suite = CheckSuite()
    data = suite.load_dataset(str(path))
    try:
        (groups, crashed), *_ = suite.run_all(data, ["cf:1.11"], skip_checks=[]).values()
    finally:
        data.close()
    assert len(groups) > 20  # it has looked at something
    found = [f"{name}: the check itself failed: {error[0]!r}" for name, error in crashed.items()]
    for group in groups:
        found += _said(group)
    return [text for text in found if not text.endswith(TOO_STRICT)]


def _said(result) -> list[str]:
    if result.children:
        return [text for child in result.children for text in _said(child)]
    value = result.value
    passed = value[0] == value[1] if isinstance(value, tuple) else bool(value)
    return [] if passed else [f"{result.name}: {message}" for message in result.msgs]


@pytest.fixture(scope="session")
def complaints():
    """What a CF checker finds wrong with a file, as a function of its path.

    It has a process of its own: its libraries and ours, unloaded together, end in a fault of the allocator.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda path: pool.submit(found_wrong, path).result()
