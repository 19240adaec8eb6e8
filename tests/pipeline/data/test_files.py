"""Files are found in the order of the places, checked, and named when they are nowhere."""

import hashlib
import io
import tarfile
import zipfile

import pytest

from pipeline.data.archives import extract
from pipeline.data.catalog import Catalog, make_entry
from pipeline.data.files import Places, locate, resolve, sha256_of
from pipeline.errors import ChecksumError, DataError


def entry(*files):
    raw = {"format": "netcdf", "files": list(files), "variables": {"a": {"units": "K"}}, "licence": "x"}
    return make_entry("set", raw, "c.yaml")


@pytest.fixture
def places(tmp_path):
    found = Places(tmp_path / "mirror", tmp_path / "cache", tmp_path / "base")
    for _, folder in found.folders():
        folder.mkdir()
    return found


def test_mirror_before_cache_before_catalog_folder(places):
    for name in ("base", "cache", "mirror"):
        (places.base.parent / name / "a.nc").write_text(name)
        (found,) = resolve(entry({"path": "a.nc"}), places)
        assert found.path.read_text() == name
        assert found.place == {"base": "catalog"}.get(name, name)
        assert found.sha256 == hashlib.sha256(name.encode()).hexdigest()
        assert found.bytes == len(name)


def test_an_absolute_path_is_itself(places, tmp_path):
    (tmp_path / "b.nc").write_text("b")
    (found,) = resolve(entry({"path": str(tmp_path / "b.nc")}), places)
    assert (found.place, found.path) == ("absolute", tmp_path / "b.nc")
    with pytest.raises(DataError, match=r"set: expected the file /none/c.nc, which is not there. Correct its path"):
        resolve(entry({"path": "/none/c.nc"}), places)


def test_a_glob_is_its_files_in_order(places):
    for year in (2002, 2001):
        (places.base / f"t_{year}.nc").write_text(str(year))
    found = resolve(entry({"path": "t_*.nc"}), places)
    assert [record.path.name for record in found] == ["t_2001.nc", "t_2002.nc"]
    absolute = entry({"path": str(places.base / "t_*.nc")})
    assert [record.path for record in resolve(absolute, places)] == [record.path for record in found]


def test_a_file_that_is_nowhere_is_named_with_the_places(places):
    message = (
        r"set: expected the file x/a.nc, found in none of .*mirror \(mirror\), .*cache \(cache\), .*base \(catalog\)"
    )
    with pytest.raises(DataError, match=message + r"; it has no url. Put it into one of them, or pass --data DIR"):
        resolve(entry({"path": "x/a.nc"}), places)


def test_a_wrong_checksum_is_refused_wherever_the_file_lies(places):
    (places.mirror / "a.nc").write_text("other")
    digest = hashlib.sha256(b"right").hexdigest()
    got = hashlib.sha256(b"other").hexdigest()
    file = {"path": "a.nc", "sha256": digest}
    with pytest.raises(
        ChecksumError, match=rf"set: .*a.nc: expected sha256 {digest}, got {got}. It is another version"
    ):
        resolve(entry(file), places)
    (places.mirror / "a.nc").rename(places.cache / "a.nc")
    with pytest.raises(ChecksumError, match=r"Delete it, and it is downloaded anew"):
        resolve(entry(file), places)


def test_locate_reads_and_fetches_nothing(places):
    spec = entry({"path": "a.nc", "url": "https://nowhere.invalid/a.nc", "sha256": "0" * 64}).files[0]
    assert locate(spec, places) is None
    (places.cache / "a.nc").write_text("x")
    assert locate(spec, places) == ("cache", (places.cache / "a.nc",))


def test_a_folder_has_a_digest_of_names_and_contents(tmp_path):
    for folder, name, text in (("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    digests = [sha256_of(tmp_path / folder) for folder in "abcd"]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_places_follow_argument_then_environment(tmp_path, monkeypatch):
    catalog = Catalog(tmp_path / "c.yaml", {})
    monkeypatch.setenv("FINESCALE_DATA", "/from/env")
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    assert str(Places.of(catalog).mirror) == "/from/env"
    assert Places.of(catalog, tmp_path).mirror == tmp_path
    assert Places.of(catalog).cache == tmp_path / "cache"
    monkeypatch.delenv("FINESCALE_DATA")
    assert Places.of(catalog).mirror is None
    assert Places.of(catalog).base == tmp_path


def archive(path, names):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            for name in names:
                bundle.writestr(name, name)
    else:
        with tarfile.open(path, "w:gz") as bundle:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(name)
                bundle.addfile(info, io.BytesIO(name.encode()))


@pytest.mark.parametrize("suffix", [".zip", ".tgz"])
def test_a_member_of_an_archive_is_extracted_once(places, suffix):
    archive(places.base / f"all{suffix}", ["in/tas.nc", "in/pr.nc"])
    described = entry({"path": f"all{suffix}", "archive": "in/tas.nc"})
    (found,) = resolve(described, places)
    assert found.path.read_text() == "in/tas.nc"
    assert found.sha256 == sha256_of(places.base / f"all{suffix}")
    before = found.path.stat().st_mtime_ns
    assert resolve(described, places)[0].path.stat().st_mtime_ns == before
    with pytest.raises(
        DataError, match=r"no member 'in/tsa.nc'. Did you mean 'in/tas.nc'\? It holds: in/tas.nc, in/pr.nc"
    ):
        resolve(entry({"path": f"all{suffix}", "archive": "in/tsa.nc"}), places)


def test_a_member_cannot_be_written_outside_its_folder(tmp_path):
    archive(tmp_path / "a.zip", ["../../evil"])
    assert extract(tmp_path / "a.zip", "../../evil", tmp_path / "out").parent == tmp_path / "out"


def test_what_is_no_archive_or_a_damaged_one_is_refused(tmp_path):
    (tmp_path / "a.zip").write_text("none")
    with pytest.raises(DataError, match=r"a.zip: expected a zip or tar file that holds 'x', got neither"):
        extract(tmp_path / "a.zip", "x", tmp_path / "out")
    archive(tmp_path / "b.zip", ["member"])
    whole = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(whole.replace(b"member", b"mxmber", 2).replace(b"mxmber", b"member", 1))
    with pytest.raises(DataError, match=r"b.zip: the archive is damaged: .*CRC.* Fetch it again"):
        extract(tmp_path / "b.zip", "member", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_file_is_looked_up_beside_the_catalog_that_its_entry_comes_from(tmp_path):
    entries = {"a": {"format": "netcdf", "files": [{"path": "a.nc"}], "variables": {"tas": {"units": "K"}}}}
    entries["a"]["licence"] = "unknown"
    for folder in ("own", "shipped"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.nc").write_text(folder)
    below = Catalog(tmp_path / "shipped" / "c.yaml", entries)
    catalog = Catalog(tmp_path / "own" / "c.yaml", {"b": entries["a"]}, below)
    places = Places(None, tmp_path / "cache", tmp_path / "own")
    found = {name: locate(catalog[name].files[0], places) for name in "ab"}
    assert found == {
        "a": ("catalog", (tmp_path / "shipped" / "a.nc",)),
        "b": ("catalog", (tmp_path / "own" / "a.nc",)),
    }
