import pytest
import torch

from pipeline.backend import why_no_gpu
from pipeline.training.ahead import Carrier


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
