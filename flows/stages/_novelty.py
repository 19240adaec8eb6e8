"""How unusual samples are and how models err on them: ``diagnostics/novelty.nc``, filled split by split."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flows.header import of_stage
from flows.stages import _classes
from flows.stages._cases import Cases, weights_of
from flows.workspace import Workspace
from pipeline.cf import conforming
from pipeline.files import write_atomic
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.groups import Group, area_series, make_groups
from pipeline.novelty.dataset import Found, to_dataset
from pipeline.novelty.disagreement import epistemic_share, share_of
from pipeline.novelty.fitted import Novelty, Scores
from pipeline.novelty.relation import Relation, Value, relate, unusual_share
from pipeline.novelty.storage import load_novelty

_Disagreement = dict[str, dict[str, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Seen:
    """What is kept of splits that were scored, by model.

    Parameters
    ----------
    relations : mapping
        By model and variable, how its errors on the test set go with novelty.
    disagreement : mapping
        By model, variable and split, the epistemic share of every sample.
    """

    relations: dict[str, dict[str, Relation]]
    disagreement: _Disagreement

    def only(self, models: Collection[str]) -> Seen:
        """Return what is of some models."""
        return Seen(
            {name: found for name, found in self.relations.items() if name in models},
            {name: found for name, found in self.disagreement.items() if name in models},
        )

    @classmethod
    def of(cls, models: Sequence[str], parts: Sequence[Seen]) -> Seen:
        """Return parts, each of other models, as one in the order of ``models``."""
        relations = {name: found for part in parts for name, found in part.relations.items()}
        disagreement = {name: found for part in parts for name, found in part.disagreement.items()}
        return cls(
            {name: relations[name] for name in models if name in relations},
            {name: disagreement[name] for name in models if name in disagreement},
        )


@dataclass
class Watch:
    """What is kept of every split while it is scored: small records, none of its fields.

    Parameters
    ----------
    space : Workspace
        The run.
    test : str, optional
        The test set whose errors are related: the first with truth.
    """

    space: Workspace
    test: str | None
    _scores: dict[str, Scores] = field(default_factory=dict)
    _relations: dict[str, dict[str, Relation]] = field(default_factory=dict)
    _disagreement: _Disagreement = field(default_factory=dict)
    _novelty: Novelty | None = None

    def __post_init__(self) -> None:
        """Load what was fitted."""
        space = self.space
        self._novelty = load_novelty(space.run / "work/prepare", space.prepared.schema, space.backend)

    @property
    def seen(self) -> Seen:
        """What was kept so far, to be handed to another process."""
        return Seen(self._relations, self._disagreement)

    def add(self, seen: Seen) -> None:
        """Keep what another saw of a split."""
        self._relations |= seen.relations
        for model, by_variable in seen.disagreement.items():
            for variable, by_split in by_variable.items():
                self._disagreement.setdefault(model, {}).setdefault(variable, {}).update(by_split)

    def see(self, split: str, cases: Cases) -> None:
        """Keep what is needed of the cases of one split."""
        weights = weights_of(self.space, len(self.space.prepared.schema.leads))
        if split in ("validation", self.test):
            self._disagree(split, cases, weights)
        if split != self.test or self._novelty is None:
            return
        novelty = _of_target(self.space, self._scored(split, self._novelty).judged.novelty)
        groups = self._groups(split, cases, weights)
        self._relations = {
            model: {name: relate(case, weights, novelty, groups[name]) for name, case in by_variable.items()}
            for model, by_variable in cases.items()
        }

    def write(self) -> list[Path]:
        """Write ``diagnostics/novelty.nc``, of all splits but train; return what was written."""
        space, prepared = self.space, self.space.prepared
        splits = [name for name in prepared.windows if name != "train"]
        scores = {} if self._novelty is None else {name: self._scored(name, self._novelty) for name in splits}
        if not scores and not self._disagreement:
            return []
        found = Found(
            time={name: prepared.time(name) for name in splits},
            scores=scores,
            unusual={name: self._share(name, one) for name, one in scores.items()},
            test=self.test,
            relations=self._relations,
            disagreement=_against_validation(self._disagreement),
            facts={} if self._novelty is None else self._novelty.facts(),
        )
        schema = prepared.schema
        units = dict(zip(schema.variables, schema.target_units, strict=False))
        dataset = to_dataset(found, schema.variables, units, schema.input_grid, bool(schema.classes))
        dataset = dataset.assign_attrs(of_stage(space, "score", "novelty"))
        path = space.run / "diagnostics/novelty.nc"
        with write_atomic(path) as temporary:
            conforming(dataset).to_netcdf(temporary, engine="netcdf4")
        return [path]

    def _scored(self, split: str, novelty: Novelty) -> Scores:
        """Return how unusual the samples of a split are, worked out once."""
        if split not in self._scores:
            prepared = self.space.prepared
            cells = None if prepared.cells is None else prepared.cells[split]
            self._scores[split] = novelty.score(prepared.inputs(split)).of_cells(cells)
        return self._scores[split]

    def _share(self, split: str, scores: Scores) -> Value:
        """Return the share of unusual samples, with blocks that outlast the memory of novelty itself."""
        values = scores.judged.novelty
        known = np.isfinite(values)
        mean = np.where(known, np.log(np.maximum(values, 1e-9), where=known, out=np.zeros_like(values)), 0.0)
        series = np.where(known.any(axis=1), mean.sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
        return unusual_share(values, self._group(split, "novelty", series))

    def _groups(self, split: str, cases: Cases, weights: np.ndarray) -> dict[str, Group]:
        """Return by variable the blocks and resamples of the scores."""
        first = next(iter(cases.values()), {})
        if self.space.prepared.schema.classes:
            return _classes.groups(self.space, split, first, weights)
        return {name: self._group(split, name, area_series(case, weights)) for name, case in first.items()}

    def _group(self, split: str, purpose: str, series: np.ndarray) -> Group:
        return make_groups(
            self.space.prepared.time(split),
            series,
            seed=self.space.plan.experiment.seed,
            purpose=f"{split}:{purpose}",
            resamples=RESAMPLES,
            seasons=False,
            strip=_classes.strips_of(self.space, split),
        )[0]

    def _disagree(self, split: str, cases: Cases, weights: np.ndarray) -> None:
        for model, by_variable in cases.items():
            for variable, case in by_variable.items():
                share = epistemic_share(case, weights)
                if share is not None:
                    self._disagreement.setdefault(model, {}).setdefault(variable, {})[split] = share


def _of_target(space: Workspace, novelty: np.ndarray) -> np.ndarray:
    """Return novelty by the samples that errors are of: of a table its stations inside the mask."""
    return novelty if novelty.shape[1] == 1 else novelty[:, space.prepared.schema.mask.ravel()]


def _against_validation(found: _Disagreement) -> dict[str, dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """Return beside each share of disagreement how many validation samples have less."""
    return {
        model: {
            variable: {split: (share, share_of(share, splits["validation"])) for split, share in splits.items()}
            for variable, splits in by_variable.items()
            if "validation" in splits
        }
        for model, by_variable in found.items()
    }
