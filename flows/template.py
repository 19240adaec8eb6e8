"""``finescale experiments new``: a commented experiment to begin with, filled in from the catalog."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flows.load import shipped, validate_tree
from flows.reference import descriptions
from flows.sources import Sources
from pipeline.data.catalog import Catalog, Entry
from pipeline.errors import ConfigError, UserError
from pipeline.files import write_atomic

TEMPLATES = Path(__file__).with_name("templates")
TASKS = ("downscaling", "series", "segmentation")
_WIDTH = 100
_COARSER = 4
_SHARES = (0.6, 0.8, 0.9)  # of the dates: where train, validation and the first test set end
_YEARS = 5  # with so many turns of the year, splits begin with one
_WHY = re.compile(r"^( *)#\? (\S+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """Variables of a dataset, as an experiment names them."""

    dataset: str
    variables: tuple[str, ...] = ()
    coarsen: int | None = None

    def __str__(self) -> str:
        """Return it as YAML on one line."""
        parts = [f"dataset: {self.dataset}"]
        if self.variables:
            parts.append(f"variables: [{', '.join(self.variables)}]")
        if self.coarsen is not None:
            parts.append(f"coarsen: {self.coarsen}")
        return f"{{{', '.join(parts)}}}"


@dataclass(frozen=True)
class Filled:
    """What a template is filled with: data and dates.

    Parameters
    ----------
    dates : tuple of str
        First and last dates of train, validation and two test sets.
    known : bool
        Whether the data are known to have these dates.
    """

    predictors: tuple[Part, ...]
    target: Part
    static: Part | None
    dates: tuple[str, ...]
    known: bool = True


# The made data, on which each template runs as it is written.
_MADE = {
    "downscaling": Filled(
        (Part("synthetic-coarse"),),
        Part("synthetic-fine", ("tas",)),
        Part("synthetic-static"),
        (
            "2001-01-01",
            "2007-12-31",
            "2008-01-01",
            "2008-12-31",
            "2009-01-01",
            "2009-12-31",
            "2010-01-01",
            "2010-12-31",
        ),
    ),
    "series": Filled(
        (Part("synthetic-basins", ("pr", "tas")),),
        Part("synthetic-basins", ("flow",)),
        Part("synthetic-basins-static"),
        (
            "2001-01-01",
            "2005-12-31",
            "2006-01-01",
            "2006-12-31",
            "2007-01-01",
            "2007-12-31",
            "2008-01-01",
            "2008-12-31",
        ),
    ),
    "segmentation": Filled(
        (Part("synthetic-storms", ("TMQ", "U850", "V850", "PSL")),),
        Part("synthetic-storms", ("LABELS",)),
        None,
        (
            "2001-01-01",
            "2001-12-31",
            "2002-01-05",
            "2002-03-31",
            "2002-04-05",
            "2002-06-15",
            "2002-06-20",
            "2002-08-23",
        ),
    ),
}


def common_dates(datasets: Sequence[str], sources: Sources) -> tuple[tuple[str, ...], str]:
    """Return the dates that all datasets have values of; or none, and why."""
    from flows.extent import dates_of
    from pipeline.backend import get_backend

    found: list[tuple[str, ...]] = []
    for name in datasets:
        try:
            found.append(dates_of(sources.catalog[name], sources, get_backend("cpu")))
        except UserError as error:
            return (), str(error)
    shared = set(found[0]).intersection(*found[1:])
    common = tuple(date for date in found[0] if date in shared)
    if split_dates(common):
        return common, ""
    return (), f"{len(common)} dates are in {'all of them' if len(found) > 1 else 'it'}, too few to split"


def template(
    name: str, task: str, datasets: Sequence[str] = (), catalog: Catalog | None = None, dates: Sequence[str] = ()
) -> str:
    """Return the text of a new experiment.

    Parameters
    ----------
    datasets : sequence of str
        Entries of the catalog: predictors, the last one the target; one alone is both. Made data by default.
    catalog : Catalog, optional
        Where they are looked up.
    dates : sequence of str
        All dates that they have in common, by which the splits are made; without, those of the made data.

    Raises
    ------
    ConfigError
        If the task is none, or a dataset cannot be a target of it.
    CatalogError
        If a dataset is not in the catalog.
    """
    if task not in TASKS:
        raise ConfigError(f"--task: expected one of {', '.join(TASKS)}, got {task!r}.")
    filled = _MADE[task]
    if datasets:
        if catalog is None:
            raise ConfigError("expected a catalog that datasets are looked up in, got none.")
        filled = _from_catalog(task, {name: catalog[name] for name in datasets}, filled)
        if split := split_dates(dates):
            filled = replace(filled, dates=split, known=True)
    text = (TEMPLATES / f"{task}.yaml").read_text(encoding="utf-8")
    made = _MADE["downscaling"] is filled
    parts = {
        "name": name,
        "file": f"{name}.yaml",
        "predictors": "\n".join(f"    - {part}" for part in filled.predictors),
        "target": str(filled.target),
        "static": f"  static: [{filled.static}]" if filled.static else "  #static: [{dataset: my-orography}]",
        "dates": _dates(filled),
        # The made temperature depends on the day's weather alone: no day of the year is taken out.
        "anomaly": "none" if made else "day_of_year",
        "target_anomaly": "mean" if made else "day_of_year",
    }
    for key, value in parts.items():
        text = text.replace(f"@{key}@", value)
    return _explained(text)


def split_dates(dates: Sequence[str]) -> tuple[str, ...]:
    """Return first and last dates of train, validation and two test sets, in this order; nothing for a few dates.

    Examples
    --------
    >>> days = [f"{year}-{month:02d}-01" for year in range(2001, 2011) for month in range(1, 13)]
    >>> split_dates(days)[:4]
    ('2001-01-01', '2006-12-01', '2007-01-01', '2008-12-01')
    """
    if len(dates) < 2 * (len(_SHARES) + 1):
        return ()
    begins = [0, *(round(share * len(dates)) for share in _SHARES)]
    years = [number for number, date in enumerate(dates) if number and date[:4] != dates[number - 1][:4]]
    if len(years) >= _YEARS:
        whole = [0, *(min(years, key=lambda year: abs(year - begin)) for begin in begins[1:])]
        begins = whole if len(set(whole)) == len(whole) else begins
    ends = [begin - 1 for begin in (*begins[1:], len(dates))]
    return tuple(dates[one] for pair in zip(begins, ends, strict=True) for one in pair)


def _dates(filled: Filled) -> str:
    """Return the lines of the split's dates."""
    d = filled.dates
    lines = [] if filled.known else ["# Put the dates of your own data here; finescale data check DATASET prints them."]
    lines += [
        "#? split.train",
        f"train: [{d[0]}, {d[1]}]",
        "#? split.validation",
        f"validation: [{d[2]}, {d[3]}]",
        "# Test sets by names of your own; none of them is looked at before models are chosen.",
        "test:",
        f"  test: [{d[4]}, {d[5]}]",
        f"  #later: [{d[6]}, {d[7]}]",
    ]
    return "".join(f"  {line}\n" for line in lines)


def _explained(text: str) -> str:
    """Put in place of every ``#? key`` what the schema says of that key."""
    told = descriptions()

    def words(found: re.Match[str]) -> str:
        indent, key = found[1], found[2]
        lines = textwrap.wrap(_first(told[key]), _WIDTH - len(indent) - 2, break_on_hyphens=False)
        return "".join(f"{indent}# {line}\n" for line in lines)

    return re.sub(r"\n{3,}", "\n\n", _WHY.sub(words, text))


def _first(text: str) -> str:
    """Return the first sentence; a full stop inside an abbreviation or a number ends none."""
    return re.split(r"(?<=[a-z0-9)\]])\. (?=[A-Z])", text)[0].rstrip(".") + "."


def _from_catalog(task: str, entries: Mapping[str, Entry], made: Filled) -> Filled:
    """Return predictors and target from entries: the last is the target, one alone is both."""
    names = list(entries)
    last = names[-1]
    target = _target(task, last, entries[last])
    known = tuple(
        Part(name, tuple(entry.variables))
        for name, entry in entries.items()
        if name != last or (len(names) == 1 and task == "downscaling")
    )
    rest = tuple(variable for variable in entries[last].variables if variable not in target.variables)
    if len(names) == 1 and task == "downscaling":  # a field from its own block means
        known = (Part(last, target.variables, _COARSER),)
    elif len(names) == 1:
        if not rest:
            raise ConfigError(
                f"--dataset {last}: expected a predictor beside the target {', '.join(target.variables)}, got no other "
                "variable. Name a dataset with predictors before it: --dataset PREDICTORS --dataset TARGET."
            )
        known = (Part(last, rest),)
    return Filled(known, target, None, made.dates, known=False)


def _target(task: str, name: str, entry: Entry) -> Part:
    classes = tuple(variable for variable, spec in entry.variables.items() if spec.classes)
    if task == "segmentation":
        if not classes:
            raise ConfigError(
                f"--dataset {name}: expected a target with classes for task segmentation, got "
                f"{', '.join(entry.variables)} without any. Give its variable `classes` in the catalog, or name the "
                "dataset of the labels last."
            )
        return Part(name, classes[:1])
    return Part(name, tuple(entry.variables)[-1:] if task == "series" else tuple(entry.variables)[:1])


def write(
    name: str,
    task: str,
    to: Path,
    datasets: Sequence[str] = (),
    catalog: Catalog | None = None,
    dates: Sequence[str] = (),
) -> Path:
    """Write a new experiment to ``to`` once it is known to be valid; nothing is ever overwritten.

    Raises
    ------
    ConfigError
        If the file is there, its folder is not, or the name is one of a shipped experiment or none at all.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        raise ConfigError(
            f"expected a name of a-z, 0-9, - and _, which starts the names of its runs, got {name!r}. Take, for "
            f"example, {re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'mine'}."
        )
    if to.exists():
        raise ConfigError(f"expected a file that is not there yet, got {str(to)!r}. Choose another with --to.")
    if name in shipped():
        raise ConfigError(
            f"expected a name of your own, got {name!r}, the name of a shipped experiment. To begin with that one: "
            f"finescale experiments show {name} > my-{name}.yaml"
        )
    if not to.parent.is_dir():
        raise ConfigError(f"expected a folder to write into, got {str(to.parent)!r}, which is not there.")
    text = template(name, task, datasets, catalog, dates).replace(f"{name}.yaml", to.name)
    with write_atomic(to) as temporary:
        temporary.write_text(text, encoding="utf-8")
        validate_tree(temporary)
    return to
