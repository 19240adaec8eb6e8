"""Catalogs of the working folder and of the package together, in runs as well."""

import pytest

from flows.engine import Request, create_or_find, dry_run_text
from flows.sources import open_sources
from flows.stages.ingest import ingest
from flows.workspace import Workspace
from pipeline.errors import CatalogError

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
