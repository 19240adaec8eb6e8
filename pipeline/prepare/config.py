"""The ``prepare`` section of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.errors import ConfigError
from pipeline.prepare.label_config import LabelConfig
from pipeline.registry import suggest


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegridConfig(_Section):
    """The common grid of all predictors."""

    to: str | None = Field(
        default=None,
        description="'target', or 'dataset/variable' whose grid is taken; the first predictor's grid by default.",
    )
    method: Literal["bilinear", "nearest", "conservative"] = Field(
        default="bilinear", description="How fields are carried over; cells outside take the nearest value."
    )


class InputsConfig(_Section):
    """How predictors become channels."""

    anomaly: Literal["none", "day_of_year"] = Field(
        default="day_of_year",
        description="Subtract the train split's day-of-year climatology; do so where the target's is subtracted too, "
        "or the season is left in the inputs alone.",
    )
    scale: Literal["per_cell", "per_field"] = Field(
        default="per_cell", description="Mean and deviation of the train split at every cell, or one a field."
    )
    lags: list[int] = Field(
        default_factory=lambda: [0], description="Steps back in time that are given, 0 for the same day."
    )
    window: int | None = Field(
        default=None,
        ge=1,
        description="Steps in a row that are given, the last for the same day: lags 0 to window - 1.",
    )
    missing: Literal["leave_out", "mean", "last"] = Field(
        default="leave_out",
        description="What a missing value is. leave_out: no sample is made of it; of tables, none of that station. "
        "mean: the train split's mean (for that day of the year, of anomalies). last: the last value known in the same "
        "run of steps, the mean where there is none.",
    )
    transform: dict[str, Literal["sqrt", "log1p"]] = Field(
        default_factory=dict,
        description="Root or logarithm of (1 +) single predictors in their units before all else, such as {pr: sqrt}: "
        "amounts with a heavy tail; what is below zero counts as zero.",
    )
    calendar: bool = Field(
        default=False, description="Add day_cos and day_sin, the day of the year as a point on a circle."
    )
    max_missing: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Largest share of a split's steps that may miss a predictor; of tables, of a split's values.",
    )

    @field_validator("lags")
    @classmethod
    def _lags(cls, lags: list[int]) -> list[int]:
        if not lags or min(lags) < 0 or len(set(lags)) != len(lags):
            raise ValueError(f"expected different lags of 0 or more, got {lags!r}")
        return sorted(lags)

    @model_validator(mode="after")
    def _lags_or_window(self) -> InputsConfig:
        if self.window is not None and self.lags != [0]:
            raise ValueError(f"expected lags or a window, got lags {self.lags!r} and window {self.window!r}")
        return self

    @property
    def steps_back(self) -> tuple[int, ...]:
        """Steps back in time that are given, as ``lags`` or ``window`` say."""
        return tuple(self.lags) if self.window is None else tuple(range(self.window))


Anomaly = Literal["none", "mean", "day_of_year"]
TargetScale = Literal["none", "per_cell", "per_field"]


class TargetVariable(_Section):
    """What is done otherwise with one variable of the target."""

    anomaly: Anomaly | None = Field(default=None, description="In place of prepare.target.anomaly.")
    scale: TargetScale | None = Field(default=None, description="In place of prepare.target.scale.")


class TargetConfig(_Section):
    """How the target is given to models; predictions are turned back into units."""

    anomaly: Anomaly = Field(
        default="day_of_year",
        description="Subtract the train split's mean or day-of-year climatology. Precipitation wants 'none': then 0 is "
        "dry in what models see too.",
    )
    scale: TargetScale = Field(
        default="per_field", description="Divide by the train split's deviation at every cell, or one a field."
    )
    variables: dict[str, TargetVariable] = Field(
        default_factory=dict, description="What is done otherwise with single variables, such as {pr: {anomaly: none}}."
    )
    mask: Literal["finite", "all"] = Field(
        default="finite",
        description="'finite': cells with truth on at least `min_share` of the train days; 'all': every cell.",
    )
    min_share: float = Field(
        default=0.5, gt=0, le=1, description="Least share of train days with truth for a cell to count."
    )
    label: LabelConfig | None = Field(
        default=None,
        description="Of a segmentation: what makes classes of the target's values, such as {kind: marine_heatwave}; "
        "without it the values are numbers of classes. Classes have no anomaly and no scale, whatever stands there.",
    )
    leads: list[int] = Field(
        default_factory=lambda: [0],
        description="Steps ahead that are answered, such as [1, 3, 6]: a forecast; 0 for the same day.",
    )

    @field_validator("leads")
    @classmethod
    def _leads(cls, leads: list[int]) -> list[int]:
        if not leads or min(leads) < 0 or len(set(leads)) != len(leads):
            raise ValueError(f"expected different leads of 0 or more, got {leads!r}")
        return sorted(leads)

    def require(self, names: Sequence[str]) -> None:
        """Refuse options of a variable that the target has not.

        Raises
        ------
        ConfigError
            If there is one.
        """
        for name in self.variables:
            if name not in names:
                raise ConfigError(
                    f"prepare.target.variables: the target has no variable {name!r}.{suggest(name, names)} "
                    f"Known: {', '.join(names)}."
                )

    def anomaly_of(self, variable: str) -> Anomaly:
        """Return what is subtracted from ``variable``."""
        own = self.variables.get(variable)
        return self.anomaly if own is None or own.anomaly is None else own.anomaly

    def scale_of(self, variable: str) -> TargetScale:
        """Return what ``variable`` is divided by."""
        own = self.variables.get(variable)
        return self.scale if own is None or own.scale is None else own.scale


class PrepareConfig(_Section):
    """From datasets to samples; everything fitted here is fitted on the train split alone."""

    calendars: Literal["same", "match_dates"] = Field(
        default="same",
        description="'same': all datasets count in one calendar; 'match_dates': those that do not meet by year, month "
        "and day, and days that only one of them has are left out.",
    )
    regrid: RegridConfig = Field(default_factory=RegridConfig, description="From grid to grid.")
    inputs: InputsConfig = Field(default_factory=InputsConfig, description="What models are given.")
    target: TargetConfig = Field(default_factory=TargetConfig, description="What they learn.")
    harmonics: int = Field(default=2, ge=0, le=8, description="Sines and cosines of the day-of-year climatology.")
