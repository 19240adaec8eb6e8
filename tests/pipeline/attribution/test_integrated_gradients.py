from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline.attribution.integrated_gradients import IntegratedGradients, IntegratedGradientsConfig
from pipeline.attribution.subject import weighted
from pipeline.training.config import TrainingConfig

CHECKED = ("completeness",)


def explain(case):
    return IntegratedGradients().explain(replace(case, checks=CHECKED))


def gap(found):
    (finding,) = found.findings
    assert finding.check == "completeness"
    return finding.value


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
        if torch.is_grad_enabled():
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


def test_a_linear_model_gives_weight_times_input(formula, case, samples, question):
    module = Linear()
    found = explain(case(formula(module)))
    factor = np.nan_to_num((question.weights * question.scale).ravel())
    weights = factor @ module.weight.detach().numpy().astype(float)
    daily = weights * samples.inputs.reshape(60, 36).astype(float)
    np.testing.assert_allclose(found.maps.ravel(), daily.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(found.importance, np.abs(daily).reshape(60, 3, 12).sum(axis=2).mean(axis=0), rtol=1e-5)
    assert gap(found) < 1e-5
    assert found.trusted
    assert found.values.shape == (60, 3, 3, 4)


def test_a_product_is_shared_in_halves(formula, case, samples, question):
    found = explain(case(formula(Product())))
    factor = np.nan_to_num(question.weights * question.scale)[0]
    half = factor * (samples.inputs[:, 0].astype(float) * samples.inputs[:, 2]) / 2
    for channel in (0, 2):
        np.testing.assert_allclose(found.maps[channel], half.mean(axis=0), atol=1e-7)
        assert found.importance[channel] == pytest.approx(np.abs(half).sum(axis=(1, 2)).mean(), rel=1e-5)
    assert not found.maps[1].any()
    assert found.importance[1] == found.low[1] == found.high[1] == 0
    assert found.trusted


def test_attributions_add_up_to_the_departure_from_climatology(formula, case, samples, question):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(8, 1, 1)
    ).double()
    exact = replace(samples, inputs=samples.inputs.astype(np.float64))
    found = explain(case(formula(module), samples=exact))
    forward = weighted(module, question)
    inputs = torch.from_numpy(exact.inputs)
    with torch.no_grad():
        wanted = float((forward(inputs, None) - forward(torch.zeros_like(inputs), None)).mean())
    assert found.maps.sum() == pytest.approx(wanted, rel=1e-4)


def test_the_region_mean_is_the_weighted_sum_in_units(samples, question):
    output = np.random.default_rng(5).normal(size=(7, 1, 3, 4))
    wanted = [np.nansum(question.weights * question.scale * day) for day in output]
    output[:, :, 0, 0] = np.nan
    found = weighted(lambda inputs: torch.from_numpy(output), question)(None, None)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


def test_steps_are_doubled_until_the_gap_is_small(formula, case, samples, question):
    few = IntegratedGradients(IntegratedGradientsConfig(steps=4, max_steps=4))
    many = IntegratedGradients(IntegratedGradientsConfig(steps=4, max_steps=4096))
    first, last = (method.explain(case(formula(Step()), checks=CHECKED)) for method in (few, many))
    assert gap(first) > 0.01 > gap(last)
    assert (first.trusted, last.trusted) == (False, True)


def test_the_gap_is_weighed_by_size_of_departure(formula, case, samples, question):
    # On a day that equals the baseline there is nothing to explain: no division by zero.
    inputs = samples.inputs.copy()
    inputs[0] = 0
    found = explain(case(formula(Product()), samples=samples.with_inputs(inputs)))
    assert gap(found) < 1e-5


def test_a_constant_model_has_nothing_to_explain(formula, case, samples, question):
    class Constant(torch.nn.Module):
        def forward(self, inputs):
            return 0.0 * inputs[:, :1] + 2.0

    found = explain(case(formula(Constant())))
    assert not found.importance.any()
    assert gap(found) == 0
    assert found.trusted


@pytest.mark.parametrize("error", [None, torch.OutOfMemoryError("CUDA out of memory.")])
def test_the_batch_is_halved_when_memory_is_short(formula, case, error):
    module = Greedy(error)
    found = IntegratedGradients(IntegratedGradientsConfig(batch=20)).explain(case(formula(module)))
    wanted = explain(case(formula(Product())))
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-7)
    assert {size for size in module.sizes if size > 5} == {20, 10}


def test_memory_for_not_even_one_field_is_an_error(formula, case, samples, question):
    class Never(Greedy):
        def forward(self, inputs):
            raise RuntimeError(self.message)

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        explain(case(formula(Never())))


def test_other_errors_pass_through(formula, case, samples, question):
    module = Greedy(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        explain(case(formula(module)))
    assert len(module.sizes) == 1


def test_a_pass_is_no_larger_than_a_training_step(formula, case, samples, question):
    module = Greedy()
    model = formula(module)
    model.config = TrainingConfig(batch_size=5)
    explain(case(model))
    assert max(module.sizes) == 5


@pytest.mark.parametrize(("module", "enabled"), [(Recurrent, False), (None, True)])
def test_cudnn_is_off_for_recurrent_networks_only(formula, case, samples, question, module, enabled):
    seen = []

    class Plain(torch.nn.Module):
        def forward(self, inputs):
            seen.append(torch.backends.cudnn.enabled)
            return inputs[:, :1]

    network = module() if module else Plain()
    with torch.backends.cudnn.flags(enabled=True):
        found = explain(case(formula(network)))
        assert torch.backends.cudnn.enabled
    assert set(network.cudnn if module else seen) == {enabled}
    assert found.trusted


def test_the_interval_is_that_of_the_mean_over_days(formula, case, samples, question):
    found = explain(case(formula(Linear())))
    again = explain(case(formula(Linear())))
    assert (found.low < found.importance).all()
    assert (found.importance < found.high).all()
    np.testing.assert_array_equal(found.low, again.low)
    # Normal limit of the bootstrap: the width is 2 * 1.96 standard errors.
    factor = np.nan_to_num((question.weights * question.scale).ravel())
    weights = factor @ Linear().weight.detach().numpy().astype(float)
    daily = np.abs(weights * samples.inputs.reshape(60, 36)).reshape(60, 3, 12).sum(axis=2)
    np.testing.assert_allclose(found.high - found.low, 2 * 1.96 * daily.std(axis=0) / np.sqrt(60), rtol=0.1)


def test_a_single_day_has_no_interval(formula, case, samples, question):
    found = explain(case(formula(Linear()), samples=samples.take(slice(0, 1))))
    assert found.low is None
    assert found.high is None


def test_the_note_names_baseline_target_and_days(formula, case, samples, question):
    found = explain(case(formula(Linear())))
    assert "mean tas over 11 cells on 60 days of test" in found.note
    assert "baseline zero in standardised space" in found.note
    assert found.measure == "mean over days of the absolute attribution, summed over cells [degC]"


def test_inputs_stay_as_they_are(formula, case, samples, question):
    before = samples.inputs.copy()
    samples.inputs.flags.writeable = False
    explain(case(formula(Linear())))
    np.testing.assert_array_equal(samples.inputs, before)


def test_max_steps_below_steps_is_refused():
    with pytest.raises(ValidationError, match=r"expected max_steps of at least steps \(32\), got 8"):
        IntegratedGradientsConfig(max_steps=8)
