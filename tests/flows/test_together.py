"""Which members are trained as one: what is asked, what was measured, and that a second run chooses the same."""

import json
import logging
from dataclasses import replace

import pytest

from flows.engine import Request, create_or_find, do_stage
from flows.stages import _together
from flows.stages._together import KEPT, Choice, choose, group, time_members
from flows.workspace import Workspace
from pipeline.backend.cluster import ClusterSpec
from pipeline.errors import ConfigError, DataError
from pipeline.model import Timing

HERE = ClusterSpec(None)


class Clock:
    """Says what a step costs, and notes who asked."""

    def __init__(self, found):
        self.found, self.asked = found, []

    def __call__(self, path, name, size):
        self.asked.append((name, size))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of a run of `tiny` before its fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        run = create_or_find(Request(experiment="tiny", out=tmp_path_factory.mktemp("runs"), use_server=False))
    for stage in ("ingest", "prepare"):
        do_stage(str(run.path), stage)
    return run.path


@pytest.fixture
def space_of(prepared, monkeypatch, tmp_path):
    """Open the run with ensembles of other options, or other models; nothing is measured yet on this machine."""
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    (prepared / KEPT).unlink(missing_ok=True)

    def make(stacked="auto", members=5, base="unet", **unet):
        space = Workspace.open(prepared)
        plan = space.plan
        changed = plan.models["unet"]
        models = {**plan.models, "unet": replace(changed, config=changed.config.model_copy(update=unet))}
        method = plan.methods[0]
        config = method.config.model_copy(update={"stacked": stacked, "members": members})
        space.plan = replace(plan, models=models, methods=(replace(method, config=config, base=base),))
        return space

    return make


@pytest.mark.parametrize(
    ("found", "choice"),
    [
        (Timing(5, 0.01, 0.025), Choice(5, "unet: 5 members stacked on 1 worker (2.0 times faster, measured)")),
        (
            Timing(5, 0.01, 0.04),
            Choice(1, "unet: 5 members one by one on 1 worker (stacked no more than 1.2 times faster, measured)"),
        ),
        (
            Timing(5, 0.01, 0.07),
            Choice(1, "unet: 5 members one by one on 1 worker (stacked 1.4 times slower, measured)"),
        ),
        (
            Timing(5, 0.7, None),
            Choice(1, "unet: 5 members one by one on 1 worker (not tried stacked: a step of one member takes 0.7 s)"),
        ),
        (
            "it draws random numbers",
            Choice(1, "unet: 5 members one by one on 1 worker (cannot be stacked: it draws random numbers)"),
        ),
    ],
    ids=str,
)
def test_auto_goes_by_what_was_measured_and_says_so(space_of, found, choice, caplog):
    space, clock = space_of(), Clock(found)
    with caplog.at_level(logging.INFO):
        assert choose(space, HERE, clock) == {"unet": choice}
    assert clock.asked == [("unet", 5)]
    assert [record.message for record in caplog.records] == [choice.said]


def test_a_second_run_on_the_machine_measures_nothing_and_chooses_the_same(space_of, prepared):
    first = choose(space_of(), HERE, Clock(Timing(5, 0.01, 0.025)))
    (prepared / KEPT).unlink()
    again = Clock(Timing(5, 0.01, 0.5))
    assert choose(space_of(epochs=7, lr=0.1, patience=3), HERE, again) == first  # none of which a step knows
    assert again.asked == []


@pytest.mark.parametrize(
    "changed",
    [{"batch_size": 8}, {"width": 8}, {"optimizer": "sgd"}, {"precision": "bfloat16"}, {"members": 6}],
    ids=str,
)
def test_what_changes_the_cost_of_a_step_is_measured_again(space_of, prepared, changed):
    choose(space_of(), HERE, Clock(Timing(5, 0.01, 0.025)))
    (prepared / KEPT).unlink()
    again = Clock(Timing(5, 0.01, 0.5))
    assert choose(space_of(**changed), HERE, again)["unet"].size == 1
    assert len(again.asked) == 1


def test_other_workers_threads_and_devices_are_measured_again(space_of, prepared, monkeypatch):
    from pipeline.backend import get_backend

    monkeypatch.setattr(_together, "map_tasks", lambda function, tasks, spec: [function(*task) for task in tasks])
    gpu = replace(get_backend("cpu"), device_names=("NVIDIA H200",))
    for number, (spec, backend) in enumerate(
        [(HERE, None), (ClusterSpec(None, threads=3), None), (ClusterSpec("a.Cluster", workers=2), None), (HERE, gpu)]
    ):
        (prepared / KEPT).unlink(missing_ok=True)
        space, clock = space_of(), Clock(Timing(5, 0.01, 0.025))
        space.backend = backend or space.backend
        choose(space, spec, clock)
        assert len(clock.asked) == 1, number


def test_a_run_that_is_resumed_keeps_to_its_choice(space_of, tmp_path, monkeypatch):
    first = choose(space_of(), HERE, Clock(Timing(5, 0.01, 0.025)))
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "another"))
    clock = Clock(Timing(5, 0.01, 0.5))
    assert choose(space_of(), HERE, clock) == first
    assert clock.asked == []


def test_workers_share_the_members_and_each_trains_its_share_as_one(space_of, monkeypatch):
    monkeypatch.setattr(_together, "map_tasks", lambda function, tasks, spec: [function(*task) for task in tasks])
    spec = ClusterSpec("a.Cluster", workers=2)
    clock = Clock(Timing(3, 0.01, 0.01))
    found = choose(space_of(), spec, clock)
    assert clock.asked == [("unet", 3)]
    assert found == {"unet": Choice(3, "unet: 5 members stacked 3 at a time on 2 workers (3.0 times faster, measured)")}


def test_as_many_workers_as_members_leave_nothing_to_stack(space_of):
    clock = Clock(Timing(5, 0.01, 0.01))
    found = choose(space_of(), ClusterSpec("a.Cluster", workers=5), clock)
    assert found == {"unet": Choice(1, "unet: 5 members one by one on 5 workers, as many workers as members")}
    assert clock.asked == []


def test_who_asks_gets_what_was_asked_for(space_of, prepared):
    clock = Clock(Timing(5, 0.01, 0.5))
    assert choose(space_of(stacked=True), HERE, clock) == {
        "unet": Choice(5, "unet: 5 members stacked on 1 worker, as asked")
    }
    (prepared / KEPT).unlink()
    found = choose(space_of(stacked=False), HERE, clock)
    assert found == {"unet": Choice(1, "unet: 5 members one by one on 1 worker, as asked")}
    assert len(clock.asked) == 1


def test_who_asks_for_the_impossible_hears_why(space_of):
    with pytest.raises(
        ConfigError,
        match=r"^deep_ensemble: expected a model whose members can be trained as one for stacked: true, got 'unet' \(unet\): "
        r"it has dropout\. Take stacked: auto, or name other models\.$",
    ):
        choose(space_of(stacked=True), HERE, Clock("it has dropout"))
    with pytest.raises(ConfigError, match=r"got 'ridge' \(ridge\): ridge is no network\. Take"):
        choose(space_of(stacked=True, base="ridge"), HERE, Clock(Timing(5, 0.1, 0.1)))


def test_a_model_that_is_no_network_is_not_timed(space_of):
    clock = Clock(Timing(5, 0.1, 0.1))
    found = choose(space_of(base="ridge"), HERE, clock)
    assert found["ridge"].said == "ridge: 5 members one by one on 1 worker (cannot be stacked: ridge is no network)"
    assert clock.asked == []


def test_what_the_user_got_wrong_ends_the_run_and_another_error_does_not(space_of, prepared):
    with pytest.raises(DataError, match="no truth"):
        choose(space_of(), HERE, Clock(DataError("no truth")))
    found = choose(space_of(), HERE, Clock(RuntimeError("a library's")))
    assert found["unet"].said.endswith("(steps could not be timed, RuntimeError: a library's)")
    (prepared / KEPT).unlink()
    clock = Clock(Timing(5, 0.01, 0.025))
    assert choose(space_of(), HERE, clock)["unet"].size == 5  # such a failure is not remembered
    (prepared / KEPT).unlink()
    with pytest.raises(RuntimeError, match="a library's"):
        choose(space_of(stacked=True, members=4), HERE, Clock(RuntimeError("a library's")))


def test_a_cache_that_cannot_be_read_or_written_is_told_and_passed_over(
    space_of, prepared, tmp_path, monkeypatch, caplog
):
    choose(space_of(), HERE, Clock(Timing(5, 0.01, 0.025)))
    (kept,) = (tmp_path / "cache/timings").glob("*.json")
    assert json.loads(kept.read_text())["key"]["members"] == 5
    kept.write_text("{")
    (prepared / KEPT).unlink()
    assert choose(space_of(), HERE, Clock(Timing(5, 0.01, 0.5)))["unet"].size == 1
    assert f"{kept} cannot be read" in caplog.text
    (prepared / KEPT).unlink()
    (tmp_path / "file").write_text("")
    space = space_of()
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "file"))
    assert choose(space, HERE, Clock(Timing(5, 0.01, 0.025)))["unet"].size == 5
    assert "cannot be written" in caplog.text


def test_steps_of_the_run_itself_are_timed(space_of):
    found = time_members(space_of(), "unet", 2)
    assert found.members == 2
    assert found.single > 0
    assert time_members(space_of(dropout=0.2), "unet", 2).startswith("it has dropout")


def test_groups_follow_from_the_plan():
    tasks = [
        (name, member) for name in ("ridge", "unet", "mlp") for member in range({"ridge": 1, "unet": 5, "mlp": 2}[name])
    ]
    found = group(tasks, lambda task: task[0], {"unet": 3, "mlp": 1})
    assert found == [
        (("ridge", 0),), (("unet", 0), ("unet", 1), ("unet", 2)), (("unet", 3), ("unet", 4)), (("mlp", 0),), (("mlp", 1),)
    ]  # fmt: skip
