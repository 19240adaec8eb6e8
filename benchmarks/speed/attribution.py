"""Aggregated saliency maps of all cells beside a pass for every cell; `benchmarks.attribution_maps` has more."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import attribution_maps as maps
from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Work
from pipeline.backend import Backend


@SPEED.register("attribution-maps")
def attribution(scale: Scale) -> Case:
    """Explain a DeepESD: a map for each day and cell, aggregated."""
    from pipeline.attribution.dispersion import saliency_aggregates

    days, side = scale.grown(4, 16, 64), scale.fixed(8, 16, 32)
    passes = scale.fixed(4, 16, 64)

    def ours(backend: Backend) -> Work:
        network, layout, inputs = maps.made("deepesd", days, side, torch.device(backend.torch_device))
        return lambda: saliency_aggregates(network, inputs, layout).whole.saliency

    def looped(backend: Backend) -> Work:
        network, layout, inputs = maps.made("deepesd", days, side, torch.device(backend.torch_device))
        picked = np.linspace(0, layout.cells - 1, passes).round().astype(int)
        return lambda: [maps.gradient(network, inputs, int(cell)) for cell in picked]

    def agreement(backend: Backend) -> float:
        network, layout, inputs = maps.made("deepesd", days, side, torch.device(backend.torch_device))
        return maps.difference(network, inputs, layout, np.arange(0, layout.cells, layout.cells // 4))

    return Case(
        f"maps of {days} days and {side * side} cells of a DeepESD",
        float(days * side * side),
        "maps",
        ours,
        None,
        (
            Peer(
                "a pass for each cell, all days",
                looped,
                share=side * side / passes,
                compared=False,
                everywhere=True,
            ),
        ),
        tolerance=1e-3,
        agreement=agreement,
        why_no_limit="none known: neighbouring cells share most of a pass",
    )
