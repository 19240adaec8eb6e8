"""The networks that are explained, and how they learn from draws of a world that never come twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import TrainingError
from pipeline.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

WIDTHS = (512, 256, 128, 64, 32, 16)  # of the network of the paper
NARROW = (256, 128, 64, 32, 16)  # for few cells
_CHECKS = 40  # times at most that the network is held against the validation draws
_APART = 50  # steps at least between two of them


@dataclass(frozen=True)
class Lesson:
    """How a network learns.

    Parameters
    ----------
    steps : int
        Most steps of the optimiser.
    batch : int
        Draws in a step.
    rate : float
        Highest learning rate of the one cycle.
    wanted : float
        Skill at which it is enough.
    """

    steps: int
    batch: int
    rate: float
    wanted: float


@dataclass(frozen=True)
class Learned:
    """How far a network came: steps taken and the skill on validation draws."""

    steps: int
    skill: float


def dense(cells: int, widths: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Return the network of Mamalakis et al. (2022, doi:10.1017/eds.2022.7): ReLUs, the last layer without a bias.

    Weights of the first layer are normal with standard deviation 1 / cells and its biases zero; later weights are
    normal with variance two over what goes in, biases with two over their number. The network starts nearly flat.

    Parameters
    ----------
    cells : int
        Of the input, (row, 1, 1, cell).
    widths : sequence of int
        Of the hidden layers.
    generator : torch.Generator
        Draws the weights, on the CPU.

    Returns
    -------
    Sequential
        From (row, 1, 1, cell) to (row,).

    Examples
    --------
    >>> import torch
    >>> network = dense(460, WIDTHS, torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 1, 1, 460)).shape, sum(part.numel() for part in network.parameters())
    (torch.Size([2]), 411136)
    """
    from torch import nn

    layers: list[nn.Module] = [nn.Flatten(1)]
    sizes = [cells, *widths]
    for number, (size, width) in enumerate(zip(sizes, widths, strict=False)):
        layer = nn.Linear(size, width)
        first = number == 0
        nn.init.normal_(layer.weight, 0.0, 1.0 / cells if first else (2.0 / size) ** 0.5, generator=generator)
        nn.init.normal_(layer.bias, 0.0, 0.0 if first else (2.0 / width) ** 0.5, generator=generator)
        layers += [layer, nn.ReLU()]
    last = nn.Linear(sizes[-1], 1, bias=False)
    nn.init.normal_(last.weight, 0.0, (2.0 / sizes[-1]) ** 0.5, generator=generator)
    return nn.Sequential(*layers, last, nn.Flatten(0))


def convolutional(generator: torch.Generator) -> nn.Sequential:
    """Return the network of Mamalakis et al. (2022, doi:10.1175/AIES-D-22-0012.1), without its softmax.

    Three convolutions, each with a ReLU and a maximum over 2 x 2, and two dense layers.

    Parameters
    ----------
    generator : torch.Generator
        Draws the weights, on the CPU.

    Returns
    -------
    Sequential
        From (row, 1, 65, 65) to (row, 2), the logarithms of the chances but for a constant.

    Examples
    --------
    >>> import torch
    >>> convolutional(torch.Generator().manual_seed(0))(torch.zeros(2, 1, 65, 65)).shape
    torch.Size([2, 2])
    """
    from torch import nn

    network = nn.Sequential(
        nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(1), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2),
    )  # fmt: skip
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return network


def of_class(network: nn.Sequential, number: int) -> nn.Sequential:
    """Return the network that answers one of its numbers, (row,); all layers but the last are shared.

    Examples
    --------
    >>> import torch
    >>> network = convolutional(torch.Generator().manual_seed(0))
    >>> images = torch.rand(3, 1, 65, 65)
    >>> bool(torch.allclose(of_class(network, 1)(images), network(images)[:, 1], atol=1e-6))
    True
    """
    from torch import nn

    *body, last = network
    assert isinstance(last, nn.Linear)
    one = nn.Linear(last.in_features, 1, device=last.weight.device)
    one.load_state_dict({name: value[number : number + 1] for name, value in last.state_dict().items()})
    return nn.Sequential(*body, one, nn.Flatten(0)).eval()


def learn(
    network: nn.Module,
    draw: Callable[[int], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    skill: Callable[[nn.Module], float],
    lesson: Lesson,
    progress: Progress = silent,
) -> Learned:
    """Train a network in place with Adam and one cycle of the learning rate, until it is good enough.

    Parameters
    ----------
    network : Module
        Left in eval mode.
    draw : callable
        From a number of rows to new inputs and answers.
    loss : callable
        Of what the network says and the answers.
    skill : callable
        Of the network, on validation draws; asked now and then on the way.
    lesson : Lesson
        Budget and aim.

    Returns
    -------
    Learned

    Raises
    ------
    TrainingError
        If the loss is not finite.
    """
    import torch

    optimiser = torch.optim.Adam(network.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, lesson.rate, total_steps=lesson.steps)
    every = max(_APART, lesson.steps // _CHECKS)
    reached = float("nan")
    network.train()
    with progress("train the network", lesson.steps) as bar:
        for step in range(1, lesson.steps + 1):
            inputs, answers = draw(lesson.batch)
            miss = loss(network(inputs), answers)
            optimiser.zero_grad(set_to_none=True)
            miss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            cycle.step()
            bar.advance(note=f"{reached:.3f}")
            if step % every == 0 or step == lesson.steps:
                if not torch.isfinite(miss):
                    raise TrainingError(f"bench: the loss is {float(miss.detach())!r} after {step} steps.")
                network.eval()
                with torch.no_grad():
                    reached = skill(network)
                if reached >= lesson.wanted:
                    return Learned(step, reached)
                network.train()
    network.eval()
    return Learned(lesson.steps, reached)


def r_squared(said: Tensor, answers: Tensor) -> float:
    """Return the share of the answers' variance that is explained.

    Examples
    --------
    >>> import torch
    >>> r_squared(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]))
    -1.0
    """
    missed = (said.double() - answers.double()).square().mean()
    return float(1.0 - missed / (answers.double() - answers.double().mean()).square().mean())
