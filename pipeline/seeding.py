"""Seeds derived from (seed, purpose, member), never shared."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, purpose: str, member: int = 0) -> int:
    """Return a seed of 63 bits that depends on all three arguments and on nothing else.

    Parameters
    ----------
    seed : int
        The experiment's seed.
    purpose : str
        What the random numbers are for, such as ``"fit:unet"``.
    member : int
        Number of the ensemble member.

    Examples
    --------
    >>> derive_seed(1, "fit:unet", 0) == derive_seed(1, "fit:unet", 0)
    True
    >>> derive_seed(1, "fit:unet", 0) == derive_seed(1, "fit:unet", 1)
    False
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{member}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, purpose: str, member: int = 0) -> np.random.Generator:
    """Return a NumPy generator on :func:`derive_seed` of the same arguments."""
    return np.random.default_rng(derive_seed(seed, purpose, member))
