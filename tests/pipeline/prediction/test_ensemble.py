"""The CRPS of ensembles: against loops and another library, in blocks, with members missing."""

import itertools
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import xarray as xr
from scores.probability import crps_for_ensemble

from pipeline.backend import block_bytes
from pipeline.errors import DataError
from pipeline.prediction import _ensemble
from pipeline.prediction.members import crps_ensemble, missing_members

ROOT = Path(__file__).parents[3]
KINDS = pytest.mark.parametrize("kind", [np.asarray, array_api_strict.asarray])


def loop(members, truth, *, fair=False):
    """Return the CRPS of one cell by its definition, NaN members left out."""
    x = [float(value) for value in members if not np.isnan(value)]
    if len(x) < (2 if fair else 1) or np.isnan(truth):
        return np.nan
    pairs = sum(abs(a - b) for a in x for b in x) / (2 * len(x) * (len(x) - 1 if fair else len(x)))
    return sum(abs(a - float(truth)) for a in x) / len(x) - pairs


def made(size, shape, seed=0, dtype=np.float64, missing=0.0):
    rng = np.random.default_rng([size, seed])
    members, truth = rng.normal(3.0, 2.0, (size, *shape)), rng.normal(3.0, 2.0, shape)
    members[rng.random(members.shape) < missing] = np.nan
    return members.astype(dtype), truth.astype(dtype)


@pytest.mark.parametrize("size", range(1, 11))
def test_the_network_sorts_all_zeros_and_ones_and_so_everything(size):
    # The zero-one principle (Knuth, The Art of Computer Programming 5.3.4, theorem Z).
    rows = np.array(list(itertools.product((0.0, 1.0), repeat=size))).T
    np.testing.assert_array_equal(np.stack(_ensemble.in_order(list(rows))), np.sort(rows, axis=0))


@KINDS
@pytest.mark.parametrize("size", [11, 17, 31, 32, 33, 64])
def test_order_is_that_of_a_sort(kind, size):
    rows = np.random.default_rng(size).integers(0, 40, (size, 300)).astype(np.float32)
    found = _ensemble.in_order([kind(row) for row in rows])
    assert all(row.dtype == kind(rows).dtype for row in found)
    np.testing.assert_array_equal(np.stack([np.asarray(row) for row in found]), np.sort(rows, axis=0))


@KINDS
@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 10, 32, 33, 50])
def test_crps_is_the_double_sum_over_members(kind, fair, size):
    if fair and size == 1:
        return
    members, truth = made(size, (4, 3))
    found = crps_ensemble(kind(members), kind(truth), fair=fair)
    assert found.dtype == kind(truth).dtype
    for cell in np.ndindex(truth.shape):
        expected = loop(members[(slice(None), *cell)], truth[cell], fair=fair)
        assert np.asarray(found)[cell] == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("fair", "method"), [(False, "ecdf"), (True, "fair")])
@pytest.mark.parametrize("size", [2, 3, 10, 40])
def test_crps_agrees_with_scores(fair, method, size):
    members, truth = made(size, (50,))
    expected = crps_for_ensemble(
        xr.DataArray(members, dims=("member", "x")),
        xr.DataArray(truth, dims="x"),
        "member",
        method=method,
        preserve_dims="all",
    )
    np.testing.assert_allclose(crps_ensemble(members, truth, fair=fair), expected, atol=1e-12)


def test_large_numbers_in_float32_keep_the_digits_they_have():
    members, truth = made(10, (6,), dtype=np.float32)
    members, truth = members + np.float32(1e5), truth + np.float32(1e5)  # Pa
    found = crps_ensemble(members, truth, fair=True)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [loop(members[:, c], truth[c], fair=True) for c in range(6)], rtol=1e-12)


def test_the_order_of_members_and_cells_does_not_matter():
    members, truth = made(9, (60,))
    rng = np.random.default_rng(1)
    people, cells = rng.permutation(9), rng.permutation(60)
    for fair in (False, True):
        whole = crps_ensemble(members, truth, fair=fair)
        np.testing.assert_allclose(crps_ensemble(members[people], truth, fair=fair), whole, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(crps_ensemble(members[:, cells], truth[cells], fair=fair), whole[cells])


@KINDS
@pytest.mark.parametrize("shape", [(), (1,), (13,), (5, 7), (3, 4, 5), (2, 1, 3, 4)])
@pytest.mark.parametrize("room", [1, 300, 2000, 10**6])
def test_blocks_of_any_size_give_the_same(kind, shape, room, monkeypatch):
    members, truth = made(6, shape, missing=0.1)
    whole = crps_ensemble(members, truth, skip_missing=True)
    monkeypatch.setattr(_ensemble, "block_bytes", lambda array: room)
    np.testing.assert_array_equal(np.asarray(crps_ensemble(kind(members), kind(truth), skip_missing=True)), whole)


@pytest.mark.parametrize("most", [1, 2, 5, 11, 24, 1000])
def test_cuts_cover_every_cell_once(most):
    for shape in [(), (24,), (2, 12), (2, 3, 4), (24, 1), (1, 1, 24)]:
        seen = np.zeros(shape, int)
        for index in _ensemble.cuts(shape, most):
            assert seen[index].size <= max(1, most)
            seen[index] += 1
        assert (seen == 1).all()


def test_views_that_lie_scattered_are_taken_as_they_are():
    members, truth = made(5, (8, 30))
    expected = crps_ensemble(members[:, ::2, 3:17].copy(), truth[::2, 3:17].copy())
    np.testing.assert_array_equal(crps_ensemble(members[:, ::2, 3:17], truth[::2, 3:17]), expected)
    np.testing.assert_array_equal(crps_ensemble(np.asfortranarray(members), truth), crps_ensemble(members, truth))


@KINDS
@pytest.mark.parametrize("size", [3, 40])
def test_nan_in_a_member_or_the_truth_is_nan_there_alone(kind, size):
    members, truth = made(size, (30,))
    members[1, 4], members[:, 5], truth[6] = np.nan, np.nan, np.nan
    for fair in (False, True):
        found = np.asarray(crps_ensemble(kind(members), kind(truth), fair=fair))
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), [4, 5, 6])


@KINDS
@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("size", [2, 6, 35])
def test_missing_members_can_be_left_out(kind, fair, size):
    members, truth = made(size, (5, 20), missing=0.3, dtype=np.float32)
    members[:, 0, 0] = np.nan  # none there
    members[1:, 0, 1] = np.nan  # one there
    members[0, 0, 1] = 2.0
    truth[0, 2] = np.nan
    members[:, 0, 3] = 1.0  # all there, and the same
    found = np.asarray(crps_ensemble(kind(members), kind(truth), fair=fair, skip_missing=True))
    for cell in np.ndindex(truth.shape):
        expected = loop(members[(slice(None), *cell)], truth[cell], fair=fair)
        assert found[cell] == pytest.approx(expected, rel=1e-12, abs=1e-13, nan_ok=True)
    assert np.isnan(found[0, 1]) == fair
    np.testing.assert_array_equal(np.asarray(missing_members(kind(members))), np.isnan(members).sum(axis=0))


def test_leaving_out_changes_nothing_where_all_are_there():
    members, truth = made(8, (50,))
    np.testing.assert_array_equal(crps_ensemble(members, truth, skip_missing=True), crps_ensemble(members, truth))


def test_a_fair_score_of_those_there_has_no_bias():
    # Members and truth of one law: E of the fair score is sd / sqrt(pi), however many members each cell has left.
    rng = np.random.default_rng(0)
    members, truth = rng.standard_normal((6, 200_000)), rng.standard_normal(200_000)
    members[2:][rng.random((4, 200_000)) < 0.5] = np.nan  # two at least are left
    found = crps_ensemble(members, truth, fair=True, skip_missing=True)
    assert found.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=5 * found.std() / np.sqrt(found.size))
    assert crps_ensemble(members, truth, skip_missing=True).mean() > 1.1 / np.sqrt(np.pi)


@pytest.mark.parametrize("shape", [(1,), (2, 1), (3,), ()])
def test_nothing_is_broadcast(shape):
    with pytest.raises(DataError, match=r"^expected members of shape \(member, \.\.\.\) and truth .* is broadcast\.$"):
        crps_ensemble(np.zeros((4, 2)), np.zeros(shape))


@pytest.mark.parametrize(
    ("size", "fair", "words"), [(1, True, "2 members for the fair CRPS, got 1"), (0, False, "1 m")]
)
def test_too_few_members_are_refused(size, fair, words):
    with pytest.raises(DataError, match=rf"^expected at least {words}.*Take fair=False for a single one\.$"):
        crps_ensemble(np.zeros((size, 3)), np.zeros(3), fair=fair)


@pytest.mark.parametrize("missing", [0.0, 0.05])
@pytest.mark.parametrize("size", [2, 10, 50])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_beside_arguments_and_answer_is_under_two_blocks(dtype, size, missing):
    members, truth = made(size, (30, 64, 64), dtype=dtype, missing=missing)
    skip = missing > 0.0
    crps_ensemble(members[:, :1], truth[:1], fair=True, skip_missing=skip)  # networks are made, modules imported
    tracemalloc.start()
    found = crps_ensemble(members, truth, fair=True, skip_missing=skip)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - found.nbytes < 2 * block_bytes(members)
    assert members.nbytes > 3 * block_bytes(members) or size == 2  # it was streamed


@pytest.mark.slow
def test_it_is_eight_times_as_fast_as_scores():
    command = [sys.executable, "-m", "benchmarks.crps"]
    printed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    found = json.loads(printed.splitlines()[-1])
    assert found["shape"] == [10, 120, 128, 128]
    assert found["ratio"] >= 8.0
    assert found["beside"] < 2.0
    assert found["difference"] < 2e-6  # scores adds up in float32
    assert found["seconds"]["Prediction.crps, as scored"] < 2.0 * found["seconds"]["crps_ensemble, fair"]
