import re
from dataclasses import replace

import array_api_strict
import cftime
import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.attribution import Case
from pipeline.attribution.permutation import Permutation, PermutationConfig, shuffled, time_blocks
from pipeline.errors import DataError
from pipeline.prediction import Prediction


class Sum(torch.nn.Module):
    """Every cell is the weighted sum of the channels there."""

    def __init__(self, *weights):
        super().__init__()
        self.weights = torch.tensor(weights)[None, :, None, None]

    def forward(self, inputs):
        return (self.weights * inputs).sum(dim=1, keepdim=True)


WEIGHTS = (2.0, 0.0, -0.5)


@pytest.fixture
def perfect(samples, with_truth):
    """Samples whose truth is the model itself."""
    return with_truth(Sum(*WEIGHTS)(torch.from_numpy(samples.inputs)).numpy())


def expected(samples, question, channel, weight, block, repeats, seed):
    """Loop over repeats, days and cells; the truth is the model, so the error is the shuffled channel's."""
    random = np.random.default_rng(seed)
    blocks = [list(range(start, start + block)) for start in range(0, 60, block)]
    values = []
    for _ in range(repeats):
        order = [day for i in random.permutation(len(blocks)) for day in blocks[i]]
        total = 0.0
        for day in range(60):
            for y in range(3):
                for x in range(4):
                    if samples.schema.mask[y, x]:
                        change = samples.inputs[order[day], channel, y, x] - samples.inputs[day, channel, y, x]
                        total += question.weights[0, y, x] * (weight * change * question.scale[0, y, x]) ** 2
        values.append(np.sqrt(total / 60))
    return np.array(values)


@pytest.mark.parametrize(("block", "repeats"), [(5, 10), (2, 3)])
def test_against_a_loop_over_days_and_cells(formula, perfect, question, context, block, repeats):
    method = Permutation(PermutationConfig(block=block, repeats=repeats))
    found = method.explain(Case(formula(Sum(*WEIGHTS)), perfect, question, context, None))
    for channel, weight in enumerate(WEIGHTS):
        wanted = expected(perfect, question, channel, weight, block, repeats, context.seed_for("permutation"))
        assert found.importance[channel] == pytest.approx(wanted.mean(), rel=1e-5, abs=1e-9)
        interval = stats.ttest_1samp(wanted, 0.0).confidence_interval(0.95) if weight else (0.0, 0.0)
        assert (found.low[channel], found.high[channel]) == pytest.approx(tuple(interval), rel=1e-4)
    assert "(0 degC as it is)" in re.sub(r"\d\.?\d*e-\d\d", "0", found.note)
    assert found.trusted


def test_the_limit_of_independent_days(formula, perfect, question, context):
    # Two independent draws differ by sqrt(2) standard deviations, and here the scale and weights are known.
    found = Permutation(PermutationConfig(block=1, repeats=40)).explain(
        Case(formula(Sum(*WEIGHTS)), perfect, question, context, None)
    )
    factor = np.sqrt(np.nansum(question.weights * question.scale**2))
    np.testing.assert_allclose(found.importance, np.sqrt(2) * factor * np.abs(WEIGHTS), rtol=0.1)


def test_a_channel_that_is_not_used_has_exactly_none(formula, samples, question, context):
    found = Permutation().explain(Case(formula(Sum(*WEIGHTS)), samples, question, context, None))
    assert found.importance[1] == found.low[1] == found.high[1] == 0.0
    assert found.values is None
    assert found.measure == "increase of the RMSE when permuted [degC]"


def test_the_note_is_of_the_steps_that_the_data_have(formula, perfect, question, context):
    model, block = formula(Sum(*WEIGHTS)), PermutationConfig(block=5)
    assert " on 60 days of test " in Permutation(block).explain(Case(model, perfect, question, context, None)).note
    years = replace(perfect, schema=replace(perfect.schema, step=np.timedelta64(365, "D")))
    years = replace(years, time=perfect.time[0] + 365 * (perfect.time - perfect.time[0]))
    note = Permutation(block).explain(Case(model, years, question, context, None)).note
    assert " on 60 years of test " in note
    assert " shuffled in 60 blocks of one year, " in note
    assert "day" not in note


def test_lags_may_be_shuffled_together(formula, samples, with_truth, question, context):
    # The model takes a - a@-1, which are equal here: shuffled together nothing is lost.
    inputs = samples.inputs.copy()
    inputs[:, 1] = inputs[:, 0]
    model = formula(Sum(1.0, -1.0, 1.0))
    equal = with_truth(inputs[:, 2:]).with_inputs(inputs)
    apart, together = (
        Permutation(PermutationConfig(lags=lags)).explain(Case(model, equal, question, context, None))
        for lags in ("apart", "together")
    )
    assert (apart.importance > 0.5).all()
    np.testing.assert_allclose(together.importance[:2], 0.0, atol=1e-6)
    assert together.importance[2] == pytest.approx(apart.importance[2])
    assert "each channel on its own" in apart.note
    assert "a variable with all its lags" in together.note


def test_cells_and_days_without_truth_do_not_count(formula, perfect, question, context):
    target = perfect.target.copy()
    target[:7, :, 1, 1] = np.nan
    target[:, :, 2, 2] = np.nan
    target[:, :, 0, 0] = 1e6  # outside of the question
    holes = replace(perfect, target=target)
    found = Permutation().explain(Case(formula(Sum(*WEIGHTS)), holes, question, context, None))
    assert np.isfinite(found.importance).all()


def test_the_same_seed_gives_the_same_and_another_does_not(formula, samples, question, context):
    def importance(context):
        return Permutation().explain(Case(formula(Sum(*WEIGHTS)), samples, question, context, None)).importance

    np.testing.assert_array_equal(importance(context), importance(context))
    assert (importance(context) != importance(replace(context, seed=4)))[[0, 2]].all()


def test_what_gets_better_when_shuffled_is_not_trusted(formula, perfect, with_truth, question, context):
    found = Permutation().explain(Case(formula(Sum(*WEIGHTS)), with_truth(-perfect.target), question, context, None))
    assert {one.check: one.value for one in found.findings}["all_channels"] < 0
    assert not found.trusted


def test_few_blocks_are_not_trusted(formula, perfect, question, context):
    model = formula(Sum(*WEIGHTS))
    assert not Permutation(PermutationConfig(block=10)).explain(Case(model, perfect, question, context, None)).trusted
    assert Permutation(PermutationConfig(block=6)).explain(Case(model, perfect, question, context, None)).trusted


def test_a_model_without_inputs_is_trusted_to_use_none(formula, samples, question, context):
    found = Permutation().explain(Case(formula(Sum(0.0, 0.0, 0.0)), samples, question, context, None))
    assert not found.importance.any()
    assert found.trusted


def test_cost_is_one_prediction_a_channel_and_repeat(formula, samples, question, context):
    model = formula(Sum(*WEIGHTS))
    Permutation(PermutationConfig(repeats=4)).explain(Case(model, samples, question, context, None))
    assert model.asked == 1 + 4 * (3 + 1)
    model.asked = 0
    together = Permutation(PermutationConfig(repeats=4, lags="together"))
    together.explain(Case(model, samples, question, context, None))
    assert model.asked == 1 + 4 * (2 + 1)  # a and a@-1 are one


@pytest.mark.parametrize("target", [None, np.full((60, 1, 3, 4), np.nan, np.float32)])
def test_needs_truth(formula, with_truth, question, context, target):
    wanted = (
        r"^expected truth in the cells of the mean tas over 11 cells for permutation importance, got none in 'test'\."
        r" Explain a test set that has truth\.$"
    )
    with pytest.raises(DataError, match=wanted):
        Permutation().explain(Case(formula(Sum(*WEIGHTS)), with_truth(target), question, context, None))


def test_needs_two_blocks(formula, samples, question, context):
    wanted = (
        r"^expected at least 2 blocks of 100 days to shuffle, got 1 in the 60 samples of 'test'\."
        r" Explain more days or take a smaller block\.$"
    )
    with pytest.raises(DataError, match=wanted):
        Permutation(PermutationConfig(block=100)).explain(
            Case(formula(Sum(*WEIGHTS)), samples, question, context, None)
        )


def test_blocks_follow_the_calendar_and_not_the_count():
    time = np.array(["2000-02-27", "2000-02-29", "2000-12-01", "2000-12-02", "2001-12-01"], "datetime64[ns]")
    assert [block.tolist() for block in time_blocks(time, 3)] == [[0, 1], [2], [3], [4]]
    thirty = np.array(
        [cftime.Datetime360Day(2000, 2, day) for day in (28, 29, 30)] + [cftime.Datetime360Day(2000, 3, 1)]
    )
    assert [block.tolist() for block in time_blocks(thirty, 2)] == [[0, 1], [2, 3]]


def test_follows_the_arrays_of_the_backend(formula, perfect, question, context, strict_backend):
    class Strict(formula):
        def predict(self, inputs, context):
            mean = super().predict(inputs, context).mean()
            return Prediction("point", {"mean": array_api_strict.asarray(mean)})

    there = replace(
        perfect, inputs=strict_backend.asarray(perfect.inputs), target=strict_backend.asarray(perfect.target)
    )
    found = Permutation().explain(
        Case(Strict(Sum(*WEIGHTS)), there, question, replace(context, backend=strict_backend), None)
    )
    wanted = Permutation().explain(Case(formula(Sum(*WEIGHTS)), perfect, question, context, None))
    np.testing.assert_allclose(found.importance, wanted.importance, rtol=1e-12)


def test_shuffled_moves_whole_fields_of_the_chosen_channels():
    values = np.arange(24.0).reshape(3, 2, 2, 2)
    order = np.array([2, 0, 1])
    result = shuffled(array_api_strict.asarray(values), (1,), order)
    found = np.asarray(result)
    np.testing.assert_array_equal(found[:, 0], values[:, 0])
    np.testing.assert_array_equal(found[:, 1], values[order, 1])
    assert values[0, 1, 0, 0] == 4.0
