"""The form of an experiment: what the page of a Prefect server makes its fields from, and what comes back."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError, create_model

from flows.form import changes, form_of
from flows.load import load_experiment, shipped


def made(name):
    loaded = load_experiment(name)
    form = form_of(loaded.experiment, str(loaded.source))
    return form, create_model("Form", **form)


def leaves(schema, defs, path=""):
    """Yield every field of a JSON schema, those of its sections too."""
    for name, field in schema["properties"].items():
        inner = field.get("$ref") or (field.get("allOf") or [{}])[0].get("$ref")
        if inner and "properties" in defs[inner.rpartition("/")[2]]:
            yield from leaves(defs[inner.rpartition("/")[2]], defs, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


@pytest.mark.parametrize("name", shipped())
def test_a_form_left_as_it_is_changes_nothing(name):
    form, model = made(name)
    back = model.model_validate(json.loads(model().model_dump_json()))
    assert changes(form, {section: getattr(back, section) for section in form}) == ()


@pytest.mark.parametrize("name", ["quickstart", "nino34", "storms", "error-bars"])
def test_every_field_has_a_title_help_and_the_value_of_the_experiment(name):
    _, model = made(name)
    schema = model.model_json_schema()
    found = dict(leaves(schema, schema["$defs"]))
    assert len(found) > 40
    assert [path for path, field in found.items() if not field.get("title")] == []
    assert [path for path, field in found.items() if not field.get("description")] == []
    assert [path for path, field in found.items() if "default" not in field] == []


def test_bounds_and_choices_are_those_of_the_schema():
    _, model = made("quickstart")
    schema = model.model_json_schema()
    fields = dict(leaves(schema, schema["$defs"]))
    assert fields["models.unet.depth"]["minimum"] == 1
    assert fields["models.unet.norm"]["enum"] == ["none", "batch", "group"]
    assert fields["models.unet.lr"]["default"] == 5e-3
    assert fields["seed"]["minimum"] == 0
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        model.model_validate({"models": {"unet": {"width": 0}}})
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"models": {"unet": {"widht": 8}}})


def test_what_is_changed_is_what_set_takes_and_makes_the_same_experiment():
    form, model = made("quickstart")
    given = model.model_validate(
        {
            "models": {"unet": {"lr": 1e-4}, "climatology": {"distribution": "empirical"}},
            "training": {"batch_size": 16},
            "uncertainty": {"0": {"members": 5}},
            "split": {"test": {"test": ["2009-01-01", "2009-06-30"], "later": ["2009-07-01", "2010-12-31"]}},
            "scores": ["crps"],
            "seed": 7,
        }
    )
    texts = changes(form, {section: getattr(given, section) for section in form})
    assert sorted(texts) == [
        'models.climatology.distribution="empirical"',
        "models.unet.lr=0.0001",
        'scores=["crps"]',
        "seed=7",
        'split.test={"test": ["2009-01-01", "2009-06-30"], "later": ["2009-07-01", "2010-12-31"]}',
        "training.batch_size=16",
        "uncertainty.0.members=5",
    ]
    experiment = load_experiment("quickstart", texts).experiment
    assert experiment.models["unet"].options["lr"] == 1e-4
    assert experiment.models["unet"].options["width"] == 8
    assert experiment.uncertainty[0].options["members"] == 5
    assert experiment.tests == ("test", "later")
    assert (experiment.seed, experiment.scores, experiment.training.batch_size) == (7, ["crps"], 16)


def test_a_network_says_itself_only_what_it_says_in_the_file():
    """What stands under `training` is changed there, once for all."""
    form, model = made("quickstart")
    fields = model.model_json_schema()["$defs"]["Unet"]["properties"]
    assert {"epochs", "lr", "width"} <= set(fields)
    assert "batch_size" not in fields
    assert list(form)[:2] == ["training", "models"]
    assert list(model().models.model_dump())[-1] == "analogs", "baselines come last"
