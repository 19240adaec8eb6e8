"""From a network to a model: the contract for every ``nn.Module`` that answers cells."""

from __future__ import annotations

import csv
from abc import abstractmethod
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, field_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models._layout import Layout
from pipeline.errors import DataError, UnknownNameError
from pipeline.model import Context, Model, ModelConfig
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.training import loop
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Epoch, Tensors, Trained
from pipeline.training.losses import LOSSES, Loss
from pipeline.training.randomness import seeded

WEIGHTS, HISTORY = "weights.safetensors", "history.csv"


class DeepConfig(TrainingConfig):
    """Options of every deep model: those of the training loop, flat, and the loss."""

    loss: str = Field(default="normal_nll", description="A name of the loss registry; it decides the head too.")

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, loss: str) -> str:
        try:
            LOSSES.get(loss)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error
        return loss


class DeepModel(Model):
    """A model that is a network: subclasses build it, everything else is here.

    The network maps inputs of shape (time, channel, lat, lon) to (time, parameter, target, cell):
    the parameters of the loss at the cells of the mask.
    """

    Config: ClassVar[type[ModelConfig]] = DeepConfig
    traits: ClassVar[frozenset[str]] = frozenset({"seeded", "differentiable", "probabilistic"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._layout: Layout
        self._network: nn.Module
        self._trained: Trained

    @abstractmethod
    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network with weights as they are before training, drawn from torch's generator."""

    @property
    def _loss(self) -> Loss:
        loss: Loss = LOSSES.get(self.config.loss)()
        return loss

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Train on ``train``; the epoch with the least validation loss is kept."""
        self._layout, loss = Layout.of(train.schema), self._loss
        # Drawn on the host, so that every device starts from the same weights.
        with seeded(context.seed_for("weights")):
            network = self.build(self._layout, len(loss.parameters))
        self._network = network.to(context.backend.torch_device)
        self._trained = loop.train(
            self._network,
            self._tensors(train, context),
            self._tensors(validation, context),
            loss,
            self.config,
            seed=context.seed_for("training"),
            title=f"fit {context.name}, member {context.member}",
            folder=context.folder,
            progress=context.progress,
        )
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the distribution that the loss defines; NaN outside of the mask."""
        fields_in = self._inputs(inputs, context)
        self._network.eval()
        with torch.no_grad():
            batches = torch.split(fields_in, self.config.batch_size)
            parts = [self._loss.distribution(self._network(batch).float()) for batch in batches]
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        maps = {name: self._maps(cells, torch.nan) for name, cells in joined.items()}
        return Prediction(self._loss.family, {name: context.backend.from_torch(map_) for name, map_ in maps.items()})

    def network(self, samples: Samples, context: Context) -> nn.Module:
        """Return the mean as a module for inputs with the channels of ``samples``; zero outside of the mask."""
        order = self._layout.order(samples)
        return _Mean(self._network, self._loss, self._layout, order).to(context.backend.torch_device).eval()

    def _inputs(self, samples: Samples, context: Context) -> Tensor:
        order = self._layout.order(samples)
        inputs: Tensor = context.backend.to_torch(samples.inputs)
        return inputs if order is None else inputs[:, order]

    def _tensors(self, samples: Samples, context: Context) -> Tensors:
        if samples.target is None:
            raise DataError(f"{samples.name}: expected a target to learn from, got a split without truth.")
        cells = torch.as_tensor(self._layout.mask, device=context.backend.torch_device)
        target: Tensor = context.backend.to_torch(samples.target)
        area = torch.as_tensor(self._layout.target_grid.area, dtype=torch.float32)[cells.cpu()]
        return Tensors(self._inputs(samples, context), target[..., cells], (area / area.mean()).to(cells.device))

    def _maps(self, cells: Tensor, fill: float) -> Tensor:
        mask = torch.as_tensor(self._layout.mask, device=cells.device)
        maps = cells.new_full((*cells.shape[:-1], *mask.shape), fill)
        maps[..., mask] = cells
        return maps

    def save(self, folder: Path) -> None:
        """Write options, layout, weights and learning curve."""
        self._save_config(folder)
        self._layout.save(folder)
        save_file({name: t.contiguous() for name, t in self._network.state_dict().items()}, folder / WEIGHTS)
        with (folder / HISTORY).open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Epoch)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(epoch) for epoch in self._trained.history)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the model that :meth:`save` wrote, on the backend's torch device."""
        model = cls(cls._load_config(folder))
        model._layout = Layout.load(folder)
        with seeded(0):  # the first weights are thrown away; the caller's random numbers stay as they are
            network = model.build(model._layout, len(model._loss.parameters))
        device = context.backend.torch_device
        network.load_state_dict(load_file(folder / WEIGHTS, device=device))
        model._network = network.to(device).eval()
        with (folder / HISTORY).open(newline="") as file:
            history = tuple(_epoch(row) for row in csv.DictReader(file))
        best = min(history, key=lambda epoch: epoch.validation_loss)
        model._trained = Trained(history, best.epoch, 0)
        return model

    def summary(self) -> dict[str, Any]:
        """Return size, epochs and losses."""
        history, best = self._trained.history, self._trained.best_epoch
        return {
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "epochs": len(history),
            "best_epoch": best,
            "stopped_early": len(history) < self.config.epochs,
            "resumed_from": self._trained.resumed_from,
            "train_loss": history[best - 1].train_loss,
            "validation_loss": history[best - 1].validation_loss,
            "loss": self.config.loss,
        }


class _Mean(nn.Module):
    """The mean on the target grid; out-of-place operations only, so that gradients reach the inputs."""

    cells: Tensor

    def __init__(self, network: nn.Module, loss: Loss, layout: Layout, order: list[int] | None) -> None:
        super().__init__()
        self._network, self._loss, self._order, self._shape = network, loss, order, layout.mask.shape
        self.register_buffer("cells", torch.as_tensor(layout.mask).flatten().nonzero()[:, 0])

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (time, target, lat, lon)."""
        output = self._network(inputs if self._order is None else inputs[:, self._order])
        mean = self._loss.distribution(output)["mean"]
        empty = mean.new_zeros(*mean.shape[:2], self._shape[0] * self._shape[1])
        return empty.index_copy(2, self.cells, mean).reshape(*mean.shape[:2], *self._shape)


def _epoch(row: dict[str, str]) -> Epoch:
    values = {name: float(value) for name, value in row.items() if name != "epoch"}
    return Epoch(epoch=int(row["epoch"]), **values)
