"""What methods that make the weights of one network uncertain have in common: draws of networks, mixed."""

from __future__ import annotations

import copy
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.model import Context, read_config, write_config
from pipeline.model_config import ModelConfig
from pipeline.prediction import FAMILIES, Prediction
from pipeline.samples import Samples
from pipeline.seeding import derive_seed
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import MemberSource, UncertaintyMethod
from pipeline.uncertainty._own import the_model

WEIGHTS = "weights.safetensors"


class DrawsConfig(ModelConfig):
    """Options of every method that draws networks."""

    draws: int = Field(
        default=20, ge=2, le=1000, description="Networks that a prediction is made of; each costs a prediction."
    )


class WeightMethod(UncertaintyMethod):
    """A method that starts from the fitted network and says what other networks are as good.

    Subclasses learn in :meth:`learn` what is kept in ``arrays``, and set a copy of the network to one draw in
    :meth:`draw`. A prediction is the mixture of what ``draws`` networks answer, each of the same weights for all
    samples, so that it is the same whatever the batch or the selection of samples.

    Attributes
    ----------
    arrays : dict of str to Tensor
        What was learned, on the torch device; kept with safetensors.
    notes : dict
        Numbers for the report.
    """

    Config: ClassVar[type[ModelConfig]] = DrawsConfig
    needs: ClassVar[frozenset[str]] = frozenset({"trainable"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.arrays: dict[str, Tensor] = {}
        self.notes: dict[str, Any] = {}
        self._trainable: Trainable

    @abstractmethod
    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Learn what networks are as good as the fitted one; fill ``arrays`` and ``notes``."""

    @abstractmethod
    def draw(self, network: nn.Module, number: int) -> None:
        """Set ``network``, a copy of the fitted one in eval mode, to draw ``number``.

        Called within a seed of its own for every number, with torch's own generator of the host and the device.
        """

    def drawn(self, network: nn.Module) -> nn.Module:
        """Return what answers for a network that was set to a draw: the network itself."""
        return network

    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Learn from the fitted network and the train split."""
        self._trainable = the_model(members, context).trainable(context)
        self.learn(self._trainable, train, validation, context)
        # As they come back from a file: products of arrays laid out otherwise differ in the last digit.
        self.arrays = {name: tensor.contiguous() for name, tensor in self.arrays.items()}
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the mixture of what the drawn networks answer."""
        seed = context.seed_for(f"draws of {type(self).__name__}")
        device = context.backend.torch_device
        answers = []
        for number in range(self.config.draws):
            network = copy.deepcopy(self._trainable.network).eval()
            with seeded(derive_seed(seed, "draw", number), device), torch.no_grad():
                self.draw(network, number)
            answers.append(self._trainable.answer(self.drawn(network), inputs))
        family = FAMILIES.get(answers[0].family)()
        return Prediction(family.mixture, family.mix([answer.parameters for answer in answers]))

    def save(self, folder: Path) -> None:
        """Write options and what was learned."""
        write_config(self.config, folder)
        save_file(self.arrays, folder / WEIGHTS)

    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Return the method as it was saved, with its network from ``members``."""
        self.config = read_config(type(self.config), folder)
        self._trainable = the_model(members, context).trainable(context)
        self.arrays = load_file(folder / WEIGHTS, device=context.backend.torch_device)
        return self

    def summary(self) -> dict[str, Any]:
        """Return how many networks are drawn, and what was learned."""
        return {"draws": self.config.draws, **self.notes}
