"""Which samples fits on parts learn from: nothing of what is held out, and blocks of time whole."""

from dataclasses import replace

import cftime
import numpy as np
import pytest

from models.arima import Arima
from pipeline.backend import get_backend
from pipeline.errors import ConfigError, DataError, TrainingError
from pipeline.lagged import Lagged
from pipeline.metrics.blocks import make_blocks, months, year_of
from pipeline.model import Context
from pipeline.uncertainty.parts import WHOLE, Part, drawn_blocks, fold_of, join, lesson

DAY = np.timedelta64(1, "D")


def days(first, last):
    return np.arange(first, last, dtype="datetime64[D]").astype("datetime64[ns]")


def winters(first, last):
    time = days(f"{first}-12-01", f"{last}-03-01")
    return time[np.isin(months(time), (12, 1, 2))]


@pytest.fixture
def split(make_samples):
    """Return train and validation with the dates asked for; both know how many samples they were made of."""

    def made(train, validation):
        parts = []
        for name, time in (("train", train), ("validation", validation)):
            samples = make_samples(len(time), seed=len(name), name=name)
            parts.append(replace(samples, time=time))
        return parts

    return made


@pytest.mark.parametrize("folds", [3, 5, 7])
def test_folds_are_stretches_of_whole_winters_of_about_equal_length(folds):
    time = winters(1982, 1997)
    fold = fold_of(time, folds)
    winter = year_of(time) + (months(time) == 12)
    assert sorted(set(fold)) == list(range(1, folds + 1))
    assert (np.diff(fold) >= 0).all()
    assert all(len(set(fold[winter == year])) == 1 for year in set(winter))
    sizes = np.bincount(fold)[1:]
    assert sizes.max() - sizes.min() <= 93  # a winter and its leap days


@pytest.mark.parametrize(
    ("time", "folds", "sizes"),
    [
        (days("2001-01-01", "2002-01-01"), 4, [59, 92, 92, 122]),  # one year and a December: seasons
        (days("2001-01-01", "2001-01-13"), 5, [2, 3, 2, 3, 2]),  # one season: days
        (days("2001-01-01", "2001-01-04"), 3, [1, 1, 1]),
    ],
)
def test_folds_of_less_than_enough_years_are_of_seasons_or_of_steps(time, folds, sizes):
    assert np.bincount(fold_of(time, folds))[1:].tolist() == sizes


def test_every_fold_has_a_stretch_however_unequal_they_are():
    time = np.concatenate([days("1990-01-01", "1999-12-01"), winters(2000, 2001), winters(2005, 2006)])
    year = year_of(time) + (months(time) == 12)
    fold = fold_of(time, len(set(year)))
    assert sorted(set(fold)) == list(range(1, len(set(year)) + 1))


def test_folds_of_another_calendar():
    time = np.array([cftime.Datetime360Day(1990 + year, month, 30) for year in range(6) for month in range(1, 13)])
    assert np.bincount(fold_of(time, 3))[1:].sum() == 72


def test_tiles_have_no_folds():
    wanted = (
        "expected dates to cut into folds of years, got numbered tiles of images. "
        r"Calibrate on the validation split: leave out calibration\.folds\."
    )
    with pytest.raises(ConfigError, match=f"^{wanted}$"):
        fold_of(np.arange(10), 3)


def test_fewer_samples_than_folds_are_refused():
    with pytest.raises(DataError, match=r"^expected at least 5 samples for 5 folds, got 2\. Take fewer folds\.$"):
        fold_of(days("2001-01-01", "2001-01-03"), 5)


def test_every_sample_is_held_out_once_and_never_learned_from_then(split):
    train, validation = split(winters(1980, 1988), winters(1988, 1990))
    held = []
    for fold in range(1, 6):
        found = lesson(Part(fold=fold, folds=5), train, validation, seed=0)
        parts = [set(part.time) for part in (found.train, found.validation, found.held_out)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert set.union(*parts) == {*train.time, *validation.time}
        held += list(found.held_out.time)
        assert (found.train.name, found.validation.name) == ("train", "validation")
        assert found.held_out.name == "held_out"
    assert held == [*train.time, *validation.time]


def test_samples_keep_their_own_values(split):
    train, validation = split(winters(1980, 1988), winters(1988, 1990))
    found = lesson(Part(fold=5, folds=5), train, validation, seed=0)
    known = {
        stamp: (x, y)
        for part in (train, validation)
        for stamp, x, y in zip(part.time, part.inputs, part.target, strict=True)
    }
    for part in (found.train, found.validation, found.held_out):
        for stamp, x, y in zip(part.time, part.inputs, part.target, strict=True):
            np.testing.assert_array_equal(x, known[stamp][0])
            np.testing.assert_array_equal(y, known[stamp][1])


@pytest.mark.parametrize("gap", ["0D", "20D", "90D"])
def test_what_is_learned_from_is_a_gap_away_from_what_is_held_out(split, gap):
    train, validation = split(days("1980-12-01", "1988-12-01"), days("1988-12-01", "1990-12-01"))
    least = np.timedelta64(int(gap[:-1]), "D")
    for fold in range(1, 6):
        found = lesson(Part(fold=fold, folds=5), train, validation, seed=0, gap=gap)
        for other in (found.held_out, found.validation):
            apart = np.abs(found.train.time[:, None] - other.time[None, :]).min()
            assert apart >= max(least, DAY)


def test_answers_ahead_never_reach_into_what_is_held_out(make_series):
    train, validation = make_series(700, name="train"), make_series(400, name="validation")
    train = replace(train, time=days("1980-01-01", "1990-01-01")[:700])
    validation = replace(validation, time=train.time[-1] + (np.arange(400) + 10) * DAY)
    for fold in range(1, 4):
        found = lesson(Part(fold=fold, folds=3), train, validation, seed=0)
        for other in (found.held_out, found.validation):
            ours = np.stack([found.train.time, found.train.time + 3 * DAY])
            theirs = other.time[0], other.time[-1] + 3 * DAY
            assert ((ours[1] < theirs[0]) | (ours[0] > theirs[1])).all()


@pytest.mark.parametrize("leads", [(0,), (1, 2, 3)])
def test_no_fit_knows_the_truth_of_a_fold_as_past(make_series, leads):
    whole = make_series(900, leads=leads)
    train, validation = whole.take(slice(0, 700)), replace(whole.take(slice(700, 900)), name="validation")
    for fold in range(1, 5):
        found = lesson(Part(fold=fold, folds=4), train, validation, seed=0)
        held, own = found.held_out, found.held_out.past.last + (min(leads) == 0)
        truth = {int(step) + lead for step in own for lead in leads}
        for part in (found.train, found.validation):
            for first, last in zip(part.past.first, part.past.last, strict=True):
                assert not truth & set(range(first, last + 1))
            np.testing.assert_array_equal(np.isnan(part.previous[:, 0, 0, 0]), part.past.last < part.past.first)
        assert sum(np.isnan(part.previous[:, 0, 0, 0]).sum() for part in (found.train, found.validation)) <= 2
        np.testing.assert_array_equal(held.past.first, 0)  # what came before is known when it is forecast


def test_what_a_fit_is_checked_on_is_a_gap_away_from_what_is_held_out(split):
    train, validation = split(days("1980-12-01", "1988-12-01"), days("1988-12-01", "1990-12-01"))
    for fold in range(1, 6):
        found = lesson(Part(fold=fold, folds=5), train, validation, seed=0, gap="20D")
        apart = np.abs(found.validation.time[:, None] - found.held_out.time[None, :]).min()
        assert apart >= np.timedelta64(20, "D")


def test_arima_of_a_fold_knows_nothing_of_it(make_series):
    whole = make_series(900)
    fold = fold_of(whole.time, 3)
    learned = []
    for change in (0.0, 50.0):
        values = np.array(whole.past.values)
        last = whole.past.last[fold == 1]
        values[last.min() + 1 : last.max() + 4] += change
        other = replace(whole, past=replace(whole.past, values=values))
        train, validation = other.take(slice(0, 700)), replace(other.take(slice(700, 900)), name="validation")
        found = lesson(Part(fold=1, folds=3), train, validation, seed=0)
        context = Context(get_backend("cpu"), seed=0, name="arima")
        learned.append(Arima().fit(found.train, found.validation, context).arrays)
    for name, values in learned[0].items():
        np.testing.assert_array_equal(values, learned[1][name])


def test_a_gap_that_leaves_nothing_is_said(split):
    train, validation = split(winters(1980, 1983), winters(1983, 1984))
    wanted = (
        r"^expected samples to learn from beside fold 1 of 3 and the one it is checked on, got none with a gap of "
        r"4000D\. Take more folds, or a shorter split\.gap\.$"
    )
    with pytest.raises(DataError, match=wanted):
        lesson(Part(fold=1, folds=3), train, validation, seed=0, gap="4000D")


def test_the_whole_is_the_splits_themselves(split):
    train, validation = split(winters(1980, 1983), winters(1983, 1984))
    found = lesson(WHOLE, train, validation, seed=0)
    assert found.train is train
    assert found.validation is validation
    assert found.held_out is None


def test_blocks_are_drawn_whole_with_replacement(split):
    train, _ = split(winters(1970, 1990), winters(1990, 1992))
    edges = make_blocks(train.time, np.nanmean(train.target.reshape(len(train), -1), axis=1)).edges
    assert len(edges) == 20  # winters
    starts = {int(first): int(last) for first, last in edges}
    seen = []
    for member in range(50):
        index = drawn_blocks(train, np.random.default_rng(member))
        place = 0
        while place < len(index):
            first = int(index[place])
            length = starts[first] - first
            np.testing.assert_array_equal(index[place : place + length], np.arange(first, starts[first]))
            place += length
        seen.append(len(set(index)) / len(train))
    # Of n blocks drawn n times, 1 - (1 - 1/n)^n are there.
    expected = 1 - (1 - 1 / len(edges)) ** len(edges)
    assert abs(np.mean(seen) - expected) < 3 * np.std(seen) / len(seen) ** 0.5 + 1e-9


def test_members_draw_other_blocks_and_always_the_same(split):
    train, validation = split(winters(1970, 1990), winters(1990, 1992))
    bag = Part(bagged=True)
    first, again, other, seed = (
        lesson(bag, train, validation, seed=seed, member=member) for seed, member in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert (first.train.time == again.train.time).all()
    assert len(first.train) != len(other.train) or (first.train.time != other.train.time).any()
    assert len(first.train) != len(seed.train) or (first.train.time != seed.train.time).any()
    assert first.validation is validation


def test_a_bag_of_a_fold_draws_from_what_is_left(split):
    train, validation = split(winters(1970, 1990), winters(1990, 1992))
    found = lesson(Part(bagged=True, fold=2, folds=4), train, validation, seed=0)
    plain = lesson(Part(fold=2, folds=4), train, validation, seed=0)
    assert set(found.train.time) < set(plain.train.time)
    assert (found.held_out.time == plain.held_out.time).all()


def test_windows_are_joined_without_laying_them_out(make_series):
    values = np.arange(40.0, dtype=np.float32).reshape(20, 2, 1, 1)
    scalars = np.zeros((20, 0), np.float32)

    def part(name, now):
        index = np.stack([now, now - 1], axis=1)
        base = make_series(len(now), name=name)
        return replace(
            base, inputs=Lagged(values, scalars, index, now), time=now * DAY + np.datetime64("2001-01-01", "ns")
        )

    one, two = part("train", np.arange(1, 8)), part("validation", np.arange(10, 15))
    found = join(one, two)
    assert found.lagged is not None
    np.testing.assert_array_equal(found.inputs, np.concatenate([one.lagged.array(), two.lagged.array()]))
    np.testing.assert_array_equal(found.past.last, np.concatenate([one.past.last, two.past.last]))
    np.testing.assert_array_equal(found.take(slice(7, None)).inputs, two.lagged.array())


def test_splits_that_do_not_follow_each_other_are_refused(split):
    train, validation = split(winters(1980, 1983), winters(1983, 1984))
    wanted = (
        r"^expected train after validation, got 1980-12-01T00:00:00\.000000000 and 1984-02-29T00:00:00\.000000000\. "
        r"Splits by basin have the same dates: calibrate on the validation split\.$"
    )
    with pytest.raises(DataError, match=wanted):
        join(validation, train)


def test_a_split_without_truth_is_not_joined(split):
    train, validation = split(winters(1980, 1983), winters(1983, 1984))
    wanted = r"^expected train and validation to have the same parts, got one of them without target\.$"
    with pytest.raises(DataError, match=wanted):
        join(train, replace(validation, target=None))


def test_blocks_of_a_split_without_truth_are_refused(split):
    train, _ = split(winters(1980, 1983), winters(1983, 1984))
    with pytest.raises(DataError, match=r"^train: expected truth to draw blocks of, got a split without\.$"):
        drawn_blocks(replace(train, target=None), np.random.default_rng(0))


def test_a_cycle_of_the_year_does_not_make_blocks_long(split):
    train, _ = split(days("1980-01-01", "1981-12-30"), days("1982-01-01", "1982-03-01"))
    day = (np.arange(len(train)) % 365) / 365.0
    wave = 10.0 * np.cos(2 * np.pi * day)[:, None, None, None]
    raw = replace(train, day=day, target=(train.target + wave).astype(np.float32))
    assert len(set(drawn_blocks(raw, np.random.default_rng(0)))) > 200
    assert len(make_blocks(raw.time, np.nanmean(raw.target.reshape(len(raw), -1), axis=1))) < 3


def test_hardly_any_blocks_are_refused(split):
    train, _ = split(days("1980-01-01", "1980-01-06"), days("1982-01-01", "1982-03-01"))
    wanted = (
        r"^expected at least 3 blocks of time that are independent of each other to draw from, got [12] in train\. "
        r"Take a longer train split, or members that differ by their seed\.$"
    )
    with pytest.raises(TrainingError, match=wanted):
        drawn_blocks(train, np.random.default_rng(0))
