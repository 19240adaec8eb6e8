"""Members drawn of a prediction, the same ones however little memory the device has left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.backend import Backend
from pipeline.backend.out_of_memory import first_line, is_out_of_memory
from pipeline.backend.passes import empty_device_cache
from pipeline.errors import MemoryBudgetError
from pipeline.prediction import Prediction
from pipeline.prediction.joined import joined


def drawn(
    parts: Sequence[Prediction], count: int, seed: int, backend: Backend, tell: Callable[[str], None]
) -> Prediction:
    """Return ``count`` draws of a prediction that was made in ``parts``, as members.

    They are drawn on the device where that had room for the prediction as a whole, else on the host, from the same
    random numbers: those are made on the host anyway.

    Parameters
    ----------
    parts : sequence of Prediction
        Behind one another in time.
    count : int
        Members.
    seed : int
        Of all draws.
    backend : Backend
        Where the parts lie.
    tell : callable
        Told in a sentence where a prediction had room on the device and its draws had not.

    Raises
    ------
    MemoryBudgetError
        If the host has no room for the draws.

    Examples
    --------
    >>> import numpy as np
    >>> from pipeline.backend import get_backend
    >>> whole = Prediction("normal", {"mean": np.zeros((4, 1, 1, 1)), "sd": np.ones((4, 1, 1, 1))})
    >>> parts = [whole.map(lambda values: values[:3]), whole.map(lambda values: values[3:])]
    >>> one, other = (drawn(some, 5, 0, get_backend("cpu"), print).members for some in ([whole], parts))
    >>> bool((one == other).all())
    True
    """
    if len(parts) == 1:
        try:
            return _members(parts[0], count, seed)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            said = str(error)
        # Outside of the clause: the error held on to what lay on the device.
        empty_device_cache()
        tell(f"--members: short of memory for {count} draws, made on the host ({first_line(said)}).")
    try:
        return _members(joined([part.map(backend.to_host) for part in parts]), count, seed)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryBudgetError(
            f"--members: expected room for {count} draws of a block of dates, got out of memory "
            f"({first_line(str(error))}). Take fewer members, or fewer dates at a time: --block."
        ) from error


def _members(prediction: Prediction, count: int, seed: int) -> Prediction:
    return Prediction("members", {"members": prediction.sample(count, seed=seed)})
