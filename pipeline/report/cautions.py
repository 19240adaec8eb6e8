"""What a reader must know before believing a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import class_words, constant, event_words, unusual_words
from pipeline.report.numbers import number
from pipeline.report.sentences import chosen, named_set
from pipeline.report.study import FEW, VALIDATION, Study


def warnings(study: Study) -> tuple[str, ...]:
    """Return what a reader must know before believing: fallbacks, failed members, few or strange samples."""
    provenance = study.run.provenance
    found: list[str] = []
    if study.split == VALIDATION:
        found.append(
            "No test set has truth: all scores are those of the validation split, which models were chosen on and "
            "which flatters them."
        )
    if study.chosen_on != VALIDATION and len(study.models) > 1:
        found.append(chosen(study))
    for key in ("warnings", "fallbacks"):
        found += [_sentence(item) for item in _items(provenance.get(key))]
    for item in _items(provenance.get("failed_members")):
        member = _failed(item)
        start = member.partition(" and was left out")[0]
        found += [] if any(warning.startswith(start) for warning in found) else [member]
    few = study.effective
    least = None if few is None else min(few, FEW - 1)  # 29.6 are fewer than 30, which a rounded number would hide
    said = any("independent samples" in warning for warning in found)
    if few is not None and least is not None and few < FEW and not said:
        found.insert(
            0, f"The{named_set(study.split)[3:]} holds about {number(least, 0)} independent samples, fewer than {FEW}: "
            "take its scores as a hint, not as a claim."
        )  # fmt: skip
    found += [*unusual_words.cautions(study), *constant.sentences(study), *class_words.never_answered(study)]
    found += [text] if study.classes and (text := event_words.shift(study)) else []
    return tuple(dict.fromkeys(found))


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _sentence(item: Any) -> str:
    if isinstance(item, Mapping):
        return "; ".join(f"{str(key).replace('_', ' ')}: {value}" for key, value in item.items())
    return str(item)


def _failed(item: Any) -> str:
    """Say which member failed: ``"unet/3"``, or a mapping with ``model, member`` and maybe ``error``."""
    if isinstance(item, Mapping):
        model, member, why = str(item.get("model")), item.get("member"), item.get("error") or item.get("reason")
    else:
        (model, _, member), why = str(item).rpartition("/"), None
    return f"Member {member} of {model} failed and was left out{f': {why}' if why else ''}."
