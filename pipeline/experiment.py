"""The experiment: one YAML file, a question put to data, checked whole before data are read.

This tree has the YAML's own shape. Options of models, uncertainty methods and explanations are
kept as written here; their own schemas check them in ``flows.plan``, which knows the registries.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.backend.cluster import ComputeConfig
from pipeline.experiment_checks import check_task
from pipeline.explain_config import ExplainConfig
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.region_config import AskedRegions, Region
from pipeline.schedule_config import ScheduleConfig
from pipeline.split_config import AnySplit, Span
from pipeline.training.config import TrainingConfig

NOVELTY = "novelty"
"""Name of the file among those of the models in ``diagnostics`` that is of none."""


class Section(BaseModel):
    """A part of the tree: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Variables of one dataset of the catalog."""

    dataset: str = Field(description="Name of an entry of the data catalog.")
    variables: list[str] | None = Field(
        default=None, description="Which of its variables, in this order; all by default."
    )
    coarsen: int | None = Field(
        default=None,
        ge=2,
        description="Area-weighted means of n x n cells; rows and columns left over in the north and east are dropped.",
    )
    mean_over: Region | None = Field(
        default=None, description="Area-weighted mean over the cells of this region: a series without a place."
    )
    name: str | None = Field(
        default=None,
        description="What the mean over a region is called, where there is one variable; its own by default.",
    )

    @model_validator(mode="after")
    def _named(self) -> Source:
        if self.name is not None and (
            self.mean_over is None or (self.variables is not None and len(self.variables) != 1)
        ):
            raise ValueError(f"expected a name for the mean over a region of one variable, got name: {self.name!r}")
        if self.name is not None and not self.name.isidentifier():
            raise ValueError(f"expected a name of letters, digits and _, got {self.name!r}")
        return self


class TestData(Section):
    """A test set with data of its own: another model run, another period."""

    predictors: list[Source] = Field(
        min_length=1, description="In place of data.predictors, one for each in their order; the same variables."
    )
    target: Source | None = Field(default=None, description="The truth; without one it is predicted and not scored.")
    forcings: list[Source] | None = Field(default=None, description="In place of data.forcings; those by default.")
    span: Span | None = Field(default=None, description="First and last date; all dates of the predictors by default.")


class DataConfig(Section):
    """Which data go in."""

    images: list[str] = Field(
        default_factory=list,
        description="Of a split by block: datasets of one image each, with the same variables. `predictors` and "
        "`target` name them together as the dataset `images`.",
    )

    predictors: list[Source] = Field(min_length=1, description="What is known: coarse fields.")
    target: Source = Field(description="What is asked for: fields, or a table of stations.")
    static: list[Source] = Field(
        default_factory=list,
        description="Fields without time, such as orography, or a table of the target's stations; the variable "
        "`altitude` of a station table is the height it gives its stations.",
    )
    forcings: list[Source] = Field(
        default_factory=list,
        description="Series without a place, such as greenhouse gases; a yearly or monthly value holds for its year "
        "or month.",
    )
    tests: dict[str, TestData] = Field(
        default_factory=dict, description="Test sets with data of their own, by name; channels are matched by name."
    )
    months: list[int] | None = Field(default=None, description="Keep these months only, 1 to 12.")
    region: Region | None = Field(default=None, description="Keep target cells inside these bounds.")

    @field_validator("months")
    @classmethod
    def _months(cls, months: list[int] | None) -> list[int] | None:
        if months is not None and (not months or any(not 1 <= month <= 12 for month in months)):
            raise ValueError(f"expected months from 1 to 12, got {months!r}")
        return months


class CalibrationConfig(BaseModel):
    """How what a method says is calibrated; further keys are the calibration's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A name of the calibration registry.")
    folds: int | None = Field(
        default=None,
        ge=3,
        le=50,
        description="How often years of the train and validation splits are left out of further fits in turn; what "
        "these say of the years left out is calibrated on. Left out: the validation split.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """The calibration's own options."""
        return dict(self.model_extra or {})


class UncertaintyConfig(BaseModel):
    """One uncertainty method on some models; further keys are the method's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    method: str | None = Field(
        default=None,
        description="A name of the uncertainty registry. Left out: the model's own distribution, for its calibration.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_]*$",
        max_length=40,
        description="What stands behind the model's name and a +; by default the method and the kind of calibration.",
    )
    models: list[str] | None = Field(default=None, description="Names of models; all that can by default.")
    calibration: CalibrationConfig | None = Field(
        default=None,
        description="{kind: ..., folds: 5, ...}: makes what is said hold as often as it says.",
    )

    @property
    def called(self) -> str:
        """What the method is called behind the name of its model."""
        parts = [self.method, None if self.calibration is None else self.calibration.kind]
        return self.name or "+".join(part for part in parts if part)

    @model_validator(mode="after")
    def _something(self) -> UncertaintyConfig:
        if self.method is None and self.calibration is None:
            raise ValueError("expected a method, a calibration, or both, got neither")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class AugmentConfig(BaseModel):
    """One augmentation of the train split, for some models; further keys are its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A name of the augmentation registry.")
    models: list[str] | None = Field(
        default=None,
        description="Names of models; by default all deep ones that can and say no `augment` of their own.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """The augmentation's own options."""
        return dict(self.model_extra or {})


class ModelEntry(BaseModel):
    """A model by kind; further keys are that kind's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A name of the model registry.")

    @property
    def options(self) -> dict[str, Any]:
        """The model's own options."""
        return dict(self.model_extra or {})


class ChangeConfig(BaseModel):
    """A change signal: the climate of one test set less that of another."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    first: str = Field(alias="from", description="Test set of the earlier period.")
    second: str = Field(alias="to", description="Test set of the later period.")


class Experiment(Section):
    """A question put to data."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60, description="Name; starts the run folder's name."
    )
    question: str = Field(default="", description="The question in one line, for the report's first screen.")
    task: Literal["downscaling", "series", "segmentation"] = Field(
        default="downscaling",
        description="What kind of question: fields from coarser fields; series of stations, basins or an index, maybe "
        "some steps ahead; or which class each cell is of.",
    )
    data: DataConfig = Field(description="What goes in.")
    split: AnySplit = Field(description="What is learned from, chosen on and tested on.")
    prepare: PrepareConfig = Field(default_factory=PrepareConfig, description="From datasets to samples.")
    augment: list[AugmentConfig] = Field(
        default_factory=list, description="What is done to every batch of the train split, in this order."
    )
    models: dict[str, ModelEntry] = Field(
        min_length=1, description="Models by a name of yours: {kind: ..., and that kind's options}."
    )
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="Defaults of every deep model.")
    uncertainty: list[UncertaintyConfig] = Field(default_factory=list, description="Error bars.")
    explain: list[ExplainConfig] = Field(default_factory=list, description="What drives the predictions.")
    scores: list[str] | None = Field(default=None, description="Names of metrics beside rmse; all by default.")
    regions: AskedRegions = Field(
        default="auto",
        description="Parts of the target that scores are told of, and that calibrations may differ by: boxes or "
        "stations by name; auto: by height, else quarters, or each of a few stations; none.",
    )
    changes: list[ChangeConfig] = Field(
        default_factory=list, description="Pairs of test sets whose climates are compared: {from: ..., to: ...}."
    )
    compute: ComputeConfig = Field(default_factory=ComputeConfig, description="Where it is done.")
    seed: int = Field(default=0, ge=0, description="Where all random numbers come from.")
    schedule: ScheduleConfig | None = Field(
        default=None, description="When `finescale serve` runs it by itself; only when asked by default."
    )
    plugins: list[str] = Field(default_factory=list, description="Python files that register plug-ins.")

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of all test sets: those of the split, then those with data of their own."""
        return (*self.split.test, *self.data.tests)

    @model_validator(mode="after")
    def _known_tests(self) -> Experiment:
        if not self.tests:
            raise ValueError("split.test: expected a test set or more, there or under data.tests, got none")
        twice = sorted({"train", "validation", *self.split.test} & set(self.data.tests))
        if twice:
            raise ValueError(f"data.tests: expected names of their own, got {', '.join(twice)}, taken by the split")
        for name, test in self.data.tests.items():
            if len(test.predictors) != len(self.data.predictors):
                raise ValueError(
                    f"data.tests.{name}.predictors: expected {len(self.data.predictors)} sources, one for each of "
                    f"data.predictors, got {len(test.predictors)}"
                )
        for change in self.changes:
            for name in (change.first, change.second):
                if name not in self.tests:
                    raise ValueError(f"changes: no test set {name!r}. Known: {', '.join(self.tests)}")
            if change.first == change.second:
                raise ValueError(f"changes: expected two test sets, got {change.first!r} twice")
        return self

    @model_validator(mode="after")
    def _fits_its_task(self) -> Experiment:
        check_task(self)
        return self

    @field_validator("models")
    @classmethod
    def _model_names(cls, models: dict[str, ModelEntry]) -> dict[str, ModelEntry]:
        for name in models:
            if not name.replace("-", "_").isidentifier():
                raise ValueError(f"expected model names of letters, digits, - and _, got {name!r}")
            if name == NOVELTY:
                raise ValueError(f"expected another model name than {name!r}: diagnostics/{name}.nc is of no model")
        return models

    @model_validator(mode="after")
    def _known_models(self) -> Experiment:
        for part in ("augment", "uncertainty", "explain"):
            for entry in getattr(self, part):
                called = (
                    entry.called
                    if isinstance(entry, UncertaintyConfig)
                    else entry.kind
                    if isinstance(entry, AugmentConfig)
                    else entry.method
                )
                for name in entry.models or ():
                    if name not in self.models:
                        known = ", ".join(self.models)
                        raise ValueError(f"{part}: {called} names the model {name!r}. Known: {known}")
        return self
