"""``finescale experiments new``: templates that hold what they promise."""

import re

import numpy as np
import pytest
import xarray as xr

from flows.load import load_experiment
from flows.plan import make_plan
from flows.sources import open_sources
from flows.template import TASKS, split_dates, template
from pipeline.errors import CatalogError, ConfigError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)


def planned(path):
    return make_plan(load_experiment(str(path)).experiment, where=str(path))


@pytest.mark.parametrize("task", TASKS)
def test_a_template_is_valid_as_written_and_its_run_can_be_planned(task, finescale, tmp_path):
    code, out, err = finescale("experiments", "new", "mine", "--task", task)
    assert code == 0, err
    assert out == "written: mine.yaml\nnext:    finescale run mine.yaml --dry-run\n"
    assert planned("mine.yaml").experiment.task == task
    code, out, err = finescale("run", "mine.yaml", "--dry-run")
    assert code == 0, err
    assert "stages" in out


@pytest.mark.parametrize("task", TASKS)
def test_every_option_to_try_is_valid_too(task, tmp_path):
    text = template("mine", task)
    path = tmp_path / "mine.yaml"
    path.write_text(re.sub(r"^(\s*)#(?! )", r"\1", text, flags=re.MULTILINE))
    experiment = planned(path).experiment
    assert len(experiment.split.test) == 2
    assert experiment.compute.memory == "4GiB"
    assert experiment.scores is not None


@pytest.mark.parametrize("task", TASKS)
def test_every_key_is_told_of_in_a_line_or_two(task):
    text = template("mine", task)
    assert "@" not in text
    assert "#?" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert "# First and last date of the train split.\n" in text


@pytest.mark.timeout(600)
def test_the_downscaling_template_runs(finescale):
    finescale("experiments", "new", "mine")
    small = ("models.unet.epochs=1", "split.train=[2006-01-01, 2007-12-31]", "uncertainty=[]", "explain=[]")
    code, out, err = finescale("run", "mine.yaml", "--no-server", *(word for text in small for word in ("--set", text)))
    assert code == 0, err
    assert "report.html" in out


def test_datasets_fill_predictors_and_target():
    catalog = open_sources().catalog
    text = template("iberia", "downscaling", ["iberia-ncep-pressure", "iberia-eobs-tas"], catalog)
    assert "    - {dataset: iberia-ncep-pressure, variables: [psl, ta850, hus850]}\n" in text
    assert "  target: {dataset: iberia-eobs-tas, variables: [tas]}\n" in text
    assert "# Put the dates of your own data here" in text


def test_one_dataset_is_both(tmp_path):
    catalog = open_sources().catalog
    made = {
        "downscaling": ("hadcm3-na", "- {dataset: hadcm3-na, variables: [tas], coarsen: 4}", "{dataset: hadcm3-na, variables: [tas]}"),
        "series": ("salmon-river", "- {dataset: salmon-river, variables: [", "variables: [qobs]}"),
        "segmentation": ("synthetic-storms", "variables: [TMQ, U850, V850, PSL]}", "variables: [LABELS]}"),
    }  # fmt: skip
    for task, (name, predictors, target) in made.items():
        text = template("mine", task, [name], catalog)
        assert predictors in text
        assert target in text
        (tmp_path / "mine.yaml").write_text(text)
        planned(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("task", "names", "message"),
    [
        (
            "segmentation",
            ["iberia-eobs-tas"],
            "expected a target with classes for task segmentation, got tas without any",
        ),
        ("series", ["iberia-eobs-tas"], "expected a predictor beside the target tas, got no other"),
        ("forecast", [], "--task: expected one of downscaling, series, segmentation, got 'forecast'"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(task, names, message):
    with pytest.raises(ConfigError, match=message):
        template("mine", task, names, open_sources().catalog)


def test_a_dataset_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(CatalogError, match=r"Did you mean 'iberia-eobs-tas'\?"):
        template("mine", "downscaling", ["iberia-eobs-tass"], open_sources().catalog)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "quickstart"], "expected a name of your own, got 'quickstart', the name of a shipped experiment"),
        (["new", "My Question"], "expected a name of a-z, 0-9, - and _, which starts the names of its runs, got 'My Question'"),
        (["new", "mine", "--to", "there.yaml"], "expected a file that is not there yet, got 'there.yaml'"),
        (["new", "mine", "--to", "no/mine.yaml"], "expected a folder to write into, got 'no'"),
    ],
)  # fmt: skip
def test_nothing_is_overwritten_and_names_are_names(words, message, finescale, tmp_path):
    (tmp_path / "there.yaml").write_text("name: there\n")
    code, _, err = finescale("experiments", *words)
    assert code == 2
    assert message in " ".join(err.split())
    assert (tmp_path / "there.yaml").read_text() == "name: there\n"


def days(first, last):
    return [str(day) for day in np.arange(np.datetime64(first), np.datetime64(last) + 1)]


def test_splits_follow_the_dates_of_the_data():
    found = split_dates(days("1991-01-01", "2010-12-31"))
    assert found[:4] == ("1991-01-01", "2002-12-31", "2003-01-01", "2006-12-31")
    assert found[4:] == ("2007-01-01", "2008-12-31", "2009-01-01", "2010-12-31")
    short = split_dates(days("2001-03-01", "2001-12-31"))
    assert (short[0], short[-1]) == ("2001-03-01", "2001-12-31")
    assert list(short) == sorted(set(short))
    six = split_dates(days("2001-01-01", "2006-12-31"))
    assert list(six) == sorted(set(six)), "two splits that would begin with the same year begin with none"
    assert split_dates(days("2001-01-01", "2001-01-05")) == ()
    assert split_dates([]) == ()


def test_a_new_experiment_has_the_dates_that_its_data_share(finescale, tmp_path):
    rng = np.random.default_rng(0)
    for name, first, last in (("coarse", "1990-01-01", "2009-12-31"), ("fine", "1995-01-01", "2014-12-31")):
        time = np.array(days(first, last), "datetime64[ns]")
        values = rng.normal(size=(len(time), 2, 3)).astype("float32")
        data = xr.Dataset(
            {"tas": (("time", "lat", "lon"), values, {"units": "K"})},
            {"time": time, "lat": [40.0, 41.0], "lon": [0.0, 1.0, 2.0]},
        )
        data.to_netcdf(tmp_path / f"{name}.nc")
        assert finescale("data", "add", f"{name}.nc", "--name", name)[0] == 0
    code, out, err = finescale("experiments", "new", "mine", "--dataset", "coarse", "--dataset", "fine")
    assert code == 0, err
    assert "dates:   split by those that the data have in common, 1995-01-01 to 2009-12-31\n" in out
    split = load_experiment("mine.yaml").experiment.split
    assert (split.train, split.validation) == (("1995-01-01", "2003-12-31"), ("2004-01-01", "2006-12-31"))


def test_data_that_are_not_there_yet_leave_the_dates_open(finescale):
    code, out, err = finescale("experiments", "new", "mine", "--dataset", "iberia-eobs-tas")
    assert code == 0, err
    assert "dates:   put those of your data into it (" in out
    assert "is not there yet)" in out
