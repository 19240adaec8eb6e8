"""From what stands under ``label:`` to a label."""

import pytest

from pipeline.errors import ConfigError, DataError, UnknownNameError
from pipeline.prepare.labels import LABELS, LabelConfig, make_label, restore_label


def test_a_label_is_made_of_a_config_or_a_mapping():
    one = make_label(LabelConfig(kind="marine_heatwave", min_days=7))
    other = make_label({"kind": "marine_heatwave", "min_days": 7})
    assert one.config == other.config
    assert one.config.min_days == 7
    assert one.classes == ("background", "marine_heatwave")


def test_all_definitions_are_there():
    wanted = {"marine_heatwave", "percentile_extreme", "threshold", "deep_low", "blocking"}
    assert wanted <= set(LABELS.names())


def test_a_kind_that_is_near_is_suggested():
    message = r"^unknown label 'marine_heatwaves'\. Did you mean 'marine_heatwave'\? Known: blocking, deep_low, marine"
    with pytest.raises(UnknownNameError, match=message):
        make_label({"kind": "marine_heatwaves"})
    with pytest.raises(UnknownNameError, match=r"^unknown label 'None'\. Known: "):
        restore_label({}, {})
    with pytest.raises(
        DataError, match=r"^label 'threshold': options: expected a mapping with keys among above, below, max_gap"
    ):
        restore_label({}, {"kind": "threshold"})


def test_an_option_that_is_near_is_suggested():
    message = (
        r"^label 'marine_heatwave': min_day: unknown key\. Did you mean 'min_days'\? Known: categories, max_gap, min"
    )
    with pytest.raises(ConfigError, match=message):
        make_label({"kind": "marine_heatwave", "min_day": 5})
    with pytest.raises(
        ConfigError, match=r"^label 'marine_heatwave': percentile: input should be less than 100, got 190"
    ):
        make_label({"kind": "marine_heatwave", "percentile": 190})


@pytest.mark.parametrize("spec", [{}, {"kind": 3}, {"threshold": 3}])
def test_a_mapping_without_a_kind_is_refused(spec):
    with pytest.raises(ConfigError, match=r"^expected a label with its name under the key 'kind', such as .* Known: "):
        make_label(spec)
