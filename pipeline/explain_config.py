"""The keys of ``explain``: which method explains which number, from which baseline, with which checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.prepare.region_config import Region


class Point(BaseModel):
    """A place on the Earth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: float = Field(ge=-90, le=90, description="Latitude, degrees.")
    lon: float = Field(description="Longitude, degrees.")


class ExplainConfig(BaseModel):
    """One explanation of some models; further keys are the method's own options."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    method: str = Field(description="A name of the attribution registry.")
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=40,
        description="What this explanation is called in files; the method's name by default, numbered where it is "
        "there already.",
    )
    models: list[str] | None = Field(default=None, description="Names of models; all that can by default.")
    of: str | None = Field(
        default=None,
        description="What of the prediction is explained: mean, log_variance, exceedance (of quantile or threshold), "
        "rain_probability, rain_amount; of classes log_odds or probability. By default mean, or log_odds.",
    )
    target: str | None = Field(default=None, description="Which target is explained; the first by default.")
    lead: int | None = Field(default=None, ge=0, description="Which lead, steps ahead; the first by default.")
    class_: str | None = Field(
        default=None, alias="class", description="Which class of a segmentation; the last by default."
    )
    region: Region | str | None = Field(
        default=None,
        description="The mean over these bounds, or over a region of the experiment by name, is explained; the whole "
        "mask by default.",
    )
    point: Point | None = Field(default=None, description="The cell nearest to this place, in place of a region.")
    station: str | None = Field(default=None, description="A station or basin, in place of a region.")
    event: bool = Field(
        default=False,
        description="Of each day only the cells of the event: those of the class as predicted, or where the predicted "
        "mean reaches quantile or threshold. Days without any are left out.",
    )
    quantile: float | None = Field(
        default=None, gt=0, lt=1, description="Of the train split at each cell: what exceedance and events reach."
    )
    threshold: float | None = Field(default=None, description="The same in units of the target, at all cells.")
    baseline: str | None = Field(
        default=None,
        description="What attributions are departures from: climatology (the train mean at each cell, the default), "
        "day_of_year (that of days within 15 days of the day of the year), train_draws (days drawn from the train "
        "split, averaged over) or zero (in the numbers that the model sees; the only one for lrp).",
    )
    baseline_draws: int = Field(default=16, ge=1, description="Train days drawn, with baseline: train_draws.")
    days: int = Field(default=64, ge=1, description="Number of test days explained, evenly spaced.")
    members: int = Field(default=3, ge=1, description="Most members of an ensemble that are explained, and compared.")
    groups: list[Literal["season", "third", "regime"]] = Field(
        default=["season", "third"],
        description="Groups of days that shares are told of: season; third: days in the lowest, middle and highest "
        "third of the explained number; regime: clusters of the inputs.",
    )
    regimes: int = Field(default=4, ge=2, le=12, description="How many clusters, with groups: [regime].")
    checks: list[str] | None = Field(
        default=None, description="Names of the checks that are made; all that suit the method by default, [] for none."
    )
    check_days: int = Field(default=8, ge=1, description="Most days that checks look at which ask the model again.")

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _one_place(self) -> ExplainConfig:
        places = [name for name in ("region", "point", "station") if getattr(self, name) is not None]
        if len(places) > 1:
            raise ValueError(f"expected one of region, point and station, got {' and '.join(places)}")
        if self.quantile is not None and self.threshold is not None:
            raise ValueError("expected quantile or threshold, got both")
        given = self.quantile is not None or self.threshold is not None
        if self.of == "exceedance" and not given:
            raise ValueError("of: exceedance: expected quantile or threshold, got neither")
        if given and self.of != "exceedance" and not self.event:
            raise ValueError(
                "quantile or threshold: expected of: exceedance or event: true, which reach it, got neither of them"
            )
        return self
