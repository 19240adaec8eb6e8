"""Catalogs of the working folder and of the package together, in runs as well."""

import pytest

from flows.engine import Request, create_or_find, dry_run_text
from flows.sources import open_sources, used_entries, used_variables
from flows.stages.ingest import ingest
from flows.workspace import Workspace
from pipeline.errors import CatalogError, ConfigError
from pipeline.experiment import Experiment

OWN = """schema_version: 1
mine: {format: netcdf, files: [{path: a.nc}], variables: {tas: {units: K}}, licence: unknown}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data_catalog.yaml").write_text(OWN)
    return tmp_path


def request_of(folder, **keys):
    words = {"experiment": "tiny", "resume": None, "overrides": (), "data": None, "catalog": None, "out": folder}
    return Request(**(words | {"use_server": False, "debug": False} | keys))


def test_shipped_experiments_run_beside_a_catalog_of_ones_own(folder, monkeypatch):
    assert open_sources().catalog.origin("mine").parent == folder
    run = create_or_find(request_of(folder))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    output = ingest(Workspace.open(run.path))
    assert output.summary["datasets"]
    assert "synthetic" in dry_run_text(request_of(folder, experiment=None, resume=str(run.path)))


def test_nothing_lies_below_a_catalog_that_is_asked_for(folder):
    with pytest.raises(CatalogError, match=r"data_catalog.yaml: no dataset 'synthetic-.*Known: mine"):
        create_or_find(request_of(folder, catalog=folder / "data_catalog.yaml"))


CATALOG = """schema_version: 1
fine: {format: netcdf, files: [{path: a.nc}], variables: {tas: {units: K}, pr: {units: mm d-1}}, licence: unknown}
gcm: {format: netcdf, files: [{path: b.nc}], variables: {tas: {units: K}}, licence: unknown}
stations: {format: csv, files: [{path: c.csv}], variables: {tas: {units: K}}, licence: unknown}
gases: {format: csv, files: [{path: d.csv}], variables: {co2: {units: ppm}}, licence: unknown}
scenario: {format: csv, files: [{path: e.csv}], variables: {co2: {units: ppm}}, licence: unknown}
"""


@pytest.fixture
def asked(tmp_path):
    """Return a function that makes an experiment with other data and the catalog it is put to."""
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    catalog = open_sources(tmp_path / "catalog.yaml").catalog
    span = ["2001", "2001"]

    def make(target=None, predictors=None, prepare=None, **data):
        sources = {"predictors": predictors or [{"dataset": "gcm"}], "target": target or {"dataset": "fine"}}
        tree = {
            "name": "x",
            "data": {**sources, **data},
            "split": {"train": span, "validation": span, "test": span},
            "prepare": prepare or {},
            "models": {"climatology": {"kind": "climatology"}},
        }
        return Experiment.model_validate(tree), catalog

    return make


def test_entries_of_forcings_and_of_all_test_sets_are_used(asked):
    tests = {"own": {"predictors": [{"dataset": "gcm"}], "target": {"dataset": "stations"}, "forcings": [{"dataset": "scenario"}]}}  # fmt: skip
    made = asked(forcings=[{"dataset": "gases"}], tests=tests)
    assert set(used_entries(*made)) == {"gcm", "fine", "gases", "scenario", "stations"}
    assert used_variables(made[0], "scenario") is None


def test_a_variable_that_only_a_test_set_asks_for_is_checked(asked):
    tests = {"own": {"predictors": [{"dataset": "gcm", "variables": ["tsa"]}]}}
    with pytest.raises(ConfigError, match=r"data: dataset 'gcm' has no variable 'tsa'.* Did you mean 'tas'"):
        used_entries(*asked(tests=tests))


def test_the_height_of_stations_is_no_variable_to_read(asked):
    static = [{"dataset": "stations", "variables": ["altitude"]}]
    made = asked({"dataset": "stations", "variables": ["tas"]}, static=static)
    assert "stations" in used_entries(*made)
    assert used_variables(made[0], "stations") == ["tas"]


@pytest.mark.parametrize(
    ("target", "predictor", "refused"),
    [
        ({"dataset": "fine"}, {"dataset": "fine", "variables": ["tas"]}, True),
        ({"dataset": "fine"}, {"dataset": "fine", "variables": ["tas"], "coarsen": 4}, False),
        ({"dataset": "fine", "variables": ["pr"]}, {"dataset": "fine", "variables": ["tas"]}, False),
        ({"dataset": "fine", "coarsen": 4}, {"dataset": "fine", "coarsen": 4}, True),
        ({"dataset": "fine", "coarsen": 4}, {"dataset": "fine"}, True),
        ({"dataset": "fine", "coarsen": 2}, {"dataset": "fine", "coarsen": 4}, False),
    ],
)
def test_the_answer_is_no_predictor_unless_it_is_coarser(asked, target, predictor, refused):
    main = asked(target, [predictor])
    own = asked(tests={"own": {"predictors": [predictor], "target": target}})
    for made, where in ((main, "data"), (own, "data.tests.own")):
        if not refused:
            used_entries(*made)
            continue
        with pytest.raises(
            ConfigError, match=rf"^{where}\.predictors: 'fine' gives .*tas of the same time, which is the"
        ):
            used_entries(*made)


def test_options_of_a_target_that_is_not_there_are_refused_before_data_are_read(asked):
    made = asked(prepare={"target": {"variables": {"ps": {"anomaly": "none"}}}})
    with pytest.raises(ConfigError, match=r"prepare.target.variables: the target has no variable 'ps'"):
        used_entries(*made)


@pytest.mark.parametrize(
    ("task", "instead"),
    [
        ("downscaling", r"coarsen it \(coarsen: 4\), or give earlier days only: prepare\.inputs\.lags without 0\.$"),
        (
            "series",
            r"ask for what comes later \(prepare\.target\.leads: \[1\]\), or give earlier steps only \(prepare\.inp",
        ),
        ("segmentation", r"or give earlier times only: prepare\.inputs\.lags without 0\.$"),
    ],
)
def test_the_answer_as_predictor_is_refused_with_what_the_task_has_instead(asked, task, instead):
    experiment, catalog = asked({"dataset": "fine", "variables": ["tas"]}, [{"dataset": "fine"}])
    experiment = experiment.model_copy(update={"task": task})
    message = (
        rf"^data\.predictors: 'fine' gives tas of the same time, which is the target itself\. Leave it out, {instead}"
    )
    with pytest.raises(ConfigError, match=message):
        used_entries(experiment, catalog)


def test_the_answer_of_earlier_times_is_a_predictor(asked):
    earlier = {"inputs": {"lags": [1, 2]}}
    used_entries(*asked({"dataset": "fine"}, [{"dataset": "fine"}], prepare=earlier))
