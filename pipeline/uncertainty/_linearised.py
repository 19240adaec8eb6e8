"""A network as it is to first order in its weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.func import functional_call, jvp

from pipeline.backend.out_of_memory import is_out_of_memory
from pipeline.errors import CalibrationError


class Linearised(nn.Module):
    """``f(x; w) + J(x) (w' - w)``: the answer of weights w' by the slope at w; costs about two passes.

    Parameters
    ----------
    network : nn.Module
        With the weights w, in eval mode.
    moved : nn.Module
        Of the same kind, with w'.
    """

    def __init__(self, network: nn.Module, moved: nn.Module) -> None:
        super().__init__()
        self.network = network
        ends = dict(moved.named_parameters())
        gaps = {name: (ends[name] - weight).detach() for name, weight in network.named_parameters()}
        self._gaps = {name: gap for name, gap in gaps.items() if bool((gap != 0.0).any())}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the expansion's answer.

        Raises
        ------
        CalibrationError
            If torch has no forward derivative of a part of the network, such as ``nn.LSTM``.
        """
        here: Tensor
        if not self._gaps:
            here = self.network(inputs)
            return here
        start = {name: weight.detach() for name, weight in self.network.named_parameters() if name in self._gaps}

        def answer(weights: dict[str, Tensor]) -> Tensor:
            found: Tensor = functional_call(self.network, weights, (inputs,))
            return found

        try:
            here, slope = jvp(answer, (start,), (self._gaps,))[:2]
        except (NotImplementedError, RuntimeError) as error:
            if is_out_of_memory(error) or "forward" not in str(error):
                raise
            raise CalibrationError(
                "expected a network with a forward derivative for layers: all, got one with a part that torch has none "
                f"for ({str(error).splitlines()[0]}). Take layers: last."
            ) from error
        there: Tensor = here + slope
        return there
