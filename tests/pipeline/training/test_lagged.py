"""Windows laid out a batch at a time are those laid out at once."""

import numpy as np
import pytest
import torch

from pipeline.lagged import Lagged
from pipeline.training.lagged import LaggedInputs


@pytest.fixture
def lagged(backend):
    rng = np.random.default_rng(0)
    now = np.arange(5, 12)
    return Lagged(
        backend.asarray(rng.normal(size=(20, 2, 3, 4)).astype(np.float32)),
        backend.asarray(rng.normal(size=(20, 2)).astype(np.float32)),
        now[:, None] - np.array([0, 1, 3]),
        now,
    )


@pytest.mark.parametrize("order", [None, [7, 0, 3, 1, 2, 4, 6, 5]])
def test_a_batch_is_a_part_of_the_whole(lagged, backend, order):
    windows = LaggedInputs.of(lagged, order, backend)
    whole = backend.to_torch(lagged.array())
    whole = whole if order is None else whole[:, order]
    assert len(windows) == 7
    torch.testing.assert_close(windows[:], whole, rtol=0, atol=0)
    chosen = torch.tensor([6, 0, 3], device=windows.device)
    torch.testing.assert_close(windows[chosen], whole[chosen], rtol=0, atol=0)


def test_no_more_steps_are_held_than_there_are_in_windows(lagged, backend):
    assert len(LaggedInputs.of(lagged, None, backend).values) == 10  # steps 2 to 11


def test_without_scalars_there_are_the_lags_alone(lagged, backend):
    bare = Lagged(lagged.values, lagged.scalars[:, :0], lagged.index, lagged.now)
    assert LaggedInputs.of(bare, None, backend)[:].shape == (7, 6, 3, 4)
