"""`make wheelhouse` and the script inside: cut, checked, joined and installed again, without network."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20


def script(name):
    spec = importlib.util.spec_from_file_location(f"offline_{name}", ROOT / "offline" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


packing, installing = script("pack"), script("install")


def wheel(folder, name, version="1.0", needs=(), body=b"", licence="License-Expression: MIT"):
    """Write a wheel of one module."""
    stem = f"{name}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    said = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{licence}\n"
    said += "".join(f"Requires-Dist: {each}\n" for each in needs)
    files = {
        f"{name}.py": f"NAME = {name!r}\n".encode(),
        f"{name}_data.bin": body,
        f"{info}/METADATA": said.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return path


@pytest.fixture
def house(tmp_path):
    """A packed set of three made wheels, in parts of 1 MiB."""
    wheels, out = tmp_path / "made", tmp_path / "house"
    wheels.mkdir()
    noise = bytes(range(256)) * 6000
    wheel(wheels, "finescale", "0.1", needs=("leaf",))
    wheel(wheels, "leaf", needs=("twig",), body=noise, licence="License: BSD\n more words")
    wheel(wheels, "twig", body=noise, licence="Classifier: License :: OSI Approved :: Apache Software License")
    words = ["--wheels", str(wheels), "--out", str(out), "--part-mib", "1", "--no-download"]
    words += ["--machine", os.uname().machine]
    assert packing.main(words) == 0
    return out


def said_of(capsys, words):
    code = installing.main(words)
    return code, capsys.readouterr().err


def test_parts_have_the_chosen_size_and_are_listed(house):
    facts = json.loads((house / "parts.json").read_text())
    sizes = [part["size"] for part in facts["parts"]]
    assert len(sizes) >= 3
    assert set(sizes[:-1]) == {MIB}
    assert 0 < sizes[-1] <= MIB
    assert [(house / part["file"]).stat().st_size for part in facts["parts"]] == sizes
    assert facts["requirement"] == "finescale==0.1"


def test_what_is_inside_is_told_with_versions_licences_and_sizes(house):
    with (house / "contents.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {name: row["licence"] for name, row in rows.items()} == {
        "finescale": "MIT",
        "leaf": "BSD",
        "twig": "Apache Software License",
    }
    path = house.parent / "made" / rows["leaf"]["file"]
    assert (int(rows["leaf"]["size"]), rows["leaf"]["sha256"]) == (path.stat().st_size, packing.digest(path))


def test_the_same_wheels_make_the_same_parts(house):
    before = (house / "parts.json").read_bytes()
    made = house.parent / "made"
    for path in made.iterdir():
        path.touch()
    words = ["--wheels", str(made), "--out", str(house), "--part-mib", "1", "--no-download"]
    assert packing.main([*words, "--machine", json.loads(before)["machine"]]) == 0
    assert (house / "parts.json").read_bytes() == before


def test_joined_parts_are_the_wheels_again(house, tmp_path):
    place = tmp_path / "there"
    installing.unpack(house, installing.known(house), place)
    for path in (house.parent / "made").iterdir():
        assert (place / "wheels" / path.name).read_bytes() == path.read_bytes()
    assert installing.unpacked(place)
    next((place / "wheels").iterdir()).unlink()
    assert not installing.unpacked(place)


def test_parts_that_are_wrong_are_all_named(house, capsys):
    facts = installing.known(house)
    first, second, third = (house / part["file"] for part in facts["parts"][:3])
    data = bytearray(first.read_bytes())
    data[1000] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:-5])
    third.unlink()
    code, said = said_of(capsys, ["--parts", str(house), "--check"])
    assert code == 2
    assert f"{first.name} is corrupt (sha256 " in said
    assert f"{second.name} has {MIB - 5} of {MIB} bytes" in said
    assert f"{third.name} is missing" in said
    assert f"Copy them to {house} again" in said


def test_without_the_list_of_parts_nothing_is_done(tmp_path, capsys):
    code, said = said_of(capsys, ["--parts", str(tmp_path)])
    assert code == 2
    assert "Copy it here again" in said


def test_another_python_is_refused(house, capsys):
    facts = installing.known(house) | {"python": "3.99"}
    (house / "parts.json").write_text(json.dumps(facts))
    code, said = said_of(capsys, ["--parts", str(house)])
    assert code == 2
    assert "expected Python 3.99" in said


def test_a_wheel_that_broke_off_is_named(house, capsys):
    made = house.parent / "made"
    path = made / "leaf-1.0-py3-none-any.whl"
    path.write_bytes(path.read_bytes()[:100])
    assert packing.main(["--wheels", str(made), "--out", str(house), "--no-download"]) == 2
    assert f"{path}: expected a wheel, got a broken one" in capsys.readouterr().err


def test_a_folder_without_finescale_is_refused(tmp_path, capsys):
    made = tmp_path / "made"
    made.mkdir()
    wheel(made, "leaf")
    assert packing.main(["--wheels", str(made), "--out", str(tmp_path), "--no-download"]) == 2
    assert "expected one wheel of Finescale" in capsys.readouterr().err


@pytest.mark.parametrize(
    "names", [["torch-2.13.0-cp312-x.whl"], [], ["torch-2.12.0+cpu-x.whl", "torch-2.13.0+cpu-x.whl"]]
)
def test_a_cuda_build_does_not_pass_for_the_cpus(names, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(packing.PackError, match="expected one CPU build of torch"):
        packing.check_torch(tmp_path)


def test_the_cpu_build_passes(tmp_path):
    (tmp_path / "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    packing.check_torch(tmp_path)


def test_an_old_glibc_gets_no_newer_wheels():
    assert "manylinux_2_28_x86_64" not in list(packing.platforms("2.17", "x86_64"))
    assert "manylinux2014_x86_64" in list(packing.platforms("2.17", "x86_64"))


@pytest.mark.slow
def test_it_installs_from_the_parts_alone_and_goes_on_where_it_stopped(house, tmp_path):
    venv = tmp_path / "venv"
    words = [sys.executable, str(house / "install.py"), "--venv", str(venv)]
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    found = subprocess.run([venv / "bin" / "python", "-c", "import leaf, twig"], capture_output=True)
    assert found.returncode == 0
