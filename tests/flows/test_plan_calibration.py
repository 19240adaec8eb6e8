import pytest

from flows.load import load_experiment
from flows.plan import make_plan
from pipeline.errors import ConfigError, TraitError, UnknownNameError
from pipeline.uncertainty import WHOLE, Part
from pipeline.uncertainty.calibrated import Calibrated, Ground


def plan(*overrides: str):
    return make_plan(load_experiment("quickstart", overrides).experiment, where="quickstart.yaml")


def calibrated(what: str, more: str = "method: deep_ensemble, models: [unet], members: 3"):
    return plan(f"uncertainty=[{{{more}, calibration: {{{what}}}}}]")


def test_a_calibration_is_named_behind_its_method_and_asks_for_fits_of_folds():
    made = calibrated("kind: isotonic, folds: 4, by: [season], quantiles: 19")
    (method,) = made.methods
    assert method.name == "unet+deep_ensemble+isotonic"
    assert method.calibration.ground == Ground(4, "0D")
    assert method.calibration.config.by == ("season",)
    assert isinstance(method.build(), Calibrated)
    assert made.wanted("unet") == {WHOLE: 3, **{Part(fold=number, folds=4): 3 for number in range(1, 5)}}
    assert made.wanted("ridge") == {WHOLE: 1}


def test_a_calibration_alone_is_of_the_models_own_distribution():
    made = calibrated("kind: emos", "models: [ridge]")
    assert [method.name for method in made.methods] == ["ridge+emos"]
    assert made.methods[0].calibration.ground == Ground()


def test_the_same_method_without_a_calibration_is_its_twin():
    made = plan(
        "uncertainty=[{method: deep_ensemble, models: [unet], members: 3}, "
        "{method: deep_ensemble, models: [unet], members: 3, calibration: {kind: emos}}, "
        "{method: deep_ensemble, models: [unet], members: 4, name: more, calibration: {kind: emos}}]"
    )
    plain, same, other = made.methods
    assert same.is_twin(plain)
    assert not other.is_twin(plain)
    assert not plain.is_twin(same)


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("kind: emoss", UnknownNameError, r"unknown calibration 'emoss'\. Did you mean 'emos'\?"),
        ("kind: temperature", TraitError, r"temperature is for classes, and the task is downscaling\. Known for it: conformal, emos, isotonic, variance_scaling\."),
        ("kind: emos, bye: [cell]", ConfigError, r"^quickstart\.yaml: uncertainty\.0\.calibration\.bye: unknown key\. Did you mean 'by'\?"),
        ("kind: isotonic, quantiles: 20", ConfigError, r"uncertainty\.0\.calibration\.quantiles: expected an odd number of quantiles"),
        ("kind: conformal, adaptive: {rat: 1}", ConfigError, r"uncertainty\.0\.calibration\.adaptive\.rat: unknown key\. Did you mean 'rate'\?"),
        ("kind: emos, folds: 2", ConfigError, r"uncertainty\.0\.calibration\.folds: input should be greater than or equal to 3"),
    ],
)  # fmt: skip
def test_calibrations_that_do_not_fit_are_refused_before_data_are_read(what, error, message):
    with pytest.raises(error, match=message):
        calibrated(what)


def test_folds_are_years_and_tiles_have_none():
    entry = "{models: [pixel_logistic], calibration: {kind: temperature, folds: 5}}"
    experiment = load_experiment("cloud-masks", [f"uncertainty=[{entry}]"]).experiment
    with pytest.raises(ConfigError, match="folds: expected none with a split by block, got 5: folds are years"):
        make_plan(experiment, where="cloud-masks.yaml")


def test_numbers_are_no_classes():
    task = ("task=segmentation", "models={f: {kind: pixel_forest}}", "explain=[]")
    with pytest.raises(
        TraitError,
        match=r"emos is for numbers, and the task is segmentation\. Known for it: isotonic_classes, temperature\.",
    ):
        plan(*task, "uncertainty=[{models: [f], calibration: {kind: emos}}]")
