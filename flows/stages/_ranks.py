"""Models that several workers train together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.workspace import Workspace
from pipeline.backend.cluster import ClusterSpec, open_client


def workers_of(space: Workspace, name: str) -> int:
    """Return how many workers train a member of a model together; 1 of what is no network."""
    return int(getattr(space.plan.models[name].config, "workers", 1))


def over_workers(
    space: Workspace, spec: ClusterSpec, function: Callable[..., None], task: Any
) -> list[BaseException | None] | BaseException:
    """Call ``function(ranks, path, task)`` on as many workers as the task's model asks for; return what came of it.

    What a rank raises is returned, as that of a fit on one worker is: a model that cannot be fitted is left out.
    """
    from pipeline.training.parallel import run_ranks

    with open_client(spec) as client:
        try:
            run_ranks(
                function,
                (str(space.run.path.resolve()), task),
                client,
                workers=workers_of(space, task.model),
                device=space.backend.torch_device,
            )
        except Exception as error:
            return error
    return [None]
