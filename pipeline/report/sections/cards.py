"""A card for the model and one for each dataset: what they are, what they are for, on which terms.

The model's follows the headings of Mitchell et al. (2019), doi:10.1145/3287560.3287596, the data's those of Gebru et
al. (2021), doi:10.1145/3458723, as far as a run knows the answers: what it does not know it does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import answers, cautions, data_facts, dois, error_bars, numbers, sentences, tables
from pipeline.report.sections import Block, Folded, Heading, slug
from pipeline.report.sections.skill import group_key
from pipeline.report.study import VALIDATION, Study

_CALENDAR = ("day_cos", "day_sin")
_SHOWN = 4  # datasets whose cards are open
_MOST = 12
_ROLES = {"predictors": "inputs", "static": "inputs that do not change", "forcings": "inputs without a place"}


def blocks(study: Study) -> list[Block]:
    """Return the cards of all datasets and of the headline model."""
    data = data_cards(study)
    found: list[Block] = [Heading("Data card"), *data[:_SHOWN]] if data else []
    if len(data) > _SHOWN:
        found.append(Folded(f"{len(data) - _SHOWN} more datasets", tuple(data[_SHOWN:])))
    caption = f"Model card of {numbers.label(study.headline)}."
    return [*found, Heading("Model card"), tables.facts("model-card", caption, model_card(study))]


def data_cards(study: Study) -> list[tables.Table]:
    """Return a table of facts for each dataset."""
    known = {dataset.name: dataset for dataset in data_facts.datasets(study.run.ingest)}
    files: dict[str, list[Mapping[str, Any]]] = {}
    for item in study.run.provenance.get("data") or ():
        if isinstance(item, Mapping) and item.get("dataset"):
            files.setdefault(str(item["dataset"]), []).append(item)
    empty = data_facts.Dataset("", "", "", "", (), ())
    found = []
    for number, name in enumerate(dict.fromkeys((*known, *files)), 1):
        rows = _data_card(study, name, known.get(name, empty), files.get(name, []))
        found.append(_card(slug("data-card", str(number), name), f"Data card of {name}.", rows))
    return found


def _data_card(
    study: Study, name: str, dataset: data_facts.Dataset, files: list[Mapping[str, Any]]
) -> list[tuple[str, tables.Cell]]:
    variables = dataset.variables
    licence = dataset.licence or _first(files, "licence")
    citation = dataset.citation or _first(files, "citation")
    spans = dict.fromkeys(variable.span for variable in variables if variable.span)
    missing = [f"{one.name} {numbers.percent(one.missing)}" for one in variables if one.missing]
    digests = [str(one["sha256"]) for one in files if one.get("sha256")]
    rows = {
        "What it is": dataset.description,
        "Used for": _role(study, name),
        "Variables": "; ".join(_variable(variable) for variable in variables[:_MOST]) + _more(len(variables)),
        "Period and step": "; ".join(spans),
        "Gaps in time": "; ".join(f"{one.name}: {one.gaps}" for one in variables if one.gaps)
        or ("none" if spans else ""),
        "Missing values": ", ".join(missing[:_MOST]) + _more(len(missing)) if missing else "none" if variables else "",
        "Repairs on reading": "; ".join(dataset.repairs) or ("none" if variables else ""),
        "Where from": _origin(files),
        "sha256": "; ".join(digests[:_MOST]) + _more(len(digests)),
        "Licence": licence or "not given",
    }
    cells = [(head, tables.Cell(text, text)) for head, text in rows.items() if text]
    cells.append(("Citation", tables.Cell(citation or "not given", citation)))
    found = dois.links(citation)
    return [*cells, ("DOI", tables.Cell("", "", links=found))] if found else cells


def _card(name: str, caption: str, rows: list[tuple[str, tables.Cell]]) -> tables.Table:
    columns = (tables.Column("", numeric=False), tables.Column("", numeric=False))
    return tables.Table(name, caption, columns, tuple((tables.text(head), cell) for head, cell in rows), sortable=False)


def _first(files: list[Mapping[str, Any]], key: str) -> str:
    return next((str(one[key]) for one in files if one.get(key)), "")


def _more(count: int) -> str:
    return f" and {count - _MOST} more" if count > _MOST else ""


def _variable(variable: data_facts.Variable) -> str:
    known = variable.low is not None and variable.high is not None
    extent = f", {numbers.interval(variable.low, variable.high)}" if known else ""
    dims = f", {variable.dims}" if variable.dims else ""
    return f"{variable.name} [{numbers.units(variable.units) or '1'}]{extent}{dims}"


def _role(study: Study, name: str) -> str:
    data = study.run.experiment.get("data") or {}
    parts = [
        word
        for key, word in _ROLES.items()
        if any(isinstance(source, Mapping) and source.get("dataset") == name for source in data.get(key) or ())
    ]
    target = data.get("target")
    parts += ["the truth"] if isinstance(target, Mapping) and target.get("dataset") == name else []
    return numbers.listing(parts)


def _origin(files: list[Mapping[str, Any]]) -> str:
    """Say how many files it has, how many bytes, and how they came."""
    if not files:
        return ""
    if all(one.get("how") == "synthetic" for one in files):
        return "made by this program from a seed"
    ways = numbers.listing(dict.fromkeys(str(one["how"]) for one in files if one.get("how")))
    size = sum(int(one.get("bytes") or 0) for one in files)
    return f"{numbers.plural(len(files), 'file')}, {size:,} bytes{f', from: {ways}' if ways else ''}"


def model_card(study: Study) -> list[tuple[str, Any]]:
    """Return the facts of the model that stands for the answer."""
    experiment = study.run.experiment
    base = study.headline.partition("+")[0]
    entry = (experiment.get("models") or {}).get(base) or {}
    options = ", ".join(f"{key} {tables.plain(value)}" for key, value in entry.items() if key != "kind")
    members = [member for member in study.run.members if member.model == base]
    weights = next((one.summary["parameters"] for one in members if one.summary.get("parameters")), None)
    sources = [
        source for source in (experiment.get("data") or {}).get("predictors") or () if isinstance(source, Mapping)
    ]
    inputs = [
        f"{one.get('dataset')} ({', '.join(one['variables']) if one.get('variables') else 'all variables'})"
        for one in sources
    ]
    own = study.score(study.headline, study.metric)
    amount = "" if own is None else numbers.with_units(numbers.number(float(own["value"])), study.unit)
    card = {
        "Model": study.headline,
        "Kind": entry.get("kind") or numbers.MISSING,
        "Options": options or "defaults",
        "Members": len(members) or numbers.MISSING,
        "Weights": f"{int(weights):,} a member" if isinstance(weights, (int, float)) else "",
        "Version": _version(study),
        "Seeds": _seeds(study),
        "Intended use": _use(study),
        "Out of scope": _scope(study),
        "Predicts": ", ".join(f"{name} [{numbers.units(study.field_units[name]) or '1'}]" for name in study.variables),
        "From": "; ".join([*inputs, *unchanging(study)]) or numbers.MISSING,
        "Training data": _split(study, "train"),
        "Chosen on": _split(study, VALIDATION) if study.chosen_on == VALIDATION else study.chosen_on,
        "Evaluation data": _split(study, study.split),
        "Factors": _factors(study),
        "Question": sentences.question(study),
        "Result": answers.answer(study).text,
        f"{study.word()} on {study.split}": amount,
        "Error bars": "" if study.classes else error_bars.trust(study, brief=True),
        "Limits": _limits(study),
        "Time and energy": _time(study, base),
        "Terms": _terms(study),
    }
    return [(key, value) for key, value in card.items() if value != ""]


def _version(study: Study) -> str:
    said = study.run.provenance
    source = said.get("source")
    commit = str(source.get("commit") or "")[:12] if isinstance(source, Mapping) else ""
    changed = ", with changes" if isinstance(source, Mapping) and source.get("dirty") else ""
    begun = str(said.get("started") or "")[:10]
    parts = [
        f"Finescale {said['finescale']}" if said.get("finescale") else "",
        f"commit {commit}{changed}" if commit else "",
    ]
    return ", ".join(part for part in (*parts, f"fitted on {begun}" if begun else "") if part)


def _seeds(study: Study) -> str:
    seeds = study.run.provenance.get("seeds")
    seed = seeds.get("experiment") if isinstance(seeds, Mapping) else study.run.experiment.get("seed")
    return "" if seed is None else f"{seed}; those of members and purposes are derived from it"


def _use(study: Study) -> str:
    task = {"downscaling": "finer fields", "series": "series", "segmentation": "classes"}.get(
        str(study.run.experiment.get("task")), "what is named below"
    )
    what = f"{task} of {numbers.listing(study.variables)}"
    return f"To tell {what} from the inputs below, where these are like the training data."


def _scope(study: Study) -> str:
    """Say what was never tried."""
    months = (study.run.experiment.get("data") or {}).get("months")
    parts = ["places and grids other than those it was fitted on"]
    parts += ["months other than " + ", ".join(str(month) for month in months)] if months else []
    parts += ["leads other than " + ", ".join(str(lead) for lead in study.run.leads)] if study.run.leads else []
    parts += ["inputs of another source or treatment", "a climate unlike that of the training data"]
    return f"Not tested: {'; '.join(parts)}. No decision on safety should rest on it alone."


def _split(study: Study, name: str) -> str:
    facts = (study.run.stage("prepare").get("splits") or {}).get(name) or {}
    given = (study.run.experiment.get("split") or {}).get(name)
    edges = [facts.get("first"), facts.get("last")] if facts.get("first") else given
    count = facts.get("samples")
    span = (
        f"{str(edges[0])[:10]} to {str(edges[1])[:10]}" if isinstance(edges, (list, tuple)) and len(edges) == 2 else ""
    )
    samples = f"{int(count):,} samples" if isinstance(count, (int, float)) else ""
    return ", ".join(part for part in (samples, span) if part)


def _factors(study: Study) -> str:
    scores = study.scores(study.metric, group=None)
    keys = sorted({group_key(group) for group in scores["group"] if "=" in group and ";" not in group})
    return f"scored apart by {numbers.listing(keys)}" if keys else "none was scored apart"


def _limits(study: Study) -> str:
    said = len(cautions.warnings(study))
    warned = f"{numbers.plural(said, 'warning')} on the first screen; " if said else ""
    return f"{warned}what this evaluation cannot show stands under Limits."


def _time(study: Study, base: str) -> str:
    fits = [member.summary.get("seconds") for member in study.run.members if member.model == base]
    fit = sum(float(seconds) for seconds in fits if isinstance(seconds, (int, float)))
    whole = sum(stage.seconds for stage in study.run.stages if stage.seconds == stage.seconds)
    device = study.run.provenance.get("device")
    name = device.get("backend") if isinstance(device, Mapping) else device
    parts = [
        f"fitted in {numbers.duration(fit)}" if fit else "",
        f"the whole run took {numbers.duration(whole)}" if whole else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"{told}{f' on {name}' if name and told else ''}{'; ' if told else ''}energy was not measured"


def _terms(study: Study) -> str:
    found = {dataset.licence for dataset in data_facts.datasets(study.run.ingest) if dataset.licence}
    listed = "; ".join(sorted(found))
    return f"learned from data under: {listed}" if listed else ""


def unchanging(study: Study) -> list[str]:
    """Return static fields or attributes, and forcings, with the names that were taken of each dataset."""
    data = study.run.experiment.get("data") or {}
    prepared = study.run.stage("prepare")
    found = []
    for part, key, word in (("static", "statics", "that do not change"), ("forcings", "scalars", "without a place")):
        sources = [source for source in data.get(part) or () if isinstance(source, Mapping)]
        given = [str(name) for source in sources for name in source.get("variables") or ()]
        names = given if len(sources) == sum(bool(source.get("variables")) for source in sources) else []
        names = names or [str(one["name"]) for one in prepared.get(key) or () if one.get("name") not in _CALENDAR]
        if sources:
            datasets = numbers.listing(str(source.get("dataset")) for source in sources)
            found.append(f"{datasets}, {word} ({', '.join(names) or 'all variables'})")
    return found
