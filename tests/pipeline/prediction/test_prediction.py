import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError, UnknownNameError
from pipeline.prediction import Prediction

ZERO = np.zeros((1, 1, 1, 1))


def test_parameters_must_be_those_of_the_family():
    with pytest.raises(
        DataError, match=r"^expected the parameters \['mean', 'sd'\] of family 'normal', got \['mean', 'spread'\]\.$"
    ):
        Prediction("normal", {"mean": ZERO, "spread": ZERO})


def test_an_unknown_family_is_named():
    with pytest.raises(UnknownNameError, match=r"^unknown prediction family 'norm'\. Did you mean 'normal'\?"):
        Prediction("norm", {"mean": ZERO})


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5])
def test_a_quantile_needs_a_level_inside(level):
    message = rf"^expected a quantile level between 0 and 1, both left out, got {level}\.$"
    with pytest.raises(ConfigError, match=message):
        Prediction("point", {"mean": ZERO}).quantile(level)


def test_parameters_cannot_be_swapped_and_map_makes_another():
    p = Prediction("point", {"mean": ZERO})
    with pytest.raises(TypeError):
        p.parameters["mean"] = ZERO
    assert p.map(lambda array: array + 1.0).mean().item() == 1.0
