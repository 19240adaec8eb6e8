"""The contract every model fulfils, classical and deep alike; the models are in ``models/``."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipeline.backend import Backend
from pipeline.errors import BackendUnavailableError, FinescaleError, require_format
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.progress import Progress, silent
from pipeline.samples import Samples, variable_of
from pipeline.seeding import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from pipeline.training.ranks import Ranks
    from pipeline.training.trainable import Trainable
    from pipeline.trees import TreePart


@dataclass(frozen=True)
class Context:
    """What a model may know of the run it is part of.

    Parameters
    ----------
    backend : Backend
        Arrays, estimators and the torch device.
    seed : int
        The experiment's seed; models derive theirs with :meth:`seed_for`.
    name : str
        The experiment's name for the model, ``unet``.
    member : int
        Number of the ensemble member that is fitted.
    part : str
        Which part of the samples it is fitted on, ``fold-2-of-5``; empty: all of them.
    folder : Path, optional
        Where the model may keep checkpoints while it is fitted; None: nowhere.
    progress : Progress
        Told of steps that take time.
    warn : callable
        Takes a sentence that must reach the report's first screen.
    fall_back : callable
        Takes a sentence about something that had to leave the GPU; it reaches the report too.
    strict : bool
        Whether such a fallback is an error, ``compute.strict`` of the experiment.
    budget : int or None
        Bytes that arrays may take, ``compute.memory``; None: as many as there are.
    ranks : Ranks, optional
        Processes that fit the model together, this one among them; None: this one alone.
    """

    backend: Backend
    seed: int = 0
    name: str = "model"
    member: int = 0
    part: str = ""
    folder: Path | None = None
    progress: Progress = field(default=silent)
    warn: Callable[[str], None] = field(default=lambda message: None)
    fall_back: Callable[[str], None] = field(default=lambda message: None)
    strict: bool = False
    budget: int | None = None
    ranks: Ranks | None = None

    def seed_for(self, purpose: str) -> int:
        """Return this member's seed for ``purpose``, shared with no other member, model or part."""
        whose = f"{self.name}/{self.part}" if self.part else self.name
        return derive_seed(self.seed, f"{whose}:{purpose}", self.member)

    def within(self, part: str) -> Context:
        """Return the context of a fit on a part of the samples."""
        return replace(self, part=part)

    @property
    def title(self) -> str:
        """What is fitted, in words: ``unet, member 2, fold 1 of 5``."""
        part = f", {self.part.replace('-', ' ')}" if self.part else ""
        return f"{self.name}, member {self.member}{part}"

    def estimator(self, name: str, **params: Any) -> Any:
        """Return the backend's estimator ``name``; a fallback to the CPU is told to ``fall_back``.

        Raises
        ------
        BackendUnavailableError
            If there is a fallback and the context is strict.
        """
        made = self.backend.estimator(name, **params)
        if made.fallback is not None:
            if self.strict:
                raise BackendUnavailableError(f"{made.fallback} Take another option, or compute.strict: false.")
            self.fall_back(str(made.fallback))
        return made


__all__ = ["Context", "Model", "ModelConfig", "Timing", "read_config", "write_config"]

FORMAT = 2
"""Of a fitted model's folder; counted up whenever what is stored there changes, such as ``models._layout.Layout``."""


@dataclass(frozen=True)
class Timing:
    """What :meth:`Model.time_together` found: seconds of a step of the training.

    Parameters
    ----------
    members : int
        How many were trained as one.
    single : float
        Of one member alone.
    stacked : float or None
        Of all of them as one; None: not tried, since one alone has enough to do for the device.
    """

    members: int
    single: float
    stacked: float | None

    @property
    def gain(self) -> float:
        """How many times faster they are as one than one after another; 0 where that was not tried.

        Examples
        --------
        >>> Timing(members=4, single=0.01, stacked=0.02).gain
        2.0
        """
        return self.members * self.single / self.stacked if self.stacked else 0.0


def samples_bytes(few: Samples, count: int) -> int:
    """Return the bytes of so many samples: of windows every step once, as they are not laid out."""
    schema = few.schema
    steps = len({variable_of(name) for name in schema.channels}) * math.prod(schema.input_grid.shape)
    return 4 * count * (steps + len(schema.targets) * math.prod(schema.target_grid.shape))


class Model(ABC):
    """A model: fitted on samples, asked for a :class:`~pipeline.prediction.Prediction`.

    Class attributes
    ----------------
    Config : type of ModelConfig
        Options with their defaults; ``models.<name>`` of the experiment less ``kind``.
    traits : frozenset of str
        What the model can do. ``baseline``: the report compares against it. ``seeded``: another
        seed gives another model, so ensembles make sense. ``differentiable``: has
        :meth:`network`. ``trainable``: is a network that :meth:`trainable` gives away to be trained further, and so has
        weights that can be uncertain. ``probabilistic``: answers a distribution, not a point, with its default
        options (a network's loss may ask for a point); what a model answered says ``Prediction.family``. ``shared``:
        has one set of weights for every cell or series, so that it can answer for one it was not fitted on.
        ``patches``: its network answers all cells of fields of another size than the grid, so that it can be
        trained on parts cut out of them. ``past``, ``previous``: goes on from the target's own known
        values, the field of the samples of that name, so that it needs them of new data, too. ``linear``, ``trees``:
        has :meth:`slopes`, :meth:`tree_parts`. ``streams``: is fitted on samples whose arrays are
        :class:`~pipeline.rows.Rows`, larger than memory; the others get theirs in memory, or are not fitted.
    tasks : frozenset of str
        For which tasks of an experiment it is: ``downscaling``, ``series``, ``segmentation``.

    All arrays that go in and out live on the device of ``context.backend``, in the space of the
    samples (standardised, anomalies); the predict stage turns them back into units.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    traits: ClassVar[frozenset[str]] = frozenset()
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @abstractmethod
    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit on ``train``; ``validation`` is for choices only (a penalty, an epoch)."""

    @abstractmethod
    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the prediction for every sample, shape (time, target, lat, lon), finite in the mask."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted model into ``folder`` (there, empty), with safetensors or skops only."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the model that :meth:`save` wrote; its predictions are the same."""

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return about how many bytes fitting will take beside the prepared data, told before any are read.

        Parameters
        ----------
        few : Samples
            Two samples of zeros, with the channels, grids and targets of the run.
        train, other : int
            Number of samples of the train and of the validation split.
        context : Context
            As :meth:`fit` gets it.
        """
        return 3 * samples_bytes(few, train + other)

    def network(self, samples: Samples, context: Context, quantity: Callable[[Prediction], Any] | None = None) -> Any:
        """Return the mean as a ``torch.nn.Module``; only models with the trait ``differentiable``.

        It maps inputs of shape (time, channel, lat, lon) to the mean, (time, target, lat, lon),
        both in the space of the samples, on the backend's torch device, in eval mode. Of a segmentation it
        answers the probabilities of the classes, (time, class, lat, lon), in place of the mean.

        Parameters
        ----------
        samples : Samples
            Whose channels come in.
        context : Context
            Backend and seed.
        quantity : callable, optional
            What is answered in place of the mean: from a prediction whose parameters are tensors of shape
            (time, target, cell), cells of the mask, to (time, answer, cell).
        """
        raise TypeError(f"{type(self).__name__} has no network: its traits are {sorted(self.traits)}.")

    def slopes(self, samples: Samples, weights: np.ndarray, context: Context) -> Any:
        """Return how weighted sums of the answers move with each input; only models with the trait ``linear``.

        Answers are the mean, whatever bounds it, and of a segmentation the log odds of the classes.

        Parameters
        ----------
        samples : Samples
            Whose channels come out; their numbers do not matter.
        weights : ndarray of float64, shape (sum, answer, lat, lon)
            Of each sum, in the space of the samples, on the host; zero outside of the mask.
        context : Context
            Backend and seed.

        Returns
        -------
        array of float64, shape (sum, channel, lat, lon)
            The slope of a channel that is the same number at every cell is shared evenly over them.

        Raises
        ------
        ConfigError
            If the answers are not linear with the model's options or classes.
        """
        raise TypeError(f"{type(self).__name__} has no slopes: its traits are {sorted(self.traits)}.")

    def tree_parts(self, samples: Samples, weights: np.ndarray, context: Context) -> Sequence[TreePart]:
        """Return the forests whose outputs add up to weighted sums of the answers; only with the trait ``trees``.

        Takes what :meth:`slopes` takes, and raises what it raises; answers of a segmentation are probabilities.
        """
        raise TypeError(f"{type(self).__name__} has no trees: its traits are {sorted(self.traits)}.")

    def trainable(self, context: Context) -> Trainable:
        """Return the fitted network with its loss and its data; only models with the trait ``trainable``."""
        raise TypeError(f"{type(self).__name__} has no network to train: its traits are {sorted(self.traits)}.")

    def answering(self, samples: Samples) -> Any:
        """Return the way from inputs to the parameters of the prediction as one ``torch.nn.Module``.

        Only of models with the trait ``trainable``. It maps inputs of shape (time, channel, lat, lon) to the parameters
        of its ``family`` in their order, and so can be exported; it is on the device where the network is.

        Raises
        ------
        TraitError
            If the answer is not a function of the inputs alone.
        """
        raise TypeError(f"{type(self).__name__} has no network to export: its traits are {sorted(self.traits)}.")

    @classmethod
    def fit_together(
        cls, models: Sequence[Self], train: Samples, validation: Samples, contexts: Sequence[Context]
    ) -> Sequence[FinescaleError | None]:
        """Fit members as one, each as :meth:`fit` would; only models with the trait ``stackable``.

        Parameters
        ----------
        models : sequence of Model
            Of the same options, not fitted; they are afterwards.
        train, validation : Samples
            The same for all members.
        contexts : sequence of Context
            Of each member its own; checkpoints go to the folder of the first one.

        Returns
        -------
        sequence of FinescaleError or None
            Of each member why it could not be fitted, None if it was.
        """
        raise TypeError(f"{cls.__name__} cannot be fitted as one: its traits are {sorted(cls.traits)}.")

    @classmethod
    def time_together(cls, models: Sequence[Self], train: Samples, contexts: Sequence[Context]) -> Timing | str:
        """Return what a step costs fitted as one and one by one; or why members of these options cannot be one.

        Takes what :meth:`fit_together` takes; only models with the trait ``stackable``.
        """
        raise TypeError(f"{cls.__name__} cannot be fitted as one: its traits are {sorted(cls.traits)}.")

    def summary(self) -> dict[str, Any]:
        """Return what was chosen or learned, for the report: JSON numbers, strings and short lists."""
        return {}

    def _save_config(self, folder: Path) -> None:
        write_config(self.config, folder)

    @classmethod
    def _load_config(cls, folder: Path) -> Any:
        return read_config(cls.Config, folder)


def write_config(config: ModelConfig, folder: Path) -> None:
    """Write options into ``folder``, and the format of all that a fitted model or method keeps beside them."""
    kept = {"format": FORMAT, "options": config.model_dump(mode="json")}
    (folder / "config.json").write_text(json.dumps(kept, indent=1))


def read_config(config: type[ModelConfig], folder: Path) -> Any:
    """Return the options that :func:`write_config` wrote.

    Raises
    ------
    FormatError
        If another version of Finescale wrote them.
    """
    kept = json.loads((folder / "config.json").read_text())
    require_format(folder, kept.get("format"), FORMAT)
    return config.model_validate(kept["options"])
