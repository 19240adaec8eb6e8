"""Provenance: what it takes to do the run again, a card for the data and one for the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import numbers, tables
from pipeline.report.sections import Block, Code, Heading, Section, cards
from pipeline.report.study import Study


def build(study: Study) -> Section:
    """Return the section."""
    provenance = study.run.provenance
    blocks: list[Block] = [
        Code("experiment", "experiment.yaml", study.run.text),
        Code("commands", "To repeat", _commands(study)),
    ]
    made = _made(study)
    if made:
        blocks += [
            Heading("Machine, versions, seeds"),
            tables.facts("versions", "Where this run's numbers come from.", made),
        ]
    files = _files(provenance)
    if files is not None:
        blocks += [Heading("Files read"), files]
    outputs = _outputs(study)
    if outputs is not None:
        blocks += [Heading("Files written"), outputs]
    blocks += cards.blocks(study)
    return Section("provenance", "Provenance", _lead(study), tuple(blocks))


def _lead(study: Study) -> str:
    provenance = study.run.provenance
    device = provenance.get("device")
    backend = device.get("backend") if isinstance(device, Mapping) else device
    place = (f" on {backend}" if backend else "") + _workers(provenance)
    sources = _sources(provenance)
    from_files = f", from {sources}" if sources else ""
    seed = study.run.experiment.get("seed", 0)
    begun = str(provenance.get("started") or "")[:10]
    when = f" on {begun}" if begun else ""
    return f"The run {study.run.path.resolve().name} was made{when}{place} with seed {seed}{from_files}."


def _workers(provenance: Mapping[str, Any]) -> str:
    cluster = provenance.get("cluster")
    if not isinstance(cluster, Mapping) or cluster.get("kind") == "in this process":
        return ""
    workers, kind, address = int(cluster.get("workers") or 1), cluster.get("kind"), cluster.get("scheduler")
    of = f"the {kind} at {address}" if address else f"a {kind}"
    return f" by {numbers.plural(workers, 'worker')} of {of}"


def _sources(provenance: Mapping[str, Any]) -> str:
    found = [item for item in provenance.get("data") or () if isinstance(item, Mapping)]
    files = [item for item in found if item.get("how") != "synthetic"]
    digests = sum(bool(item.get("sha256")) for item in files)
    parts = [f"{numbers.plural(digests, 'file')} with recorded digests"] if digests else []
    parts += [f"{numbers.plural(len(files) - digests, 'file')} without a digest"] if digests < len(files) else []
    return numbers.listing([*parts, "made data"] if len(files) < len(found) else parts)


def _commands(study: Study) -> str:
    name = study.run.path.resolve().name
    lines = ["finescale run experiment.yaml", f"finescale report {name}"]
    given = study.run.provenance.get("command")
    return "\n".join([*([f"# as it was run: {given}"] if given else []), *lines])


def _made(study: Study) -> list[tuple[str, Any]]:
    provenance = study.run.provenance
    skipped = {"data", "warnings", "fallbacks", "failed_members", "command", "baselines", "n_effective"}
    return list(_flat({key: value for key, value in provenance.items() if key not in skipped}))


def _flat(tree: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{before}{numbers.label(str(key))}"
        if key == "libraries" and isinstance(value, Mapping):
            rows.append((name, ", ".join(f"{library} {version}" for library, version in value.items())))
        elif isinstance(value, Mapping):
            rows += _flat(value, f"{name}: ")
        elif value not in (None, [], ""):
            # Versions and commits are words, not numbers.
            rows.append((name, value))
    return rows


def _files(provenance: Mapping[str, Any]) -> tables.Table | None:
    found = provenance.get("data") or ()
    rows = [
        (
            tables.text(str(item.get("dataset") or "")),
            tables.text("made from a seed" if item.get("how") == "synthetic" else str(item.get("path") or "")),
            tables.text(str(item.get("how") or numbers.MISSING)),
            tables.Cell(
                f"{int(item['bytes']):,}" if item.get("bytes") else numbers.MISSING, float(item.get("bytes") or 0)
            ),
            tables.text(str(item.get("sha256") or numbers.MISSING)),
        )
        for item in found
        if isinstance(item, Mapping)
    ]
    columns = (
        *(tables.Column(head, numeric=False) for head in ("Dataset", "Path", "From")),
        tables.Column("Size", "bytes"),
        tables.Column("sha256", numeric=False),
    )
    return tables.Table("files", "Files read, with the digest of their bytes.", columns, tuple(rows)) if rows else None


def _outputs(study: Study) -> tables.Table | None:
    rows = [
        (
            tables.text(stage.name),
            tables.text(str(output.get("path"))),
            tables.Cell(f"{int(output.get('bytes') or 0):,}", float(output.get("bytes") or 0)),
            tables.text(str(output.get("sha256") or numbers.MISSING)[:16]),
        )
        for stage in study.run.stages
        for output in stage.outputs
        if str(output.get("path", "")).endswith((".csv", ".nc"))
        and not str(output["path"]).startswith(("work/", "models/"))
    ]
    columns = (
        tables.Column("Stage", numeric=False), tables.Column("Path", numeric=False),
        tables.Column("Size", "bytes"), tables.Column("sha256, first 16", numeric=False),
    )  # fmt: skip
    return tables.Table("outputs", "Tables and fields that this run wrote.", columns, tuple(rows)) if rows else None
