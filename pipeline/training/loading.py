"""From samples to the tensors that are trained on: on the device where they fit, else read batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pipeline.backend import Backend, memory
from pipeline.rows import Rows, whole
from pipeline.samples import Samples
from pipeline.training.lagged import LaggedInputs
from pipeline.training.streamed import StreamedRows, StreamedWindows, parts
from pipeline.training.tensors import Inputs

log = logging.getLogger(__name__)


def fits(size: int, device: str | torch.device, budget: int | None = None) -> bool:
    """Return whether an array of ``size`` bytes is held on the device while a network is trained.

    Parameters
    ----------
    size : int
        Bytes.
    device : str or torch.device
        Where it would lie.
    budget : int, optional
        Bytes that the training may take there. By default what is free on an accelerator; a host then takes all, as
        its arrays are in memory already.

    Examples
    --------
    >>> fits(2**20, "cpu"), fits(2**20, "cpu", budget=4 * 2**20), fits(2**20, "cpu", budget=2**20)
    (True, True, False)
    """
    device = torch.device(device)
    if budget is None and device.type == "cpu":
        return True
    # A part of it only: the other splits, the network's own maps and their gradients need the rest.
    return memory.fits(size, torch.accelerator.get_memory_info(device)[0] if budget is None else budget)


def load_inputs(samples: Samples, order: Sequence[int] | None, backend: Backend, budget: int | None = None) -> Inputs:
    """Return the inputs of ``samples`` for the torch device, channels in ``order``.

    Rows that are in no memory yet are read whole if they fit (:func:`fits`), and streamed if not; an array is taken as
    it is, since it lies on the device or is shared with it.
    """
    lagged = samples.lagged
    if lagged is not None:
        if isinstance(lagged.values, Rows) and not _held(lagged.values, "the steps", samples.name, backend, budget):
            return StreamedWindows.of(lagged, order, backend)
        return LaggedInputs.of(lagged, order, backend)
    chosen = None if order is None else list(order)
    return _load(
        samples.inputs,
        lambda values: values if chosen is None else values[:, chosen],
        backend,
        lambda rows: _held(rows, "the inputs", samples.name, backend, budget),
    )


def load_target(samples: Samples, cells: Tensor, backend: Backend, budget: int | None = None) -> Tensor | StreamedRows:
    """Return the target of ``samples`` at ``cells``, bool of shape (lat, lon), as :func:`load_inputs` does."""
    index = cells.flatten().nonzero()[:, 0]
    places = {index.device.type: index, "cpu": index.cpu()}
    return _load(
        samples.target,
        lambda values: values.flatten(-2).index_select(-1, places[values.device.type]),
        backend,
        lambda rows: _held(rows, "the target", samples.name, backend, budget),
    )


def input_parts(samples: Samples, backend: Backend) -> Iterator[Tensor]:
    """Yield the inputs on the torch device: an array whole, rows and windows block by block."""
    values = samples.inputs if samples.lagged is None else samples.lagged.values
    if samples.lagged is not None:
        streamed = isinstance(values, Rows)
        yield from parts((StreamedWindows if streamed else LaggedInputs).of(samples.lagged, None, backend))
    else:
        yield from parts(StreamedRows.of(values, backend.torch_device) if isinstance(values, Rows) else
                         backend.to_torch(values))  # fmt: skip


def _load(
    values: object, layout: Callable[[Tensor], Tensor], backend: Backend, held: Callable[[Rows], bool]
) -> Tensor | StreamedRows:
    if isinstance(values, Rows) and not held(values):
        return StreamedRows.of(values, backend.torch_device, layout)
    tensor: Tensor = backend.to_torch(whole(values))
    return layout(tensor)


def _held(rows: Rows, what: str, where: str, backend: Backend, budget: int | None) -> bool:
    if fits(rows.nbytes, backend.torch_device, budget):
        return True
    log.info(
        "%s of %s are read batch by batch: their %.0f MiB are more than a quarter of the memory to train in",
        what, where, rows.nbytes / 2**20,
    )  # fmt: skip
    return False
