"""What must fit together in an experiment for its task and its kind of split."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.experiment import Experiment

IMAGES = "images"
"""Name under which predictors and target find the variables of ``data.images``."""


def check_task(experiment: Experiment) -> None:
    """Refuse what has no meaning for the experiment's task or split.

    Raises
    ------
    ValueError
        If something does not fit; the message says where it stands and what was expected.
    """
    _leads_of_a_series(experiment)
    _images_in_blocks(experiment)
    _new_basins(experiment)
    _classes_alone(experiment)
    _regions_with_cells(experiment)


def _leads_of_a_series(experiment: Experiment) -> None:
    leads = experiment.prepare.target.leads
    if leads == [0] or experiment.task == "series":
        return
    if experiment.task == "segmentation":
        instead = "Classes are of the sample's own time; to tell of later ones give predictors of earlier times alone, "
        instead += f"such as prepare.inputs.lags: [{min(lead for lead in leads if lead)}]"
    else:
        instead = "take task: series for stations, basins or an index"
    raise ValueError(f"prepare.target.leads: expected [0] for task {experiment.task!r}, got {leads!r}. {instead}")


def _images_in_blocks(experiment: Experiment) -> None:
    """Hold images to a split by block, and the other way round."""
    data, block = experiment.data, experiment.split.by == "block"
    if block != bool(data.images):
        raise ValueError(
            f"data.images: expected images with a split by block and with no other, got {data.images!r} and "
            f"split.by {experiment.split.by!r}"
        )
    sources = [*data.predictors, data.target]
    for source in sources if block else ():
        if source.dataset != IMAGES or source.coarsen or source.mean_over or not source.variables:
            raise ValueError(
                f"data: expected the dataset 'images' and names of its variables, got {source.dataset!r} with "
                f"{source.variables!r}"
            )
    if block:
        _tiles_have_no_time(experiment)
    rest = [name for name in ("static", "forcings", "tests", "months", "region") if getattr(data, name)]
    if block and rest:
        raise ValueError(f"data.{rest[0]}: expected none with images, which have neither place nor time")


def _tiles_have_no_time(experiment: Experiment) -> None:
    """Refuse options that need dates, or a place that is the same in every sample."""
    prepare, inputs = experiment.prepare, experiment.prepare.inputs
    got = {
        "task": (experiment.task, "segmentation"),
        "prepare.inputs.anomaly": (inputs.anomaly, "none"),
        "prepare.inputs.scale": (inputs.scale, "per_field"),
        "prepare.inputs.calendar": (inputs.calendar, False),
        "prepare.inputs.window or lags": (list(inputs.steps_back), [0]),
        "prepare.target.label": (None if prepare.target.label is None else prepare.target.label.kind, None),
        "prepare.regrid.to": (prepare.regrid.to, None),
    }
    for key, (value, wanted) in got.items():
        if value != wanted:
            raise ValueError(f"{key}: expected {wanted!r} where split.by is block, got {value!r}: tiles have no time")
    if len(set(experiment.data.images)) < len(experiment.data.images):
        raise ValueError(f"data.images: expected each image once, got {experiment.data.images!r}")


def _new_basins(experiment: Experiment) -> None:
    """Refuse what a basin that was never trained on cannot have: a climatology of its own."""
    if experiment.split.by != "basin":
        return
    inputs, target = experiment.prepare.inputs, experiment.prepare.target
    got = {
        "prepare.inputs.anomaly": (inputs.anomaly, "none"),
        "prepare.inputs.scale": (inputs.scale, "per_field"),
        "prepare.target.anomaly": (target.anomaly, "none"),
        "prepare.target.scale": (target.scale, "per_field"),
    }
    for key, (value, wanted) in got.items():
        if value != wanted:
            raise ValueError(
                f"{key}: expected {wanted} where split.by is basin, got {value!r}: a basin that was never trained "
                "on has no mean and no deviation of its own"
            )
    for name, own in target.variables.items():
        if own.anomaly not in (None, "none") or own.scale not in (None, "per_field"):
            raise ValueError(
                f"prepare.target.variables.{name}: expected no anomaly and scale per_field where split.by is basin"
            )
    if experiment.task != "series":
        raise ValueError(f"split.by: expected task series for a split by basin, got {experiment.task!r}")
    if experiment.data.tests:
        raise ValueError("data.tests: expected none where split.by is basin; give their basins to split.test")


def _classes_alone(experiment: Experiment) -> None:
    """Refuse what has a meaning for classes alone, or for numbers alone."""
    if experiment.prepare.target.label is not None and experiment.task != "segmentation":
        raise ValueError(f"prepare.target.label: expected task segmentation with a label, got task {experiment.task!r}")
    if experiment.changes and (experiment.task == "segmentation" or len(experiment.prepare.target.leads) > 1):
        raise ValueError("changes: expected a target of numbers at one lead; leave changes out")


def _regions_with_cells(experiment: Experiment) -> None:
    """Refuse regions by name that no cell of the target can lie in."""
    data, regions = experiment.data, experiment.regions
    if isinstance(regions, str):
        return
    for whether, what in (
        (bool(data.images), "images, which have no place"),
        (data.target.mean_over is not None, "a target that is a mean over a region, which is one series"),
    ):
        if whether:
            raise ValueError(f"regions: expected auto or none with {what}, got {', '.join(regions)}")
    kept = None if data.region is None else data.region.lat
    for name, region in regions.items():
        if kept and region.lat and (region.lat[1] < kept[0] or region.lat[0] > kept[1]):
            raise ValueError(
                f"regions.{name}.lat: expected latitudes of data.region, {list(kept)!r}, got {list(region.lat)!r}"
            )
