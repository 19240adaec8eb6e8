"""Words that must follow the numbers: error bars, what is marked as best, steps that are no days."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report import answers, error_bars, sentences
from pipeline.report.figures import spectra, time
from pipeline.report.load import load_run
from pipeline.report.sections import changes, contents, drivers, extremes, skill, trust, where
from pipeline.report.sections import days as single_days
from pipeline.report.study import study

NAN = float("nan")
PARTS = {
    "models": ("persistence", "ridge", "unet"), "baselines": ("persistence", "ridge"), "noise": {"unet": 1.2},
    "years": 1, "attributions": False,
}  # fmt: skip
RAIN = {**PARTS, "variable": "pr", "units": "mm d-1"}


@pytest.fixture
def make(make_run):
    """Return a function: scores and curves of unet, and kinds of models, to the study.

    ``scores``: metric to (value, low, high) in every group; ``observed``: level to the same.
    """

    def build(scores, observed=None, **parts):
        run = make_run(**{**PARTS, **parts})
        table = pd.read_csv(run / "scores.csv")
        if parts.get("variable") == "pr":
            table["units"] = table["units"].replace("K", "mm d-1")
        for metric, bounds in scores.items():
            hit = (table["metric"] == metric) & (table["model"] == "unet")
            table.loc[hit, ["value", "low", "high"]] = bounds
        table.to_csv(run / "scores.csv", index=False)
        path = run / "diagnostics" / "unet.nc"
        data = xr.load_dataset(path)
        variable = table["variable"].iloc[0]
        for level, bounds in (observed or {}).items():
            at = int(np.argmin(np.abs(data[f"{variable}_calibration_level"].values - level)))
            for name, value in zip(("observed", "low", "high"), bounds, strict=True):
                data[f"{variable}_calibration_{name}"][at] = value
        path.unlink()
        data.to_netcdf(path)
        return study(load_run(run))

    return build


def _said(found):
    return error_bars.trust(found).replace("\u00a0", " ")


EVEN = {0.5: (0.5, 0.47, 0.53)}
RIGHT = {"coverage_90": (0.9, 0.89, 0.91), "spread_skill": (1.0, 0.98, 1.02)}


@pytest.mark.parametrize(
    ("coverage", "words"),
    [((0.884, 0.87, 0.895), "slightly too narrow"), ((0.92, 0.91, 0.93), "slightly too wide")],
)
def test_coverage_whose_interval_leaves_the_right_value_out_is_not_trusted(make, coverage, words):
    text = _said(make({**RIGHT, "coverage_90": coverage}, EVEN))
    assert text.startswith(f"The error bars of unet are {words}: its 90 % intervals hold the truth")
    assert _said(make(RIGHT, EVEN)).startswith("The error bars of unet can be trusted")


@pytest.mark.parametrize(
    ("median", "words"),
    [
        ((0.38, 0.34, 0.42), "lie too low: its"), ((0.62, 0.58, 0.66), "lie too high: its"),
        ((0.38, 0.25, 0.51), ""), ((0.47, 0.46, 0.48), ""), ((0.38, NAN, NAN), ""),
    ],
)  # fmt: skip
def test_truths_on_one_side_are_a_bias(make, median, words):
    text = _said(make(RIGHT, {0.5: median}))
    start = f"are about as wide as they should be but {words}" if words else "can be trusted: its"
    assert text.startswith(f"The error bars of unet {start} 90 % intervals")
    above = f"; the truth lies above its median {100 - 100 * median[0]:.1f} % of the time"
    assert (above in text) == bool(words)


def test_a_bias_is_said_of_narrow_error_bars_too(make):
    text = _said(make({**RIGHT, "coverage_90": (0.7, 0.69, 0.71)}, {0.5: (0.38, 0.34, 0.42)}))
    assert text.startswith("The error bars of unet are somewhat too narrow and lie too low: ")
    assert text.endswith("(58.0 to 66.0 %; half is right).")


DRY = {"coverage_90": (0.97, 0.963, 0.977), "spread_skill": (1.0, 0.98, 1.02)}
FLAT = {0.05: (0.05, 0.045, 0.055), 0.95: (0.95, 0.945, 0.955), **EVEN}


def test_error_bars_of_rain_are_judged_by_the_randomised_pit(make):
    text = _said(make(DRY, FLAT, **RAIN))
    assert text.startswith(
        "The error bars of unet can be trusted: by its randomised PIT the truth lies in the middle 90 % of the forecast "
        "90.0 % of the time (89.0 to 91.0 %, 90 % is right) and spread over error is 1.00"
    )
    assert text.endswith(
        "Its 90 % intervals hold 97.0 %, as those that begin at zero hold every dry day: even a perfect forecast's hold "
        "more than 90 %."
    )
    narrow = _said(make(DRY, {**FLAT, 0.95: (0.85, 0.84, 0.86)}, **RAIN))
    assert narrow.startswith("The error bars of unet are somewhat too narrow: by its randomised PIT")
    wide = _said(make({**DRY, "spread_skill": (1.2, 1.15, 1.25)}, FLAT, **RAIN))
    assert wide.startswith("The error bars of unet hold as often as they say, but their spread is too large: ")
    assert "too wide" not in wide


def test_rain_without_a_curve_is_not_judged_by_its_coverage(make, make_run):
    found = make(DRY, **RAIN)
    path = found.run.path / "diagnostics" / "unet.nc"
    data = xr.load_dataset(path)
    path.unlink()
    data.drop_vars([name for name in data.data_vars if "calibration" in name]).to_netcdf(path)
    assert _said(found).startswith(
        "Whether the error bars of unet are right cannot be told from their spread alone: spread over error is 1.00 (1 "
    )


def _table(section, start):
    return next(block for block in section.blocks if getattr(block, "name", "").startswith(start))


def test_no_coverage_of_rain_is_marked(make):
    dry, warm = (trust.build(make(RIGHT, **parts)) for parts in (RAIN, {}))
    for section, marked in ((dry, False), (warm, True)):
        table = _table(section, "trust-")
        places = [k for k, column in enumerate(table.columns) if column.title.startswith("coverage")]
        assert {table.columns[k].note.startswith("best") for k in places} == {marked}
        assert any(row[k].mark for row in table.rows for k in places) == marked
        assert ("No coverage is marked" in table.caption) != marked
        assert any(row[k].mark for row in table.rows for k in range(len(table.columns)) if k not in places)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (np.linspace(5, 15, 10), "Truths lie more often in the upper half: forecasts are too low (bars from 5\u00a0% to 15\u00a0%"),
        (np.linspace(15, 5, 10), "Truths lie more often in the lower half: forecasts are too high (bars"),
        (np.full(10, 7), "Nearly flat, as it should be (bars from 10\u00a0% to 10\u00a0%, where 10\u00a0% is flat)."),
        ([20, 10, 10, 10, 10, 10, 10, 10, 10, 20], "Both ends are 1.7 times too full"),
        ([2, 10, 10, 10, 10, 10, 10, 10, 10, 2], "The ends hold only 24\u00a0% of what they should"),
        ([10, 10, 10, 13, 10, 10, 10, 10, 10, 10], "Uneven, without a clear lean (bars"),
    ],
)  # fmt: skip
def test_what_a_histogram_shows(counts, words):
    assert trust._shape(np.asarray(counts, float)).startswith(words)


def test_persistence_is_never_marked_among_extremes(make):
    parts = {"experiment": {"models": {name: {"kind": name} for name in PARTS["models"]}}}
    found = make({}, **parts)
    table = pd.read_csv(found.run.path / "scores.csv")
    rows = [
        (model, "test", "tas", "all", "bias_q98", value, "K", value - 0.3, value + 0.3, 90)
        for model, value in (("persistence", 0.0), ("ridge", 0.1), ("unet", 0.2))
    ]
    pd.concat([table, pd.DataFrame(rows, columns=table.columns)]).to_csv(found.run.path / "scores.csv", index=False)
    shown = _table(extremes.build(study(load_run(found.run.path))), "extremes-tas")
    assert {row[0].key: row[1].mark for row in shown.rows} == {"persistence": "", "ridge": "best", "unet": "tie"}
    assert "Never marked: persistence, whose values are the truth of the day before" in shown.caption


def test_the_crps_of_point_forecasts_is_explained_beside_distributions(make):
    found = make({})
    path = found.run.path / "scores.csv"
    table = pd.read_csv(path)
    mae = table[(table["metric"] == "mae") & (table["model"] == "persistence")].assign(metric="crps")
    pd.concat([table, mae]).to_csv(path, index=False)
    caption = _table(skill.build(study(load_run(found.run.path))), "distribution-").caption
    assert caption.endswith(
        "persistence gives one value and no distribution: the CRPS of a point forecast is its mean absolute error."
    )
    assert "point forecast" not in _table(skill.build(make({})), "distribution-").caption


def test_no_interval_is_said_where_there_is_none(make_run):
    found = study(load_run(make_run(**PARTS, intervals=False, effective=10.0)))
    text = answers.answer(found).text
    assert text.endswith("; no interval of the difference could be computed (too few blocks).")
    assert "chance" not in text
    table = _table(skill.build(found), "scores-")
    assert table.caption.endswith("may have nevertheless. Bold: best.")
    assert "No interval is known: the truth has too few independent blocks for one" in table.caption
    assert {cell.note for row in table.rows for cell in row[1:]} == {""}
    assert {cell.mark for row in table.rows for cell in row} == {"", "best"}
    field = np.array([[1.0, -1.0]])
    text = sentences.where("unet", "ridge", field, np.full((1, 2), NAN), np.full((1, 2), NAN))
    assert text == "unet beats ridge in 50\u00a0% of the cells; no interval is known."


def _yearly(run):
    """Rewrite the times of predictions as years."""
    for path in (run / "predictions").glob("*.nc"):
        data = xr.load_dataset(path).isel(time=slice(0, 10))
        path.unlink()
        years = np.array([f"{year}-06-01" for year in range(1991, 2001)], "datetime64[ns]")
        data.assign_coords(time=years).to_netcdf(path)
    return study(load_run(run))


def test_years_are_not_called_days(make_run):
    found = _yearly(make_run(**{**PARTS, "attributions": True}))
    section = where.build(found)
    captions = [block.caption for block in section.blocks if hasattr(block, "caption")]
    assert any(caption.startswith("The worst year of the test set, ") for caption in captions)
    assert "paired year by year" in _table(skill.build(found), "difference-").caption
    text = " ".join(
        str(item)
        for build in (skill.build, where.build, drivers.build)
        for block in build(found).blocks
        for item in (getattr(block, "caption", ""), *getattr(block, "items", ()))
    )
    assert " day" not in text


def test_the_best_day_of_rain_has_rain(make):
    found = make({}, **RAIN)
    truth, mean = (np.zeros((4, 19, 29)) for _ in range(2))
    truth[1, :2], mean[1, :2] = 5.0, 5.5  # wet in 2 rows of 19
    truth[2, :1], mean[2, :1] = 5.0, 5.1  # in one, too few
    truth[3, :9], mean[3, :9] = 5.0, 9.0
    dates = np.arange("2000-01-01", "2000-01-05", dtype="datetime64[D]").astype("datetime64[ns]")
    like = xr.load_dataset(found.run.path / "predictions" / "unet.nc")
    assert like["pr"].shape[1:] == truth.shape[1:]
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {"pr_truth": (dims, truth), "pr": (dims, mean)}, {"time": dates, "lat": like["lat"], "lon": like["lon"]}
    )
    days = single_days.choose(data, "pr", single_days.wet(found, "pr"))
    best, worst = days.best, days.worst
    assert (best.date, worst.date) == ("2000-01-02", "2000-01-04")
    assert single_days.choose(data, "pr", None).best.date == "2000-01-01"
    assert single_days.choose(data.isel(time=[0]), "pr", 1.0).best.date == "2000-01-01"
    assert single_days.wet(make({}), "tas") is None
    captions = [block.caption for block in where.build(found).blocks if hasattr(block, "caption")]
    assert any("among those on which a tenth of the cells or more is wet" in caption for caption in captions)


def _ticks(picture):
    import re

    return re.findall(r">([^<>]+)</text>", picture.light.decode())


def test_ticks_of_a_logarithmic_learning_curve_are_plain_numbers():
    epochs = np.arange(1, 30)
    loss = 0.002 + 2.0 * np.exp(-epochs / 2)
    history = pd.DataFrame({"epoch": epochs, "train_loss": loss, "validation_loss": 1.1 * loss})
    picture = time.learning({"member-00": history}, "#0072b2", "Alt.", "unet")
    shown = _ticks(picture)
    assert {"0.01", "0.1", "1"} <= set(shown)
    assert not [text for text in shown if "$" in text or "{" in text]


def test_a_long_name_beside_a_spectrum_is_whole():
    waves = np.array([400.0, 200.0, 100.0])
    line = spectra.Spectrum("deepesd+deep_ensemble", "#0072b2", waves, np.array([9.0, 4.0, 1.0]))
    shown = _ticks(spectra.spectra([line], "K2 km2", "Alt."))
    assert "deepesd + deep ensemble" in shown


def test_changes_are_a_section_of_the_menu_and_say_how_long_periods_are(make):
    found = make({})
    row = {
        "model": "unet", "variable": "tas", "index": "mean", "value": 1.0, "low": 0.5, "high": 1.5, "truth": NAN,
        "error": NAN, "units": "K", "years_first": 1, "years_second": 20, "first": "a", "second": "b",
    }  # fmt: skip
    pd.DataFrame([row]).to_csv(found.run.path / "changes.csv", index=False)
    found = study(load_run(found.run.path))
    assert [section.key for section in contents.sections(found)][2:4] == ["changes", "trust"]
    assert changes.build(found).title == "Change between test sets"
    found.run.experiment["data"].pop("months")
    splits = {"a": {"first": "1962-05-01", "last": "1962-12-31"}, "b": {"first": "2001-01-01", "last": "2020-12-30"}}
    found.run.stage("prepare")["splits"].update(splits)
    caption = changes.build(found).blocks[1].caption
    assert "from a (a part of a year, 1962-05-01 to 1962-12-31) to b (20 whole years)" in caption


def test_units_in_table_heads_do_not_break():
    from importlib import resources

    css = (resources.files("pipeline.report") / "templates/report.css").read_text(encoding="utf-8")
    assert ".unit { white-space: nowrap; }" in css


def test_seasons_without_an_interval_are_not_said_to_have_one(make_run):
    run = make_run(**PARTS, months=tuple(range(1, 13)), seasons=True)
    table = pd.read_csv(run / "scores.csv")

    def captions():
        table.to_csv(run / "scores.csv", index=False)
        found = skill.build(study(load_run(run)))
        return [block.caption for block in found.blocks if "by season" in getattr(block, "caption", "")]

    before = captions()
    assert before
    assert all("with 95\u00a0% interval; same scale" in text for text in before)
    table.loc[table["group"].str.startswith("season="), ["low", "high"]] = NAN
    assert all("no interval is known of so few samples a season; same scale" in text for text in captions())


@pytest.mark.parametrize("known", [True, False])
def test_maps_without_an_interval_have_no_dots(make_run, known):
    run = make_run(**PARTS)
    path = run / "diagnostics/unet.nc"
    data = xr.load_dataset(path)
    if not known:
        data["tas_bias_low"][:] = data["tas_bias_high"][:] = NAN
    path.unlink()
    data.to_netcdf(path)
    captions = [block.caption for block in where.build(study(load_run(run))).blocks if hasattr(block, "caption")]
    assert any("Dots: the 95" in text for text in captions) == known
    assert any("No interval is known." in text for text in captions) != known
