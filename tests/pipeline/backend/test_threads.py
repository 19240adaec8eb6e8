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


def test_no_more_threads_than_cores_or_than_asked_for(monkeypatch):
    from pipeline.backend.threads import usable

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = usable()
    assert cores >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    assert usable() == cores


def test_products_inside_take_one_thread_and_those_after_as_many_as_before():
    import threadpoolctl

    from pipeline.backend.threads import single_products

    def threads():
        return [each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]

    before = threads()
    with single_products():
        assert set(threads()) <= {1}
    assert threads() == before
