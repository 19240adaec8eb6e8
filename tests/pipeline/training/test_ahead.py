import threading
import time

import pytest
import torch

from pipeline.backend import why_no_gpu
from pipeline.training.ahead import AHEAD, Carrier, read_ahead


def loaders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_no_more_than_two_are_read_ahead():
    read = []
    reading = read_ahead(lambda number: read.append(number) or number, range(20))
    for number in reading:
        time.sleep(0.005)
        assert len(read) <= number + 1 + AHEAD
    assert read == list(range(20))
    assert loaders() == []


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
    assert loaders() == []


def test_a_reader_that_is_closed_early_leaves_no_thread():
    reading = read_ahead(lambda number: number, range(100))
    assert next(reading) == 0
    assert loaders() != []
    reading.close()
    assert loaders() == []


def test_on_the_host_nothing_is_carried():
    tensor = torch.ones(3)
    carrier = Carrier(torch.device("cpu"))
    (found,) = carrier.receive(*carrier.send(tensor))
    assert found is tensor


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=f"no gpu backend: {why_no_gpu()}")
def test_what_is_carried_to_a_gpu_is_there_when_it_is_used():
    carrier = Carrier(torch.device("cuda"))
    host = [torch.full((2**22,), float(number)) for number in range(8)]
    sums = [carrier.receive(*carrier.send(tensor))[0].sum() for tensor in host]
    assert [float(each) for each in sums] == [number * 2.0**22 for number in range(8)]
