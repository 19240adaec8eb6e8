import threading

import pytest

from pipeline.backend.threads import side_by_side


def test_as_many_run_at_a_time_as_there_are_threads():
    together = threading.Barrier(2, timeout=20.0)  # passes two at a time
    side_by_side(lambda item: together.wait(), range(4), threads=2)


def test_a_single_thread_is_this_one_and_keeps_the_order():
    seen = []
    side_by_side(lambda item: seen.append((item, threading.current_thread())), [3, 1, 2], threads=1)
    assert seen == [(item, threading.main_thread()) for item in (3, 1, 2)]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_fails_is_raised_and_ends_the_rest(threads):
    done = []

    def work(item):
        if item == 0:
            raise ValueError("the first")
        done.append(item)

    with pytest.raises(ValueError, match="the first"):
        side_by_side(work, range(1000), threads)
    assert len(done) < 999
