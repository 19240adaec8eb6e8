"""The catalog's schema and look-ups; every message names file, entry and key."""

import pytest

from pipeline.data.catalog import Catalog, find_catalog, make_entry, open_catalog
from pipeline.errors import CatalogError

ENTRY = """
tas-here:
  format: netcdf
  files: [{path: a.nc}]
  variables: {tas: {units: degC, from: t2m, missing: [-9999]}}
  licence: unknown
"""


def write(tmp_path, text):
    path = tmp_path / "data_catalog.yaml"
    path.write_text(text)
    return path


def catalog(tmp_path, body, head="schema_version: 1\n"):
    return Catalog.load(write(tmp_path, head + body))


def test_an_entry_is_read_as_written(tmp_path):
    entry = catalog(tmp_path, ENTRY)["tas-here"]
    assert (entry.name, entry.format, entry.files[0].path) == ("tas-here", "netcdf", "a.nc")
    assert entry.variables["tas"].source == "t2m"
    assert entry.variables["tas"].missing == [-9999.0]


def test_keys_with_an_underscore_hold_anchors_and_are_no_entries(tmp_path):
    found = catalog(tmp_path, "_terms: &terms free\n" + ENTRY.replace("unknown", "*terms"))
    assert list(found) == ["tas-here"]
    assert found["tas-here"].licence == "free"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "files:",
            "fils:",
            r"data_catalog.yaml: entry 'tas-here': fils: unknown key. Did you mean 'files'\? Known: .*",
        ),
        ("{path: a.nc}", "{paht: a.nc}", r"entry 'tas-here': files.0.paht: unknown key. Did you mean 'path'\?"),
        ("from:", "form:", r"entry 'tas-here': variables.tas.form: unknown key. Did you mean 'from'\?"),
        ("units: degC", "unit: degC", r"variables.tas.units: this key is required and missing"),
        ("format: netcdf", "name: b", r"entry 'tas-here': name: unknown key"),
        ("{path: a.nc}", "{path: a.nc, url: 'https://h/a.nc'}", "expected a sha256 beside the url of 'a.nc'"),
        ("{path: a.nc}", "{path: a.nc, url: 'ftp://h/a.nc', sha256: x}", "expected a URL that starts with https://"),
        ("{path: a.nc}", "{path: a.nc, sha256: 12ab}", "expected 64 hexadecimal digits, got '12ab'"),
        ("{path: a.nc}", "{path: 'a*.nc', archive: b}", r"the glob 'a\*.nc' cannot have a url, sha256 or archive"),
        ("tas:", "time:", "expected a variable name of letters, digits and _, and not that of a dim, got 'time'"),
    ],
)
def test_what_does_not_fit_the_schema_is_named(tmp_path, old, new, message):
    with pytest.raises(CatalogError, match=message):
        catalog(tmp_path, ENTRY.replace(old, new))["tas-here"]


@pytest.mark.parametrize("path", ["/abs/a.nc", "../a.nc"])
def test_a_download_cannot_lead_out_of_the_cache(tmp_path, path):
    file = f"{{path: {path}, url: 'https://h/a.nc', sha256: {'a' * 64}}}"
    with pytest.raises(CatalogError, match=r"expected a relative path without '\.\.' beside a url"):
        catalog(tmp_path, ENTRY.replace("{path: a.nc}", file))["tas-here"]


def test_format_options_and_files_are_checked_when_the_entry_is_looked_up(tmp_path):
    with pytest.raises(CatalogError, match=r"entry 'tas-here': format: unknown reader 'netcfd'. Did you mean 'netcdf'"):
        catalog(tmp_path, ENTRY.replace("netcdf", "netcfd"))["tas-here"]
    with pytest.raises(CatalogError, match=r"options.grop: unknown key. Did you mean 'group'\?"):
        catalog(tmp_path, ENTRY + "  options: {grop: a}\n")["tas-here"]
    with pytest.raises(CatalogError, match="expected at least one file for format 'netcdf', got 0"):
        catalog(tmp_path, ENTRY.replace("[{path: a.nc}]", "[]"))["tas-here"]


def test_an_unknown_dataset_gets_the_nearest_name(tmp_path):
    with pytest.raises(CatalogError, match=r"no dataset 'tas-her'. Did you mean 'tas-here'\? Known: tas-here."):
        catalog(tmp_path, ENTRY)["tas-her"]


@pytest.mark.parametrize(
    ("body", "head", "message"),
    [
        (ENTRY, "", "expected schema_version: 1 at the top, got None"),
        (ENTRY, "schema_version: 2\n", "expected schema_version: 1 at the top, got 2"),
        (ENTRY + ENTRY, "schema_version: 1\n", "the key 'tas-here' stands twice"),
        ("a: {", "schema_version: 1\n", r"data_catalog.yaml: line 2, column 5 expected YAML"),
        ("- a", "", r"expected entries by name, got \['a'\]"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path, body, head, message):
    with pytest.raises(CatalogError, match=message):
        catalog(tmp_path, body, head)


def test_a_faulty_entry_is_in_nobodys_way(tmp_path):
    found = catalog(tmp_path, ENTRY + "a: 3\nb: {format: mine}\n")
    assert list(found) == ["tas-here", "a", "b"]
    assert found["tas-here"].format == "netcdf"
    with pytest.raises(CatalogError, match="entry 'a': expected keys such as format, files and variables, got 3"):
        found["a"]
    with pytest.raises(CatalogError, match="entry 'b': variables: this key is required and missing"):
        found["b"]


def test_the_packaged_entries_lie_below_those_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = open_catalog()
    assert packaged.below is None
    own = write(tmp_path, "schema_version: 1\n" + ENTRY + ENTRY.replace("tas-here", "iberia-ncep-surface"))
    both = open_catalog()
    assert set(both) == {*packaged, "tas-here"}
    assert len(both) == len(packaged) + 1
    assert both["iberia-ncep-surface"].format == "netcdf"
    assert both.origin("iberia-ncep-surface") == both.origin("tas-here") == own
    assert both.origin("iberia-ncep-pressure") == packaged.path
    assert both["iberia-ncep-pressure"].files[0].base == packaged.path.resolve().parent
    assert both["tas-here"].files[0].base is None
    with pytest.raises(CatalogError, match=r"no dataset 'iberia-ncep-presure'. Did you mean 'iberia-ncep-pressure'"):
        both["iberia-ncep-presure"]
    assert list(open_catalog(own)) == ["tas-here", "iberia-ncep-surface"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CatalogError, match=r"none.yaml: expected a YAML file, got FileNotFoundError"):
        Catalog.load(tmp_path / "none.yaml")
    with pytest.raises(CatalogError, match=r"expected a catalog file, got '.*none.yaml', which is not there"):
        find_catalog(tmp_path / "none.yaml")


def test_the_working_folder_comes_before_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = find_catalog()
    own = write(tmp_path, "schema_version: 1\n" + ENTRY)
    assert packaged != own
    assert find_catalog() == own
    assert find_catalog(packaged) == packaged


def test_the_shipped_catalog_fits_its_readers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = Catalog.load(find_catalog())
    for name in shipped:
        entry = shipped[name]
        assert entry.description, name
        # A folder tree of gigabytes has no URL of one file; where it is to be had stands with its citation.
        assert all(spec.url for spec in entry.files) or "data: https://" in entry.citation, name
        # Indices and attributes of basins, which stand in tables, have no CF names; neither have classes, covariances.
        if entry.files and entry.format not in ("csv", "camels_us") and "covariance" not in entry.variables:
            named = (variable.standard_name or variable.classes for variable in entry.variables.values())
            assert all(named), name
            assert entry.citation, name


def test_no_catalog_anywhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.data.catalog.__file__", str(tmp_path / "a" / "b" / "catalog.py"))
    with pytest.raises(
        CatalogError, match=r"expected data_catalog.yaml in .* or in the package, found none. Pass --catalog FILE"
    ):
        find_catalog()


def test_entries_are_frozen():
    raw = {"format": "netcdf", "files": [{"path": "x"}], "variables": {"a": {"units": "K"}}, "licence": "x"}
    entry = make_entry("a", raw, "c.yaml")
    with pytest.raises(ValueError, match="frozen"):
        entry.format = "csv"


def test_of_many_entries_the_own_are_named_and_how_to_list_the_rest(tmp_path):
    line = "set-{}: {{format: netcdf, files: [{{path: a.nc}}], variables: {{tas: {{units: K}}}}, licence: x}}\n"
    (tmp_path / "many.yaml").write_text("schema_version: 1\n" + "".join(line.format(n) for n in range(13)))
    (tmp_path / "own.yaml").write_text("schema_version: 1\n" + line.format("own"))
    many, own = Catalog.load(tmp_path / "many.yaml"), Catalog.load(tmp_path / "own.yaml")
    with pytest.raises(CatalogError, match=r"no dataset 'x'\. 13 known; finescale data list shows all\.$"):
        many["x"]
    both = Catalog.load(tmp_path / "own.yaml", many)
    message = r"no dataset 'x'\. Known: set-own, and 13 that are shipped; finescale data list shows all\.$"
    with pytest.raises(CatalogError, match=message):
        both["x"]
    with pytest.raises(CatalogError, match=r"no dataset 'x'\. 14 known; finescale data list shows all\.$"):
        Catalog.load(tmp_path / "many.yaml", own)["x"]
