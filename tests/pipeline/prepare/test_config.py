"""Options of the prepare section."""

import pytest
from pydantic import ValidationError

from pipeline.prepare.config import PrepareConfig


def test_the_defaults_stand_on_their_own():
    config = PrepareConfig()
    assert config.inputs.lags == [0]
    assert config.target.anomaly == "day_of_year"


@pytest.mark.parametrize(
    "wrong", [{"harmonics": 9}, {"target": {"min_share": 0}}, {"inputs": {"max_missing": 1}}, {"scale": "x"}]
)
def test_what_is_out_of_bounds_or_unknown_is_refused(wrong):
    with pytest.raises(ValidationError):
        PrepareConfig.model_validate(wrong)
