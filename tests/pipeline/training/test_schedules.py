import math

import pytest
import torch
from pydantic import ValidationError

from pipeline.training.config import TrainingConfig
from pipeline.training.schedules import Schedule


def rates(steps_per_epoch=5, **options):
    config = TrainingConfig(**{"epochs": 6, "lr": 0.3} | options)
    schedule = Schedule(config, steps_per_epoch)
    return [schedule.lr(step) for step in range(config.epochs * steps_per_epoch)]


def torchs(scheduler, total, *losses):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    made, values = scheduler(optimizer), []
    for step in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step(*(loss[step] for loss in losses))
    return values


def test_constant():
    assert set(rates(schedule="constant")) == {0.3}


def test_cosine_is_torchs():
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 30), 30)
    assert rates(schedule="cosine") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 4, 5])
def test_one_cycle_is_torchs(steps):
    total = 6 * steps
    expected = torchs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.3, total_steps=total + 1), total)
    close = torchs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.3, total_steps=total), total - 1)
    assert rates(steps, schedule="one_cycle")[:-1] == pytest.approx(close, rel=1e-9)
    assert rates(steps, schedule="one_cycle")[-1] == pytest.approx(0.3 / 25e4)
    assert len(expected) == total


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_one_cycle_of_very_few_steps_stays_in_bounds(epochs):
    values = rates(1, schedule="one_cycle", epochs=epochs)
    assert all(0 < value <= 0.3 for value in values)


def test_step_falls_tenfold_at_each_third():
    assert rates(schedule="step") == pytest.approx([0.3] * 10 + [0.03] * 10 + [0.003] * 10)


def test_warmup_rises_linearly_then_follows_the_shape():
    values = rates(schedule="cosine", warmup=2)
    assert values[:10] == pytest.approx([0.03 * k for k in range(1, 11)])
    assert values[10:] == pytest.approx([0.15 * (1 + math.cos(math.pi * k / 20)) for k in range(20)])


def test_plateau_is_torchs():
    losses = [5, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 9, 9, 9, 9, 9, 9, 9]
    schedule = Schedule(TrainingConfig(epochs=30, lr=0.3, schedule="plateau"), 1)
    ours = []
    for epoch, loss in enumerate(losses):
        ours.append(schedule.lr(epoch))
        schedule.observe(loss)
    expected = torchs(
        lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=5, threshold=0), 30, losses
    )
    assert ours == pytest.approx(expected)
    assert len(set(ours)) == 5


def test_plateau_goes_on_from_its_state():
    config = TrainingConfig(epochs=30, schedule="plateau")
    first, second = Schedule(config, 1), Schedule(config, 1)
    for _ in range(5):
        first.observe(1.0)
    second.restore(first.state())
    for _ in range(3):
        first.observe(1.0)
        second.observe(1.0)
    assert second.lr(8) == first.lr(8) == pytest.approx(config.lr / 2)


def test_other_schedules_do_not_look_at_the_loss():
    schedule = Schedule(TrainingConfig(schedule="constant"), 1)
    for _ in range(20):
        schedule.observe(1.0)
    assert schedule.lr(20) == 1e-3


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_warmup_is_refused_where_it_does_nothing(schedule):
    with pytest.raises(ValidationError, match=rf"expected warmup: 0 with schedule: {schedule}, got 2\. Take cosine"):
        TrainingConfig(schedule=schedule, warmup=2)


def test_warmup_longer_than_training_is_refused():
    with pytest.raises(ValidationError, match="expected fewer epochs of warmup than epochs: 5, got 5"):
        TrainingConfig(epochs=5, warmup=5)
