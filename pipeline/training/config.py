"""Options of the training loop: the ``training`` section, and part of every deep model's options."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipeline.model_config import ModelConfig


class TrainingConfig(ModelConfig):
    """How a network is trained; every deep model takes these beside its own options."""

    epochs: int = Field(default=100, ge=1, description="Most passes over the train split.")
    batch_size: int = Field(default=64, ge=1, description="Samples of a step.")
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Parts that a batch is worked on in, one after another, where all of it is too much for the "
        "device; the gradient is that of the whole batch.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="Workers that train the model together, each its share of every batch; at most compute.workers.",
    )
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = Field(
        default="adamw", description="How a step follows the gradient."
    )
    lr: float = Field(default=1e-3, gt=0, description="Learning rate, the highest of its schedule.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="For sgd and rmsprop.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled (adamw) or added to the gradient (others).")
    l1: float = Field(default=0.0, ge=0, description="Weight of the sum of absolute weights in the loss.")
    l2: float = Field(default=0.0, ge=0, description="Weight of half the sum of squared weights in the loss.")
    schedule: Literal["constant", "cosine", "one_cycle", "step", "plateau"] = Field(
        default="cosine", description="How the learning rate goes over the epochs."
    )
    warmup: int = Field(default=0, ge=0, description="Epochs of linear rise before cosine, constant or step.")
    patience: int = Field(
        default=0, ge=0, description="Epochs without a better validation loss before stopping; 0: never."
    )
    clip: float = Field(default=0.0, ge=0, description="Largest norm of the gradient; 0: no limit.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="Of the forward pass.")
    channels_last: bool = Field(
        default=False, description="Lay maps out with channels last in memory: the form that a GPU's tensor cores want."
    )
    compile: bool = Field(
        default=False,
        description="Compile the network's steps by torch.compile: worth it for many epochs alone; needs a compiler.",
    )
    cuda_graphs: bool = Field(
        default=False, description="On a GPU: record a step's calls once and send them as one, for small networks."
    )
    tf32: bool = Field(
        default=False, description="On a GPU: round what float32 products multiply to 11 bits, while training."
    )
    checkpoint_every: int = Field(default=10, ge=1, description="Epochs between two checkpoints.")

    @model_validator(mode="after")
    def _warmup(self) -> TrainingConfig:
        if self.warmup and self.schedule in ("one_cycle", "plateau"):
            raise ValueError(
                f"expected warmup: 0 with schedule: {self.schedule}, got {self.warmup}. "
                "Take cosine, constant or step, or leave warmup out."
            )
        if self.warmup >= self.epochs:
            raise ValueError(f"expected fewer epochs of warmup than epochs: {self.epochs}, got {self.warmup}")
        return self
