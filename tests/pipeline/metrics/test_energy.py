"""The energy score: by its definition, against the loss of the same name, in limits."""

import itertools
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
import torch

from pipeline.metrics import DRAWS, METRICS, Case
from pipeline.metrics.energy import energy_score
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction
from pipeline.prediction.members import crps_ensemble
from pipeline.training.losses import Place, make_loss

AREA = np.array([0.5, 0.75, 1.0, 1.75, 0.1])


def _made(size=6, times=30, missing=0.2, seed=0):
    rng = np.random.default_rng(seed)
    members, truth = rng.normal(3.0, 2.0, (size, times, 5)), rng.normal(3.0, 2.0, (times, 5))
    truth[rng.random(truth.shape) < missing] = np.nan
    truth[4] = np.nan
    return members, truth


def _loop(members, truth):
    """Return the score of one time by its definition, over all ordered pairs."""
    known = np.isfinite(truth)
    if not known.any():
        return np.nan
    weight = AREA[known] / AREA[known].sum()

    def distance(one, other):
        return float(np.sqrt((weight * (one[known] - other[known]) ** 2).sum()))

    size = len(members)
    pairs = sum(distance(one, other) for one, other in itertools.permutations(members, 2))
    return sum(distance(x, truth) for x in members) / size - (pairs / (2 * size * (size - 1)) if size > 1 else 0.0)


@pytest.mark.parametrize("kind", [np.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_it_is_its_definition_over_all_pairs(kind, size):
    members, truth = _made(size)
    found = np.asarray(energy_score(kind(members), kind(truth), kind(AREA)))
    expected = [_loop(members[:, time], truth[time]) for time in range(len(truth))]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_times_worked_on_together_do_not_matter(monkeypatch):
    members, truth = _made()
    whole = energy_score(members, truth, AREA)
    monkeypatch.setattr("pipeline.metrics.energy.block_bytes", lambda array: 900)
    np.testing.assert_allclose(energy_score(members, truth, AREA), whole, rtol=1e-12)


def test_it_is_the_loss_of_the_same_name():
    members, truth = _made(size=7)
    known = torch.asarray(np.isfinite(truth))[:, None, :]
    place = Place(area=torch.asarray(AREA), index=torch.arange(5), shape=(1, 5))
    output = torch.asarray(members).movedim(0, 1)[:, :, None, :]
    loss = make_loss({"kind": "energy_score", "members": 7})(
        output, torch.asarray(np.nan_to_num(truth))[:, None], place.cells(known)
    )
    expected = loss[:, 0, 0].numpy()
    there = np.isfinite(truth).any(axis=1)
    np.testing.assert_allclose(energy_score(members, truth, AREA)[there], expected[there], rtol=1e-7)


def test_of_one_cell_it_is_the_fair_crps():
    members, truth = _made(missing=0.0)
    found = energy_score(members[..., :1], truth[:, :1], AREA[:1])
    np.testing.assert_allclose(found, crps_ensemble(members[..., 0], truth[:, 0], fair=True), rtol=1e-10)


def test_members_close_together_keep_their_digits():
    members, truth = _made(missing=0.0)
    near = 1e5 + 1e-4 * members
    expected = [_loop(near[:, time], truth[time]) for time in range(len(truth))]
    np.testing.assert_allclose(energy_score(near, truth, AREA), expected, rtol=1e-13)
    same = np.repeat(members[:1], 4, axis=0)
    np.testing.assert_allclose(energy_score(same, truth, AREA), energy_score(members[:1], truth, AREA), rtol=1e-12)


def test_order_of_members_and_cells_does_not_matter():
    members, truth = _made()
    rng = np.random.default_rng(1)
    people, cells = rng.permutation(6), rng.permutation(5)
    whole = energy_score(members, truth, AREA)
    np.testing.assert_allclose(energy_score(members[people], truth, AREA), whole, rtol=1e-10)
    np.testing.assert_allclose(energy_score(members[..., cells], truth[:, cells], AREA[cells]), whole, rtol=1e-10)


def test_it_tells_fields_that_hang_together_from_noise():
    # Cells of the truth go up and down together; both ensembles are right cell by cell.
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(20_000, 1)) * np.ones(5)
    joint, loose = rng.normal(size=(5, 20_000, 1)) * np.ones(5), rng.normal(size=(5, 20_000, 5))
    scores = {name: energy_score(x, truth, np.ones(5)).mean() for name, x in (("joint", joint), ("loose", loose))}
    assert scores["joint"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)  # all cells are one
    assert scores["loose"] > 1.05 * scores["joint"]
    for members in (joint, loose):
        cells = crps_ensemble(members, truth, fair=True).mean()
        assert cells == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)


def test_it_does_not_depend_on_the_number_of_members_on_average():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(20_000, 5))
    means = [energy_score(rng.normal(size=(size, 20_000, 5)), truth, AREA).mean() for size in (2, 5, 20)]
    assert means == pytest.approx([means[-1]] * 3, rel=0.01)


def test_the_metric_is_the_mean_over_times_with_truth(make_case, winters):
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
    cases = {family: {"tas": make_case(family, n=len(winters))} for family in ("members", "point", "normal")}
    for by in cases.values():
        by["tas"].truth[7] = np.nan
    options = {"split": "test", "time": winters, "weights": weights, "units": {"tas": "degC"}, "seed": 4}
    found = evaluate(cases, metrics=("energy_score", "crps_fair"), resamples=20, **options)
    rows = {(row.model, row.metric): row for row in found.scores if row.group == "all"}
    for family in ("members", "point"):
        case = cases[family]["tas"]
        expected = np.nanmean(energy_score(case.draws, case.truth, weights))
        assert rows[family, "energy_score"].value == pytest.approx(expected, rel=1e-9)
        assert rows[family, "energy_score"].units == "K"
    # A distribution without members is scored by a few seeded draws, without bias for their number.
    assert rows["normal", "energy_score"].value == pytest.approx(rows["members", "energy_score"].value, rel=0.1)
    assert cases["normal"]["tas"].draws.shape[0] == DRAWS


def test_stations_and_leads_have_it_and_one_series_does_not(make_case):
    metric = METRICS.get("energy_score")()
    case = make_case("members")
    assert metric.applies(case, "m3 s-1")  # it knows no place
    assert not metric.applies(case.select(slice(0, 1), -1), "m3 s-1")
    assert not METRICS.get("spatial_correlation")().applies(case, "m3 s-1")
    # Without weights every cell counts alike.
    alike, weighted = (metric.terms(replace(case, weights=w))[0] for w in (None, np.full(6, 2.0)))
    np.testing.assert_allclose(alike, weighted, rtol=1e-12)


def test_a_perfect_ensemble_is_perfect():
    truth = np.random.default_rng(0).normal(size=(20, 5))
    perfect = Prediction("members", {"members": np.stack([truth] * 3)})
    case = Case(perfect, truth, perfect, weights=AREA)
    np.testing.assert_allclose(METRICS.get("energy_score")().terms(case)[0], 0.0, atol=1e-12)
