"""What a dry run tells of memory, held to what runs take."""

import pytest

from benchmarks.memory import CASES, Case, footprint_of, measure, taken


def test_a_case_says_how_large_its_data_are():
    assert Case(4000, 16, 48, ("ridge",)).sizes == "7.8 + 35.2 MiB"
    asked = Case(29_200, 48, 4, ("deepesd",), workers=2, memory="64MiB")
    assert asked.sizes == "513.3 + 1.8 MiB, `workers: 2`, `memory: 64MiB`"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sizes} {'+'.join(case.models)}")
def test_the_most_of_a_run_is_told_within_thirty_percent(case, tmp_path):
    run = measure(case, tmp_path)
    told, peaks = footprint_of(run), taken(run)
    print({name: round(told[name] / 2**20 / peak, 2) for name, peak in peaks.items()})
    assert 0.7 < max(told.values()) / 2**20 / max(peaks.values()) < 1.3
