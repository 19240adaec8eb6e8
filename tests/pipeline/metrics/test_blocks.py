import cftime
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.blocks import decorrelation_time, make_blocks, months, seasons, strip_blocks
from pipeline.metrics.bootstrap import percentile_interval, resample


def _red(n, phi, seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros(n)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + rng.normal()
    return x


def _days(first, last):
    return np.arange(first, last, dtype="datetime64[D]")


def _winters(first, count):
    return np.concatenate([_days(f"{y}-12-01", f"{y + 1}-03-01") for y in range(first, first + count)])


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_decorrelation_time_of_red_noise(phi):
    found = np.mean([decorrelation_time(_red(3000, phi, seed)) for seed in range(10)])
    assert found == pytest.approx((1 + phi) / (1 - phi), rel=0.12)


def test_decorrelation_never_looks_across_a_gap():
    # Two days, then nine without any: inside a pair the values are equal, across the gap they are opposite.
    series = np.tile([1.0, 1.0, -1.0, -1.0], 50)
    time = np.datetime64("2000-01-01") + (np.arange(200) + np.arange(200) // 2 * 9).astype("timedelta64[D]")
    assert make_blocks(time, series).decorrelation == pytest.approx(3.0)
    assert decorrelation_time(series) < 1.1


def test_decorrelation_of_what_does_not_vary_or_is_missing_is_one():
    assert decorrelation_time(np.ones(50)) == 1.0
    assert decorrelation_time(np.full(50, np.nan)) == 1.0


def test_missing_values_do_not_make_memory():
    series = _red(4000, 0.8)
    series[::7] = np.nan
    assert decorrelation_time(series) == pytest.approx(9.0, rel=0.3)


def test_whole_years_where_there_are_eight():
    time = _days("1990-12-01", "2000-12-01")
    blocks = make_blocks(time, _red(len(time), 0.5))
    assert blocks.kind == "years"
    assert len(blocks) == 10
    assert [str(time[start]) for start, _ in blocks.edges[:2]] == ["1990-12-01", "1991-12-01"]
    assert blocks.independent == pytest.approx(len(time) / blocks.decorrelation)


def test_a_winter_is_never_split_between_two_years():
    blocks = make_blocks(_winters(1985, 9), _red(len(_winters(1985, 9)), 0.5))
    assert blocks.kind == "years"
    assert len(blocks) == 9


def test_whole_seasons_where_years_are_few():
    time = _days("1990-12-01", "1993-12-01")
    blocks = make_blocks(time, _red(len(time), 0.5))
    assert blocks.kind == "seasons"
    assert len(blocks) == 12


def test_runs_are_longer_than_the_memory_and_stay_on_their_side_of_a_gap():
    time = _winters(1997, 5)
    blocks = make_blocks(time, _red(len(time), 0.7))
    assert blocks.kind == "runs"
    assert blocks.edges[0, 0] == 0
    assert blocks.edges[-1, 1] == len(time)
    np.testing.assert_array_equal(blocks.edges[1:, 0], blocks.edges[:-1, 1])
    assert (np.diff(blocks.edges, axis=1) >= 3.0 * blocks.decorrelation).all()
    for start, stop in blocks.edges:
        assert time[stop - 1] - time[start] == np.timedelta64(stop - start - 1, "D")


def _with_missing_days(seed, share=0.3):
    """Six seasons of days with a memory of nine days, a share of which is not there."""
    time = _days("2000-12-01", "2002-06-01")
    kept = np.random.default_rng([1, seed]).random(len(time)) >= share
    return time[kept], _red(len(time) + 100, 0.8, seed)[100:][kept]


def test_missing_days_do_not_cut_blocks_short():
    time, series = _with_missing_days(0)
    blocks = make_blocks(time, series)
    assert blocks.kind == "runs"
    assert len(blocks) >= 8
    assert (np.diff(blocks.edges, axis=1) >= 3.0 * blocks.decorrelation).all()


def test_memory_is_counted_in_steps_of_time_not_in_samples():
    found = [make_blocks(*_with_missing_days(seed, share=0.5)).decorrelation for seed in range(40)]
    assert np.mean(found) == pytest.approx(9.0, rel=0.15)
    # Over days that are all there estimates scatter by three as well.
    assert np.std(found) < 4.0


def test_months_of_unequal_length_are_equal_steps():
    time = np.arange("1990-01", "1994-01", dtype="datetime64[M]").astype("datetime64[D]")
    series = _red(48, 0.5)
    assert make_blocks(time, series).decorrelation == decorrelation_time(series)


def test_the_bootstrap_of_the_mean_is_as_wide_as_means_scatter_where_days_are_missing():
    means, errors = [], []
    for seed in range(100):
        time, series = _with_missing_days(seed)
        edges = make_blocks(time, series).edges
        counts = np.random.default_rng(seed).multinomial(len(edges), np.full(len(edges), 1 / len(edges)), size=200)
        sums = np.add.reduceat(series, edges[:, 0])
        errors.append((counts @ sums / (counts @ np.diff(edges, axis=1)[:, 0])).std())
        means.append(series.mean())
    # Blocks of three decorrelation times leave it a little short; blocks of single days would be at a third.
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)


def test_seasons_that_are_shorter_than_the_memory_are_no_blocks():
    time = np.arange("1990-12", "1996-12", dtype="datetime64[M]").astype("datetime64[D]")
    blocks = make_blocks(time, np.sin(np.arange(72) / 8.0))
    assert blocks.kind == "runs"


def test_a_series_shorter_than_a_block_is_one_block():
    blocks = make_blocks(_days("2000-01-01", "2000-01-20"), np.arange(19.0))
    np.testing.assert_array_equal(blocks.edges, [[0, 19]])


@pytest.mark.parametrize("kind", [cftime.Datetime360Day, cftime.DatetimeNoLeap])
def test_calendars_of_models_have_seasons_too(kind):
    time = np.array([kind(1990 + m // 12, m % 12 + 1, 15) for m in range(24)])
    assert months(time).tolist() == [*range(1, 13)] * 2
    assert seasons(time)[:6].tolist() == ["DJF", "DJF", "MAM", "MAM", "MAM", "JJA"]
    assert make_blocks(time, np.random.default_rng(0).normal(size=24)).edges[-1, 1] == 24


def test_times_must_increase():
    time = np.array(["2000-01-02", "2000-01-01"], dtype="datetime64[D]")
    with pytest.raises(DataError, match=r"^expected times that increase, got 2000-01-02 before 2000-01-01\.$"):
        make_blocks(time, np.ones(2))


def _images(images, strips, width, phi, seed=0):
    """Return the strip of every tile and a number for each that is alike in neighbouring strips."""
    strip = np.concatenate([image * (strips + 1) + np.arange(strips) for image in range(images)])
    rows = np.concatenate([_red(strips + 50, phi, (seed, image))[50:] for image in range(images)])
    return np.repeat(strip, width), np.repeat(rows, width) + 0.1 * np.random.default_rng(seed).normal(
        size=images * strips * width
    )


def test_tiles_side_by_side_are_in_one_block_and_no_block_is_of_two_images():
    strip, series = _images(images=10, strips=8, width=2, phi=0.0)
    blocks = strip_blocks(strip, series)
    assert blocks.kind == "strips"
    assert (blocks.edges[0, 0], blocks.edges[-1, 1]) == (0, len(strip))
    np.testing.assert_array_equal(blocks.edges[1:, 0], blocks.edges[:-1, 1])
    for start, stop in blocks.edges:
        assert strip[stop - 1] // 9 == strip[start] // 9
        assert len(np.unique(strip[start:stop])) >= 3
        assert start == 0 or strip[start - 1] != strip[start]
    assert blocks.independent == pytest.approx(80 / blocks.decorrelation)


def test_an_image_that_is_alike_throughout_is_one_block():
    strip = np.repeat(np.concatenate([9 * image + np.arange(8) for image in range(12)]), 2)
    level = np.random.default_rng(1).normal(size=12)
    blocks = strip_blocks(strip, level[strip // 9] + 0.01 * np.random.default_rng(2).normal(size=len(strip)))
    np.testing.assert_array_equal(blocks.edges[:, 0], np.arange(12) * 16)
    assert blocks.independent < 20


def test_images_are_not_taken_for_neighbours():
    """The last strip of one image and the first of the next are as far apart as any: only strips of one are compared."""
    strip = np.concatenate([[0, 1], [3, 4], [6, 7], [9, 10]])
    series = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])  # opposite within, alike across
    assert strip_blocks(strip, series).decorrelation == 1.0


def test_intervals_of_alike_tiles_hold_the_truth_as_often_as_they_say():
    """Twelve images with clouds that reach over several tiles; single tiles as blocks are far too sure."""
    hits = {"strips": 0, "tiles": 0}
    cases = 150
    for case in range(cases):
        strip, series = _images(images=12, strips=10, width=2, phi=0.6, seed=case)
        for name, edges in (
            ("strips", strip_blocks(strip, series).edges),
            ("tiles", np.stack([np.arange(len(strip)), np.arange(len(strip)) + 1], axis=1)),
        ):
            sums, sizes = np.add.reduceat(series, edges[:, 0]), np.diff(edges, axis=1)[:, 0]
            counts = resample(len(edges), case, "test", count=300)
            found = percentile_interval(counts @ sums / (counts @ sizes), len(edges))
            hits[name] += bool(found.low <= 0.0 <= found.high)
    assert hits["strips"] / cases >= 0.88
    assert hits["tiles"] / cases < 0.7
