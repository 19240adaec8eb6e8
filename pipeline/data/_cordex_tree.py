"""Where a file of CORDEX ML-Bench lies in its folder tree, however that is spelled.

The tree as the archive unpacks, ``D`` being ``NZ``, ``SA`` or ``ALPS``::

    D_domain/train/ESD_pseudo_reality/predictors/GCM_1961-1980.nc
                                                /Static_fields.nc
                                     /target/pr_tasmax_GCM_1961-1980.nc
            /train/Emulator_hist_future/...
            /test/historical/predictors/perfect/GCM_1981-2000.nc

Guides, tutorials and participants write ``D_Domain``, ``D/D_domain``, ``Bench-data/D/D_domain``, ``D``,
``ESD_pseudo-reality``, ``Emulator_hist_fut`` and ``static.nc``: each is found. Case, ``-`` and ``_`` make no
difference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError

DOMAINS = ("NZ", "SA", "ALPS")
EXPERIMENTS = {
    "ESD_pseudo_reality": ("esd_pseudo_reality",),
    "Emulator_hist_future": ("emulator_hist_future", "emulator_hist_fut"),
}
_STATIC = ("static_fields", "static")
_GCM = re.compile(r"(?:pr_tasmax_|tasmax_pr_)?(?P<gcm>.+?)_\d{4}_\d{4}.*")


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Parameters
    ----------
    domain : str
        ``NZ``, ``SA`` or ``ALPS``.
    folders : tuple of tuple of str
        Names of the folders from the domain's down, each with its spellings; the first is the usual one.
    kind : {"fields", "static"}
        The fields of a climate model, or those without time.
    gcm : str or None
        The climate model in the file's name; None where one alone is there.
    """

    domain: str
    folders: tuple[tuple[str, ...], ...]
    kind: str
    gcm: str | None


def plain(name: str) -> str:
    """Return a name without what spellings differ in.

    Examples
    --------
    >>> plain("ESD_pseudo-reality") == plain("esd_Pseudo_reality")
    True
    """
    return name.lower().replace("-", "_").replace(" ", "_")


def gcm_of(path: Path) -> str:
    """Return the climate model that a file's name says, spelled plainly.

    Examples
    --------
    >>> gcm_of(Path("pr_tasmax_ACCESS-CM2_1961-1980_2080-2099.nc")), gcm_of(Path("NorESM2-MM_1981-2000.nc"))
    ('access_cm2', 'noresm2_mm')
    """
    found = _GCM.fullmatch(plain(path.stem))
    return found["gcm"] if found else plain(path.stem)


def find_files(root: Path, wanted: Wanted, name: str) -> tuple[Path, ...]:
    """Return the files below ``root`` that are wanted: one, or several of one climate model by periods.

    Parameters
    ----------
    root : Path
        The folder that holds the domains' folders, or a domain's folder itself.
    wanted : Wanted
        What is looked for.
    name : str
        The entry, for messages.

    Raises
    ------
    DataError
        If a folder or the file is not there, or there are files of several climate models and none is named.
    """
    folder = _domain_folder(root, wanted.domain, name)
    for spellings in wanted.folders:
        folder = _child(folder, spellings, name)
    files = [path for path in _entries(folder) if path.suffix == ".nc" and path.is_file()]
    static = [path for path in files if plain(path.stem) in _STATIC]
    if wanted.kind == "static":
        if not static:
            raise DataError(_nothing(name, "Static_fields.nc or static.nc", folder))
        return tuple(static[:1])
    return _of_one_model([path for path in files if path not in static], wanted, folder, name)


def _domain_folder(root: Path, domain: str, name: str) -> Path:
    """Return the folder that has ``train`` and ``test``, at most three levels below ``root``."""
    others = {plain(text) for other in DOMAINS if other != domain for text in (other, f"{other}_domain")}
    ours, passed = {plain(domain), plain(f"{domain}_domain")}, {"bench_data", plain(domain), plain(f"{domain}_domain")}
    level = [] if plain(root.name) in others else [root]
    for _ in range(4):
        for folder in level:
            named = plain(folder.name) in ours or folder == root
            if named and {"train", "test"} & {plain(path.name) for path in _entries(folder) if path.is_dir()}:
                return folder
        level = [path for folder in level for path in _entries(folder) if path.is_dir() and plain(path.name) in passed]
    tried = f"{domain}_domain, {domain}, {domain}/{domain}_domain or Bench-data/{domain}/{domain}_domain"
    raise DataError(
        f"{name}: expected a folder {tried} with train and test in {root}, found none; it holds "
        f"{_listing(root)}. Unpack {domain}_domain.zip there."
    )


def _child(folder: Path, spellings: Sequence[str], name: str) -> Path:
    wanted = [plain(text) for text in spellings]
    found = [path for path in _entries(folder) if path.is_dir() and plain(path.name) in wanted]
    if not found:
        raise DataError(_nothing(name, f"a folder {spellings[0]}", folder))
    return found[0]


def _of_one_model(files: list[Path], wanted: Wanted, folder: Path, name: str) -> tuple[Path, ...]:
    models = sorted({gcm_of(path) for path in files})
    if not files:
        raise DataError(_nothing(name, "a file GCM_PERIOD.nc", folder))
    if wanted.gcm is None and len(models) > 1:
        raise DataError(
            f"{name}: expected files of one climate model in {folder}, got {_listing(folder)}. Name one under options, "
            f"such as gcm: {files[0].stem.rsplit('_', 1)[0]}."
        )
    model = models[0] if wanted.gcm is None else plain(wanted.gcm)
    chosen = tuple(path for path in files if gcm_of(path) == model)
    if not chosen:
        raise DataError(_nothing(name, f"a file of the climate model {wanted.gcm!r}", folder))
    return chosen


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, without what macOS leaves in its archives."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))


def _nothing(name: str, what: str, folder: Path) -> str:
    return f"{name}: expected {what} in {folder}, found none; it holds {_listing(folder)}."


def _listing(folder: Path) -> str:
    names = [path.name for path in _entries(folder)]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"
