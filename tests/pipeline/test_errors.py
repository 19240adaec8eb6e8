"""What another version wrote is refused, wherever it is read."""

import json

import pytest

from pipeline.errors import FormatError, UserError, require_format
from pipeline.model import FORMAT, read_config, write_config
from pipeline.model_config import ModelConfig


@pytest.mark.parametrize(("got", "said"), [(None, "no format"), (2, "format 2"), (4, "format 4"), ("3", "format 3")])
def test_another_layout_is_refused_with_what_to_do(got, said):
    message = (
        rf"^runs/x was made by another version of Finescale \({said}, this one reads 3\); run the experiment again\.$"
    )
    with pytest.raises(FormatError, match=message) as caught:
        require_format("runs/x", got, 3)
    assert isinstance(caught.value, UserError)
    require_format("runs/x", 3, 3)


def test_a_model_folder_of_another_version_is_refused(tmp_path):
    write_config(ModelConfig(), tmp_path)
    assert read_config(ModelConfig, tmp_path) == ModelConfig()
    kept = json.loads((tmp_path / "config.json").read_text())
    for old, said in (
        (kept["options"], "no format"),  # as it was before there was a format
        ({**kept, "format": FORMAT - 1}, f"format {FORMAT - 1}"),
        ({**kept, "format": FORMAT + 1}, rf"format {FORMAT + 1}"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(old))
        with pytest.raises(FormatError, match=rf"by another version of Finescale \({said}, this one reads {FORMAT}\)"):
            read_config(ModelConfig, tmp_path)
