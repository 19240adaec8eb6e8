"""Limits of the evaluation of a segmentation: what it cannot show, from the data."""

from __future__ import annotations

import numpy as np

from pipeline.metrics.blocks import ENOUGH_BLOCKS
from pipeline.report import class_words, event_words, gaps, numbers, sentences
from pipeline.report.sections import Section, Words, limits, novelty
from pipeline.report.study import FEW, VALIDATION, Study

_RARE = 0.02
_LONG = 30


def build(study: Study) -> Section | None:
    """Return the section; None where nothing is known of the test set."""
    sampling = study.sampling
    if sampling is None:
        return None
    items = _images(study) if sampling.step == "tile" else limits.times(study)
    items += [item for variable in study.variables for item in _rare(study, variable)]
    items += gaps.sentences(study)
    if study.chosen_on != VALIDATION:
        items.append(sentences.chosen(study))
    items.append(_reference(study))
    items.append(
        f"Scores are of single {sampling.step}s: whether objects move and last as they should was not judged."
        if sampling.step != "tile"
        else "Edges of tiles cut objects: one that crosses an edge counts once in each tile."
    )
    return Section("limits", "Limits", _lead(study), (*novelty.blocks(study), Words(tuple(items), listed=True)))


def _reference(study: Study) -> str:
    """Say what the reference classes are worth: drawn by someone, or computed from values by a definition."""
    taken = "The reference classes are taken as true"
    if not event_words.label_of(study):
        return f"{taken}: errors of those who drew or computed them count as errors of the models."
    name = event_words.source(study)
    return (
        f"{taken}. They are computed from {name}: where {name} is wrong they are wrong, and another threshold or "
        "another least length makes other events. How well the definition catches what does harm was not judged."
    )


def _lead(study: Study) -> str:
    sampling = study.sampling
    assert sampling is not None
    if sampling.step == "tile":
        return f"This evaluation rests on {sampling.words}; it says nothing beyond them."
    return (
        f"This evaluation rests on {numbers.plural(sampling.count, sampling.step)} of "
        f"{numbers.plural(sampling.years, 'year')}; it says nothing beyond them."
    )


def _images(study: Study) -> list[str]:
    """Say how little a few images show, and that their tiles lie beside each other."""
    sampling = study.sampling
    assert sampling is not None
    count = _image_count(study)
    items = []
    if count:
        items.append(
            f"The tiles come from {numbers.plural(count, 'image')}: other scenes, seasons, surfaces and sensors may "
            "behave otherwise, and no interval here says how much."
        )
    few = study.effective
    hint = f" About {numbers.number(few, 0)} independent ones are too few for a claim." if few and few < FEW else ""
    items.append(
        "Neighbouring tiles resemble each other, since clouds and surfaces reach across their edges. Intervals draw "
        f"whole parts of images, and of fewer than {ENOUGH_BLOCKS} parts there are none.{hint}"
    )
    margin = (study.run.experiment.get("split") or {}).get("margin")
    if margin:
        items.append(
            f"Between the splits lie {numbers.plural(int(margin), 'pixel')}: structures larger than that are on both "
            "sides."
        )
    return items


def _image_count(study: Study) -> int:
    data = study.run.predictions(study.headline)
    if data is None:
        return 0
    with data:
        chosen = np.flatnonzero(data["split"].values.astype(str) == study.split)
        return len(set(data["image"].values[chosen].astype(str))) if "image" in data else 0


def _rare(study: Study, variable: str) -> list[str]:
    """Say of how many objects the scores of rare classes are, and which classes the test set lacks."""
    data = study.run.diagnostics(study.headline)
    items = []
    for name, share in class_words.rare(study, variable):
        if share == 0:
            items.append(
                f"{numbers.label(name)} is not in the truth of {sentences.named_set(study.split)}: it has no score."
            )
        elif share < _RARE:
            objects = ""
            names = [f"{variable}_object_{part}" for part in ("hits", "misses")]
            if data is not None and all(part in data for part in names):
                of = study.classes.index(name)
                found = sum(float(data[part].values[of]) for part in names)
                objects = f" in {numbers.plural(int(found), 'object')}" if np.isfinite(found) else ""
            items.append(
                f"{numbers.label(name)} covers {numbers.percent(share)} of the area{objects}: a few of them decide its "
                "scores, and the mean over classes with them."
            )
    return items
