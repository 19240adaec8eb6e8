"""Work in passes: as large as asked where memory suffices, smaller where it does not."""

import weakref

import pytest
import torch

from pipeline.backend.passes import Passes
from pipeline.errors import MemoryBudgetError, NoRoomError


def test_passes_are_halved_and_stay_so():
    seen = []

    def compute(part):
        seen.append(part.stop - part.start)
        if seen[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return torch.arange(10)[part]

    passes = Passes(8)
    assert passes.over(10, compute).tolist() == list(range(10))
    assert seen == [8, 4, 2, 2, 2, 2, 2]
    assert passes.rows == 2


def test_a_costly_row_takes_the_place_of_several():
    sizes = []

    def compute(part):
        sizes.append(part.stop - part.start)
        return torch.zeros(sizes[-1])

    Passes(8).over(5, compute, cost=4)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError("std::bad_alloc: out_of_memory: CUDA error at: /rmm/cuda_async_view_memory_resource.hpp"),
        MemoryBudgetError("unet: expected room for the answer to one sample"),
    ],
    ids=["torch", "rmm", "a pass within the pass"],
)
def test_whoever_says_that_memory_is_short_is_understood(error):
    said = []

    def compute(part):
        if part.stop - part.start > 2:
            raise error
        return part

    passes = Passes(5, "unet", what="samples", tell=said.append)
    assert [part.stop for part in passes.each(5, compute)] == [2, 4, 5]
    assert said == ["unet: short of memory, on with 2 samples in one pass."]


def test_what_is_said_is_the_same_however_many_rows_there_are():
    """Halves of what was asked for are tried, not of what happened to be left; of a single row it is said as well."""
    said = set()

    def compute(part):
        if part.stop - part.start > 1:
            raise MemoryError("no more")

    for count in (16, 11, 5, 3):
        list(Passes(16, "unet", what="samples", tell=said.add).each(count, compute))
    assert said == {"unet: short of memory, on with 1 sample in one pass."}


def test_nothing_is_said_of_sizes_that_had_no_room_either():
    said = []

    def compute(part):
        raise MemoryError("no more")

    with pytest.raises(MemoryError):
        list(Passes(16, tell=said.append).each(16, compute))
    assert said == []


def test_a_row_that_has_no_room_by_itself_is_not_asked_for_among_fewer():
    tried = []

    def compute(part):
        tried.append(part)
        raise NoRoomError("unet: expected room for the answer to one sample")

    with pytest.raises(NoRoomError):
        list(Passes(16).each(16, compute))
    assert tried == [slice(0, 16)]


def test_a_single_row_that_has_no_room_ends_it_as_another_error_does():
    def compute(part):
        raise MemoryError("no more") if part.start == 3 else IndexError("no such row")

    with pytest.raises(IndexError, match=r"^no such row$"):
        list(Passes(4).each(4, compute))
    tried = []

    def alone(part):
        tried.append(part)
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match=r"^no more$"):
        list(Passes(4).each(4, alone))
    assert tried == [slice(0, 4), slice(0, 2), slice(0, 1)]


def test_what_a_failed_pass_held_is_let_go_before_the_next():
    held = []

    def compute(part):
        assert all(ref() is None for ref in held)
        large = torch.zeros(part.stop - part.start)
        held.append(weakref.ref(large))
        if len(large) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return len(large)

    assert list(Passes(4).each(3, compute)) == [1, 1, 1]
