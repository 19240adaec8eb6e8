"""What the benchmarks are asked for, and the options that methods are tried with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pipeline.attribution.known.methods import Variant
from pipeline.attribution.known.networks import Lesson

Size = Literal["small", "full"]
STEP = 8  # every so manieth cell is in the small version
LESSONS = {
    ("attribution", "small"): Lesson(steps=1800, batch=1024, rate=2e-3, wanted=0.99),
    ("attribution", "full"): Lesson(steps=40_000, batch=1024, rate=2e-3, wanted=0.99),
    ("attribution-shapes", "small"): Lesson(steps=400, batch=64, rate=2e-3, wanted=0.99),
    ("attribution-shapes", "full"): Lesson(steps=20_000, batch=128, rate=2e-3, wanted=0.995),
}
SAMPLES = {
    ("attribution", "small"): 500,
    ("attribution", "full"): 1000,
    ("attribution-shapes", "small"): 60,
    ("attribution-shapes", "full"): 500,
}

OF_CELLS = (
    Variant("occlusion", {"patch": 1}),
    Variant("ablation", {"by": "superpixel", "block": 1}),
    Variant("kernel_shap", {"by": "superpixel", "block": 1, "coalitions": 2048}, most=100),
    Variant("integrated_gradients", {"steps": 128}),
    Variant("expected_gradients"),
    Variant("expected_gradients", baseline="draws"),
    Variant("lrp", {"rule": "z"}),
    Variant("lrp", {"rule": "epsilon"}),
    Variant("lrp", {"rule": "alpha_beta"}, against=("its positive part", "its magnitude"), turned=True),
)
OF_IMAGES = (
    Variant("occlusion", {"patch": 5, "stride": 5}, most=50),
    Variant("ablation", {"by": "superpixel", "block": 5}, most=50),
    Variant("kernel_shap", {"by": "superpixel", "block": 5}, most=20),
    Variant("integrated_gradients", {"steps": 64}),
    Variant("expected_gradients", {"draws": 64}),
    Variant("lrp", {"rule": "z"}),
    Variant("lrp", {"rule": "epsilon"}),
    Variant("lrp", {"rule": "alpha_beta"}, against=("truth", "its magnitude")),
)


@dataclass(frozen=True)
class Settings:
    """What is asked of a benchmark.

    Parameters
    ----------
    size : {"small", "full"}
        Full is that of the papers.
    samples : int or None
        How many are explained; None: as many as suit the size.
    steps : int or None
        Of training at most; None: as many as suit the size.
    seed : int
        Of world, network and draws.
    methods : tuple of str
        Only these; empty: all there are.
    """

    size: Size = "small"
    samples: int | None = None
    steps: int | None = None
    seed: int = 0
    methods: tuple[str, ...] = ()

    def lesson(self, name: str) -> Lesson:
        """Return how the network of a benchmark learns."""
        lesson = LESSONS[name, self.size]
        return lesson if self.steps is None else replace(lesson, steps=self.steps)

    def count(self, name: str) -> int:
        """Return how many samples a benchmark explains."""
        return SAMPLES[name, self.size] if self.samples is None else self.samples
