"""``finescale check-leakage``: the proof on the user's data that nothing fitted sees past the train span."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.assemble import assemble
from flows.load import load_experiment
from flows.plan import make_plan
from flows.sources import open_sources, used_entries, used_variables
from pipeline.backend import get_backend
from pipeline.data.load import load
from pipeline.errors import ConfigError
from pipeline.prepare.leakage import LeakageReport, check_leakage
from pipeline.prepare.splits import TimeSplit
from pipeline.progress import terminal
from pipeline.split_config import SplitConfig

_PARTS = {"basin": "basins", "block": "blocks, split.margin pixels from all others,"}


def check(name: str, overrides: Sequence[str], catalog: Path | None, data: Path | None) -> LeakageReport:
    """Prepare the experiment ``name`` twice, once with noise in place of all values after the train span.

    Raises
    ------
    UserError
        If the experiment, the catalog or the data are at fault.
    """
    loaded = load_experiment(name, overrides)
    planned = make_plan(loaded.experiment, where=str(loaded.source), base=loaded.source.parent).experiment
    if not isinstance(planned.split, SplitConfig):
        raise ConfigError(
            f"check-leakage: expected a split by time, got split.by: {planned.split.by}. What is fitted there is "
            f"fitted on the train {_PARTS[planned.split.by]} alone; no date comes after them."
        )
    # Nothing is fitted on test sets with data of their own, so they have no part in the proof.
    plain = planned.data.model_copy(update={"tests": {}})
    experiment = planned.model_copy(update={"data": plain})
    sources = open_sources(catalog, data)
    backend = get_backend(experiment.compute.backend)
    datasets = {
        key: load(entry, sources.catalog, sources.places, backend, used_variables(experiment, key), terminal).data
        for key, entry in used_entries(experiment, sources.catalog).items()
    }
    parts = assemble(experiment, datasets.__getitem__)
    data_config = experiment.data
    return check_leakage(
        parts.predictors,
        parts.target,
        parts.static,
        parts.forcings,
        config=experiment.prepare,
        split=TimeSplit.from_config(planned.split),
        months=data_config.months,
        region=data_config.region.bounds() if data_config.region else None,
        backend=backend,
        seed=experiment.seed,
        classes=experiment.task == "segmentation",
    )
