"""What the doctor says of the catalog and of folders."""

import hashlib

import pytest

from flows.health import storage


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"whole")
    digest = hashlib.sha256(b"whole").hexdigest()
    path = tmp_path / "data_catalog.yaml"
    path.write_text(
        "schema_version: 1\n"
        f"good: {{format: netcdf, files: [{{path: a.nc, sha256: {digest}}}], variables: {{tas: {{units: K}}}}, licence: a}}\n"
        f"gone: {{format: netcdf, files: [{{path: b.nc, sha256: {digest}}}], variables: {{tas: {{units: K}}}}, licence: a}}\n"
    )
    return path


def found(catalog, deep):
    return {one.what: one for one in storage.catalog_findings(catalog, None, deep)}


def test_files_that_are_here_are_counted(catalog):
    told = found(catalog, False)
    assert "--deep checks their bytes" in told["files"].found
    assert told["catalog"].state == "ok"


def test_deep_finds_a_damaged_file_and_says_how_to_have_it_again(catalog, tmp_path):
    assert "1 checked by their sha256" in found(catalog, True)["files"].found
    (tmp_path / "a.nc").write_bytes(b"half")
    told = found(catalog, True)["files"]
    assert told.state == "fault"
    assert told.mend == f"rm {tmp_path / 'a.nc'} && finescale data fetch good"


def test_an_entry_that_cannot_be_used_is_named(catalog):
    catalog.write_text(catalog.read_text() + "faulty: {format: netcdf}\n")
    told = found(catalog, False)["catalog"]
    assert told.state == "note"
    assert "1 cannot be used: faulty." in told.wrong


def test_a_catalog_that_does_not_open_is_a_fault(catalog, monkeypatch):
    monkeypatch.setenv("FINESCALE_DATA", "/no/such/mirror")
    (told,) = storage.catalog_findings(catalog, None, False)
    assert (told.state, told.mend) == ("fault", "unset FINESCALE_DATA")


def test_a_folder_that_cannot_be_written_to_is_a_fault(tmp_path, monkeypatch):
    assert storage.folder_finding("runs", tmp_path / "a/b", "FINESCALE_RUNS").state == "ok"

    def refuse(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", refuse)
    told = storage.folder_finding("runs", tmp_path, "FINESCALE_RUNS")
    assert (told.state, told.wrong) == ("fault", "it cannot be written to: Read-only file system")
    assert "FINESCALE_RUNS" in told.mend


def test_a_full_disk_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "LEAST", 2**62)
    assert storage.folder_finding("cache", tmp_path, "FINESCALE_CACHE").state == "note"
