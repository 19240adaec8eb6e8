"""What the contracts of several registries share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def known_traits() -> set[str]:
    """Whatever a model may say of itself."""
    return {
        "baseline",
        "seeded",
        "differentiable",
        "probabilistic",
        "shared",
        "patches",
        "past",
        "previous",
        "trainable",
        "stackable",
        "linear",
        "trees",
        "streams",
    }


@pytest.fixture(scope="session")
def safe_files() -> set[str]:
    """Suffixes of files that run no code when they are loaded."""
    return {".json", ".safetensors", ".skops", ".csv"}
