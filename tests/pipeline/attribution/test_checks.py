"""What holds for every check of maps, whatever it looks at."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution import Finding
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import CHECKS, Checked, run_checks
from pipeline.attribution.checks._cells import cells_checked, cells_of
from pipeline.attribution.gradient import Gradient
from pipeline.attribution.integrated_gradients import IntegratedGradients, IntegratedGradientsConfig
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import bare, subject_of

SHAPE, DAYS = (3, 3, 4), 6


class Strength(MapMethod):
    kind = "strength"
    title = "Strength"

    def attribute(self, subject, inputs, which, baseline):
        return Gradient().attribute(subject, inputs, which, baseline).abs()


class Given(MapMethod):
    """Says what it is told to say."""

    title = "Given"

    def __init__(self, say):
        super().__init__()
        self.say = say

    def attribute(self, subject, inputs, which, baseline):
        return self.say(inputs)


class Dense(torch.nn.Module):
    def __init__(self, most=10**6):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.inner, self.outer = torch.nn.Linear(36, 16), torch.nn.Linear(16, 1)
        self.most, self.sizes = most, []

    def forward(self, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.most:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return self.outer(torch.tanh(2 * self.inner(inputs.flatten(1))))[:, 0]


class Deaf(Dense):
    """A model that ignores its inputs."""

    def forward(self, inputs):
        return 0.0 * super().forward(inputs) + 2.0


METHODS = {
    "departure": IntegratedGradients(IntegratedGradientsConfig(steps=16, max_steps=64)),
    "sensitivity": Gradient(),
    "strength": Strength(),
}


def checked(method, network, days=DAYS, draws=1, seed=3, most=8):
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(days, *SHAPE, generator=random)
    baseline = Baseline("made", "made", torch.randn(draws, 1, *SHAPE, generator=random))
    subject, which = bare(network, seed=seed), torch.arange(days)
    values = method.attribute(subject, inputs, which, baseline)
    return Checked(method, subject, inputs, which, baseline, values, most)


def run(name, asked):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return CHECKS.get(name)().run(asked)


def suited(kind):
    asked = checked(METHODS[kind], Dense())
    return [name for name in CHECKS if CHECKS.get(name)().suits(asked)]


PAIRS = [(name, kind) for kind in METHODS for name in suited(kind)]


def test_every_check_suits_some_method_and_departures_have_all():
    assert set(suited("departure")) == set(CHECKS.names()) >= {
        "completeness", "infidelity", "max_sensitivity", "deletion", "randomisation", "random_skill",
    }  # fmt: skip
    assert set(suited("strength")) == {"deletion", "max_sensitivity", "randomisation"}


def test_a_model_without_a_network_is_not_randomised():
    asked = checked(METHODS["departure"], Dense())
    asked = replace(asked, subject=replace(asked.subject, network=None))
    assert not CHECKS.get("randomisation")().suits(asked)


@pytest.mark.parametrize("days", [1, DAYS])
@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_a_finding_has_a_number_and_a_sentence_and_is_the_same_twice(name, kind, days):
    first = run(name, checked(METHODS[kind], Dense(), days))
    again = run(name, checked(METHODS[kind], Dense(), days))
    assert isinstance(first, Finding)
    assert first.check == name
    # What cells the number depends on need not be what moved it: deletion is essential for departures alone.
    assert first.essential is (CHECKS.get(name).essential and (name != "deletion" or kind == "departure"))
    assert first.passed in (True, False, None)
    assert np.isfinite([first.value, first.limit]).all()
    assert re.search(r"\d", first.words)
    assert first.words.endswith(".")
    assert "nan" not in first.words
    assert (first.value, first.limit, first.passed, first.words) == (
        again.value, again.limit, again.passed, again.words,
    )  # fmt: skip
    assert set(first.curves) == set(again.curves)
    for key, curve in first.curves.items():
        assert curve.shape == first.curves["x"].shape
        assert curve.dtype == np.float64
        np.testing.assert_array_equal(curve, again.curves[key])


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind in PAIRS if name != "completeness"])
def test_what_is_drawn_follows_the_seed(name, kind):
    # 2e-16 is the least that another order of adding up could make; random draws make far more.
    found = [run(name, checked(METHODS[kind], Dense(), seed=seed)) for seed in (3, 4)]
    first, other = ([one.value, one.limit] for one in found)
    assert max(np.abs(np.subtract(first, other))) > 1e-9


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_nothing_fails_where_a_model_ignores_its_inputs(name, kind):
    for days in (1, DAYS):
        found = run(name, checked(METHODS[kind], Deaf(), days))
        assert found.passed is not False
        assert re.search(r"\d", found.words)
        assert "nan" not in found.words
        assert found.words.endswith(".")
        if found.passed is not None:
            assert np.isfinite(found.value)


# How well magnitudes of gradients order what cells add is not theirs to say.
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kind in PAIRS if (name, kind == "departure") != ("deletion", False)]
)
def test_a_true_map_passes(name, kind):
    assert run(name, checked(METHODS[kind], Dense())).passed is True


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_short_memory_is_survived_with_the_same_answer(name, kind):
    plain = run(name, checked(METHODS[kind], Dense()))
    network = Dense(most=3)
    asked = checked(METHODS[kind], network)
    network.sizes.clear()
    asked.subject.passes.rows = 256
    found = run(name, asked)
    assert max(network.sizes) > 3
    assert network.sizes[-1] <= 3
    assert asked.subject.passes.rows <= 3
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-4, atol=1e-6)
    assert found.passed is plain.passed


@pytest.mark.parametrize("name", ["infidelity", "random_skill", "deletion", "max_sensitivity", "randomisation"])
def test_no_more_days_are_asked_than_allowed(name):
    network = Dense()
    asked = checked(Gradient(), network, days=6, most=2)
    network.sizes.clear()
    run(name, asked)
    least = sum(network.sizes)
    network.sizes.clear()
    run(name, replace(asked, days=6))
    assert least * 3 == sum(network.sizes)


@pytest.mark.parametrize(
    ("name", "passes"),
    [("infidelity", 1 + 32 * 2), ("random_skill", 1 + 32 * 2), ("deletion", 2 + 22 * 15)],
)
def test_costs_are_those_of_the_description(name, passes):
    network = Dense()
    asked = checked(METHODS["departure"], network, draws=2)
    network.sizes.clear()
    run(name, asked)
    assert sum(network.sizes) == DAYS * passes


@pytest.mark.parametrize("name", ["infidelity", "random_skill", "deletion"])
def test_a_map_of_zeros_of_a_model_that_moves_fails(name):
    found = run(name, checked(Given(torch.zeros_like), Dense()))
    assert found.passed is False
    assert found.value == {"infidelity": 1.0, "deletion": 0.0}.get(name, found.value)


@pytest.mark.parametrize(("name", "passed"), [("infidelity", False), ("random_skill", None), ("deletion", None)])
def test_a_map_of_something_of_a_model_that_does_not_move(name, passed):
    found = run(name, checked(Given(torch.clone), Deaf()))
    assert found.passed is passed
    assert np.isfinite(found.value)


def test_checks_work_on_a_case_with_scalar_channels(formula, case, samples, context):
    class Cellwise(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([1.0, 0.5, -2.0]))

        def forward(self, inputs):
            return (torch.tanh(inputs) * self.weight[:, None, None]).sum(1, keepdim=True)

    level = np.broadcast_to(samples.inputs[:, 2:, :1, :1], samples.inputs[:, 2:].shape)
    inputs = np.concatenate((samples.inputs[:, :2], level), axis=1)
    schema = replace(samples.schema, scalars=("b",))
    mine = replace(samples.with_inputs(inputs), schema=schema)
    asked = case(formula(Cellwise()), samples=mine, checks=CHECKS.names())
    found = METHODS["departure"].explain(asked).findings
    assert {one.check for one in found} == set(CHECKS.names())
    told = {one.check: one for one in found}
    assert "degC" in told["deletion"].words
    assert told["deletion"].passed
    assert told["infidelity"].passed
    subject = subject_of(asked)
    cells = cells_checked(Checked(Gradient(), subject, torch.from_numpy(inputs), torch.arange(60), None, None, 8))
    # "a" and its lag are one variable, the older first.
    assert (cells.variable.tolist(), cells.lag.tolist(), cells.scalar.tolist()) == (
        [0, 0, 1], [1, 0, 0], [False, False, True],
    )  # fmt: skip
    assert cells.units[2].tolist() == [[24] * 4] * 3
    random = np.random.default_rng(0)
    for field in (cells.blocks(random), cells.large_blocks(random), cells.noise(random), cells.uniform(random)):
        assert field.shape == (3, 3, 4)
        assert np.ptp(field[2]) == 0
        assert np.ptp(field[0]) > 0
    (only,) = run_checks(("deletion",), checked(METHODS["departure"], Dense()), context)
    assert only.check == "deletion"


def test_blocks_are_boxes_and_stations_stand_alone():
    grid = cells_of(None, (1, 8, 8))
    random = np.random.default_rng(0)
    drawn = [grid.blocks(random) for _ in range(40)]
    sizes = {np.unique(field).size for field in drawn}
    assert 64 in sizes
    assert min(sizes) <= 9
    # Every row of a box is like the one above or unlike it all over.
    for field in drawn:
        same = np.diff(field[0], axis=0) == 0
        assert (same.all(axis=1) | ~same.any(axis=1)).all()
    alone = replace(cells_of(None, (1, 1, 30)), stations=True)
    assert np.unique(alone.large_blocks(random)).size == 30
    # Half of the cells on average.
    assert abs(np.mean([(grid.blocks(random) < 0.5).mean() for _ in range(400)]) - 0.5) < 0.05
