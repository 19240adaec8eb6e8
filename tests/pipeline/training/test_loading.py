"""What is held while a network is trained, what is read batch by batch, and what that takes of memory."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.backend import get_backend, why_no_gpu
from pipeline.rows import Held, Stored, store
from pipeline.training.loading import fits, input_parts, load_inputs, load_target
from pipeline.training.streamed import StreamedRows

CPU = get_backend("cpu")
ROOT = Path(__file__).resolve().parents[3]


class Some:
    """Stands for samples."""

    name, lagged = "train", None

    def __init__(self, inputs, target):
        self.inputs, self.target = inputs, target


@pytest.fixture
def given():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(20, 3, 4, 5)).astype(np.float32)
    return inputs, random.normal(size=(20, 1, 6, 7)).astype(np.float32)


def test_what_fits_is_decided_by_size_and_budget():
    assert fits(10**12, "cpu")
    assert fits(100, "cpu", budget=400)
    assert not fits(101, "cpu", budget=400)


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=f"no gpu backend: {why_no_gpu()}")
def test_on_a_gpu_what_is_free_decides():
    free = torch.accelerator.get_memory_info(torch.device("cuda"))[0]
    assert fits(free // 8, "cuda")
    assert not fits(free, "cuda")


@pytest.mark.parametrize("budget", [None, 4 * 20 * 60 * 4])
def test_rows_that_fit_are_read_once(given, budget):
    inputs, target = given
    cells = torch.rand(6, 7) < 0.5
    samples = Some(Held(inputs, CPU), Held(target[:, :, :, :], CPU))
    loaded = load_inputs(samples, [2, 0], CPU, budget)
    assert isinstance(loaded, torch.Tensor)
    np.testing.assert_array_equal(loaded, inputs[:, [2, 0]])
    np.testing.assert_array_equal(load_target(samples, cells, CPU, budget), target[..., cells.numpy()])


def test_rows_beyond_the_budget_are_streamed_and_told_of(given, caplog):
    caplog.set_level("INFO")
    inputs, target = given
    cells = torch.rand(6, 7) < 0.5
    samples = Some(Held(inputs, CPU), Held(target, CPU))
    loaded = load_inputs(samples, [2, 0], CPU, 1000)
    found = load_target(samples, cells, CPU, 1000)
    assert isinstance(loaded, StreamedRows)
    assert loaded.shape == (20, 2, 4, 5)
    assert found.shape == (20, 1, int(cells.sum()))
    index = torch.tensor([7, 3, 3])
    np.testing.assert_array_equal(loaded[index], inputs[[7, 3, 3]][:, [2, 0]])
    np.testing.assert_array_equal(found[4:6], target[4:6][..., cells.numpy()])
    assert (
        "the inputs of train are read batch by batch: their 0 MiB are more than a quarter of the memory" in caplog.text
    )


def test_an_array_is_taken_as_it_is(given):
    inputs, target = given
    loaded = load_inputs(Some(inputs, target), None, CPU, 1)
    assert loaded.data_ptr() == inputs.ctypes.data


def test_all_of_the_inputs_come_block_by_block(given, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.streamed.BLOCK", 1000)
    with store(tmp_path / "rows.npy", given[0].shape) as add:
        add(given[0])
    found = list(input_parts(Some(Stored.open(tmp_path / "rows.npy", CPU), None), CPU))
    assert [len(part) for part in found] == [4] * 5
    np.testing.assert_array_equal(torch.cat(found), given[0])
    assert len(list(input_parts(Some(given[0], None), CPU))) == 1


def test_torch_takes_no_rows_unasked(given):
    rows = StreamedRows.of(Held(given[0], CPU), "cpu")
    with pytest.raises(TypeError):
        torch.isfinite(rows)


BUDGET, CONSTANT = 12 * 2**20, 32 * 2**20  # bytes; the constant: batches, maps, what malloc keeps for each thread


@pytest.mark.slow
def test_training_on_eight_times_the_budget_stays_under_it(tmp_path):
    code = f"""
        import resource
        from dataclasses import replace
        from pathlib import Path
        import numpy as np
        import torch
        from pipeline.backend import get_backend, why_no_gpu
        from pipeline.rows import Stored, store
        from pipeline.training.config import TrainingConfig
        from pipeline.training.loading import load_inputs, load_target
        from pipeline.training.loop import train
        from pipeline.training.losses import Place, make_loss
        from pipeline.training.tensors import Tensors

        torch.set_num_threads(1)
        folder, backend, rows = Path({str(tmp_path)!r}), get_backend("cpu"), 1536

        class Some:
            name, lagged = "train", None

        def make(name, shape):
            with store(folder / name, shape) as add:
                for block in range(0, shape[0], 64):
                    add(np.random.default_rng(block).normal(size=(64, *shape[1:])).astype(np.float32))
            return Stored.open(folder / name, backend)

        Some.inputs = make("inputs.npy", (rows, 4, 32, 32))
        Some.target = make("target.npy", (rows, 12, 32, 32))
        assert Some.inputs.nbytes + Some.target.nbytes >= 8 * {BUDGET}

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Conv2d(4, 12, 3, padding=1)

            def forward(self, inputs):
                return self.layer(inputs).flatten(2)[:, None]

        cells = torch.ones(32, 32, dtype=torch.bool)
        place = Place(area=torch.ones(1024), index=torch.arange(1024), shape=(32, 32))
        config, loss = TrainingConfig(epochs=1, batch_size=32), make_loss("mse")
        small = Tensors(torch.zeros(64, 4, 32, 32), torch.zeros(64, 12, 1024), place)
        train(Net(), small, small, loss, config, seed=0)

        def now(what):
            line = next(line for line in open("/proc/self/status") if line.startswith(what))
            return int(line.split()[1]) * 1024

        start = now("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        data = Tensors(load_inputs(Some, None, backend, {BUDGET}), load_target(Some, cells, backend, {BUDGET}), place)
        assert data.streamed
        train(Net(), data, data, loss, config, seed=0, folder=folder / "kept")
        print(now("VmHWM") - start)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) < BUDGET + CONSTANT
    print(f"grew by {int(done.stdout) / 2**20:.0f} MiB, {8 * BUDGET / 2**20:.0f} MiB of data")
