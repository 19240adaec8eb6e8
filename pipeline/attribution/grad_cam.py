"""Grad-CAM: where in the map a layer of a convolutional network looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject, gradients_of
from pipeline.errors import ConfigError
from pipeline.model_config import ModelConfig
from pipeline.prepare.weights import cells_on_sphere
from pipeline.registry import suggest

if TYPE_CHECKING:
    from torch import Tensor, nn


class GradCamConfig(ModelConfig):
    """Options of Grad-CAM."""

    layer: str | None = Field(
        default=None,
        description="Name of the layer, a convolution, as torch's named_modules has it; by default the last one at "
        "the lowest resolution.",
    )


@ATTRIBUTIONS.register("grad_cam")
class GradCam(MapMethod):
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391).

    The maps of one layer, each weighed by the mean gradient of the explained number by it, added up; what is negative
    is set to zero. Carried over to the input grid it tells where, coarsely, and never which channel: every channel has
    the same share. A layer on the target grid tells nothing of input cells beyond it.
    """

    Config: ClassVar[type[ModelConfig]] = GradCamConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "segmentation"})
    kind: ClassVar[str] = "strength"
    title: ClassVar[str] = "Grad-CAM"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the strengths of some explained days.

        Raises
        ------
        ConfigError
            If there is no such layer, or none that can be asked.
        """
        from captum.attr import LayerGradCam

        _, layer = self._layer(subject, inputs[:1], which[:1])
        method = LayerGradCam(subject.answer, layer)

        def some(part: slice) -> Tensor:
            found = method.attribute(
                inputs[part], additional_forward_args=which[part], relu_attributions=True, attr_dim_summation=True
            )
            made: Tensor = self._carried(found.detach(), subject, inputs[part])
            return made

        with gradients_of(subject.network):
            return subject.passes.over(len(inputs), some)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return which layer."""
        layer = self.config.layer or "the last convolution at the lowest resolution"
        return f"layer: {layer}; it does not tell channels apart"

    def _layer(self, subject: Subject, inputs: Tensor, which: Tensor) -> tuple[str, nn.Module]:
        """Return the layer that is asked for, with its name."""
        seen = _convolutions(subject, inputs, which)
        # A layer that runs several times, step by step or over rows of its own, has no single map of a day.
        usable = {name: sizes[0] for name, (_, sizes) in seen.items() if len(sizes) == 1 and sizes[0][0] == len(inputs)}
        usable = {name: size for name, size in usable.items() if size[2] * size[3] > 1}
        if not usable:
            raise ConfigError(
                "explain: grad_cam: expected a network with convolutions over maps, each used once for a day, got none "
                "such. Take integrated_gradients or occlusion."
            )
        wanted = self.config.layer
        if wanted is None:
            smallest = min(size[2] * size[3] for size in usable.values())
            wanted = [name for name, size in usable.items() if size[2] * size[3] == smallest][-1]
        if wanted not in usable:
            raise ConfigError(
                f"explain: grad_cam: layer: no convolution {wanted!r}.{suggest(wanted, usable)} Known: "
                f"{', '.join(usable)}."
            )
        return wanted, seen[wanted][0]

    def _carried(self, maps: Tensor, subject: Subject, inputs: Tensor) -> Tensor:
        """Return maps of a layer, (row, 1, lat, lon), on the input grid, shared evenly over the channels."""
        from captum.attr import LayerAttribution

        rows, columns = inputs.shape[2:]
        schema = None if subject.case is None else subject.case.samples.schema
        on_inputs = schema is None or schema.target_grid.shape == (rows, columns)
        on_inputs = on_inputs or (rows % maps.shape[2] == 0 and columns % maps.shape[3] == 0)
        if on_inputs or schema is None:
            whole = LayerAttribution.interpolate(maps, (rows, columns), interpolate_mode="bilinear")
        else:
            fine = LayerAttribution.interpolate(maps, schema.target_grid.shape, interpolate_mode="bilinear")
            whole = _to_inputs(fine, schema)
        shared: Tensor = whole.expand(-1, inputs.shape[1], -1, -1).to(inputs.dtype) / inputs.shape[1]
        return shared


def _convolutions(
    subject: Subject, inputs: Tensor, which: Tensor
) -> dict[str, tuple[nn.Module, list[tuple[int, ...]]]]:
    """Return every 2-D convolution with the shapes of what it answers in one pass, in the order of the pass."""
    from torch import nn

    found: dict[str, tuple[nn.Module, list[tuple[int, ...]]]] = {}
    handles = []
    prefix = "network."
    assert subject.network is not None  # the trait differentiable
    for name, module in subject.network.named_modules():
        if isinstance(module, nn.Conv2d):
            short = name.removeprefix(prefix)

            def keep(module: nn.Module, _: Any, output: Tensor, short: str = short) -> None:
                found.setdefault(short, (module, []))[1].append(tuple(output.shape))

            handles.append(module.register_forward_hook(keep))
    try:
        subject.numbers(inputs, which)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _to_inputs(fine: Tensor, schema: Any) -> Tensor:
    """Return maps on the target grid as means over the target cells nearest to each input cell; 0 where none is."""
    import torch
    from scipy.spatial import cKDTree

    rows, columns = schema.input_grid.shape
    found = cKDTree(cells_on_sphere(schema.input_grid)).query(cells_on_sphere(schema.target_grid))[1]
    place = torch.as_tensor(np.asarray(found), device=fine.device)
    flat = fine.flatten(2)
    total = flat.new_zeros(*flat.shape[:2], rows * columns).index_add(2, place, flat)
    count = flat.new_zeros(rows * columns).index_add(0, place, torch.ones_like(place, dtype=flat.dtype))
    return (total / count.clamp(min=1.0)).reshape(*flat.shape[:2], rows, columns)
