"""The explained number as a function of inputs: of tensors, whatever the model is, never short of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution import Case
from pipeline.attribution.quantity import NO_GRADIENT, value
from pipeline.attribution.question import Question
from pipeline.backend.passes import Passes
from pipeline.errors import TraitError
from pipeline.prediction import Prediction
from pipeline.training.config import TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

_ROWS = 64  # in one pass of a model that is not trained in batches


@dataclass(frozen=True, eq=False)
class Subject:
    """What a method looks at.

    Parameters
    ----------
    answer : callable
        From inputs, a tensor (row, channel, lat, lon), and the number of the explained day of each row, a tensor of
        int64 (row,), to the explained number [units], a tensor of float64 (row,).
    network : Module or None
        The layers behind ``answer``, in eval mode; None: the model is no network, or not asked as one, and there are
        no gradients.
    passes : Passes
        Rows that go through in one pass.
    case : Case or None
        Where it comes from; None: a bare network, as in a benchmark.
    seed : int
        For methods and checks that draw.
    """

    answer: Callable[[Tensor, Tensor], Tensor]
    network: nn.Module | None
    passes: Passes
    case: Case | None = None
    seed: int = 0

    def numbers(self, inputs: Tensor, which: Tensor) -> Tensor:
        """Return the explained number of every row without gradients, float64, shape (row,), in as many passes."""
        import torch

        with torch.no_grad():
            return self.passes.over(len(inputs), lambda part: self.answer(inputs[part], which[part]))

    def gradient(self, inputs: Tensor, which: Tensor) -> Tensor:
        """Return the gradient of each row's number by its inputs, shape (row, channel, lat, lon), in one pass."""
        import torch
        from captum.attr import Saliency

        with torch.enable_grad(), gradients_of(self.network):
            asked = inputs.detach().requires_grad_()
            found = Saliency(self.answer).attribute(asked, abs=False, additional_forward_args=which)
        gradient: Tensor = found.detach()
        return gradient


def bare(network: nn.Module, rows: int = 256, seed: int = 0) -> Subject:
    """Return the subject of a network that maps (row, channel, lat, lon) to (row,) itself.

    Examples
    --------
    >>> import torch
    >>> subject = bare(torch.nn.Flatten(0))
    >>> subject.gradient(torch.zeros(2, 1, 1, 1), torch.arange(2)).flatten().tolist()
    [1.0, 1.0]
    """
    network.eval()
    return Subject(lambda inputs, which: network(inputs).double(), network, Passes(rows), seed=seed)


def subject_of(case: Case) -> Subject:
    """Return the subject of a case: of its network where the model has one, else of its predictions.

    Raises
    ------
    TraitError
        If the question has no gradient for such a model; only where the model is a network.
    """
    model, samples, question, context = case.model, case.samples, case.question, case.context
    rows = model.config.batch_size if isinstance(model.config, TrainingConfig) else _ROWS
    passes, seed = Passes(rows, context.title), context.seed_for("explanations")
    if "differentiable" not in model.traits:
        return Subject(_predictions(case), None, passes, case, seed)
    network = model.network(samples, context, lambda prediction: _value(question, prediction, samples.schema.mask))
    return Subject(weighted(network, question), network, passes, case, seed)


def weighted(network: Callable[[Tensor], Tensor], question: Question) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the explained number as a function of inputs and days, of a function from inputs to quantities.

    Parameters
    ----------
    network : callable
        From (row, channel, lat, lon) to the quantity of every answer, (row, answer, lat, lon).
    question : Question
        Cells of weight zero are not read, so whatever the network says there, NaN too, has no effect.
    """
    import torch

    by_day = question.weights.ndim == 4
    factors = question.factors
    chosen = np.flatnonzero(np.any(factors != 0, axis=0) if by_day else factors)
    kept = factors.reshape(len(factors), -1)[:, chosen] if by_day else factors.ravel()[chosen]

    def answer(inputs: Tensor, which: Tensor) -> Tensor:
        output = network(inputs).flatten(1)
        cells = torch.as_tensor(chosen, device=output.device)
        own = torch.as_tensor(kept, device=output.device)
        found = output.index_select(1, cells).double()
        if not by_day:
            whole: Tensor = found @ own
            return whole
        # A cell that is no part of a day's event may hold anything.
        mine = own[which]
        total: Tensor = torch.where(mine != 0, found, torch.zeros_like(found)).mul(mine).sum(1)
        return total

    return answer


def _value(question: Question, prediction: Prediction, mask: np.ndarray) -> Tensor:
    """Return the quantity of a prediction at the cells of the mask, (time, answer, cell)."""
    import torch

    if (question.quantity, prediction.family) in NO_GRADIENT:
        raise TraitError(
            f"explain: of: {question.quantity}: expected a prediction whose chances move with its inputs, got the "
            f"family {prediction.family}, whose chances are counted and have no gradient. Take of: mean or "
            "log_variance, or a loss that answers a distribution."
        )
    threshold = None
    if question.threshold is not None:
        like = next(iter(prediction.parameters.values()))
        threshold = torch.as_tensor(question.threshold[:, mask], device=like.device)
    found: Tensor = value(question.quantity, prediction, threshold)
    return found


def _predictions(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the explained number as a function of inputs and days, by way of the model's own predictions."""
    samples, question, backend = case.samples, case.question, case.context.backend
    threshold = None if question.threshold is None else backend.asarray(question.threshold)

    def network(inputs: Tensor, which: np.ndarray) -> Tensor:
        asked = samples.take(which).with_inputs(backend.from_torch(inputs.contiguous()))
        found = value(question.quantity, case.model.predict(asked, case.context), threshold)
        tensor: Tensor = backend.to_torch(backend.xp.asarray(found, copy=True))
        return tensor

    def answer(inputs: Tensor, which: Tensor) -> Tensor:
        days = which.cpu().numpy()
        return weighted(lambda rows: network(rows, days), question)(inputs, which)

    return answer


@contextmanager
def gradients_of(network: Any) -> Iterator[None]:
    """Hold what must hold while gradients are taken: cuDNN's recurrent layers have none in eval mode."""
    import torch

    recurrent = network is not None and any(isinstance(module, torch.nn.RNNBase) for module in network.modules())
    if not recurrent:
        yield
        return
    with torch.backends.cudnn.flags(enabled=False):
        yield
