import pytest
import torch

from pipeline.training.randomness import seeded


@pytest.mark.parametrize("before", ["default", "warn", "error"])
def test_kernels_are_deterministic_inside_and_as_before_after(before):
    usual = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode(before)
    try:
        kept = torch.get_deterministic_debug_mode()
        with seeded(1):
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_deterministic_debug_mode() == kept
    finally:
        torch.set_deterministic_debug_mode(usual)


def test_the_compiler_is_not_loaded_for_it(monkeypatch):
    def loads_the_compiler(*args, **kwargs):
        raise AssertionError("torch.use_deterministic_algorithms imports the compiler, which takes seconds.")

    monkeypatch.setattr(torch, "use_deterministic_algorithms", loads_the_compiler)
    with seeded(1):
        first = torch.rand(3)
    with seeded(1):
        assert torch.equal(torch.rand(3), first)
