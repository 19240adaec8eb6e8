"""Explain: what drives the predictions of each model, with the check beside it."""

from __future__ import annotations

import numpy as np

from flows.workspace import Workspace
from pipeline.attribution import Attribution
from pipeline.attribution.question import regional_mean
from pipeline.attribution.serial import write_attributions
from pipeline.files import write_atomic
from pipeline.samples import Samples
from pipeline.stage import StageOutput


def explain(space: Workspace) -> StageOutput:
    """Write ``attributions/<model>.nc`` for every model that is explained."""
    folder = space.run / "attributions"
    folder.mkdir(exist_ok=True)
    asked = [explanation for explanation in space.plan.explanations if space.fitted(explanation.model)]
    found: dict[str, list[Attribution]] = {}
    with space.progress("explain", len(asked)) as bar:
        for explanation in asked:
            samples = explained_days(space, explanation.entry.days)
            entry, prepared = explanation.entry, space.prepared
            scale = np.concatenate([space.backend.to_host(prepared.transform.scale)] * len(prepared.schema.leads))
            region = entry.region.bounds() if entry.region else None
            question = regional_mean(prepared.schema, scale, region, entry.target)
            method = explanation.type(explanation.config)
            member = space.fitted(explanation.model)[0]
            model, context = space.model(explanation.model, member), space.context(explanation.model, member)
            found.setdefault(explanation.model, []).append(method.explain(model, samples, question, context))
            bar.advance(note=f"{explanation.model}: {explanation.method}")
    for name, attributions in found.items():
        with write_atomic(folder / f"{name}.nc") as temporary:
            write_attributions(temporary, attributions, space.prepared.schema)
    return StageOutput((folder,), {name: [a.method for a in attributions] for name, attributions in found.items()})


def explained_days(space: Workspace, days: int) -> Samples:
    """Return ``days`` evenly spaced samples of the first test set that has truth, else of validation."""
    known = [name for name in space.tests if space.prepared.windows[name].truth]
    samples = space.prepared.samples(known[0] if known else "validation")
    return samples.take(np.unique(np.linspace(0, len(samples) - 1, min(days, len(samples))).round().astype(int)))
