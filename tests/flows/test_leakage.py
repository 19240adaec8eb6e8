"""``finescale check-leakage`` on experiments whose train split has no end in time."""

import pytest

from flows.leakage import check
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("experiment", "by", "parts"),
    [("camels", "basin", "basins"), ("cloud-masks", "block", "blocks, split.margin pixels from all others,")],
)
def test_splits_without_dates_are_refused_before_data_are_read(experiment, by, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        check(experiment, (), None, None)
    assert str(caught.value) == (
        f"check-leakage: expected a split by time, got split.by: {by}. What is fitted there is fitted on the train "
        f"{parts} alone; no date comes after them."
    )
