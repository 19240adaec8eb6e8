"""Engression: a network fed with noise, trained on a proper score of what it makes of it."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.backend import array_namespace
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples
from pipeline.seeding import derive_seed
from pipeline.training import loop
from pipeline.training.lagged import LaggedInputs
from pipeline.training.loop import Tensors
from pipeline.training.losses import Loss, make_loss
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod

NORMAL = "normal"  # the family of networks that answer a deviation
TRAINED = 2  # members in training: enough for a fair score to have the right slope in the mean


class EngressionConfig(DrawsConfig):
    """Options of engression."""

    epochs: int | None = Field(
        default=None, ge=1, description="Passes over the train split from the fitted network on; those of its training."
    )
    lr: float | None = Field(default=None, gt=0, description="Highest learning rate; that of the training if left out.")
    noise: float = Field(
        default=0.1, gt=0, description="Deviation of what is added to inputs at the start, in standardised numbers."
    )


@UNCERTAINTY.register("engression")
class Engression(WeightMethod):
    """Members from noise in what goes in and in what comes out (Shen and Meinshausen 2024, doi:10.1093/jrsssb/qkae108).

    ``Y = m(x + s e) + t d(x + s e) h`` with e and h standard normal: the network goes on from its fitted weights, and
    with it s, one number a channel, and t, one a target and cell, are trained on the fair CRPS of two members. Noise
    that passes through the network makes the spread depend on the state where its mean m is steep, and errors of cells
    go together; noise behind it, which begins as large as the errors of the fitted network, stands for what the inputs
    cannot tell. With a loss of a normal distribution the network also answers its deviation d; with one of a mean alone
    d is 1, and noise behind it is as large on every day. A member has the same noise of a date whatever the selection
    of samples. The network is one of a mean.
    """

    Config: ClassVar[type[ModelConfig]] = EngressionConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that the network has no mean of its own, if it has none."""
        loss = getattr(model, "loss", None)
        if loss is None:
            return None
        made = make_loss(loss)
        if made.parameters[:1] != ("mean",):
            return (
                f"expected a loss whose network answers a mean, got {loss!r}. Take normal_nll, mse or huber; of "
                "amounts noise_unet."
            )
        return None

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Train the network with noise."""
        options, config = self.config, trainable.config
        tensors = trainable.tensors(train)
        asked = {"epochs": options.epochs or config.epochs, "lr": options.lr or config.lr}
        config = config.model_copy(update={**asked, "warmup": min(config.warmup, asked["epochs"] - 1), "patience": 0})
        channels = tensors.inputs[:1].shape[1]
        behind = _residual(trainable, tensors)
        network = _Noisy(copy.deepcopy(trainable.network), trainable.loss, channels, options.noise, behind)
        network.to(context.backend.torch_device, tensors.target.dtype)
        trained = loop.train(
            network,
            tensors,
            trainable.tensors(validation),
            make_loss({"kind": "fair_crps", "members": TRAINED}),
            config,
            seed=context.seed_for("engression"),
            title=f"engression {context.name}",
            progress=context.progress,
            augment=trainable.augment,
        )
        self.arrays = {f"state/{name}": part.detach() for name, part in network.network.state_dict().items()}
        self.arrays |= {"before": network.before.detach().exp(), "behind": network.behind.detach().exp()}
        self.notes = {
            "epochs": asked["epochs"],
            "best_epoch": trained.best_epoch,
            "validation_crps": round(trained.history[trained.best_epoch - 1].validation_loss, 5),
        }

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the network to the trained one; members differ by their noise."""
        state = {name.removeprefix("state/"): part for name, part in self.arrays.items() if name.startswith("state/")}
        network.load_state_dict(state)

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the members."""
        network = copy.deepcopy(self._trainable.network).eval()
        self.draw(network, 0)
        backend, seed = context.backend, context.seed_for("noise")
        before, behind = (backend.from_torch(self.arrays[name]) for name in ("before", "behind"))
        # Channels of new data may stand in another order, and there may be more of them.
        known = {name: float(value) for name, value in zip(self._trainable.channels, before, strict=False)}
        before = beside([known.get(name, 0.0) for name in inputs.schema.channels], inputs.inputs, inputs.inputs.dtype)
        xp = array_namespace(inputs.inputs)
        members = []
        for number in range(self.config.draws):
            random = [np.random.default_rng(derive_seed(seed, str(date), number)) for date in inputs.time]
            noise = _drawn(random, inputs.inputs.shape[1:], inputs.inputs)
            moved = inputs.with_inputs(inputs.inputs + before[:, None, None] * noise)
            answer = self._trainable.answer(network, moved)
            mean = answer.mean()
            size = xp.asarray(_maps(behind, inputs.schema.mask, mean), dtype=mean.dtype)
            size = size * answer.parameters["sd"] if answer.family == NORMAL else size
            members.append(mean + size * _drawn(random, mean.shape[1:], mean))
        return Prediction("members", {"members": xp.stack(members, axis=0)})


class _Noisy(nn.Module):
    """Maps (time, channel, lat, lon) to (time, member, target, cell), with new noise at every call."""

    def __init__(self, network: nn.Module, loss: Loss, channels: int, deviation: float, behind: Tensor) -> None:
        super().__init__()
        self.network, self._loss = network, loss
        self.before = nn.Parameter(torch.full((channels,), deviation).log())
        self.behind = nn.Parameter(behind.log())

    def forward(self, inputs: Tensor | LaggedInputs) -> Tensor:
        """Return ``TRAINED`` members of every sample."""
        laid = inputs if isinstance(inputs, Tensor) else inputs[:]
        again = laid[:, None].expand(-1, TRAINED, *laid.shape[1:]).flatten(0, 1)
        noisy = again + self.before.exp()[:, None, None] * torch.randn_like(again)
        mean, sd = _split(self.network(noisy), self._loss)
        members: Tensor = mean + self.behind.exp() * sd * torch.randn_like(mean)
        return members.reshape(len(laid), TRAINED, *members.shape[1:])


def _split(output: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation that a network answers, one where it answers none."""
    mean = output[:, 0]
    return mean, loss.distribution(output)["sd"] if loss.family == NORMAL else torch.ones_like(mean)


def _residual(trainable: Trainable, tensors: Tensors) -> Tensor:
    """Return the root mean square of the fitted network's errors, by its own deviations: where training begins.

    Shape (target, cell).
    """
    batch = trainable.config.batch_size
    total = count = torch.zeros((), dtype=torch.float64, device=tensors.target.device)
    with torch.no_grad():
        for start in range(0, len(tensors), batch):
            part = tensors.take(slice(start, start + batch))
            known = torch.isfinite(part.target)
            mean, sd = _split(trainable.network(part.inputs), trainable.loss)
            square = torch.where(known, (mean - part.target) / sd, 0.0).double() ** 2
            total, count = total + square.sum(dim=0), count + known.sum(dim=0)
    overall = (total.sum() / count.sum()).sqrt()
    size = torch.where(count > 0, (total / count.clamp(min=1)).sqrt(), overall)
    return torch.maximum(size, 1e-3 * overall.clamp(min=1e-6)).to(tensors.target.dtype)


def _drawn(random: list[np.random.Generator], shape: tuple[int, ...], like: Any) -> Any:
    """Return noise of every date, where ``like`` lives; made on the host, so that every device gets the same."""
    return beside(np.stack([one.standard_normal(shape) for one in random]), like, like.dtype)


def _maps(cells: Any, mask: np.ndarray, like: Any) -> Any:
    """Return values of the cells of the mask on the grid, zero elsewhere, shape (target, lat, lon)."""
    xp = array_namespace(like)
    place = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    laid = xp.take(cells, beside(np.maximum(place, 0).ravel(), cells), axis=1)
    inside = beside(mask.ravel(), cells)
    return xp.reshape(xp.where(inside, laid, xp.zeros_like(laid)), (cells.shape[0], *mask.shape))
