"""Python and the libraries: are they there, and in versions that work together."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Callable

from packaging.requirements import Requirement

from flows.health import Finding
from pipeline import __version__

SUBJECT = "software"
PYTHONS = ((3, 11), (3, 13))
SHOWN = ("torch", "numpy", "xarray", "pandas", "scikit-learn", "captum", "dask", "distributed", "prefect")
# Pairs of versions that install cleanly and then fail.
TRAPS = {
    "fastapi": ("<0.151", "every flow of Prefect 3.8 and 3.9 fails"),
    "sqlalchemy": ("<2.1", "no schedule of Prefect 3.8 ever fires"),
}
EXTRAS = {"grib": "reading GRIB files", "export": "exporting networks"}

Version = Callable[[str], str | None]


def version(package: str) -> str | None:
    """Return the installed version of a package, None if it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> list[Requirement]:
    """Return what Finescale asks for, as it was installed; empty where it was not installed."""
    try:
        return [Requirement(text) for text in importlib.metadata.requires("finescale") or ()]
    except importlib.metadata.PackageNotFoundError:
        return []


def pip(*words: str) -> str:
    """Return the command that installs something into this Python."""
    return f"{sys.executable} -m pip install {' '.join(words)}"


def python_finding(found: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Say which Python this is, and whether it is one that is tested."""
    told = f"{platform.python_version()} on {platform.platform()}"
    low, high = ("{}.{}".format(*bound) for bound in PYTHONS)
    if PYTHONS[0] <= found <= PYTHONS[1]:
        return Finding(SUBJECT, "Python", told)
    return Finding(
        SUBJECT,
        "Python",
        told,
        "fault",
        f"Python {low} to {high} is needed; libraries have no builds for another",
        f"python{high} -m venv .venv && .venv/bin/pip install -c constraints.txt finescale",
    )


def library_findings(asked: list[Requirement] | None = None, installed: Version = version) -> list[Finding]:
    """Say of every library whether it is there and as new as is needed; those without a fault in few lines."""
    asked = requirements() if asked is None else asked
    needed = {one.name.lower(): one for one in asked if "extra" not in str(one.marker or "")}
    found: list[Finding] = []
    quiet = 0
    for name in dict.fromkeys([*SHOWN, *needed]):
        have, want = installed(name), needed.get(name)
        spec = str(want.specifier) if want else ""
        if have is None:
            mend = pip("-c constraints.txt", f"'{name}{spec}'")
            found.append(Finding(SUBJECT, name, "not installed", "fault", "runs cannot do without it", mend))
        elif want is not None and not want.specifier.contains(have, prereleases=True) and name not in TRAPS:
            wrong = f"{spec} is needed"
            found.append(Finding(SUBJECT, name, have, "fault", wrong, pip("-c constraints.txt", f"'{name}{spec}'")))
        elif name in SHOWN:
            found.append(Finding(SUBJECT, name, have))
        else:
            quiet += 1
    if quiet:
        found.append(Finding(SUBJECT, "other libraries", f"{quiet}, as needed"))
    return found


def trap_finding(installed: Version = version) -> Finding:
    """Look for versions that install cleanly beside Prefect and then fail."""
    from packaging.specifiers import SpecifierSet

    wrong, mend, seen = [], [], []
    for name, (spec, what) in TRAPS.items():
        have = installed(name)
        if have is None:
            continue
        seen.append(f"{name} {have}")
        if not SpecifierSet(spec).contains(have, prereleases=True):
            wrong.append(f"with {name} {have} {what}; {spec} is needed")
            mend.append(f"'{name}{spec}'")
    if wrong:
        return Finding(SUBJECT, "pins", ", ".join(seen), "fault", "; ".join(wrong), pip(*mend))
    return Finding(SUBJECT, "pins", f"as Prefect needs them ({', '.join(seen)})")


def extra_findings(asked: list[Requirement] | None = None, installed: Version = version) -> list[Finding]:
    """Say which optional parts are there, and how the others are had."""
    asked = requirements() if asked is None else asked
    found = []
    for extra, what in EXTRAS.items():
        parts = [one.name for one in asked if one.marker and one.marker.evaluate({"extra": extra}) and _of(one, extra)]
        if not parts:
            continue
        missing = [name for name in parts if installed(name) is None]
        if missing:
            wrong = f"not installed: {', '.join(missing)}; only {what} needs it"
            mend = pip("-c constraints.txt", f"'finescale[{extra}]'")
            found.append(Finding(SUBJECT, f"extra {extra}", "not there", "note", wrong, mend))
        else:
            found.append(Finding(SUBJECT, f"extra {extra}", f"for {what}: " + ", ".join(
                f"{name} {installed(name)}" for name in parts)))  # fmt: skip
    return found


def _of(one: Requirement, extra: str) -> bool:
    return f'"{extra}"' in str(one.marker)


def findings() -> list[Finding]:
    """Return everything about Python and its libraries."""
    return [
        Finding(SUBJECT, "finescale", __version__),
        python_finding(),
        *library_findings(),
        trap_finding(),
        *extra_findings(),
    ]
