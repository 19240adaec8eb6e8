import threading
import time

import pytest

from pipeline.backend.threads import AHEAD, read_ahead, side_by_side


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


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_no_more_than_two_are_read_ahead():
    read = []
    reading = read_ahead(lambda number: read.append(number) or number, range(20))
    for number in reading:
        time.sleep(0.005)
        assert len(read) <= number + 1 + AHEAD
    assert read == list(range(20))
    assert readers() == []


def test_reading_goes_on_while_the_one_before_is_used():
    reading = read_ahead(lambda number: threading.get_ident(), range(3))
    assert all(thread != threading.get_ident() for thread in reading)
    began = threading.Event()
    reading = read_ahead(lambda number: began.set() if number == 1 else None, range(2))
    next(reading)
    assert began.wait(5)  # the second is read before it is asked for
    reading.close()


def test_what_fails_in_the_thread_fails_at_its_place():
    def read(number):
        if number == 2:
            raise ValueError("torn")
        return number

    seen = []
    with pytest.raises(ValueError, match=r"^torn$"):
        seen.extend(read_ahead(read, range(5)))
    assert seen == [0, 1]
    assert readers() == []


def test_a_reader_that_is_closed_early_leaves_no_thread():
    reading = read_ahead(lambda number: number, range(100))
    assert next(reading) == 0
    assert readers() != []
    reading.close()
    assert readers() == []
