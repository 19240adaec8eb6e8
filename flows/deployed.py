"""Experiments as flows of their own, by name: what a Prefect server knows them by.

``flows.deployed.quickstart`` is a flow whose parameters are the form of the experiment ``quickstart``; it is made when
it is asked for, from the YAML file that is there at that moment.
"""

from __future__ import annotations

import inspect
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic.fields import FieldInfo

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from prefect import Flow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]*")
"""What an experiment is called that can be served: with a dot it would be a module in a module."""
RESUME: Any = Field(
    default=None,
    title="Go on with",
    description="Name, or the start of the name, of a run that stopped; nothing else may be changed then.",
)
FURTHER: Any = Field(
    default=[],
    title="Further changes",
    description="What the form does not have, as on the command line: models.unet.lr=1e-4. These come last.",
)


def __getattr__(name: str) -> Flow[..., str]:
    if not NAME.fullmatch(name):
        raise AttributeError(name)
    from flows.load import find_experiment

    try:
        find_experiment(name)
    except ConfigError as error:  # what is not there; whoever asks a module for a name, expects this of it
        raise AttributeError(str(error)) from error
    return deployed(name)


@lru_cache
def deployed(name: str) -> Flow[..., str]:
    """Return the flow of the experiment ``name``.

    Raises
    ------
    UserError
        If there is none of that name, or it is not as its schema asks.
    """
    from flows.flow import run_deployed, served_flow
    from flows.form import changes, form_of
    from flows.load import load_experiment

    loaded = load_experiment(name)
    form = form_of(loaded.experiment, str(loaded.source))

    def run(**given: Any) -> Any:
        # What is left as it is comes as its field, not as a value.
        given = {key: value for key, value in given.items() if not isinstance(value, FieldInfo)}
        further, resume = given.pop("further", None) or [], given.pop("resume", None)
        return run_deployed(name, (*changes(form, given), *further), resume)

    parameters = {**form, "further": (list[str], FURTHER), "resume": (str | None, RESUME)}
    run.__module__, run.__name__, run.__qualname__ = __name__, name, name
    run.__doc__ = loaded.experiment.question
    run.__annotations__ = {key: kind for key, (kind, _) in parameters.items()} | {"return": str}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=field, annotation=kind)
            for key, (kind, field) in parameters.items()
        ]
    )
    made: Flow[..., str] = served_flow(run)
    return made
