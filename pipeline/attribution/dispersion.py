"""Aggregates of the explanations of all target cells: where a downscaling model looks, and how far.

González-Abad, Baño-Medina and Gutiérrez (2023), doi:10.1029/2023MS003641, arXiv:2302.01771.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution._aggregate import Aggregates, Of, Shape, aggregated
from pipeline.attribution.cell_sample import CellSample, sample_cells
from pipeline.errors import ConfigError, DataError
from pipeline.progress import Progress, silent
from pipeline.sphere import unit_vectors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.attribution._saliency import Places, Sums
    from pipeline.attribution.baseline import Baseline


def saliency_aggregates(
    network: nn.Module,
    inputs: Tensor,
    schema: Shape,
    *,
    of: Of = "gradient",
    baseline: Baseline | None = None,
    answer: int = 0,
    cells: int | np.ndarray | None = None,
    groups: Mapping[str, np.ndarray] | None = None,
    by_area: bool = False,
    rows: int = 64,
    at_once: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    name: str = "model",
) -> Aggregates:
    """Return the aggregated saliency map, the saliency dispersion and the shares of variables.

    For every day and target cell the absolute gradient of the cell's answer by all inputs, or that times the inputs'
    departure from a baseline, is divided by its maximum, set to zero below 0.1 and divided by its sum. The aggregated
    map is the mean of these maps; the dispersion of a cell is the mean over days of the great-circle distance of
    input cells from it, weighted by the map. Channels without a place (scalars) have a share, but no distance: the
    weights of a distance are those of the other channels, so that they add up to 1 again.

    One forward pass serves a block of days, and one backward pass a cell on all of them, or several cells. On a CPU
    each of torch's threads does days of its own.

    Parameters
    ----------
    network : Module
        Maps (time, channel, lat, lon) to (time, answer, lat, lon), in eval mode, as :meth:`Model.network` gives it.
    inputs : Tensor of float32, shape (time, channel, lat, lon)
        The explained days, on the network's device.
    schema : Schema
        Channels, grids and mask.
    of : {"gradient", "input_x_gradient"}
        What the maps are made of.
    baseline : Baseline, optional
        For ``input_x_gradient``; of several draws the mean, for the product is linear in it.
    answer : int
        Which target, or class, is asked about.
    cells : int or ndarray of int, optional
        Number of target cells that are drawn, evenly over the mask, or their numbers in the flattened grid; None: all.
    groups : mapping of str to ndarray of bool, shape (time,), optional
        Days of seasons, regimes and the like.
    by_area : bool
        Whether maps count by the area of their target cell; else all count the same.
    rows : int
        Most days in one forward pass; fewer once memory was short.
    at_once : int, optional
        Most cells in one backward pass; None: as suits the device. Fewer once memory was short.
    seed : int
        Of the draw of cells and of the bootstrap.
    progress : Progress
        Told of maps.
    name : str
        Of the model, for progress and log.

    Raises
    ------
    ConfigError
        If ``of`` is not known or lacks its baseline, or cells or groups do not fit.
    DataError
        If a grid has no places on the Earth, inputs do not fit the schema or a gradient is not finite.

    References
    ----------
    González-Abad, Baño-Medina and Gutiérrez (2023), doi:10.1029/2023MS003641, arXiv:2302.01771.

    Examples
    --------
    >>> import torch
    >>> from pipeline.grid import Grid
    >>> from pipeline.samples import Schema
    >>> grid, none = Grid(np.arange(3.0), np.arange(4.0)), np.zeros((0, 3, 4))
    >>> mask, day = np.ones((3, 4), bool), np.timedelta64(1, "D")
    >>> schema = Schema(("tas",), ("K",), ("tas",), ("K",), grid, grid, mask, none, (), day)
    >>> found = saliency_aggregates(torch.nn.Conv2d(1, 1, 1), torch.ones(5, 1, 3, 4), schema)
    >>> found.whole.maps, found.whole.distance, round(float(found.whole.saliency.sum()), 6)
    (60, 0.0, 1.0)
    """
    import torch

    from pipeline.attribution._rows import CellGradients
    from pipeline.attribution._saliency import block_sums, in_threads
    from pipeline.backend.passes import Passes

    groups = dict(groups or {})
    _check(inputs, schema, of, baseline, groups)
    sample = sample_cells(schema.target_grid, schema.mask, cells, seed)
    start = None if of == "gradient" or baseline is None else baseline.fields.mean(0).to(inputs)
    kept = np.stack([np.ones(len(inputs), bool), *groups.values()])
    member = torch.as_tensor(kept, device=inputs.device).to(inputs.dtype)
    asked = CellGradients(network, answer, torch.as_tensor(sample.cells, device=inputs.device), name)
    places = _places(schema, sample, by_area, inputs)
    by_cell = Passes(at_once or asked.together(inputs[:rows]), name)
    sums: list[Sums] = []

    with progress(f"saliency of cells of {name}", len(inputs) * len(sample.cells)) as bar:

        def block(part: slice) -> Tensor:
            days = range(len(inputs))[part]

            def share(own: slice) -> Sums:
                which = slice(days[own].start, days[own].stop)
                some = inputs[which]
                departure = None if start is None else some - (start if len(start) == 1 else start[which])
                return block_sums(asked, some, departure, member[:, which], places, by_cell, bar.advance)

            sums.extend(in_threads(len(days), inputs.device, share))
            return inputs.new_zeros(len(days))

        Passes(rows, name).over(len(inputs), block)
    total = sums[0]
    for more in sums[1:]:
        total.add(more)
    return aggregated(total, kept, tuple(groups), schema, sample, of, by_area=by_area, seed=seed)


def _check(inputs: Tensor, schema: Shape, of: str, baseline: Baseline | None, groups: Mapping[str, np.ndarray]) -> None:
    if of not in ("gradient", "input_x_gradient"):
        raise ConfigError(f"of: expected gradient or input_x_gradient, got {of!r}.")
    if of == "input_x_gradient" and baseline is None:
        raise ConfigError("of: input_x_gradient: expected a baseline that inputs depart from, got none.")
    expected = (len(schema.channels), *schema.input_grid.shape)
    if tuple(inputs.shape[1:]) != expected or not len(inputs):
        raise DataError(f"expected inputs of shape (time, *{expected}) with a day at least, got {tuple(inputs.shape)}.")
    for what, grid in (("inputs", schema.input_grid), ("target", schema.target_grid)):
        if grid.image or not (np.isfinite(grid.lat).all() and np.isfinite(grid.lon).all()):
            raise DataError(f"expected {what} at known places on the Earth to tell distances, got cells without.")
    for group, days in groups.items():
        if days.dtype != bool or days.shape != (len(inputs),) or not days.any():
            raise ConfigError(f"groups: {group}: expected a bool for each of {len(inputs)} days, one or more true.")


def _places(schema: Shape, sample: CellSample, by_area: bool, like: Tensor) -> Places:
    import torch

    from pipeline.attribution._saliency import Places

    vectors = [unit_vectors(grid).reshape(-1, 3) for grid in (schema.target_grid, schema.input_grid)]
    weights = sample.weights * (schema.target_grid.area.ravel()[sample.cells] if by_area else 1.0)
    placed = [float(channel not in schema.scalars) for channel in schema.channels]
    target, source = (torch.as_tensor(each, device=like.device) for each in (vectors[0][sample.cells], vectors[1]))
    return Places(torch.tensor(placed).to(like), target, source, torch.as_tensor(weights / weights.mean()).to(like))
