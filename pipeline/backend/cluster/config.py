"""The ``compute`` section of an experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.backend.memory import parse_size


class ComputeConfig(BaseModel):
    """Where an experiment computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    backend: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="Where arrays, estimators and networks live; auto: a GPU if all of it works there."
    )
    workers: int = Field(default=1, ge=1, description="Processes on cpu, GPUs on gpu.")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads of each worker. By default 1, and with a single worker what its libraries take; "
        "OMP_NUM_THREADS in the environment of a cluster of workers wins.",
    )
    scheduler: str | None = Field(default=None, description="Address of a running Dask scheduler, tcp://host:8786.")
    memory: str | None = Field(
        default=None,
        description="What arrays of each process may take, beside its libraries, such as 4GiB; larger data stay in "
        "files and are read as they are needed. By default half of what the machine, container or job has left.",
    )
    strict: bool = Field(default=False, description="Make it an error when an estimator has to leave the GPU.")

    @field_validator("scheduler")
    @classmethod
    def _no_password(cls, scheduler: str | None) -> str | None:
        # The experiment is kept with the run, shown in its report and handed on with its models.
        if scheduler is not None and "@" in scheduler:
            raise ValueError(
                "expected the address of a Dask scheduler without a user name or password, such as tls://host:8786, "
                "got one with an @; Dask asks for certificates in their place, see distributed.comm.tls of its settings"
            )
        return scheduler

    @field_validator("memory")
    @classmethod
    def _a_size(cls, memory: str | None) -> str | None:
        if memory is not None:
            parse_size(memory)
        return memory
