"""The Fisher information of a network's linear layers: how sure the train split is of their weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn import functional

from pipeline.backend import Backend
from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.training.tensors import Batch
from pipeline.uncertainty._posterior import Posterior, slopes_in_eval

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d)
FEW_ANSWERS = 8  # a sample: as many passes back, one each, are exact

Structure = Literal["full", "kron", "diag"]


@dataclass(eq=False)
class Curvature:
    """Sums over the train split for one layer.

    Attributes
    ----------
    full : Tensor, shape (weight, weight)
        Of ``structure: full``; weights and biases of the layer in one row.
    diag : Tensor, shape (weight,)
        Of ``structure: diag``.
    inputs, outputs : Tensor, shape (in, in) and (out, out)
        Of ``structure: kron``: mean of the products of what comes in, with a one for the bias, and sum of those of what
        goes back.
    """

    full: Tensor | None = None
    diag: Tensor | None = None
    inputs: Tensor | None = None
    outputs: Tensor | None = None
    count: int = field(default=0)


def linear_layers(network: nn.Module, inputs: Tensor, last: bool) -> dict[str, nn.Module]:
    """Return the linear layers in the order in which they are asked, or the last of them alone.

    Raises
    ------
    CalibrationError
        If there is none.
    """
    asked: dict[str, nn.Module] = {}
    names = {module: name for name, module in network.named_modules() if isinstance(module, LINEAR)}
    hooks = [
        module.register_forward_pre_hook(lambda module, given: asked.update({names[module]: module}))
        for module in names
    ]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not asked:
        raise CalibrationError("expected a network with a linear layer or a convolution, got one with none. Take swag.")
    return dict(list(asked.items())[-1:]) if last else asked


def curvatures(
    network: nn.Module, posterior: Posterior, names: list[str], structure: Structure, *, batch: int, backend: Backend
) -> dict[str, Curvature]:
    """Return the Fisher information of layers, by name, of all samples together.

    Its expectation is over truths drawn from what the network itself says, which is the generalised Gauss-Newton
    matrix in the mean; of the squared error it is exact where a sample has few answers. Costs a pass forth and back.

    Parameters
    ----------
    network : Module
        In eval mode; a copy is worked on.
    posterior : Posterior
        The train split and the loss.
    names : list of str
        Layers.
    structure : {"full", "kron", "diag"}
        What is kept of the matrix.
    batch : int
        Samples of one pass.
    backend : Backend
        Where draws are made.
    """
    network = copy.deepcopy(network)
    layers = {name: network.get_submodule(name) for name in names}
    found = {name: Curvature() for name in names}
    seen: dict[str, list[tuple[Any, ...]]] = {name: [] for name in names}
    back: dict[str, dict[int, Tensor]] = {name: {} for name in names}

    def forth(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
            call, watched = len(seen[name]), cast(Any, output)
            seen[name].append(given)
            watched.register_hook(lambda slope: back[name].update({call: slope.detach()}))

        return hook

    hooks = [layer.register_forward_hook(forth(name)) for name, layer in layers.items()]
    try:
        with slopes_in_eval(network):
            for number, part in enumerate(posterior.parts(batch)):
                samples = posterior.tensors.take(part)
                for name in names:
                    seen[name].clear()
                output = network(samples.inputs)
                for score in _scores(output, posterior, samples, number, backend):
                    for name in names:
                        back[name].clear()
                    torch.autograd.backward(output, score, retain_graph=True)
                    for name, layer in layers.items():
                        calls = [(seen[name][call], slope) for call, slope in sorted(back[name].items())]
                        _add(found[name], layer, calls, structure)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _scores(output: Tensor, posterior: Posterior, batch: Batch, number: int, backend: Backend) -> Iterator[Tensor]:
    """Yield slopes with regard to the output whose products have the Fisher information as their mean."""
    known = torch.isfinite(batch.target)
    if posterior.loss.likelihood == "square":
        # Each answer is a mean of variance 1 / (2 scale area): its information is the inverse.
        root = (2.0 * posterior.scale * batch.place.area * known).sqrt()
        answers = root[0].numel()
        if answers <= FEW_ANSWERS:
            for place in range(answers):
                unit = torch.zeros_like(root).flatten(1)
                unit[:, place] = root.flatten(1)[:, place]
                yield unit.reshape(output[:, 0].shape)[:, None]
            return
        signs = torch.randint(0, 2, root.shape).to(root) * 2.0 - 1.0
        yield (root * signs)[:, None]
        return
    parameters = {name: backend.from_torch(part) for name, part in posterior.loss.distribution(output.detach()).items()}
    seed = int(torch.randint(2**31, ()))
    drawn = Prediction(posterior.loss.family, parameters).sample(1, seed=seed + number)[0]
    truth = torch.where(known, backend.to_torch(drawn).to(output.dtype), torch.nan)
    said = output.detach().requires_grad_(True)
    # The evidence of one truth has the slope scale * area * s; its information is scale * area * E[s s].
    energy = posterior.of_output(said, Batch(batch.inputs, truth, batch.place))
    (slope,) = torch.autograd.grad(energy, said)
    share = (posterior.scale * batch.place.area).clamp(min=1e-12)
    yield slope / share.sqrt()


def _add(found: Curvature, layer: nn.Module, calls: list[tuple[tuple[Any, ...], Tensor]], structure: Structure) -> None:
    """Add what one pass tells, in which recurrent cells call a layer at every step.

    A sample has one slope, the sum over calls and places; of factors calls are places.
    """
    if not calls:
        return
    if structure == "kron":
        pairs = [_factors(layer, given[0].detach(), slope) for given, slope in calls]
        inputs, outputs = (torch.cat(part) for part in zip(*pairs, strict=True))
        found.inputs = inputs.T @ inputs + (0.0 if found.inputs is None else found.inputs)
        found.outputs = outputs.T @ outputs + (0.0 if found.outputs is None else found.outputs)
        found.count += len(inputs)
        return
    slopes = torch.stack([_by_sample(layer, given[0].detach(), given[1:], slope) for given, slope in calls]).sum(dim=0)
    if structure == "full":
        found.full = slopes.T @ slopes + (0.0 if found.full is None else found.full)
    else:
        found.diag = (slopes * slopes).sum(dim=0) + (0.0 if found.diag is None else found.diag)


def _by_sample(layer: nn.Module, values: Tensor, more: tuple[Any, ...], slope: Tensor) -> Tensor:
    """Return the slope of every sample with regard to all weights of a layer, shape (sample, weight)."""
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}

    def of_one(value: Tensor, up: Tensor) -> dict[str, Tensor]:
        pulled: Any = vjp(lambda own: functional_call(layer, own, (value[None], *more))[0], weights)
        answer: dict[str, Tensor] = pulled[1](up)[0]
        return answer

    found = vmap(of_one)(values, slope)
    return torch.cat([found[name].flatten(1) for name in weights], dim=1)


def _factors(layer: Any, values: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Return what comes in at every place, with a one for a bias, and what goes back there, shape (place, number)."""
    if isinstance(layer, nn.Linear):
        values, slope = values.reshape(-1, values.shape[-1]), slope.reshape(-1, slope.shape[-1])
    else:
        if layer.groups != 1:
            raise CalibrationError("expected convolutions without groups for structure: kron, got some. Take diag.")
        size, stride, dilation, around = (tuple(part) for part in _geometry(layer))
        if isinstance(layer, nn.Conv1d):
            values, slope = values[:, :, None], slope[:, :, None]
        patches = functional.unfold(values, size, dilation, around, stride)
        values = patches.transpose(1, 2).flatten(0, 1)
        slope = slope.flatten(2).transpose(1, 2).flatten(0, 1)
    if layer.bias is not None:
        values = torch.cat([values, values.new_ones(len(values), 1)], dim=1)
    return values, slope


def _geometry(layer: Any) -> tuple[tuple[int, ...], ...]:
    """Return size, stride, dilation and padding of a convolution, for rows and columns; one row in one dimension."""
    flat = isinstance(layer, nn.Conv1d)
    found = []
    for name, alone in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
        values = getattr(layer, name)
        found.append((alone, *values) if flat else tuple(values))
    return tuple(found)
