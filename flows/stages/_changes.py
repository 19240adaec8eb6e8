"""Change signals between two test sets: rows of ``changes.csv`` and maps in ``diagnostics/changes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.header import of_stage
from flows.workspace import Workspace
from pipeline.cf import conforming
from pipeline.files import write_atomic
from pipeline.metrics import Case
from pipeline.metrics.change import ChangeRow, Changes, change_signals, to_dataset
from pipeline.metrics.tables import write_changes

Cases = Mapping[str, Mapping[str, Case]]


def changes(space: Workspace, cases_of: Callable[[Workspace, str, Sequence[str]], Cases]) -> list[Path]:
    """Write the changes that the experiment asks for; return what was written, nothing where it asks for none.

    Parameters
    ----------
    space : Workspace
        The run.
    cases_of : callable
        Returns the case of every variable of the models asked for on a test set, with or without truth.
    """
    asked = space.plan.experiment.changes
    if not asked:
        return []
    schema, run = space.prepared.schema, space.run
    weights = schema.target_grid.area[schema.mask]
    rows: list[tuple[str, str, ChangeRow]] = []
    with space.progress("changes", len(asked)) as bar:
        for number, change in enumerate(asked):
            for model in space.predictors():  # one in memory at a time: two periods of many members are large
                first, second = (cases_of(space, name, (model,))[model] for name in (change.first, change.second))
                found: dict[str, Changes] = {}
                for variable, case in first.items():
                    found[variable] = change_signals(
                        case, second[variable], model=model, variable=variable, weights=weights,
                        seed=space.plan.experiment.seed,
                    )  # fmt: skip
                    rows += [(change.first, change.second, row) for row in found[variable].rows]
                # The first pair is drawn by the report; others have a name of their own.
                folder = "diagnostics/changes" if number == 0 else f"diagnostics/changes-{number}"
                maps = to_dataset(
                    found, model=model, first=change.first, second=change.second, grid=schema.target_grid,
                    mask=schema.mask,
                )  # fmt: skip
                maps = maps.assign_attrs(of_stage(space, "score", model))
                with write_atomic(run / f"{folder}/{model}.nc") as temporary:
                    conforming(maps).to_netcdf(temporary, engine="netcdf4")
            bar.advance(note=f"{change.first} to {change.second}")
    with write_atomic(run / "changes.csv") as temporary:
        write_changes(temporary, rows)
    return [run / "changes.csv"]
