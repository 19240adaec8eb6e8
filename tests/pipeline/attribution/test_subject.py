"""The explained number as a function of tensors: networks, other models, events, and memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution.question import Question
from pipeline.attribution.subject import bare, gradients_of, subject_of, weighted
from pipeline.errors import ConfigError
from pipeline.prediction import Prediction


class Sum(torch.nn.Module):
    """Every cell of the target is the sum of its channels."""

    def forward(self, inputs):
        return inputs.sum(1, keepdim=True)


def test_a_network_and_its_predictions_give_the_same_number(formula, case, samples):
    model = formula(Sum())
    inputs, which = torch.from_numpy(samples.inputs), torch.arange(60)
    through = subject_of(case(model))
    model.traits = frozenset()
    asked = subject_of(case(model))
    assert through.network is not None
    assert asked.network is None
    torch.testing.assert_close(through.numbers(inputs, which), asked.numbers(inputs, which))
    assert model.asked == 1  # sixty days in one pass of 64 rows


def test_predictions_are_asked_for_the_days_of_the_rows(formula, case, samples):
    class Calendar(formula):
        traits = frozenset()

        def predict(self, inputs, context):
            day = np.asarray(inputs.day, np.float32)[:, None, None, None]
            return Prediction("point", {"mean": np.broadcast_to(day, (len(inputs), 1, 3, 4))})

    subject = subject_of(case(Calendar(Sum())))
    which = torch.tensor([5, 59, 5])
    found = subject.numbers(torch.zeros(3, 3, 3, 4), which)
    factor = float(subject.case.question.factors.sum())
    np.testing.assert_allclose(found, factor * samples.day[[5, 59, 5]], rtol=1e-6)


def test_every_day_may_have_weights_of_its_own(question):
    weights = np.stack([question.weights, np.zeros_like(question.weights)])
    weights[1, 0, 2, 3] = 1.0
    by_day = Question(weights, question.scale, "degC", "event")
    output = torch.randn(3, 1, 3, 4, dtype=torch.float64)
    output[:, :, 0, 0] = torch.nan
    found = weighted(lambda inputs: output, by_day)(None, torch.tensor([0, 1, 1]))
    plain = weighted(lambda inputs: output, question)(None, None)
    np.testing.assert_allclose(found[0], plain[0])
    np.testing.assert_allclose(found[1:], output[1:, 0, 2, 3] * question.scale[0, 2, 3])


def test_a_cell_that_is_none_of_the_event_may_hold_anything(question):
    weights = np.zeros((2, 1, 3, 4))
    weights[0, 0, 1, 1] = weights[1, 0, 2, 2] = 1.0
    output = torch.full((2, 1, 3, 4), torch.nan, requires_grad=True)
    held = output.clone()
    held[0, 0, 1, 1], held[1, 0, 2, 2] = 1.0, 2.0
    found = weighted(lambda inputs: held, Question(weights, question.scale, "1", "event"))(None, torch.arange(2))
    assert torch.isfinite(found).all()


def test_quantities_without_units_are_not_scaled(question):
    plain = Question(question.weights, question.scale, "1", "variance", "log_variance")
    np.testing.assert_array_equal(plain.factors, plain.weights)


def test_a_gradient_is_one_of_each_row(formula, case, samples):
    subject = subject_of(case(formula(Sum())))
    inputs = torch.from_numpy(samples.inputs[:4])
    found = subject.gradient(inputs, torch.arange(4))
    factor = torch.from_numpy(subject.case.question.factors[0]).float()
    torch.testing.assert_close(found, factor.expand(4, 3, 3, 4))
    assert not inputs.requires_grad


def test_a_bare_network_is_asked_in_eval_mode():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(4, 1), torch.nn.Flatten(0))
    subject = bare(network.train())
    inputs = torch.ones(3, 1, 2, 2)
    first, second = (subject.numbers(inputs, torch.arange(3)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.dtype == torch.float64


def test_cudnn_is_on_again_after_an_error():
    with torch.backends.cudnn.flags(enabled=True):
        inside = []

        def fail():
            inside.append(torch.backends.cudnn.enabled)
            raise KeyError

        with pytest.raises(KeyError), gradients_of(torch.nn.LSTM(2, 2)):
            fail()
        assert inside == [False]
        assert torch.backends.cudnn.enabled


def test_chances_that_are_counted_have_no_gradient(formula, case, question):
    class Members(formula):
        def network(self, samples, context, quantity=None):
            class Module(torch.nn.Module):
                def forward(self, inputs):
                    members = inputs[:, :, samples.schema.mask][None, :, :1]
                    return quantity(Prediction("members", {"members": members}))

            return Module()

    asked = replace(question, quantity="exceedance", threshold=np.zeros((1, 3, 4)))
    subject = subject_of(case(Members(Sum()), question=asked))
    with pytest.raises(ConfigError, match="of: exceedance: expected a prediction whose chances move"):
        subject.numbers(torch.zeros(1, 3, 3, 4), torch.arange(1))
