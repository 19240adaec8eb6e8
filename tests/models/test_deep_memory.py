"""A network that predicts is asked for fewer samples at once where the device has no room for a batch."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from flows.passes import in_passes
from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import NoRoomError
from pipeline.model import Context
from pipeline.prediction import Prediction
from pipeline.rows import Stored, store
from pipeline.training.memory import no_answer, passing_bytes
from pipeline.uncertainty.deep_ensemble import DeepEnsemble, DeepEnsembleConfig
from pipeline.uncertainty.mc_dropout import McDropout

KINDS = {
    "deepesd": {"filters": (4, 2)},
    "unet": {"width": 4, "depth": 1, "dropout": 0.5},
    "noise_unet": {"width": 4, "depth": 1, "noise": 2, "draws": 6},
}


@pytest.fixture(scope="module")
def fitted(make_samples):
    """Models by kind, their device still wide."""

    def fit(kind, member=0):
        config = MODELS.get(kind).Config(epochs=1, batch_size=16, **KINDS[kind])
        given = Context(get_backend("cpu"), seed=3, name=kind, member=member)
        return MODELS.get(kind)(config).fit(make_samples(32), make_samples(8, seed=1), given)

    return fit


@pytest.fixture
def said():
    return []


@pytest.fixture
def context(said):
    return Context(get_backend("cpu"), seed=3, name="net", warn=said.append)


@pytest.fixture
def narrow(monkeypatch):
    """Let convolutions have room for so many samples, or members, at once; return how many they were given."""

    def narrow(room):
        seen, known = [], torch.nn.Conv2d.forward

        def forward(self, inputs):
            seen.append(len(inputs))
            if len(inputs) > room and inputs.device.type != "meta":
                torch.rand(3)  # a pass that fails may have drawn before
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more.")
            return known(self, inputs)

        monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
        return seen

    return narrow


def same(one, other):
    assert one.parameters.keys() == other.parameters.keys()
    for name, values in one.parameters.items():
        np.testing.assert_allclose(values, other.parameters[name], rtol=1e-5, atol=1e-6)


def joined(parts, name):
    return np.concatenate([part.parameters[name] for part in parts], axis=-4)


def test_a_batch_that_is_too_large_is_asked_in_parts(fitted, make_samples, context, said, narrow):
    model, test = fitted("deepesd"), make_samples(21, seed=2)
    whole = model.predict(test, context)
    seen = narrow(5)
    same(whole, model.predict(test, context))
    assert sorted(set(seen), reverse=True) == [16, 8, 4, 1]  # 21 = 5 x 4 + 1
    assert said == ["net: short of memory, on with 4 samples in one pass."]


def test_batches_are_as_asked_where_memory_suffices(fitted, make_samples, context, said, narrow):
    model, seen = fitted("deepesd"), narrow(16)
    model.predict(make_samples(21, seed=2), context)
    assert set(seen) == {16, 5}
    assert said == []


def test_samples_that_are_read_are_cut_too(fitted, make_samples, context, narrow, tmp_path):
    model, test = fitted("deepesd"), make_samples(21, seed=2)
    with store(tmp_path / "inputs.npy", test.inputs.shape) as add:
        add(np.ascontiguousarray(test.inputs))
    rows = replace(test, inputs=Stored.open(tmp_path / "inputs.npy", context.backend))
    whole, seen = model.predict(test, context), narrow(4)
    same(whole, model.predict(rows, replace(context, budget=1000)))
    assert max(seen) == 16
    assert set(seen[seen.index(4) :]) == {4, 1}


def test_a_thinned_network_leaves_out_the_same_units_in_parts(fitted, make_samples, context, said, narrow):
    model, train, test = fitted("unet"), make_samples(32), make_samples(21, seed=2)
    method = McDropout(McDropout.Config(draws=3)).fit(lambda count: [model], train, train, context)
    whole = method.predict(test, context)
    members = whole.parameters["mean"]
    assert np.nanmax(np.abs(members[0] - members[1])) > 1e-3
    narrow(5)
    same(whole, method.predict(test, context))
    assert "on with 4 samples" in said[-1]


def test_members_of_an_ensemble_are_cut_each(fitted, make_samples, context, said, narrow):
    models, test = [fitted("deepesd", member) for member in range(2)], make_samples(21, seed=2)
    ensemble = DeepEnsemble(DeepEnsembleConfig(members=2))
    ensemble.fit(lambda count, part: models, test, test, context)
    whole = ensemble.predict(test, context)
    narrow(5)
    same(whole, ensemble.predict(test, context))
    assert set(said) == {"net: short of memory, on with 4 samples in one pass."}  # whoever the member


def test_draws_are_the_same_where_they_are_made_some_at_a_time(fitted, make_samples, context, said, narrow):
    """All noise of a sample is drawn before its members are made, so that a pass made again finds the same."""
    model, test = fitted("noise_unet"), make_samples(4, seed=2)
    whole = model.predict(test, context)
    seen = narrow(2)
    same(whole, model.predict(test, context))
    assert said == ["net: short of memory, on with 1 draw in one pass."]
    assert seen.count(6) == 1  # tried once, not at every sample
    assert pickle.loads(pickle.dumps(model)).config == model.config
    again = []
    same(whole, model.predict(test, replace(context, warn=again.append)))
    assert again == said  # each caller is told


def test_the_callers_random_numbers_stay_as_they_are(fitted, make_samples, context, narrow):
    model, test = fitted("noise_unet"), make_samples(4, seed=2)
    narrow(2)
    before = torch.get_rng_state()
    model.predict(test, context)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("kind", "told"), [("deepesd", r" It holds 0 MiB on its way\."), ("noise_unet", "")], ids=["deepesd", "noise_unet"]
)
def test_one_sample_that_has_no_room_ends_in_what_it_takes(fitted, make_samples, context, said, narrow, kind, told):
    model, test = fitted(kind), make_samples(4, seed=2)
    narrow(0)
    with pytest.raises(
        NoRoomError,
        match=r"^net, member 0: expected room for the answer to one sample of 3 x 4 x 5 numbers on cpu, got out of "
        rf"memory \(CUDA out of memory\)\.{told} Take a smaller region or network, or another device\.$",
    ):
        model.predict(test, context)
    assert said == []


def test_a_sample_without_room_is_asked_for_once_by_itself(fitted, make_samples, context, said, narrow):
    """Fewer times at once would not help, and nobody reads of all the sizes that were tried."""
    model, test = fitted("deepesd"), make_samples(40, seed=2)
    seen = narrow(0)
    with pytest.raises(NoRoomError):
        list(in_passes("net", 40, lambda part: model.predict(test.take(part), context), said.append))
    assert seen[:5] == [16, 8, 4, 2, 1]
    assert seen.count(16) == 1
    assert said == []


def test_a_sample_without_room_beside_earlier_answers_is_asked_for_among_fewer(
    fitted, make_samples, context, said, monkeypatch
):
    model, test = fitted("deepesd"), make_samples(32, seed=2)
    whole, known, held = model.predict(test, context), torch.nn.Conv2d.forward, [0]

    def forward(self, inputs):
        held[0] += 1
        if held[0] > 6 and inputs.device.type != "meta":  # answers that pile up leave no room
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return known(self, inputs)

    def some(part):
        held[0] = 0
        return model.predict(test.take(part), context)

    model.config = model.config.model_copy(update={"batch_size": 4})
    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    found = list(in_passes("net", 32, some, said.append))
    same(whole, Prediction("normal", {"mean": joined(found, "mean"), "sd": joined(found, "sd")}))


def test_another_error_is_not_taken_for_one(fitted, make_samples, context, monkeypatch):
    def forward(self, inputs):
        raise RuntimeError("shapes do not match")

    model = fitted("deepesd")
    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        model.predict(make_samples(4, seed=2), context)


def test_what_a_pass_holds_at_once_is_counted_without_taking_it():
    layers = [torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(16, 4, 3, padding=1)]
    # Sixteen maps before and after the ReLU; those before are gone when the last four are made.
    assert passing_bytes(torch.nn.Sequential(*layers), torch.zeros(1, 3, 32, 32)) == 4 * 32 * 32 * (16 + 16)


def test_the_size_that_would_fit_is_said_where_the_device_knows(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "get_memory_info", lambda device: (2**20, 2**30))
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 1), torch.nn.ReLU())
    one = torch.zeros(1, 1, 256, 256)  # 2 x 4 maps of 256 KiB
    assert no_answer("unet", network, one, torch.device("meta"), "CUDA out of memory. No more.") == (
        "unet: expected room for the answer to one sample of 1 x 256 x 256 numbers on meta, got out of memory (CUDA "
        "out of memory). It holds 2 MiB on its way, where 1 MiB are free: 45% of its cells would fit. Take a smaller "
        "region or network, or another device."
    )
