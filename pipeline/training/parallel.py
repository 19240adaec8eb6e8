"""One model trained by several Dask workers together: each is a rank of a torch process group.

Dask gives processes their place and their data; torch's collectives carry the sums of every step. A group cannot lose
a rank and go on, so all of them start and end together: on any failure the workers are started anew and the training
goes on from its last checkpoint, once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pipeline.errors import FinescaleError, WorkerError
from pipeline.training.ranks import Group

if TYPE_CHECKING:
    import distributed

ATTEMPTS = 2
START = 300.0
"""Seconds that a worker has to start and to import torch, on a machine that is busy with other things."""
JOIN = 60.0
"""Seconds that ranks wait for each other to join, once all of them have imported what they need."""
TOGETHER = 600.0
"""Seconds that a rank waits for the others in the middle of a training, such as for one that still reads its data."""
LAST_WORDS = 5.0  # seconds that the other ranks have to say why they failed, once one has

log = logging.getLogger(__name__)

_STORES: dict[str, Any] = {}  # of groups whose first rank is to start in this process


def run_ranks(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    client: distributed.Client,
    *,
    workers: int | None = None,
    device: str = "cpu",
    join: float = JOIN,
    together: float = TOGETHER,
) -> list[Any]:
    """Call ``function(ranks, *arguments)`` on several workers at once and return what each rank returned.

    Parameters
    ----------
    function : callable
        Importable on the workers. It hands its first argument, a :class:`~pipeline.training.ranks.Group`, to
        :func:`pipeline.training.loop.train`, or to a model as ``context.ranks``. It may be called twice, and then
        finds the checkpoints of the first time.
    arguments : sequence
        What else it takes, the same for every rank; pickled, so hand over paths.
    client : distributed.Client
        Of a cluster whose workers have a thread each. It is restarted where a rank died or does not come back.
    workers : int, optional
        How many ranks; all workers by default.
    device : str
        Torch device: gloo carries sums between processes on ``cpu``, NCCL those on ``cuda``.
    join, together : float
        Seconds that ranks wait for each other, at the start and later on.

    Raises
    ------
    FinescaleError
        What the function raised of our own errors: another attempt would end the same.
    WorkerError
        If there are too few workers, or a rank failed twice.
    """
    import distributed as dask

    reason: BaseException | None = None
    for attempt in range(1, ATTEMPTS + 1):
        addresses = _addresses(client, workers)
        workers = len(addresses)
        # Two trainings whose ranks wait for each other's workers would wait for ever.
        with dask.MultiLock(names=addresses, client=client):
            outcome = _attempt(function, arguments, client, addresses, device, join, together)
            if outcome.reason is None:
                return outcome.results
        reason = outcome.reason
        log.warning("a rank of %d failed in attempt %d: %r", len(addresses), attempt, reason)
        if not outcome.left:
            _restart(client, len(addresses), reason)
        if isinstance(reason, FinescaleError):
            raise reason
    raise WorkerError(
        f"expected {len(addresses)} workers to train one model together, got a failure in each of {ATTEMPTS} attempts, "
        f"the last one: {_words(reason)}. Look at the workers' memory, or train on one worker."
    ) from reason


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What the ranks returned, or why one failed, and whether all of them have left their workers."""

    results: list[Any]
    reason: BaseException | None = None
    left: bool = False


def _attempt(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    client: distributed.Client,
    addresses: list[str],
    device: str,
    join: float,
    together: float,
) -> _Outcome:
    """Start all ranks and wait for them."""
    import distributed as dask

    job, host = uuid.uuid4().hex, _host(addresses[0])

    def submit(address: str, called: Callable[..., Any], *given: Any) -> Any:
        # A rank has its place: elsewhere, or a second time, it would wait for a group that is gone.
        return client.submit(called, *given, workers=[address], allow_other_workers=False, pure=False, retries=0)

    try:
        dask.wait([submit(address, _imported) for address in addresses], timeout=START)
        # The store's port is picked by binding it, in the process that keeps it: no one else can take it between.
        port = submit(addresses[0], _open_store, job, host, len(addresses), join).result(timeout=START)
        ranks = [
            submit(address, _rank, function, tuple(arguments), job, host, port, rank, len(addresses), device, join,
                   together)
            for rank, address in enumerate(addresses)
        ]  # fmt: skip
        for future in dask.as_completed(ranks):
            if future.status != "finished":
                return _failure(ranks)
        return _Outcome(client.gather(ranks))
    except Exception as error:  # the scheduler or a worker is gone
        return _Outcome([], error)


def _failure(ranks: list[Any]) -> _Outcome:
    """Return why a rank failed: its own error, if it has one, before those of ranks that miss it."""
    import distributed as dask

    with contextlib.suppress(Exception):  # who waits for the one that failed is not waited for
        dask.wait(ranks, timeout=LAST_WORDS)
    failed: list[BaseException] = [future.exception() for future in ranks if future.status == "error"]
    lost: list[BaseException] = [WorkerError("the worker of a rank died")] * (len(failed) < 1)
    own = [error for error in failed if isinstance(error, FinescaleError)]
    other = [error for error in failed if not isinstance(error, (dask.KilledWorker, RuntimeError))]
    ended = all(future.status in ("error", "finished") for future in ranks)
    died = any(isinstance(error, dask.KilledWorker) for error in failed)
    return _Outcome([], next(iter([*own, *other, *failed, *lost])), ended and not died)


def _restart(client: distributed.Client, count: int, reason: BaseException) -> None:
    """Start the workers anew: a rank that waits in a collective for one that is gone cannot be called back."""
    try:
        client.restart(timeout=START)
        client.wait_for_workers(count, timeout=START)
    except Exception as error:
        raise WorkerError(
            f"expected {count} workers to start anew after a rank failed ({_words(reason)}), got {_words(error)}."
        ) from reason


def _addresses(client: distributed.Client, workers: int | None) -> list[str]:
    """Return the workers of the ranks in order: those of one host side by side, as NCCL wants them."""
    there = sorted(client.nthreads())
    wanted = len(there) if workers is None else workers
    if not 0 < wanted <= len(there):
        raise WorkerError(f"expected {max(wanted, 1)} workers to train one model together, got {len(there)}.")
    return there[:wanted]


def _host(address: str) -> str:
    from distributed.comm import get_address_host

    return str(get_address_host(address))


def _words(error: BaseException | None) -> str:
    said = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {said[0]}"


def _open_store(job: str, host: str, size: int, join: float) -> int:
    """Open the place where ranks meet, at a port that the system picks; return it. Runs on the first rank's worker."""
    wait = timedelta(seconds=join)
    _STORES[job] = _distributed().TCPStore(host, 0, size, is_master=True, timeout=wait, wait_for_workers=False)
    return int(_STORES[job].port)


def _rank(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    job: str,
    host: str,
    port: int,
    rank: int,
    size: int,
    device: str,
    join: float,
    together: float,
) -> Any:
    """Join the group, call the function, leave the group. Runs on a worker."""
    dist = _distributed()
    _use_own_interface()
    store = _STORES.pop(job, None)
    if store is None:
        store = dist.TCPStore(host, port, size, is_master=False, timeout=timedelta(seconds=join))
    try:
        dist.init_process_group(
            "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl",
            store=dist.PrefixStore(job, store),
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=together),
        )
        # Met once before anything long begins: who is missing is missed after `join`, not after `together`.
        dist.barrier() if device != "cpu" else dist.monitored_barrier(timeout=timedelta(seconds=join))
        return function(Group(), *arguments)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()  # closes connections, which tells the others


def _imported() -> bool:
    """Import what a rank needs, so that none waits for another that still does."""
    import pipeline.training.loop
    from pipeline.training.optimizers import import_compiler

    import_compiler()
    return bool(pipeline.training.loop)


def _distributed() -> Any:
    """Return ``torch.distributed``, which does not say what it exports."""
    import torch

    return torch.distributed


def _use_own_interface() -> None:
    """Let collectives go through the interface that Dask goes through; they would take the one of the host's name."""
    import psutil
    from distributed import get_worker

    host = _host(get_worker().address)
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == host for address in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
