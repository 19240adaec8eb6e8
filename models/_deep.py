"""From a network to a model: the contract for every ``nn.Module`` that answers cells."""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models._constraint import ConstraintConfig, check_family, check_units, constrain
from models._explained import Explained
from models._layout import Layout
from models._normal import amounts
from models._together import Together, title
from pipeline.errors import ConfigError, DataError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import FAMILIES, Prediction
from pipeline.samples import Samples
from pipeline.seeding import derive_seed
from pipeline.training import loop
from pipeline.training.answering import answers
from pipeline.training.augment import Augmenter, AugmentSpec, make_augmentations, make_augmenter
from pipeline.training.config import TrainingConfig
from pipeline.training.course import Epoch, Trained
from pipeline.training.loading import load_inputs, load_target
from pipeline.training.losses import (
    Loss,
    LossSpec,
    Place,
    check_labels,
    check_task,
    default_loss,
    describe,
    make_loss,
)
from pipeline.training.randomness import seeded
from pipeline.training.streamed import parts
from pipeline.training.tensors import Inputs, Tensors
from pipeline.training.trainable import Trainable

WEIGHTS, HISTORY = "weights.safetensors", "history.csv"


class DeepConfig(TrainingConfig):
    """Options of every deep model: those of the training loop, flat, and the loss."""

    loss: LossSpec | None = Field(
        default=None,
        description="A loss by name, {kind: name, ...options}, or a list of such with a weight each; decides the head. "
        "Left out: normal_nll, or of classes cross_entropy with weights inverse_sqrt.",
    )
    constraint: ConstraintConfig | None = Field(
        default=None,
        description="{kind: additive, multiplicative or softmax, channel: name}: means over coarse cells are held to "
        "that channel, the same variable on the coarse grid.",
    )

    augment: AugmentSpec = Field(
        default_factory=list,
        description="Augmentations of the train split by name, [{kind: name, ...options}], done in this order; the "
        "experiment's own by default, and [] for none.",
    )

    @field_validator("augment", mode="before")
    @classmethod
    def _known_augmentations(cls, augment: Any) -> Any:
        try:
            make_augmentations(augment)
        except ConfigError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return augment

    @field_validator("loss", mode="before")
    @classmethod
    def _known_loss(cls, loss: Any) -> Any:
        try:
            if loss is not None:
                make_loss(loss)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return loss

    @model_validator(mode="after")
    def _suits_the_constraint(self) -> DeepConfig:
        if self.constraint is not None:
            try:
                check_family(self.constraint, make_loss(self.loss or default_loss(classes=False)))
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self


class DeepModel(Together):
    """A model that is a network: subclasses build it, everything else is here.

    The network maps inputs of shape (time, channel, lat, lon) to (time, parameter, target, cell):
    the parameters of the loss at the cells of the mask.
    """

    Config: ClassVar[type[ModelConfig]] = DeepConfig
    traits: ClassVar[frozenset[str]] = frozenset(
        {"seeded", "differentiable", "probabilistic", "trainable", "stackable", "streams"}
    )

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._layout: Layout

    @abstractmethod
    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network with weights as they are before training, drawn from torch's generator."""

    def asker(self, network: nn.Module, context: Context) -> Callable[[Tensor], Tensor]:
        """Return what tells of a batch what ``network`` says of it, shape (time, parameter, target, cell).

        A model whose network draws its own members overrides this to draw as many as a prediction
        should have, from torch's own generator. It is then asked for one sample at a time, with that
        generator started from (the member's seed, the sample's date): members are the same whatever
        the batch, the block of time or the selection of samples. That costs one call a sample, whose
        draws fill a batch of their own.
        """
        return network

    @property
    def _loss(self) -> Loss:
        loss = make_loss(self._spec, self._classes)
        check_task(loss, self._classes)
        return loss

    @property
    def _spec(self) -> LossSpec:
        """What the loss is made of, of the options or by the task."""
        spec: LossSpec | None = self.config.loss
        return spec or default_loss(classes=bool(self._classes))

    @property
    def _classes(self) -> tuple[str, ...]:
        """Names of the classes of a segmentation; none before it is fitted or loaded."""
        return self._layout.classes if hasattr(self, "_layout") else ()

    def _built(self, loss: Loss, learned: Inputs | None = None) -> nn.Module:
        """Return the network before training, held to the constraint, if there is one and ``learned`` suits it."""
        network = self.build(self._layout, len(loss.parameters))
        if self.config.constraint is not None:
            constraint = constrain(network, self._layout, loss, self.config.constraint)
            if learned is not None:
                constraint.to(learned.device).check_inputs(parts(learned))
        return network

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Train on ``train``; the epoch with the least validation loss is kept."""
        loss, learned = self._begin(train, context)
        self._trained = loop.train(
            self._network,
            learned,
            self._tensors(validation, context),
            loss,
            self.config,
            seed=context.seed_for("training"),
            title=title(context),
            folder=context.folder,
            progress=context.progress,
            augment=self._augmenter(context.name),
            ranks=context.ranks,
        )
        for note in self._trained.notes if context.ranks is None or context.ranks.rank == 0 else ():
            context.warn(note)
        return self

    def _begin(self, train: Samples, context: Context, learned: Tensors | None = None) -> tuple[Loss, Tensors]:
        """Build the network, and return the loss and the samples, unless they are given, that it learns from."""
        self._layout = Layout.of(train.schema)
        self.config = self.config.model_copy(update={"loss": self._spec})
        loss, learned = self._loss, self._tensors(train, context) if learned is None else learned
        if FAMILIES.get(loss.family).unbounded and any(amounts(train.schema)):
            context.warn(
                f"{context.name}: its loss makes a {loss.family.replace('_', ' ')} distribution, which gives amounts "
                "such as rain values below zero. Take a loss such as bernoulli_gamma_nll or quantile, or fair_crps "
                "with noise_unet."
            )
        if self.config.constraint is not None:
            check_family(self.config.constraint, loss)
            check_units(self.config.constraint, train.schema)
        # Drawn on the host, so that every device starts from the same weights.
        with seeded(context.seed_for("weights")):
            network = self._built(loss, learned.inputs)
        self._network = network.to(context.backend.torch_device)
        return loss, learned

    def _augmenter(self, name: str = "the model") -> Augmenter | None:
        return make_augmenter(self.config.augment, self._layout, self.traits, name)

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the distribution that the loss defines; NaN outside of the mask.

        What lies below no rain or no flow is moved onto it where the family allows that, unless a constraint holds
        the mean to a coarse field.
        """
        return self._predicted(self._network.eval(), inputs, context)

    def _predicted(self, network: nn.Module, inputs: Samples, context: Context) -> Prediction:
        loss = self._loss
        with torch.no_grad():
            parts = list(self._answers(network, loss, inputs, context))
        # Time stands third from the end, behind members where there are any.
        joined = {name: torch.cat([part[name] for part in parts], dim=-3) for name in parts[0]}
        maps = {name: context.backend.from_torch(self._maps(cells, torch.nan)) for name, cells in joined.items()}
        prediction, least = Prediction(loss.family, maps), self._layout.least
        if least is None or self.config.constraint is not None:
            return prediction
        return prediction.at_least(context.backend.asarray(least))

    def _answers(
        self, network: nn.Module, loss: Loss, samples: Samples, context: Context
    ) -> Iterator[dict[str, Tensor]]:
        seed, ask = context.seed_for("draws"), self.asker(network, context)
        return answers(
            network,
            self._inputs(samples, context),
            lambda batch: loss.distribution(ask(batch).float()),
            self.config.batch_size,
            seeds=[derive_seed(seed, str(date)) for date in samples.time] if self._draws else None,
            name=context.name,
            title=context.title,
            tell=context.warn,
        )

    @property
    def _draws(self) -> bool:
        """Whether the network draws its own members."""
        return type(self).asker is not DeepModel.asker

    def network(
        self, samples: Samples, context: Context, quantity: Callable[[Prediction], Tensor] | None = None
    ) -> nn.Module:
        """Return the mean, the probabilities of classes or ``quantity`` as a module; zero outside of the mask."""
        order = self._layout.order(samples)
        seed = context.seed_for("draws") if self._draws else None
        made = Explained(self.steady(), self._loss, self._layout, order, seed, quantity)
        return made.to(context.backend.torch_device).eval()

    def trainable(self, context: Context) -> Trainable:
        """Return the network, its loss and its data, for methods that make its weights uncertain."""
        return Trainable(
            network=self._network.eval(),
            channels=self._layout.channels,
            loss=self._loss,
            config=self.config,
            augment=self._augmenter(context.name),
            tensors=lambda samples: self._tensors(samples, context),
            answer=lambda network, samples: self._predicted(network, samples, context),
            fresh=lambda seed: self._fresh(seed, context),
            with_loss=lambda loss: type(self)(self.config.model_copy(update={"loss": loss})),
        )

    def _fresh(self, seed: int, context: Context) -> nn.Module:
        with seeded(seed):
            return self._built(self._loss).to(context.backend.torch_device)

    def steady(self) -> nn.Module:
        """Return the network for explanations; one that draws noise gives all samples of a call the same."""
        return self._network

    def _inputs(self, samples: Samples, context: Context) -> Inputs:
        return load_inputs(samples, self._layout.order(samples), context.backend, context.budget)

    def _tensors(self, samples: Samples, context: Context) -> Tensors:
        if samples.target is None:
            raise DataError(f"{samples.name}: expected a target to learn from, got a split without truth.")
        cells = torch.as_tensor(self._layout.mask, device=context.backend.torch_device)
        target = load_target(samples, cells, context.backend, context.budget)
        if self._classes:
            check_labels(target, self._classes, samples.name)
        return Tensors(self._inputs(samples, context), target, self._place(cells))

    def _place(self, cells: Tensor) -> Place:
        layout = self._layout
        area = torch.as_tensor(layout.target_grid.area, dtype=torch.float32)[cells.cpu()]
        index = cells.flatten().nonzero()[:, 0]
        affine, units = layout.target_affine, {}
        if affine is not None:
            shape = (len(layout.targets), *layout.mask.shape)
            for part, values in (("scale", affine.scale), ("shift", affine.shift)):
                wide = np.broadcast_to(values, shape)[:, layout.mask]
                units[part] = torch.tensor(wide, dtype=torch.float32, device=cells.device)
        rows, columns = layout.mask.shape
        return Place(area=(area / area.mean()).to(cells.device), index=index, shape=(rows, columns), **units)

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
            network = model._built(model._loss)
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
        augment = self._augmenter()
        return {
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "epochs": len(history),
            "best_epoch": best,
            "stopped_early": len(history) < self.config.epochs,
            "resumed_from": self._trained.resumed_from,
            "train_loss": history[best - 1].train_loss,
            "validation_loss": history[best - 1].validation_loss,
            "loss": describe(self._spec),
            **({} if augment is None else {"augment": augment.describe()}),
        }


def _epoch(row: dict[str, str]) -> Epoch:
    values = {name: float(value) for name, value in row.items() if name != "epoch"}
    return Epoch(epoch=int(row["epoch"]), **values)
