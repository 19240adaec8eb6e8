from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.attribution.integrated_gradients import IntegratedGradients, IntegratedGradientsConfig, region_mean
from pipeline.training.config import TrainingConfig


class Linear(torch.nn.Module):
    """Every cell is a weighted sum of all inputs, plus a constant; not a number outside of the mask."""

    def __init__(self):
        super().__init__()
        weight = np.random.default_rng(1).normal(size=(12, 36)).astype(np.float32)
        self.weight = torch.nn.Parameter(torch.from_numpy(weight))

    def forward(self, inputs):
        output = (inputs.flatten(1) @ self.weight.T + 3.0).reshape(-1, 1, 3, 4)
        output[:, :, 0, 0] = torch.nan
        return output


class Product(torch.nn.Module):
    """Every cell is the product of the first and the last channel there."""

    def forward(self, inputs):
        return inputs[:, :1] * inputs[:, 2:]


class Step(torch.nn.Module):
    """Rises so steeply at a place that few steps on the path miss it."""

    def forward(self, inputs):
        return torch.sigmoid(400.0 * (inputs[:, :1] - 0.313))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(36, 12, batch_first=True)
        self.cudnn = []

    def forward(self, inputs):
        self.cudnn.append(torch.backends.cudnn.enabled)
        return self.lstm(inputs.flatten(1)[:, None])[0].reshape(-1, 1, 3, 4)


class Greedy(torch.nn.Module):
    """Short of memory for more than five fields."""

    message = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"

    def __init__(self, error=None):
        super().__init__()
        self.error = error or RuntimeError(self.message)
        self.sizes = []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > 5:
            raise self.error
        return inputs[:, :1] * inputs[:, 2:]


def test_a_linear_model_gives_weight_times_input(formula, samples, question, context):
    module = Linear()
    found = IntegratedGradients().explain(formula(module), samples, question, context)
    factor = np.nan_to_num((question.weights * question.scale).ravel())
    weights = factor @ module.weight.detach().numpy().astype(float)
    daily = weights * samples.inputs.reshape(60, 36).astype(float)
    np.testing.assert_allclose(found.maps.ravel(), daily.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(found.importance, np.abs(daily).reshape(60, 3, 12).sum(axis=2).mean(axis=0), rtol=1e-5)
    assert found.checks["completeness_gap"] < 1e-5
    assert found.checks["steps"] == 32
    assert found.trusted
    assert found.maps.shape == (3, 3, 4)


def test_a_product_is_shared_in_halves(formula, samples, question, context):
    found = IntegratedGradients().explain(formula(Product()), samples, question, context)
    factor = np.nan_to_num(question.weights * question.scale)[0]
    half = factor * (samples.inputs[:, 0].astype(float) * samples.inputs[:, 2]) / 2
    for channel in (0, 2):
        np.testing.assert_allclose(found.maps[channel], half.mean(axis=0), atol=1e-7)
        assert found.importance[channel] == pytest.approx(np.abs(half).sum(axis=(1, 2)).mean(), rel=1e-5)
    assert not found.maps[1].any()
    assert found.importance[1] == found.low[1] == found.high[1] == 0
    assert found.trusted


def test_attributions_add_up_to_the_departure_from_climatology(formula, samples, question, context):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(8, 1, 1)
    ).double()
    exact = replace(samples, inputs=samples.inputs.astype(np.float64))
    found = IntegratedGradients().explain(formula(module), exact, question, context)
    forward = region_mean(module, question)
    inputs = torch.from_numpy(exact.inputs)
    with torch.no_grad():
        wanted = float((forward(inputs) - forward(torch.zeros_like(inputs))).mean())
    assert found.maps.sum() == pytest.approx(wanted, rel=1e-4)


def test_the_region_mean_is_the_weighted_sum_in_units(samples, question):
    output = np.random.default_rng(5).normal(size=(7, 1, 3, 4))
    wanted = [np.nansum(question.weights * question.scale * day) for day in output]
    output[:, :, 0, 0] = np.nan
    found = region_mean(lambda inputs: torch.from_numpy(output), question)(None)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


def test_steps_are_doubled_until_the_gap_is_small(formula, samples, question, context):
    few = IntegratedGradients(IntegratedGradientsConfig(steps=4, max_steps=4))
    many = IntegratedGradients(IntegratedGradientsConfig(steps=4, max_steps=4096))
    first, last = (method.explain(formula(Step()), samples, question, context) for method in (few, many))
    assert first.checks["completeness_gap"] > 0.01 > last.checks["completeness_gap"]
    assert (first.trusted, last.trusted) == (False, True)
    assert last.checks["steps"] in [4 * 2**k for k in range(1, 11)]


def test_the_gap_is_weighed_by_size_of_departure(formula, samples, question, context):
    # On a day that equals the baseline there is nothing to explain: no division by zero.
    inputs = samples.inputs.copy()
    inputs[0] = 0
    found = IntegratedGradients().explain(formula(Product()), samples.with_inputs(inputs), question, context)
    assert found.checks["completeness_gap"] < 1e-5
    assert found.checks["completeness_gap_worst_day"] >= found.checks["completeness_gap"]


def test_a_constant_model_has_nothing_to_explain(formula, samples, question, context):
    class Constant(torch.nn.Module):
        def forward(self, inputs):
            return 0.0 * inputs[:, :1] + 2.0

    found = IntegratedGradients().explain(formula(Constant()), samples, question, context)
    assert not found.importance.any()
    assert found.checks["completeness_gap"] == 0
    assert found.trusted


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA out of memory.")])
def test_the_batch_is_halved_when_memory_is_short(formula, samples, question, context, error):
    module = Greedy(error)
    found = IntegratedGradients(IntegratedGradientsConfig(batch=20)).explain(
        formula(module), samples, question, context
    )
    wanted = IntegratedGradients().explain(formula(Product()), samples, question, context)
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-7)
    assert {size for size in module.sizes if size > 5} == {20, 10}


def test_memory_for_not_even_one_field_is_an_error(formula, samples, question, context):
    class Never(Greedy):
        def forward(self, inputs):
            raise RuntimeError(self.message)

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        IntegratedGradients().explain(formula(Never()), samples, question, context)


def test_other_errors_pass_through(formula, samples, question, context):
    module = Greedy(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        IntegratedGradients().explain(formula(module), samples, question, context)
    assert len(module.sizes) == 1


def test_a_pass_is_no_larger_than_a_training_step(formula, samples, question, context):
    module = Greedy()
    model = formula(module)
    model.config = TrainingConfig(batch_size=5)
    IntegratedGradients().explain(model, samples, question, context)
    assert max(module.sizes) == 5


@pytest.mark.parametrize(("module", "enabled"), [(Recurrent, False), (None, True)])
def test_cudnn_is_off_for_recurrent_networks_only(formula, samples, question, context, module, enabled):
    seen = []

    class Plain(torch.nn.Module):
        def forward(self, inputs):
            seen.append(torch.backends.cudnn.enabled)
            return inputs[:, :1]

    network = module() if module else Plain()
    with torch.backends.cudnn.flags(enabled=True):
        found = IntegratedGradients().explain(formula(network), samples, question, context)
        assert torch.backends.cudnn.enabled
    assert set(network.cudnn if module else seen) == {enabled}
    assert found.trusted


def test_the_interval_is_that_of_the_mean_over_days(formula, samples, question, context):
    found = IntegratedGradients().explain(formula(Linear()), samples, question, context)
    again = IntegratedGradients().explain(formula(Linear()), samples, question, context)
    assert (found.low < found.importance).all()
    assert (found.importance < found.high).all()
    np.testing.assert_array_equal(found.low, again.low)
    # Normal limit of the bootstrap: the width is 2 * 1.96 standard errors.
    factor = np.nan_to_num((question.weights * question.scale).ravel())
    weights = factor @ Linear().weight.detach().numpy().astype(float)
    daily = np.abs(weights * samples.inputs.reshape(60, 36)).reshape(60, 3, 12).sum(axis=2)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.96 * daily.std(axis=0) / np.sqrt(60), rtol=0.1)


def test_a_single_day_has_no_interval(formula, samples, question, context):
    found = IntegratedGradients().explain(formula(Linear()), samples.take(slice(0, 1)), question, context)
    assert found.low is None
    assert found.high is None


def test_the_note_names_baseline_target_and_days(formula, samples, question, context):
    found = IntegratedGradients().explain(formula(Linear()), samples, question, context)
    assert "mean tas over 11 cells on 60 days of test" in found.note
    assert "baseline zero in standardised space (the train climatology)" in found.note
    assert found.measure == "mean over days of the absolute attribution, summed over cells [degC]"


def test_inputs_stay_as_they_are(formula, samples, question, context):
    before = samples.inputs.copy()
    samples.inputs.flags.writeable = False
    IntegratedGradients().explain(formula(Linear()), samples, question, context)
    np.testing.assert_array_equal(samples.inputs, before)


def test_max_steps_below_steps_is_refused():
    with pytest.raises(ValidationError, match=r"expected max_steps of at least steps \(32\), got 8"):
        IntegratedGradientsConfig(max_steps=8)
