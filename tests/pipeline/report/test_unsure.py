"""How unsure a model is, and why: what is said and drawn follows from the diagnostics."""

from types import SimpleNamespace

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report.sections import Figure, Heading, Words, trust, unsure
from pipeline.report.unsure import Unsure, words

LAT, LON = np.array([40.25, 60.75]), np.array([355.0, 0.0, 5.0])
CLASSES = ("clear", "cloud", "shadow")


def study(classes=(), **more):
    run = SimpleNamespace(shown_lead=None, predictions=lambda model: None)
    said = {
        "headline": "unet+deep_ensemble", "variables": ("tas",), "quantities": {"tas": "temperature"},
        "units": {"tas": "K"}, "classes": classes, "on_earth": True, "step": "day", "split": "test", "run": run,
        "colours": {"unet+deep_ensemble": "#0072b2"}, "diagnostics_of": lambda name: f"diagnostics: {name}",
    }  # fmt: skip
    return SimpleNamespace(**(said | more))


def diagnostics(*, classes=False, parts=("aleatoric", "epistemic"), days=30, gaps=0.2, seed=0, scale=1.0):
    """Return diagnostics made of fields by day, with the weights of their cells."""
    rng = np.random.default_rng(seed)
    shape = (days, len(LAT), len(LON))
    weights = np.cos(np.deg2rad(LAT))[:, None] * (rng.random(shape) > gaps)
    fields = {"aleatoric": rng.uniform(1.0, 2.0, shape), "epistemic": scale * rng.uniform(0.2, 0.6, shape)}
    fields = {part: fields[part] for part in parts}
    error = "error_rate" if classes else "squared_error"
    known = {part: np.where(weights > 0, values, np.nan) for part, values in fields.items()}
    data = {f"tas_{part}": (("lat", "lon"), np.nanmean(values, axis=0)) for part, values in known.items()}
    area = weights.sum(axis=(1, 2))
    for name, values in {**fields, error: rng.uniform(0.0, 1.0, shape)}.items():
        data[f"tas_{name}_by_time"] = ("time", (values * weights).sum(axis=(1, 2)) / area)
    data["tas_area_by_time"] = ("time", area)
    time = np.datetime64("2001-01-30", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return xr.Dataset(data, {"lat": LAT, "lon": LON, "time": time}), fields, weights


def told(data, **parts):
    about = study(**parts)
    return words(about, "tas", Unsure.of(about, data, "tas")).replace("\u00a0", " ")


def test_shares_are_those_of_all_times_and_cells_with_truth():
    data, fields, weights = diagnostics()
    means = {part: (values * weights).sum() / weights.sum() for part, values in fields.items()}
    found = Unsure.of(study(), data, "tas")
    assert found.means == pytest.approx(means, rel=1e-12)
    share = 100 * means["aleatoric"] / sum(means.values())
    text = told(data)
    assert text.startswith(
        f"{share:.0f} % of the predictive variance of unet + deep ensemble is aleatoric: by the model's own account, "
        f"noise that no further data of this kind would remove. The other {100 - share:.0f} % is epistemic: its "
    )


def test_where_members_disagree_most_is_told_with_how_much():
    data, *_ = diagnostics()
    data["tas_epistemic"].values[1, 0] = 3.0
    mean = Unsure.of(study(), data, "tas").means["epistemic"]
    said = f"its members disagree, most at 60.75° N, 5° W ({3.0 / mean:.1f} times the mean over the area)."
    assert said in told(data)


def test_when_it_is_least_sure_is_told_with_the_error():
    data, *_ = diagnostics(gaps=0.0)
    data["tas_aleatoric_by_time"].values[11] = 20.0
    total = (data["tas_aleatoric_by_time"] + data["tas_epistemic_by_time"]).values
    error = data["tas_squared_error_by_time"].values
    assert told(data).endswith(
        f"It is least sure on 2001-02-10: the variance is then {total[11] / total.mean():.1f} times, and the squared "
        f"error {error[11] / error.mean():.1f} times the mean over all times."
    )


def test_a_model_as_sure_at_all_times_is_not_told_of():
    data, *_ = diagnostics()
    for part in ("aleatoric", "epistemic"):
        data[f"tas_{part}_by_time"].values[:] = 1.0
    assert "least sure" not in told(data)


def test_many_times_are_shown_by_month_weighed_by_their_area():
    data, fields, weights = diagnostics(days=500)
    history = Unsure.of(study(), data, "tas").history
    assert history.monthly
    months = pd.DatetimeIndex(data["time"].values).to_period("M")
    assert [history.date(k) for k in range(len(history.time))] == [f"in {month}" for month in months.unique()]
    for part, values in fields.items():
        for k, month in enumerate(months.unique()):
            own = months == month
            expected = (values * weights)[own].sum() / weights[own].sum()
            assert history.parts[part][k] == pytest.approx(expected, rel=1e-12)
    data["tas_epistemic_by_time"].values[40:60] = 9.0
    assert "It is least sure in 2001-03: the variance" in told(data)
    assert not Unsure.of(study(), diagnostics(days=400)[0], "tas").history.monthly


def test_months_of_other_calendars_keep_their_names():
    data, *_ = diagnostics(days=450)
    days = xr.date_range("2000-01-01", periods=450, freq="D", calendar="360_day", use_cftime=True)
    history = Unsure.of(study(), data.assign_coords(time=days), "tas").history
    assert isinstance(days[59], cftime.Datetime360Day)  # the 30 February
    assert [history.date(k) for k in (0, 1, -1)] == ["in 2000-01", "in 2000-02", "in 2001-03"]


@pytest.mark.parametrize(
    ("part", "start"),
    [
        ("aleatoric", "unet + deep ensemble answers one distribution and has no members that could disagree: all of its "
         "predictive variance counts as aleatoric, and what it does not know for want of data is not told apart."),
        ("epistemic", "unet + deep ensemble answers members, none of which has a spread of its own: all of its predictive "
         "variance is between them, and noise is not told apart."),
    ],
)  # fmt: skip
def test_one_part_alone_is_not_called_the_other(part, start):
    data, *_ = diagnostics(parts=(part,))
    text = told(data)
    assert text.startswith(start)
    assert "%" not in text


def test_members_that_agree_are_said_to():
    data, *_ = diagnostics(scale=0.0)
    assert "100 % of the predictive variance" in told(data)
    assert "Its members do not disagree." in told(data)


def test_no_uncertainty_is_no_share():
    data, *_ = diagnostics()
    still = data.map(lambda field: 0.0 * field)
    still["tas_area_by_time"] = data["tas_area_by_time"]
    assert told(still) == "The predictive variance of unet + deep ensemble is zero throughout."


def test_classes_have_entropy_and_doubt():
    text = told(diagnostics(classes=True)[0], classes=CLASSES, quantities={"tas": "other"})
    assert "% of the predictive entropy of unet + deep ensemble is aleatoric: by the model's own account, doubt" in text
    assert "is epistemic, the mutual information of class and member: its members disagree, most at" in text
    assert "the share of wrong classes" in text


@pytest.mark.parametrize("missing", ["tas_aleatoric_by_time", "both"])
def test_a_run_without_the_course_has_no_figure(missing):
    data, *_ = diagnostics(parts=("aleatoric",))
    gone = ["tas_aleatoric_by_time"] if missing != "both" else ["tas_aleatoric_by_time", "tas_aleatoric"]
    assert unsure.blocks(study(), data.drop_vars(gone), "tas", mapped=True) == []


def test_the_figure_has_both_maps_and_the_course():
    data, *_ = diagnostics()
    heading, said, figure = unsure.blocks(study(), data, "tas", mapped=True)
    assert heading == Heading("How unsure, and why")
    assert isinstance(said, Words)
    assert isinstance(figure, Figure)
    titles = ["Expected noise (aleatoric) [K]", "Members disagree (epistemic) [K]", "By day"]
    assert [picture.title for picture in figure.pictures] == titles
    mean = np.sqrt(Unsure.of(study(), data, "tas").means["aleatoric"])
    highest = float(np.sqrt(data["tas_aleatoric"]).max())
    alt = f"The aleatoric standard deviation is {mean:.2f} K on average over the area, and at most {highest:.2f} K."
    assert figure.pictures[0].alt.replace("\u00a0", " ") == alt
    svg = figure.pictures[2].light.decode()
    for name in ("aleatoric", "epistemic", "squared error", "variance [K²]"):
        assert f">{name}<" in svg
    total = (data["tas_aleatoric_by_time"] + data["tas_epistemic_by_time"]).values
    r = np.corrcoef(total, data["tas_squared_error_by_time"].values)[0, 1]
    assert figure.pictures[2].alt.endswith(f"correlation in time with the squared error is {r:.2f}.".replace("-", "−"))
    assert figure.caption == (
        "unet + deep ensemble, tas on the test set: root of the mean predictive variance by cell; same scale. By time: "
        "means over the area, one part on the other, beside the squared error."
    )


def test_classes_have_their_error_in_a_panel_of_its_own():
    data, *_ = diagnostics(classes=True)
    about = study(classes=CLASSES, quantities={"tas": "other"})
    figure = unsure.blocks(about, data, "tas", mapped=True)[-1]
    titles = ["Members are unsure (aleatoric) [nat]", "Members disagree (epistemic) [nat]", "By day"]
    assert [picture.title for picture in figure.pictures] == titles
    svg = figure.pictures[2].light.decode()
    for name in ("aleatoric", "epistemic", "wrong class", "entropy [nat]", "share"):
        assert f">{name}<" in svg
    assert "mean predictive entropy by cell (at most 1.10 nat, all classes as likely); each map has" in figure.caption


def test_a_part_that_is_far_smaller_has_a_scale_of_its_own():
    data, *_ = diagnostics(scale=0.05)
    assert "each map has a scale of its own" in unsure.blocks(study(), data, "tas", mapped=True)[-1].caption


def test_one_part_has_one_map_and_a_wider_course():
    data, *_ = diagnostics(parts=("aleatoric",))
    figure = unsure.blocks(study(), data, "tas", mapped=True)[-1]
    assert [picture.title for picture in figure.pictures] == ["Expected noise (aleatoric) [K]", "By day"]
    assert figure.pictures[1].width > 600
    data, *_ = diagnostics(parts=("epistemic",))
    assert unsure.blocks(study(), data, "tas", mapped=True)[-1].pictures[0].title == "Spread of the members [K]"


def test_without_a_place_there_is_the_course_alone():
    names = {"station": ["nino34"], "lat": ("station", [np.nan]), "lon": ("station", [np.nan])}
    data, *_ = diagnostics(parts=("aleatoric",))
    row = {"tas_aleatoric": (("row", "station"), np.array([[1.5]]))}
    series = data.drop_vars(["lat", "lon", "tas_aleatoric"]).assign(row).assign_coords(names)
    run = SimpleNamespace(shown_lead=3)
    figure = unsure.blocks(study(run=run, step="month"), series, "tas", mapped=False)[-1]
    assert [picture.width for picture in figure.pictures] == [1060]
    assert figure.caption == (
        "unet + deep ensemble, tas on the test set, 3 months ahead, by time: values beside the squared error."
    )


def test_stations_are_no_cells():
    data, *_ = diagnostics()
    values = {
        f"tas_{part}": (("row", "station"), data[f"tas_{part}"].values[:1]) for part in ("aleatoric", "epistemic")
    }
    data["tas_epistemic"].values[0, 1] = values["tas_epistemic"][1][0, 1] = 3.0
    names = {"station": ["a", "b", "c"], "lat": ("station", LAT[[0, 0, 1]]), "lon": ("station", LON)}
    table = data.drop_vars(["lat", "lon", *values]).assign(values).assign_coords(names)
    _, said, figure = unsure.blocks(study(), table, "tas", mapped=True)
    assert "its members disagree, most at station b (" in said.items[0]
    assert "times the mean over the stations)" in said.items[0]
    assert "by station; " in figure.caption
    assert "means over the stations, one part" in figure.caption
    assert "on average over the stations, and" in figure.pictures[0].alt


def test_several_targets_have_their_names_for_headings():
    data, *_ = diagnostics()
    about = study(variables=("tas", "pr"))
    said, _ = unsure.blocks(about, data, "tas", mapped=True)
    assert "of unet + deep ensemble for tas is aleatoric" in said.items[0]


def test_the_section_of_trust_ends_with_it(make_run):
    from pipeline.report.load import load_run
    from pipeline.report.study import study as study_of

    run = make_run(years=1, attributions=False, history=False)
    section = trust.build(study_of(load_run(run)))
    assert [block.name for block in section.blocks if isinstance(block, Figure)][-1] == "unsure-tas"
    with xr.open_dataset(run / "predictions/unet+deep_ensemble.nc") as data:
        parts = [
            data[f"tas_{kind}"].weighted(np.cos(np.deg2rad(data["lat"]))).mean() for kind in ("aleatoric", "epistemic")
        ]
        share = float(parts[0] / (parts[0] + parts[1]))
    assert f"{100 * share:.0f}\u00a0% of the predictive variance of unet + deep ensemble" in section.blocks[-2].items[0]
