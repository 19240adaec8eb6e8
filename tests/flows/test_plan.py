import pytest

from flows.load import load_experiment, shipped
from flows.plan import make_plan
from pipeline.errors import ConfigError, TraitError, UnknownNameError
from pipeline.uncertainty import WHOLE, Part


def plan(*overrides: str):
    return make_plan(load_experiment("quickstart", overrides).experiment, where="quickstart.yaml")


def test_methods_are_named_after_their_model_and_ask_for_members():
    made = plan("uncertainty=[{method: deep_ensemble, models: [unet, deepesd], members: 4}]")
    assert [method.name for method in made.methods] == ["unet+deep_ensemble", "deepesd+deep_ensemble"]
    assert (made.members("unet"), made.members("ridge")) == (4, 1)
    assert made.predictors[-1] == "deepesd+deep_ensemble"


def test_a_method_without_models_takes_all_that_can():
    made = plan("explain=[{method: integrated_gradients}]")
    assert [e.model for e in made.explanations] == ["unet", "deepesd"]


def test_the_training_section_fills_in_what_a_deep_model_does_not_say():
    made = plan("training.lr=0.5", "training.clip=7", "models.unet.lr=0.25")
    assert (made.models["unet"].config.lr, made.models["unet"].config.clip) == (0.25, 7)


def test_a_bad_pair_is_refused_with_what_is_missing_and_who_can():
    message = (
        r"attribution method 'integrated_gradients' needs a model with the trait differentiable, and 'ridge' \(ridge\) "
        r"has .*\. Use it on unet, deepesd\."
    )
    with pytest.raises(TraitError, match=message):
        plan("explain=[{method: integrated_gradients, models: [ridge]}]")


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("models.x.kind=rigde", UnknownNameError, r"unknown model 'rigde'\. Did you mean 'ridge'\?"),
        ("scores=[rsme]", UnknownNameError, r"unknown metric 'rsme'\. Did you mean 'rmse'\?"),
        ("explain=[{method: permutaton}]", UnknownNameError, r"unknown attribution method 'permutaton'\. Did you mean 'permutation'"),
        ("models.unet.widht=3", ConfigError, r"^quickstart\.yaml: models\.unet\.widht: unknown key\. Did you mean 'width'\?"),
        ("uncertainty.0.membres=3", ConfigError, r"^quickstart\.yaml: uncertainty\.0\.membres: unknown key\. Did you mean 'members'"),
        ("models.unet.lr=-1", ConfigError, r"^quickstart\.yaml: models\.unet\.lr: input should be greater than 0, got -1\."),
    ],
)  # fmt: skip
def test_unknown_names_and_options_are_refused_before_data_are_read(override, error, message):
    with pytest.raises(error, match=message):
        plan(override)


def test_a_plugin_of_the_experiment_is_loaded(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from models import MODELS\nfrom models.climatology import Climatology\n"
        "MODELS.register('mine')(type('Mine', (Climatology,), {}))\n"
    )
    experiment = load_experiment("quickstart", ["models.x.kind=mine", "plugins=[mine.py]"]).experiment
    made = make_plan(experiment, where="x.yaml", base=tmp_path)
    assert made.models["x"].kind == "mine"
    assert made.plugins == ("mine.py",)


SERIES = ("task=series", "models={gru: {kind: gru}}", "uncertainty=[]", "explain=[]")


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (("task=series",), TraitError, r"models\.\w+: \w+ is for downscaling, and the task is series\. Known for it: .*lstm"),
        (("models.gru.kind=gru",), TraitError, r"models\.gru: gru is for series, and the task is downscaling"),
        ((*SERIES, "scores=[iou]"), ConfigError, r"scores: 'iou' is none of the task series\. Known for it: .*nse"),
        ((*SERIES, "models.gru.loss=dice"), ConfigError, r"models\.gru\.loss: dice is a loss of classes, for a segmentation"),
    ],
)  # fmt: skip
def test_models_scores_and_losses_are_those_of_the_task(overrides, error, message):
    with pytest.raises(error, match=message):
        plan(*overrides)


def test_each_task_has_the_scores_that_suit_it_and_its_main_one():
    series = plan(*SERIES).metrics
    assert series[0] == "rmse"
    assert {"nse", "fhv", "crps"} <= set(series)
    assert not {"iou", "kappa"} & set(series)
    assert not {"nse_log", "fhv", "iou"} & set(plan().metrics)
    classes = plan("task=segmentation", "models={f: {kind: pixel_forest}}", "uncertainty=[]", "explain=[]").metrics
    assert classes[0] == "iou"
    assert "rmse" not in classes


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_experiment_has_a_plan(name):
    made = make_plan(load_experiment(name).experiment, where=name)
    assert made.models


def test_labels_are_checked_before_data_are_read():
    task = ("task=segmentation", "models={f: {kind: pixel_forest}}", "uncertainty=[]", "explain=[]")
    with pytest.raises(UnknownNameError, match=r"unknown label 'deep_lwo'\. Did you mean 'deep_low'"):
        plan(*task, "prepare.target.label={kind: deep_lwo}")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("{kind: deep_low, belwo: 970}", r"label\.belwo: unknown key\. Did you mean 'below'\? Known: below, of, units, window\.$"),
        ("{kind: deep_low, window: 30}", r"label\.window: expected an odd number .*30"),
        ("{kind: deep_low, of: anomalies}", r"label\.of: input should be 'value' or 'anomaly', got 'anomalies'\. Did you mean 'anomaly'\?$"),
        ("{kind: threshold, units: K}", r"label\.below: expected one of 'above' and 'below', got above None and below None\.$"),
    ],
)  # fmt: skip
def test_options_of_a_label_are_checked_where_they_stand(label, message):
    task = ("task=segmentation", "models={f: {kind: pixel_forest}}", "uncertainty=[]", "explain=[]")
    with pytest.raises(ConfigError, match=rf"^quickstart\.yaml: prepare\.target\.{message}"):
        plan(*task, f"prepare.target.label={label}")


def test_a_calibration_is_part_of_a_methods_name_and_asks_for_folds():
    made = plan(
        "uncertainty=[{method: deep_ensemble, models: [unet], members: 3}, "
        "{method: deep_ensemble, models: [unet], members: 3, calibration: {kind: variance_scaling, folds: 4}}, "
        "{models: [ridge], calibration: {kind: variance_scaling}}, "
        "{method: block_bootstrap, name: boot, models: [ridge], members: 6}]"
    )
    assert [method.name for method in made.methods] == [
        "unet+deep_ensemble", "unet+deep_ensemble+variance_scaling", "ridge+variance_scaling", "ridge+boot",
    ]  # fmt: skip
    folds = {Part(fold=number, folds=4): 3 for number in range(1, 5)}
    assert made.wanted("unet") == {WHOLE: 3, **folds}
    assert made.wanted("ridge") == {WHOLE: 1, Part(bagged=True): 6}
    assert [method.is_twin(made.methods[0]) for method in made.methods] == [False, True, False, False]


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (
            "{models: [ridge]}", ConfigError,
            r"uncertainty\.0: expected a method, a calibration, or both, got neither",
        ),
        (
            "{models: [ridge], calibration: {kind: variance_scalin}}", UnknownNameError,
            r"^unknown calibration 'variance_scalin'\. Did you mean 'variance_scaling'\?",
        ),
        (
            "{models: [ridge], calibration: {kind: variance_scaling, bais: true}}", ConfigError,
            r"^quickstart\.yaml: uncertainty\.0\.calibration\.bais: unknown key\. Did you mean 'bias'\?",
        ),
        (
            "{method: block_bootstrap, models: [persistence]}", TraitError,
            r"^uncertainty method 'block_bootstrap' needs a model with the trait probabilistic, and 'persistence' ",
        ),
        (
            "{method: mc, models: [nobody]}", ConfigError,
            r"uncertainty: mc names the model 'nobody'\. Known: ",
        ),
    ],
)  # fmt: skip
def test_a_bad_entry_of_uncertainty_is_refused(entry, error, message):
    with pytest.raises(error, match=message):
        plan(f"uncertainty=[{entry}]")


def test_two_methods_of_one_name_are_refused():
    entry = "{method: deep_ensemble, models: [unet]}"
    message = (
        r"^uncertainty: expected methods with names of their own, got 'unet\+deep_ensemble' twice\. Give one of them "
        r"another: \{method: \.\.\., name: \.\.\.\}\.$"
    )
    with pytest.raises(ConfigError, match=message):
        plan(f"uncertainty=[{entry}, {entry}]")


def test_models_of_a_whole_past_are_not_bootstrapped():
    experiment = load_experiment("nino34", ["uncertainty=[{method: block_bootstrap, models: [arima]}]"]).experiment
    message = (
        r"^uncertainty method 'block_bootstrap' cannot serve a model with the trait past, which 'arima' \(arima\) has\. "
        r"Take another method or model\.$"
    )
    with pytest.raises(TraitError, match=message):
        make_plan(experiment, where="nino34.yaml")


def test_folds_are_of_years_and_so_of_splits_by_time():
    entry = "{method: deep_ensemble, models: [lstm], calibration: {kind: variance_scaling, folds: 5}}"
    experiment = load_experiment("camels", [f"uncertainty=[{entry}]"]).experiment
    message = (
        r"^camels\.yaml: uncertainty\.0\.calibration\.folds: expected none with a split by basin, got 5: folds are years\. "
        r"Leave it out, for the validation split\.$"
    )
    with pytest.raises(ConfigError, match=message):
        make_plan(experiment, where="camels.yaml")


def test_a_method_of_numbers_is_refused_for_classes():
    experiment = load_experiment("storms", ["uncertainty=[{method: engression}]"]).experiment
    message = r"^uncertainty\.0: uncertainty method 'engression' is for downscaling and series, and the task is segmentation\.$"
    with pytest.raises(TraitError, match=message):
        make_plan(experiment, where="storms.yaml")


def test_a_method_says_why_it_cannot_serve_a_model():
    message = (
        r"^uncertainty method 'mc_dropout' cannot serve 'deepesd': expected a network trained with dropout, got none\. Set "
        r"dropout above 0, such as 0\.1, or take swag\.$"
    )
    with pytest.raises(TraitError, match=message):
        plan("uncertainty=[{method: mc_dropout, models: [deepesd]}]")
    made = plan("uncertainty=[{method: mc_dropout}]", "models.deepesd.dropout=0.2")
    assert [method.name for method in made.methods] == ["deepesd+mc_dropout"]


def test_a_calibration_of_numbers_is_refused_for_classes():
    entry = "{method: deep_ensemble, calibration: {kind: variance_scaling}}"
    experiment = load_experiment("storms", [f"uncertainty=[{entry}]"]).experiment
    with pytest.raises(
        TraitError, match=r"^uncertainty\.0\.calibration: variance_scaling is for numbers, and the task is"
    ):
        make_plan(experiment, where="storms.yaml")
