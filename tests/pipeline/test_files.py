import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, FinescaleError
from pipeline.files import file_digest, json_digest, plain, remove, write_atomic


def test_write_atomic_shows_nothing_before_the_block_ends(tmp_path):
    path = tmp_path / "deep" / "scores.csv"
    with write_atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".csv"
        assert temporary.parent == path.parent
    assert path.read_text() == "half"
    assert [inner.name for inner in path.parent.iterdir()] == ["scores.csv"]


def test_write_atomic_replaces_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with write_atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_write_atomic_makes_and_replaces_a_folder(tmp_path):
    path = tmp_path / "member-00"
    for text in ("old", "new"):
        with write_atomic(path) as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [inner.name for inner in path.iterdir()] == ["new"]
    assert [inner.name for inner in tmp_path.iterdir()] == ["member-00"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/scores.csv").write_text("precious")
    with (
        pytest.raises(
            ConfigError, match=r"expected the name of a file to write, got the folder '.*runs'. Nothing in it"
        ),
        write_atomic(tmp_path / "runs") as temporary,
    ):
        temporary.write_text("new")
    assert (tmp_path / "runs/one/scores.csv").read_text() == "precious"
    assert [inner.name for inner in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("folder", [False, True])
def test_write_atomic_keeps_the_old_one_after_an_error(tmp_path, folder):
    path = tmp_path / "a"
    path.write_text("old")

    def fail():
        with write_atomic(path) as temporary:
            if folder:
                temporary.mkdir()
                (temporary / "part").write_text("half")
            else:
                temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_wants_something_written(tmp_path):
    with pytest.raises(FinescaleError, match=r"^expected 'a' to be written to .*-a, got nothing there\.$"):  # noqa: SIM117
        with write_atomic(tmp_path / "a"):
            pass


def test_file_digest_is_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 100_000)
    assert file_digest(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_plain_turns_what_json_lacks():
    data = {
        1: np.float32(0.5),
        "n": np.int64(3),
        "flag": np.bool_(True),
        "nan": [float("nan"), np.inf, np.float64("nan")],
        "a": np.array([[1.0, np.nan]]),
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "path": Path("work") / "a.nc",
        "none": None,
        "t": (1, "x"),
    }
    assert plain(data) == {
        "1": 0.5,
        "n": 3,
        "flag": True,
        "nan": [None, None, None],
        "a": [[1.0, None]],
        "time": "2026-01-02T00:00:00+00:00",
        "path": "work/a.nc",
        "none": None,
        "t": [1, "x"],
    }


def test_plain_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match=r"^expected numbers, text, lists and mappings for JSON, got \{1\} of set\.$"):
        plain({"a": {1}})


def test_json_digest_follows_content_and_not_order():
    assert json_digest({"a": 1, "b": (2, 3)}) == json_digest({"b": [2, 3], "a": 1})
    assert json_digest({"a": 1}) != json_digest({"a": 2})
    assert json_digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_remove_takes_files_folders_links_and_nothing(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    link = tmp_path / "link"
    link.symlink_to(folder)
    remove(link)
    assert (folder / "a").is_file()
    remove(folder / "a")
    remove(folder)
    remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_folder_are_as_readable_as_it_is(tmp_path):
    before = os.umask(0o027)
    try:
        with write_atomic(tmp_path / "model") as temporary:
            (temporary / "deep").mkdir(parents=True)
            (temporary / "deep/weights").touch(0o600)
            (temporary / "open").touch()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert modes == {"weights": 0o640, "open": 0o640}
