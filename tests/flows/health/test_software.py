"""What the doctor says of Python and its libraries."""

import pytest
from packaging.requirements import Requirement

from flows.health import software

ASKED = [
    Requirement("numpy>=2.0"),
    Requirement("torch>=2.11,<2.14"),
    Requirement("pint>=0.24"),
    Requirement("cfgrib>=0.9.15; extra == 'grib'"),
    Requirement("eccodes>=2.40; extra == 'grib'"),
    Requirement("cfgrib>=0.9.15; extra == 'dev'"),
]


def installed(**versions):
    there = {name: "99" for name in software.SHOWN} | {"numpy": "2.1", "torch": "2.13.0+cpu", "pint": "0.25"} | versions
    return lambda name: there.get(name.replace("-", "_"), there.get(name))


def by_name(found):
    return {one.what: one for one in found}


def test_libraries_as_they_should_be_are_no_fault():
    found = by_name(software.library_findings(ASKED, installed()))
    assert {one.state for one in found.values()} == {"ok"}
    assert found["torch"].found == "2.13.0+cpu"
    assert found["other libraries"].found == "1, as needed"


def test_a_missing_library_is_a_fault_with_the_command_that_mends_it():
    found = by_name(software.library_findings(ASKED, installed(pint=None)))
    assert found["pint"].state == "fault"
    assert found["pint"].mend.endswith("-m pip install -c constraints.txt 'pint>=0.24'")


def test_a_library_that_is_too_old_is_a_fault():
    found = by_name(software.library_findings(ASKED, installed(numpy="1.26.4")))
    assert (found["numpy"].state, found["numpy"].wrong) == ("fault", ">=2.0 is needed")


@pytest.mark.parametrize(("name", "version"), [("fastapi", "0.151.0"), ("sqlalchemy", "2.1.0")])
def test_versions_that_install_and_then_fail_are_named(name, version):
    good = {"fastapi": "0.150.0", "sqlalchemy": "2.0.45"}
    assert software.trap_finding(good.get).state == "ok"
    found = software.trap_finding({**good, name: version}.get)
    assert found.state == "fault"
    assert f"with {name} {version}" in found.wrong
    assert f"'{name}<" in found.mend


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "fault"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "fault")]
)
def test_pythons_outside_of_what_is_tested(version, state):
    assert software.python_finding(version).state == state


def test_an_optional_part_that_is_not_there_says_what_it_is_for():
    (found,) = software.extra_findings(ASKED, {"cfgrib": "0.9.15"}.get)
    assert (found.what, found.state) == ("extra grib", "note")
    assert found.wrong == "not installed: eccodes; only reading GRIB files needs it"
    assert "'finescale[grib]'" in found.mend
    (found,) = software.extra_findings(ASKED, {"cfgrib": "0.9.15", "eccodes": "2.40"}.get)
    assert (found.state, found.found) == ("ok", "for reading GRIB files: cfgrib 0.9.15, eccodes 2.40")
