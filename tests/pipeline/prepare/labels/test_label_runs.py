"""Days in a row, against a loop over days and cells."""

import array_api_strict
import numpy as np
import pytest

from pipeline.prepare.labels._runs import parts_of, runs


def by_hand(beyond, segment, least, gap):
    """Lists of events of one cell: found, dropped where short, joined where near, never across a border."""
    events = []
    for step, held in enumerate(beyond):
        new = not events or events[-1][1] != step - 1 or segment[step] != segment[step - 1]
        if held and new:
            events.append([step, step])
        elif held:
            events[-1][1] = step
    events = [event for event in events if event[1] - event[0] + 1 >= least]
    joined = []
    for first, last in events:
        near = joined and first - joined[-1][1] - 1 <= gap and segment[first] == segment[joined[-1][1]]
        if near:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    found = np.zeros(len(beyond), bool)
    for first, last in joined:
        found[first : last + 1] = True
    return found


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize(("least", "gap"), [(1, 0), (1, 2), (2, 1), (5, 0), (5, 2), (7, 6), (40, 3)])
def test_events_are_those_of_a_loop(share, least, gap):
    beyond = np.random.default_rng(least + gap).random((160, 6)) < share
    beyond[100:150, 0] = True
    segment = np.repeat([0, 1, 2, 3], [60, 3, 1, 96])
    wanted = np.stack([by_hand(beyond[:, cell], segment, least, gap) for cell in range(6)], axis=1)
    np.testing.assert_array_equal(runs(beyond, segment, least=least, gap=gap), wanted)
    strict = runs(array_api_strict.asarray(beyond), segment, least=least, gap=gap)
    np.testing.assert_array_equal(np.asarray(strict), wanted)


def test_short_runs_are_dropped_before_events_are_joined():
    hot = np.array([1, 1, 1, 0, 1, 0, 1, 1, 1], bool)
    assert not runs(hot, np.zeros(9, int), least=4, gap=2).any()
    assert runs(hot, np.zeros(9, int), least=3, gap=3).all()
    assert runs(hot, np.zeros(9, int), least=3, gap=2).sum() == 6


def test_an_event_may_touch_the_ends_and_what_lies_beyond_is_not_joined():
    hot = np.array([0, 1, 1, 0], bool)
    np.testing.assert_array_equal(runs(hot, np.zeros(4, int), least=2, gap=3), hot)
    assert runs(np.ones(3, bool), np.zeros(3, int), least=3, gap=2).all()


def test_no_steps_have_no_events():
    nothing = np.zeros((0, 2), bool)
    assert runs(nothing, np.zeros(0, int), least=2, gap=1).shape == (0, 2)
    assert list(parts_of(np.zeros(0, int))) == []
