"""From the experiment's ``augment`` to the options of its models."""

import pytest

from flows.engine import stage_digest
from flows.load import load_experiment
from flows.plan import make_plan
from flows.reference import reference
from pipeline.errors import ConfigError, TraitError, UnknownNameError
from pipeline.training.augment import AUGMENTATIONS

BOTH = "augment=[{kind: noise, sd: 0.2}, {kind: mixup, models: [unet]}]"


def plan(*overrides: str):
    return make_plan(load_experiment("quickstart", overrides).experiment, where="quickstart.yaml")


def test_every_deep_model_gets_what_it_can_in_order():
    made = plan(BOTH).models
    assert made["unet"].config.augment == [{"kind": "noise", "sd": 0.2}, {"kind": "mixup"}]
    assert made["deepesd"].config.augment == [{"kind": "noise", "sd": 0.2}]
    assert not hasattr(made["ridge"].config, "augment")


def test_nothing_is_done_by_default():
    assert plan().models["unet"].config.augment == []


def test_a_models_own_takes_its_place():
    made = plan("augment=[{kind: noise}]", "models.unet.augment=[{kind: mixup}]", "models.deepesd.augment=[]").models
    assert made["unet"].config.augment == [{"kind": "mixup"}]
    assert made["deepesd"].config.augment == []


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["augment=[{kind: nose}]"], UnknownNameError, r"^unknown augmentation 'nose'\. Did you mean 'noise'\? Known: flip_"),
        (["augment=[{kind: noise, sdd: 2}]"], ConfigError,
         r"^quickstart\.yaml: augment\.0\.sdd: unknown key\. Did you mean 'sd'\? Known: kind, models, probability, sd\.$"),
        (["augment=[{knd: noise}]"], ConfigError, r"augment\.0\.kind: this key is required and missing\. Did you mean it by 'knd'\?$"),
        (["augment=[{kind: noise, models: [unte]}]"], ConfigError,
         r"augment: noise names the model 'unte'\. Known: climatology, .*unet"),
        (["augment=[{kind: patches, size: [3, 3]}]"], TraitError,
         r"^quickstart\.yaml: augment\.0: patches needs a model with the trait patches, and no model of this experiment has it\."),
        (["augment=[{kind: patches, size: [3, 3], models: [unet]}]"], TraitError,
         r"^quickstart\.yaml: augment\.0: patches needs a model with the trait patches, and 'unet' \(unet\) has it not\. "
         r"No model of this experiment has it\.$"),
        (["augment=[{kind: noise}, {kind: noise, models: [ridge]}]"], TraitError,
         r"^quickstart\.yaml: augment\.1: noise needs a model with a training loop, and 'ridge' \(ridge\) has it not\. "
         r"Use it on unet, deepesd\.$"),
        (["augment=[{kind: noise, models: [unet]}]", "models.unet.augment=[]"], ConfigError,
         r"^quickstart\.yaml: augment\.0: noise names the model 'unet', which says its own augment\."),
        (["augment=[{kind: mixup}, {kind: mixup}]"], ConfigError,
         r"^quickstart\.yaml: augment: expected at most one augmentation that mixes samples, got mixup and mixup\.$"),
        (["models.unet.augment=[{kind: patches, size: [3, 3]}]"], TraitError,
         r"^augmentation 'patches' needs a model with the trait patches, and 'unet' \(unet\) has "),
        (["models.unet.augment=[{kind: noise, sd: -1}]"], ConfigError,
         r"^quickstart\.yaml: models\.unet\.augment: augmentation 'noise': sd: expected positive .*, got -1\.0\.$"),
        (["models.ridge.augment=[]"], ConfigError, r"^quickstart\.yaml: models\.ridge\.augment: unknown key\."),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_data_are_read(overrides, error, message):
    with pytest.raises(error, match=message):
        plan(*overrides)


def test_models_are_fitted_anew_when_it_changes_and_nothing_before():
    class Space:
        """Enough of a workspace for a digest."""

        def __init__(self, *overrides):
            self.plan, self.run = plan(*overrides), self
            self.backend = self
            self.name = "cpu"

        def read_json(self, path):
            return {"entries": {}, "base": "."} if path.endswith("settings.json") else {"digest": "x"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.engine.StageRecord.read", lambda run, stage: type("Record", (), {"digest": stage}))
        digests = {
            stage: {stage_digest(Space(*o), stage) for o in ([], [BOTH])} for stage in ("ingest", "prepare", "fit")
        }
    assert {stage: len(found) for stage, found in digests.items()} == {"ingest": 1, "prepare": 1, "fit": 2}


def test_the_reference_says_what_each_keeps():
    page = reference()
    assert "| `augment[].kind` |" in page
    for name in AUGMENTATIONS.names():
        assert f"### Augmentation `{name}`" in page
        assert f"Keeps: {AUGMENTATIONS.get(name).keeps}" in page
    assert "Needs a model with the trait patches." in page


def test_a_plugin_of_the_experiment_is_an_augmentation(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from pipeline.training.augment import AUGMENTATIONS, Augmentation\n"
        "@AUGMENTATIONS.register('dimmed')\n"
        "class Dimmed(Augmentation):\n"
        "    keeps = 'The sign of every value.'\n"
        "    def __call__(self, batch):\n"
        "        return replace(batch, inputs=0.9 * batch.inputs)\n"
    )
    experiment = load_experiment("quickstart", ["augment=[{kind: dimmed}]", "plugins=[mine.py]"]).experiment
    made = make_plan(experiment, where="x.yaml", base=tmp_path)
    assert made.models["unet"].config.augment == [{"kind": "dimmed"}]
