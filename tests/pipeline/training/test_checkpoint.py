from contextlib import contextmanager

import pytest
import torch

from pipeline.errors import TrainingError
from pipeline.training.checkpoint import digest, load_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import make_loss

NLL = make_loss("normal_nll")


class Killed(BaseException):
    """Stands for a signal."""


def killing_after(epochs):
    """Return a progress that raises once ``epochs`` are done."""

    @contextmanager
    def progress(title, total=None):
        class Bar:
            done = 0

            def advance(self, amount=1.0, note=""):
                self.done += amount
                if self.done >= epochs:
                    raise Killed

        yield Bar()

    return progress


def options(**changed):
    base = {"epochs": 6, "batch_size": 16, "lr": 0.01, "checkpoint_every": 3, "clip": 1.0, "l1": 1e-4}
    return TrainingConfig(**base | changed)


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "one_cycle"},
        {"optimizer": "sgd", "schedule": "step", "warmup": 1},
        {"optimizer": "rmsprop", "schedule": "plateau", "lr": 0.001},
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"patience": 2, "lr": 0.1, "schedule": "constant"},
    ],
    ids=str,
)
def test_three_and_kill_and_three_are_six(samples, small, tmp_path, changed):
    config = options(**changed)
    straight, broken, resumed = small(), small(), small()
    whole = train(straight, samples(), samples(seed=1), NLL, config, seed=1)
    with pytest.raises(Killed):
        train(broken, samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path, progress=killing_after(3))
    torch.rand(11)
    rest = train(resumed, samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path)
    assert rest.resumed_from == 3
    assert same(straight, resumed)
    assert rest.best_epoch == whole.best_epoch
    for one, other in zip(whole.history, rest.history, strict=True):
        assert (one.train_loss, one.validation_loss, one.lr) == (other.train_loss, other.validation_loss, other.lr)


def test_a_plateau_goes_on_with_the_rate_it_had_come_down_to(samples, small, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.training.schedules.PLATEAU_PATIENCE", 0)  # down after any epoch that is no better
    config = options(schedule="plateau", optimizer="adam", lr=0.3, epochs=10, checkpoint_every=1)
    straight, resumed = small(), small()
    whole = train(straight, samples(), samples(seed=1), NLL, config, seed=1)
    down = next(epoch.epoch for epoch in whole.history if epoch.lr < config.lr)
    assert down < config.epochs
    with pytest.raises(Killed):
        train(small(), samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path, progress=killing_after(down))
    rest = train(resumed, samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path)
    assert [epoch.lr for epoch in rest.history] == [epoch.lr for epoch in whole.history]
    assert same(straight, resumed)


def test_a_kill_between_checkpoints_goes_back_to_the_last(samples, small, tmp_path):
    straight, resumed = small(), small()
    train(straight, samples(), samples(seed=1), NLL, options(), seed=1)
    with pytest.raises(Killed):
        train(small(), samples(), samples(seed=1), NLL, options(), seed=1, folder=tmp_path, progress=killing_after(5))
    assert train(resumed, samples(), samples(seed=1), NLL, options(), seed=1, folder=tmp_path).resumed_from == 3
    assert same(straight, resumed)


@pytest.mark.parametrize("changed", [{}, {"patience": 2, "lr": 0.3, "schedule": "constant"}], ids=["whole", "early"])
def test_a_kill_after_the_last_epoch_leaves_nothing_to_do_but_to_take_the_best(samples, small, tmp_path, changed):
    config = options(**changed, checkpoint_every=1)
    straight, resumed = small(), small()
    whole = train(straight, samples(), samples(seed=1), NLL, config, seed=1)
    last = len(whole.history)
    assert (last < config.epochs) == ("patience" in changed)
    with pytest.raises(Killed):
        train(small(), samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path, progress=killing_after(last))
    rest = train(resumed, samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path)
    assert rest.resumed_from == last
    assert rest.best_epoch == whole.best_epoch
    assert [epoch.validation_loss for epoch in rest.history] == [epoch.validation_loss for epoch in whole.history]
    assert same(straight, resumed)
    assert not resumed.training


def test_a_finished_training_leaves_no_checkpoint(samples, small, tmp_path):
    train(small(), samples(), samples(seed=1), NLL, options(), seed=1, folder=tmp_path / "deep")
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize("what", ["config", "seed", "data", "network"])
def test_another_trainings_checkpoint_is_not_taken_up(samples, small, tmp_path, what, caplog):
    caplog.set_level("INFO")
    with pytest.raises(Killed):
        train(small(), samples(), samples(seed=1), NLL, options(), seed=1, folder=tmp_path, progress=killing_after(3))
    data, loss = samples(), NLL
    if what == "data":
        data.target[0, 0, 0] += 1e-6
    if what == "network":
        loss = make_loss("mse")
    network = small(len(loss.parameters))
    config, seed = options(**({"lr": 0.02} if what == "config" else {})), 2 if what == "seed" else 1
    trained = train(network, data, samples(seed=1), loss, config, seed=seed, folder=tmp_path)
    assert trained.resumed_from == 0
    assert len(trained.history) == 6
    assert "checkpoint.pt belongs to other options or data; training starts anew" in caplog.text


def test_the_key_is_the_same_for_the_same(samples, small):
    data = samples()
    keys = {digest(options(), 1, small(), (data.inputs, data.target, data.place.area)) for _ in range(2)}
    assert len(keys) == 1


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(
        TrainingError, match=r"^expected a checkpoint at .*checkpoint\.pt, which cannot be read \(.*\)\. Delete it"
    ):
        load_checkpoint(tmp_path, "key", "cpu")


def test_a_kill_while_writing_leaves_the_old_one(tmp_path):
    save_checkpoint(tmp_path, "key", {"epoch": 3})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(tmp_path, "key", {"epoch": lambda: 4})
    assert load_checkpoint(tmp_path, "key", "cpu") == {"epoch": 3}
    assert load_checkpoint(tmp_path, "other", "cpu") is None
