"""What the prepare stage left out or adapted, as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import numbers

# Reasons as the prepare stage names them: what one such step does, and what several do.
_REASONS = {
    "missing lag": ("lacks an earlier step that the inputs need", "lack an earlier step that the inputs need"),
    "missing predictor": ("lacks a predictor", "lack a predictor"),
    "no truth": ("has no truth", "have no truth"),
}


def prepare_facts(prepared: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader of ``work/prepare/summary.json`` should know of its samples.

    Examples
    --------
    >>> splits = {"train": {"steps": 9, "samples": 8, "dropped": {"missing lag": 1}}}
    >>> prepare_facts({"splits": splits})
    ('Of the steps of train, 1 of 9 is left out: it lacks an earlier step that the inputs need.',)
    """
    splits = prepared.get("splits") or {}
    found = [_dropped(name, split) for name, split in splits.items() if any((split.get("dropped") or {}).values())]
    found += [_without_inputs(name, split) for name, split in splits.items() if _lost(split)]
    found += [
        f"The test set {name} has no truth: it is predicted and not scored."
        for name, split in splits.items()
        if split.get("truth") is False
    ]
    word = "station" if "station" in ((prepared.get("input_grid") or {}).get("dims") or ()) else "cell"
    found += [text for channel in prepared.get("channels") or () if (text := _cells(channel, word))]
    return (*found, *(str(note) for note in prepared.get("notes") or ()))


def _dropped(name: str, split: Mapping[str, Any]) -> str:
    dropped = {reason: int(count) for reason, count in split["dropped"].items() if count}
    total = sum(dropped.values())
    verb = "is" if total == 1 else "are"
    start = f"Of the steps of {name}, {total:,} of {int(split['steps']):,} {verb} left out"
    known = {reason: _REASONS.get(reason, (reason, reason))[count > 1] for reason, count in dropped.items()}
    if len(known) == 1 and known.keys() <= _REASONS.keys():
        return f"{start}: {'it' if total == 1 else 'they'} {next(iter(known.values()))}."
    return f"{start}: {', '.join(f'{dropped[reason]:,} {why}' for reason, why in known.items())}."


def _lost(split: Mapping[str, Any]) -> int:
    return int((split.get("without_inputs") or {}).get("values") or 0)


def _without_inputs(name: str, split: Mapping[str, Any]) -> str:
    lost, of = _lost(split), int(split["without_inputs"]["of"])
    start = f"Of the values of single stations at the samples of {name}, {lost:,} of {of:,}"
    if lost == 1:
        return f"{start} is left out too: a predictor is missing in its window."
    return f"{start} are left out too: predictors are missing in their window."


def _cells(channel: Mapping[str, Any], word: str) -> str:
    empty, constant = (int(channel.get(key) or 0) for key in ("cells_without_data", "constant_cells"))
    parts = [f"{numbers.plural(empty, word)} without data"] if empty else []
    parts += [f"{numbers.plural(constant, word)} that never {'varies' if constant == 1 else 'vary'}"] * bool(constant)
    return f"{numbers.label(str(channel.get('name')))}: {', '.join(parts)}." if parts else ""
