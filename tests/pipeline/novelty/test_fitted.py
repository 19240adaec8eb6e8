"""A warming is flagged, an unshifted test set is not; unseen basins are, and what cannot be told is refused."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.errors import DataError
from pipeline.novelty import fitted as module
from pipeline.novelty.fitted import Measured, Novelty
from pipeline.novelty.storage import FILES, load_novelty, save_novelty


@pytest.fixture(scope="module")
def trained(made):
    return Novelty.fit(made().inputs("train"))


def test_an_unshifted_test_set_is_as_unusual_as_expected(made, trained):
    found = trained.score(made().inputs("test"))
    # 1 % of 730 days, about 10 days of which are one weather.
    assert 0.0 < found.judged.unusual.mean() < 0.01 + 3 * np.sqrt(0.01 * 0.99 / 73)
    assert 0.45 < np.median(found.judged.share) < 0.6
    assert found.season.unusual.mean() < 0.1


def test_a_warming_by_3_k_is_flagged_by_its_seasons(made, trained):
    """Day by day it lies inside the weather, whose own deviation is 4 K."""
    found = trained.score(made(3.0).inputs("test"))
    assert found.season.unusual.mean() > 0.8
    assert found.judged.unusual.mean() < 0.1


def test_a_warming_beyond_the_weather_is_flagged_day_by_day(made, trained):
    found = trained.score(made(15.0).inputs("test"))
    assert found.judged.unusual.mean() > 0.95
    assert (found.judged.share[found.judged.unusual] >= 0.99).all()
    assert (found.season.unusual).all()


@pytest.mark.parametrize("anomaly", ["none", "day_of_year"])
@pytest.mark.parametrize("scale", ["per_cell", "per_field"])
def test_it_is_the_same_for_raw_values_and_anomalies(made, anomaly, scale):
    prepared = made(6.0, anomaly=anomaly, scale=scale)
    found = Novelty.fit(prepared.inputs("train")).score(prepared.inputs("test"))
    assert 0.15 < found.judged.unusual.mean() < 0.35
    assert found.season.unusual.mean() > 0.95


def test_a_shifted_mean_of_samples_is_flagged_and_their_own_world_is_not(make_samples):
    trained = Novelty.fit(make_samples(1500))
    test = make_samples(1500, seed=1, name="test")
    same = trained.score(test).judged.unusual.mean()
    assert same < 0.01 + 4 * np.sqrt(0.01 * 0.99 / 300)  # five days of memory
    assert trained.score(test.with_inputs(test.inputs + 8.0)).judged.unusual.mean() > 0.99


def test_what_no_pattern_explains_is_flagged_by_the_residual(make_samples):
    trained = Novelty.fit(make_samples(1500))
    test = make_samples(300, seed=1, name="test")
    odd = test.inputs.copy()
    odd[:, 0, ::2, ::2] += 1.5
    odd[:, 0, 1::2, ::2] -= 1.5
    found = trained.score(test.with_inputs(odd)).judged
    assert (found.residual_share > 0.99).mean() > 0.99
    assert (found.distance_share > 0.99).mean() < 0.2
    assert found.unusual.mean() > 0.99


def test_distances_of_train_samples_are_of_climates_without_them(make_samples):
    """Inside the fit 60 features on 600 days look nearer than new days do."""
    rng = np.random.default_rng(1)
    train, test = (
        replace(make_samples(600, name=name), inputs=rng.normal(size=(600, 3, 4, 5)), day=np.zeros(600))
        for name in ("train", "test")
    )
    trained = Novelty.fit(train)
    inside, new, held = trained.measure(train), trained.measure(test), trained.reference
    for part in ("distance", "residual"):
        mean = getattr(new, part).mean()
        assert abs(getattr(inside, part).mean() / mean - 1) > 0.025  # components are of the days they were fitted on
        np.testing.assert_allclose(getattr(held, part).mean(), mean, rtol=0.025)
    assert trained.judge(new).judged.unusual.mean() < 0.02


def test_an_unseen_basin_is_flagged_and_others_of_the_same_kind_are_not(basins):
    inside = np.zeros((1, 30), bool)
    inside[0, :24] = True
    trained = Novelty.fit(basins(), inside)
    assert (trained.kind, trained.folds, trained.facts()["features"]) == ("basins", 10, 14)
    usual = trained.score(basins(name="test", seed=1)).of_cells(~inside)
    assert usual.judged.novelty.shape == (700, 30)
    assert np.isfinite(usual.judged.novelty).all(axis=0).tolist() == [False] * 24 + [True] * 6
    assert usual.judged.unusual.mean() < 0.05
    static = np.random.default_rng(99).normal(size=(2, 30))
    static[:, 27] = [0.0, 9.0]  # a mountain
    high = Novelty.fit(basins(static=static), inside).score(basins(name="test", seed=1, static=static))
    assert high.judged.unusual[:, 27].mean() > 0.95
    climate = np.zeros((1, 1, 3, 1, 30))
    climate[..., 1, 0, 28] = 6.0  # a desert
    warm = trained.score(basins(name="test", seed=1, shift=climate))
    assert warm.judged.unusual[:, 28].mean() > 0.95
    assert np.delete(warm.judged.unusual, 28, axis=1).mean() < 0.05


def test_stations_of_a_split_by_time_are_compared_with_all_stations(basins):
    trained = Novelty.fit(basins(1600, 6))
    assert (trained.kind, trained.space.statics, trained.samples) == ("years", False, 1600 * 6)
    found = trained.score(basins(400, 6, 1, name="test"))
    assert found.judged.unusual.mean() < 0.02
    assert found.season.unusual.shape == (400,)


def test_of_very_many_samples_every_nth_date_is_looked_at(basins, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 1000)
    trained = Novelty.fit(basins(1600, 6))
    assert trained.samples == -(-1600 // 10) * 6
    assert trained.score(basins(400, 6, 1, name="test")).judged.unusual.mean() < 0.03


def test_nothing_but_the_train_split_is_fitted_on(make_samples):
    with pytest.raises(TypeError, match=r"Novelty is fitted on the train split alone, got the split 'test'\."):
        Novelty.fit(make_samples(300, name="test"))


def test_too_short_a_train_split_is_refused(make_samples, basins):
    with pytest.raises(DataError, match=r"expected 100 train samples or more, got 99: .* Take a longer train split\."):
        Novelty.fit(make_samples(99))
    with pytest.raises(DataError, match=r"expected 5 train basins or more, .* got 4: "):
        Novelty.fit(basins(200, 4), np.ones((1, 4), bool))


def test_a_single_year_tells_days_and_no_seasons(made):
    train = made().inputs("train").take(slice(0, 365))
    trained = Novelty.fit(train)
    assert (trained.kind, trained.season, trained.facts()["season"]) == ("blocks", None, False)
    assert trained.score(made(15.0).inputs("test")).judged.unusual.mean() > 0.8


def test_a_missing_input_gives_missing_novelty(make_samples):
    trained = Novelty.fit(make_samples(300))
    test = make_samples(50, seed=2, name="test")
    broken = test.inputs.copy()
    broken[7, 1, 2, 2] = np.nan
    found = trained.score(test.with_inputs(broken))
    assert np.flatnonzero(np.isnan(found.judged.novelty[:, 0])).tolist() == [7]
    assert not found.judged.unusual[7, 0]


def test_train_samples_without_a_value_are_left_out(make_samples):
    train = make_samples(300)
    broken = train.inputs.copy()
    broken[:20, 0, 0, 0] = np.nan
    assert Novelty.fit(train.with_inputs(broken)).samples == 280


def test_a_channel_that_never_varied_is_unusual_once_it_does(make_samples):
    train, test = make_samples(400), make_samples(60, seed=1, name="test")
    fixed = [part.inputs.copy() for part in (train, test)]
    for part in fixed:
        part[:, 2] = 0.0
    trained = Novelty.fit(train.with_inputs(fixed[0]))
    assert trained.score(test.with_inputs(fixed[1])).judged.unusual.mean() < 0.1
    fixed[1][:, 2] = 0.3
    assert trained.score(test.with_inputs(fixed[1])).judged.unusual.all()


def test_of_a_forcing_the_range_is_kept_and_its_trend_makes_no_day_unusual(make_samples, tmp_path):
    def forced(values, **options):
        samples = make_samples(300, **options)
        rising = np.broadcast_to(np.asarray(values, np.float32)[:, None, None, None], (300, 1, 4, 5))
        schema = samples.schema
        schema = replace(schema, channels=(*schema.channels, "co2"), scalars=("co2",), channel_units=("1",) * 4)
        return replace(samples, inputs=np.concatenate([samples.inputs, rising], axis=1), schema=schema)

    train, test = forced(np.linspace(-2, 2, 300)), forced(np.linspace(1, 5, 300), name="test", seed=1)
    trained = Novelty.fit(train, forcings=("co2",))
    save_novelty(trained, tmp_path, get_backend("cpu"))
    for one in (trained, load_novelty(tmp_path, train.schema, get_backend("cpu"))):
        found = one.score(test)
        np.testing.assert_array_equal(found.outside["co2"], np.linspace(1, 5, 300).astype(np.float32) > 2)
        without = Novelty.fit(make_samples(300)).score(make_samples(300, name="test", seed=1))
        np.testing.assert_allclose(found.judged.novelty, without.judged.novelty)


def test_parts_measured_apart_are_judged_as_one(made, trained):
    test = made(3.0).inputs("test")
    whole = trained.score(test)
    parts = [trained.measure(test.take(slice(k, k + 97))) for k in range(0, 730, 97)]
    joined = trained.judge(Measured.joined(parts))
    np.testing.assert_allclose(joined.judged.novelty, whole.judged.novelty, rtol=1e-6)
    np.testing.assert_allclose(joined.season.novelty, whole.season.novelty, rtol=1e-6)


def test_it_is_kept_on_disk_as_it_was(made, trained, tmp_path):
    test = made(3.0).inputs("test")
    cpu = get_backend("cpu")
    assert load_novelty(tmp_path, test.schema, cpu) is None
    save_novelty(trained, tmp_path, cpu)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    kept = load_novelty(tmp_path, test.schema, cpu)
    assert kept.facts() == trained.facts()
    one, other = trained.score(test), kept.score(test)
    np.testing.assert_array_equal(one.judged.novelty, other.judged.novelty)
    np.testing.assert_array_equal(one.season.share, other.season.share)


def test_without_seasons_it_is_kept_too(make_samples, tmp_path):
    trained = Novelty.fit(make_samples(150))
    save_novelty(trained, tmp_path, get_backend("cpu"))
    kept = load_novelty(tmp_path, make_samples(2).schema, get_backend("cpu"))
    assert kept.season is None
    assert kept.facts() == trained.facts()


def test_it_runs_on_any_array(make_samples, strict_backend, on):
    train, test = make_samples(1600), make_samples(40, seed=1, name="test")
    known = Novelty.fit(train).score(test)
    found = Novelty.fit(on(train, strict_backend)).score(on(test, strict_backend))
    np.testing.assert_allclose(found.judged.novelty, known.judged.novelty, rtol=1e-5)


def test_the_cost_is_bounded_by_boxes_and_rows():
    index = module._every(200_000, 1, 1000, module._NUMBERS)
    assert len(index) * 1000 <= module._NUMBERS
    assert len(module._every(5000, 500, 50, module._NUMBERS)) * 500 <= module._ROWS
    assert module._every(10, 10**9, 50, module._NUMBERS).tolist() == [0]


def test_little_memory_looks_at_fewer_samples(make_samples):
    train, test = make_samples(1600), make_samples(40, seed=1, name="test")
    whole, less = Novelty.fit(train), Novelty.fit(train, budget=32 * 1000)
    assert (whole.samples, less.samples) == (1600, 800)
    known, found = (each.score(test).judged.novelty for each in (whole, less))
    assert np.corrcoef(known.ravel(), found.ravel())[0, 1] > 0.9
