"""Unusual days: what is said of them, when a warning stands on the first screen, and the picture."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.novelty.dataset import Found, to_dataset
from pipeline.novelty.fitted import Measured, Scores
from pipeline.novelty.reference import Judged
from pipeline.novelty.relation import NOTHING, Relation, Side, Value
from pipeline.report import cautions, unusual_words
from pipeline.report.figures.novelty import MOST, Track, thinned, track
from pipeline.report.load import load_run
from pipeline.report.render import render
from pipeline.report.sections import limits, novelty
from pipeline.report.study import study

HEAD = "unet+deep_ensemble"
RANK = Value(0.35, 0.2, 0.5)
FACTS = {"left_out": "years", "components": 9, "explained": 0.953, "harmonics": 2, "folds": 10}
PARTS = {"models": ("climatology", "ridge", "unet", HEAD), "attributions": False, "history": False}


def scores_of(values, season=None, outside=0.0):
    values = np.asarray(values, float)
    values = values if values.ndim > 1 else values[:, None]
    share = np.clip(values, 0, 1)

    def judged(part):
        return Judged(part, part, part, np.clip(part, 0, 1))

    count = len(values)
    measured = Measured(np.arange(count), np.zeros(count), values, values, np.zeros((count, 1)), np.zeros((count, 1)))
    seasons = None if season is None else judged(np.asarray(season))
    return Scores(measured, replace(judged(values), share=share), seasons, {"co2": np.arange(count) < outside * count})


def relation(days, far=1.9, near=1.3, rank=RANK):
    unusual = Side(Value(far, far - 0.5, far + 0.5), Value(0.78, 0.7, 0.86))
    return Relation(
        unusual, Side(Value(near, near - 0.1, near + 0.1), Value(0.902, 0.89, 0.91)), rank, np.full(days, 1.0)
    )


@pytest.fixture
def found(make_run):
    """Return a function: novelty of every test day and other parts, to the study of a run that has them."""

    def make(
        values=None,
        *,
        share=None,
        season=None,
        related=None,
        disputed=None,
        others=(),
        outside=0.0,
        facts=FACTS,
        **parts,
    ):
        run = make_run(**{**PARTS, **parts})
        with xr.open_dataset(run / f"predictions/{HEAD}.nc") as data:
            time, grid = data["time"].values, Grid.of(data)
        days = len(time)
        values = np.linspace(0.1, 0.9, days) if values is None else values(days)
        splits = {
            "validation": time[:40] - np.timedelta64(1000, "D"),
            "test": time,
            **{name: time for name, _ in others},
        }
        before = np.full((40, *values.shape[1:]), 0.5)
        if values.ndim > 1:
            row = np.full((1, values.shape[1]), 50.0)
            grid = Grid(row, row, ("row", "station"), tuple(f"s{k}" for k in range(values.shape[1])))
        scores = {"validation": scores_of(before, None if season is None else np.full(40, 0.5))}
        scores["test"] = scores_of(values, season and season(days), outside)
        known = np.isfinite(values)
        share = share or Value(float((values > 1)[known].mean()), float("nan"), float("nan"))
        shares = {"validation": NOTHING, "test": share}
        for name, value in others:
            scores[name], shares[name] = scores["test"], value
        made = Found(
            time=splits,
            scores=scores,
            unusual=shares,
            test="test",
            relations={HEAD: {"tas": (related or relation)(days)}, "unet": {"tas": relation(days)}},
            disagreement={} if disputed is None else {HEAD: {"tas": {"test": disputed(days)}}},
            facts=facts,
        )
        to_dataset(made, ["tas"], {"tas": "degC"}, grid, False).to_netcdf(run / "diagnostics/novelty.nc")
        return study(load_run(run))

    return make


def plain(texts):
    return [text.replace("\u00a0", " ") for text in texts]


def far(count):
    """Return novelty of some unusual days among usual ones."""

    def values(days):
        made = np.linspace(0.1, 0.9, days)
        made[:count] = 1.5
        return made

    return values


def test_unusual_days_are_told_with_the_errors_on_them(found):
    asked = found(far(14), share=Value(14 / 451, 0.012, 0.059))
    days = asked.sampling.count
    assert plain(unusual_words.sentences(asked))[:2] == [
        f"14 of {days} days of the test set (3.1 %; 95 % interval 1.2 to 5.9 %) lie farther from the train climate than "
        "99 % of the train days of their time of the year; 1 % is expected. On them the RMSE of unet + deep ensemble is "
        "1.90 K (1.40 to 2.40) against 1.30 K (1.20 to 1.40) on the others, and its 90 % intervals hold 78.0 % (70.0 to "
        "86.0 %) of the truths against 90.2 %.",
        "The farther a day lies from train, the larger the error of unet + deep ensemble on it tends to be: rank "
        "correlation 0.35 (0.20 to 0.50).",
    ]


@pytest.mark.parametrize(
    ("count", "start", "end"),
    [
        (0, "None of the {} days of the test set lies farther", "1 % is expected."),
        (1, "1 of {} days of the test set (0.2 %) lies farther", "They are too few to say how models err on them."),
        (9, "9 of {} days of the test set (2.0 %) lie farther", "They are too few to say how models err on them."),
        (10, "10 of {} days of the test set (2.2 %) lie farther", "of the truths against 90.2 %."),
    ],
)
def test_of_few_unusual_days_no_error_is_told(found, count, start, end):
    asked = found(far(count))
    text = plain(unusual_words.sentences(asked))[0]
    assert text.startswith(start.format(asked.sampling.count))
    assert text.endswith(end)


@pytest.mark.parametrize(
    ("rank", "words"),
    [
        (Value(0.3, -0.1, 0.6), "How far a day lies from train says little of the error of unet + deep ensemble on it: rank "
         "correlation 0.30 (−0.10 to 0.60)."),
        (Value(0.06, 0.02, 0.1), "How far a day lies from train says little of the error"),
        (Value(-0.4, -0.6, -0.2), "The farther a day lies from train, the smaller the error"),
        (Value(0.4, np.nan, np.nan), "Distance of a day from train and error of unet + deep ensemble on it: rank "
         "correlation 0.40, of which no interval is known."),
    ],
)  # fmt: skip
def test_the_correlation_is_judged_by_its_interval(found, rank, words):
    asked = found(far(20), related=lambda days: relation(days, rank=rank))
    assert plain(unusual_words.sentences(asked))[1].startswith(words)


def test_without_a_correlation_none_is_told(found):
    asked = found(far(20), related=lambda days: relation(days, rank=NOTHING))
    assert not any("correlation" in text for text in unusual_words.sentences(asked))


def test_seasons_and_members_and_other_sets_are_told(found):
    def disputed(days):
        return np.full(days, 0.3), np.where(np.arange(days) < 0.05 * days, 0.995, 0.5)

    asked = found(
        season=lambda days: np.where(np.arange(days) < days // 4, 1.2, 0.6), disputed=disputed,
        others=[("end_century", Value(0.93, 0.9, 0.95))],
    )  # fmt: skip
    said = plain(unusual_words.sentences(asked))
    assert said[2].startswith("For 25 % of the days the mean of the predictors over the 91 days around is unusual.")
    assert said[3].startswith("On 5.1 % of the days the members of unet + deep ensemble disagree more, by the share of")
    assert said[4] == "Unusual in other test sets: end_century 93 %."
    (caution,) = plain(unusual_words.cautions(asked))
    assert caution.startswith("The test set end_century is unlike the train split: 93 % of its days lie farther")


@pytest.mark.parametrize(
    ("share", "warned"),
    [
        (Value(0.031, 0.012, 0.059), False),
        (Value(0.2, 0.005, 0.5), False),  # may be chance
        (Value(0.06, 0.02, 0.1), True),
        (Value(0.15, np.nan, np.nan), False),
        (Value(0.9, np.nan, np.nan), True),
    ],
)
def test_a_test_set_beyond_expectation_is_warned_of_on_the_first_screen(found, share, warned):
    asked = found(far(30), share=share)
    said = [text for text in cautions.warnings(asked) if "unlike the train split" in text]
    assert bool(said) == warned
    if warned:
        assert plain(said)[0].endswith(
            "of its days lie farther from the train climate than 99 % of the train days of their time of the year, where "
            "1 % is expected. There models extrapolate."
        )
    page = render(asked.run.path).read_text()
    verdict, _, rest = page.partition('<section id="skill"')
    assert ("unlike the train split" in verdict) == warned
    assert "Novelty of every day of test." in rest


def test_unusual_seasons_of_usual_days_are_warned_of(found):
    asked = found(season=lambda days: np.full(days, 1.4))
    (text,) = plain(unusual_words.cautions(asked))
    assert text == (
        "The test set is unlike the train split: for 100 % of its days the mean of the predictors over the 91 days around "
        "lies farther from the train climate than 99 % of such means of train, where 1 % is expected. Day by day 0 % stand "
        "out."
    )
    assert not any("was not tested" in item for block in limits.build(asked).blocks[2:] for item in block.items)
    assert unusual_words.cautions(found(season=lambda days: np.where(np.arange(days) % 3 > 0, 0.5, 1.4))) == ()


def test_the_first_words_of_the_limits_are_of_unusual_days(found):
    section = limits.build(found(far(14)))
    words, figure, rest = section.blocks
    assert words.items[0].startswith("14 of ")
    assert figure.name == "novelty"
    (picture,) = figure.pictures
    assert picture.alt.replace("\u00a0", " ").startswith("14 of ")
    assert "1.50 times as far as 99 % of train" in picture.alt.replace("\u00a0", " ")
    assert picture.light != picture.dark
    assert b"99 % of train" in picture.light
    caption = figure.caption.replace("\u00a0", " ")
    assert "the Mahalanobis distance in 9 principal components (95 % of the variance)" in caption
    assert "while their own year was left out. Colour and size: the error on that day." in caption
    assert "was not tested" in " ".join(rest.items)


def test_stations_are_counted_by_station_and_day(found):
    def values(days):
        made = np.full((days, 8), 0.5)
        made[:10, :3] = 2.0
        made[5, 7] = np.nan
        return made

    asked = found(values)
    days = asked.sampling.count
    text = plain(unusual_words.sentences(asked))[0]
    assert text.startswith(f"30 of {8 * days - 1:,} station-days of the test set (")
    _, figure = novelty.blocks(asked)
    assert figure.caption.startswith("Novelty that a tenth of the stations exceed, every day of test.")
    assert novelty._height(values(12))[:2].tolist() == [2.0, 2.0]
    assert novelty._height(np.array([[0.1, np.nan, 3.0], [np.nan] * 3]))[0] == 3.0
    few = found(lambda days: values(days)[:, :3])
    assert novelty.blocks(few)[1].caption.startswith("Novelty of the farthest station, every day of test.")


def test_forcings_beyond_train_are_told_beside(found):
    said = plain(unusual_words.sentences(found(outside=1.0)))
    assert said[-1] == "Forcings, which novelty leaves out, lie outside their range in train: co2 on 100 % of the days."
    assert not any("co2" in text for text in unusual_words.sentences(found()))


def test_left_out_basins_are_called_so(found):
    asked = found(far(20), facts={**FACTS, "left_out": "basins"})
    assert (
        "than 99 % of the days of train basins that were left out in turn" in plain(unusual_words.sentences(asked))[0]
    )


def test_a_run_without_it_says_nothing_and_a_short_train_split_why(make_run):
    run = make_run(**PARTS)
    asked = study(load_run(run))
    assert novelty.blocks(asked) == []
    assert unusual_words.cautions(asked) == ()
    path = run / "stages/prepare.json"
    text = path.read_text().replace(
        '"summary": {', '"summary": {"novelty": {"reason": "expected 100 samples, got 3."}, '
    )
    path.write_text(text)
    (words,) = novelty.blocks(study(load_run(run)))
    assert words.items == (
        "How far the test set lies from the train climate cannot be told: expected 100 samples, got 3.",
    )


def test_of_very_many_days_the_highest_of_neighbours_is_drawn():
    rng = np.random.default_rng(1)
    height = rng.random(7 * MOST - 3)
    height[5], height[700:720] = 9.0, np.nan
    every, kept = thinned(height)
    assert every == 7
    assert len(kept) <= MOST
    assert 5 in kept
    time = np.datetime64("1950-01-01") + np.arange(len(height)) * np.timedelta64(1, "D")
    drawn = track(Track(time, height, rng.random(len(height)), None), "RMSE of unet", "K", "alt", "Every day")
    assert drawn.title == "Every day (the highest of 7)"
    assert len(drawn.light) < 400_000


@pytest.mark.parametrize("case", ["far", "tiles", "one", "no errors"])
def test_pictures_of_all_kinds_are_drawn(case):
    time = pd.date_range("2001-01-01", periods=40).to_numpy()
    height, error = np.linspace(0.2, 0.9, 40), np.linspace(1, 2, 40)
    if case == "far":
        height = height * 100
    elif case == "tiles":
        time = np.arange(300, 340)
    elif case == "one":
        time, height, error = time[:1], height[:1], error[:1]
    else:
        error = None
    season = None if case == "tiles" else np.where(np.arange(len(time)) > 3, 0.5, np.nan)
    drawn = track(Track(time, height, error, season), "RMSE of unet", "K", "alt").light.decode()
    assert "99 % of train" in drawn
    assert ("91 days around" in drawn) == (case in ("far", "no errors"))
    assert ("above" in drawn) == (case in ("far", "tiles"))
    assert ("tile" in drawn) == (case == "tiles")
