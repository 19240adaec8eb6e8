"""What a network says of many samples, in as many passes as the device has memory for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from torch import Tensor, nn

from pipeline.backend.out_of_memory import is_out_of_memory
from pipeline.backend.passes import Passes, empty_device_cache
from pipeline.errors import MemoryBudgetError, NoRoomError
from pipeline.training.memory import no_answer
from pipeline.training.randomness import seeded
from pipeline.training.streamed import Streamed
from pipeline.training.tensors import Inputs, input_batches

Answer = dict[str, Tensor]


def answers(
    network: nn.Module,
    inputs: Inputs,
    ask: Callable[[Tensor], Answer],
    size: int,
    *,
    seeds: Sequence[int] | None,
    name: str,
    title: str,
    tell: Callable[[str], None],
) -> Iterator[Answer]:
    """Yield ``ask`` of all inputs in their order, ``size`` samples at a time and fewer where memory is short.

    What is drawn does not depend on how many there are: a network that draws is asked for every sample by itself,
    from a seed of the sample, and one that does not says of a sample what it says of it in any batch. A smaller batch
    may go through other kernels, which round the last digits otherwise.

    Parameters
    ----------
    network : Module
        Who is asked, for what is said where one sample has no room.
    inputs : Tensor, shape (time, channel, lat, lon), or what stands for one
        All samples.
    ask : callable
        From some samples to tensors with one entry a sample.
    size : int
        Samples in one pass; of a network that draws it is one.
    seeds : sequence of int, or None
        Of every sample, for a network that draws.
    name, title : str
        Of the model, for what is said once of all of its members; and of what is asked, in words.
    tell : callable
        Told in a sentence that memory was short.

    Raises
    ------
    NoRoomError
        If one sample has no room on the device.
    MemoryBudgetError
        If one has none beside the answers to those before it.
    """
    passes, answered = Passes(size, name, what="samples", tell=tell), 0
    try:
        if seeds is not None:
            found = _one_by_one(inputs, ask, seeds)
        elif not isinstance(inputs, Streamed):
            found = passes.each(len(inputs), lambda part: ask(inputs[part]))
        else:
            found = _in_batches(inputs, ask, size, passes)
        for answer in found:
            answered += 1
            yield answer
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        said = str(error)
    # Outside of the clause: the error held on to what lay on the device.
    empty_device_cache()
    # A network that draws takes more than its inputs, and what it holds depends on that.
    told = no_answer(title, network if seeds is None else None, inputs[:1], inputs.device, said)
    raise MemoryBudgetError(told) if answered else NoRoomError(told)


def _in_batches(inputs: Streamed, ask: Callable[[Tensor], Answer], size: int, passes: Passes) -> Iterator[Answer]:
    with closing(input_batches(inputs, size)) as batches:
        for batch in batches:
            yield from passes.each(len(batch), lambda part, whole=batch: ask(whole[part]))  # type: ignore[misc]


def _one_by_one(inputs: Inputs, ask: Callable[[Tensor], Answer], seeds: Sequence[int]) -> Iterator[Answer]:
    for place, seed in enumerate(seeds):
        with seeded(seed, str(inputs.device)):
            found = ask(inputs[place : place + 1])
        yield found
