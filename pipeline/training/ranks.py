"""Who takes part in a training: one process, or several that each take a share of every batch.

Processes (ranks) hold the same weights. Each works on its share of a batch; what a batch comes to is the sum over all
of them, so that a step is the step that one process would make, to the rounding of sums in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def sizes(count: int, parts: int) -> list[int]:
    """Return how many of ``count`` samples each part has: as even as can be, the larger ones first.

    Examples
    --------
    >>> sizes(7, 3), sizes(2, 3)
    ([3, 2, 2], [1, 1, 0])
    """
    base, more = divmod(count, parts)
    return [base + (part < more) for part in range(parts)]


class Ranks:
    """One process alone: its share is everything, and sums are what it has.

    Attributes
    ----------
    rank, size : int
        Which process this is, of how many.
    present, total : int
        Samples of the present forward pass, here and over all ranks; of a pass that a rank makes for the others' sake
        alone, ``present`` is zero. Batch norm counts by them.
    together : bool
        Whether ranks meet in the middle of a forward pass while the network is trained.
    sharded : bool
        Whether each rank has a part of the network's weights (:mod:`pipeline.training.sharded`), so that all of them
        must make every pass.
    """

    rank, size = 0, 1
    present, total = 1, 1
    together = sharded = False

    def mine(self, count: int) -> slice:
        """Return which samples of a batch of ``count`` are this rank's."""
        own = sizes(count, self.size)
        before = sum(own[: self.rank])
        return slice(before, before + own[self.rank])

    def sum(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return each number summed over all ranks."""
        return numbers

    def gather_gradients(self, network: nn.Module) -> None:
        """Let every gradient be the sum over all ranks."""

    def agree(self, network: nn.Module) -> None:
        """Give all ranks the weights of the first."""

    @contextmanager
    def training(self, network: nn.Module) -> Iterator[None]:
        """Let ``network`` be one over all ranks inside: what it works out of a batch, it works out of all of it."""
        yield


class Group(Ranks):
    """Ranks of torch's default process group, which must be there.

    Gloo carries tensors of the host, NCCL those of GPUs; either gives every rank the same sum to the last bit, so that
    all come to the same decisions: when the loss is no longer finite, which epoch is the best, when to stop.
    """

    def __init__(self) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    @contextmanager
    def training(self, network: nn.Module) -> Iterator[None]:
        """Let batch norms take their moments over all ranks inside."""
        from pipeline.training.batch_norm import synchronised

        self.sharded = any(_is_part(parameter) for parameter in network.parameters())
        with synchronised(network, self) as norms:
            self.together = norms or self.sharded
            yield

    def sum(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return each number summed over all ranks, in one message."""
        together = torch.stack(numbers)
        torch.distributed.all_reduce(together)
        return together.unbind()

    def gather_gradients(self, network: nn.Module) -> None:
        """Let every gradient be the sum over all ranks; one message for all that are of one dtype."""
        # Those of a network that is cut over the ranks were summed on their way.
        gradients = [p.grad for p in network.parameters() if p.grad is not None and not _is_part(p)]
        for flat, parts in _flat(gradients):
            torch.distributed.all_reduce(flat)
            _unflat(flat, parts)

    def agree(self, network: nn.Module) -> None:
        """Give all ranks the weights of the first."""
        tensors = [tensor.detach() for tensor in network.state_dict().values() if not _is_part(tensor)]
        for flat, parts in _flat(tensors):
            torch.distributed.broadcast(flat, src=0)
            _unflat(flat, parts)


def _is_part(tensor: Tensor) -> bool:
    """Return whether the rest of a tensor lies on other ranks."""
    return hasattr(tensor, "full_tensor")


def _flat(tensors: Iterable[Tensor]) -> list[tuple[Tensor, list[Tensor]]]:
    """Return tensors of one dtype as one, and what it was made of."""
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    return [(torch.cat([part.reshape(-1) for part in parts]), parts) for parts in kinds.values()]


def _unflat(flat: Tensor, parts: list[Tensor]) -> None:
    with torch.no_grad():
        for part, values in zip(parts, torch.split(flat, [part.numel() for part in parts]), strict=True):
            part.copy_(values.reshape(part.shape))
