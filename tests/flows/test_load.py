import pytest

from flows.load import dump, find_experiment, load_experiment, override, shipped
from pipeline.errors import ConfigError


def test_shipped_experiments_fit_the_schema():
    assert {"quickstart", "tiny", "iberia-tas"} <= set(shipped())
    for name in shipped():
        assert load_experiment(name).experiment.name == name


def test_a_file_of_the_working_folder_wins(tmp_path, monkeypatch):
    text = find_experiment("quickstart").read_text()
    (tmp_path / "quickstart.yaml").write_text(text.replace("seed: 1", "seed: 77"))
    monkeypatch.chdir(tmp_path)
    assert load_experiment("quickstart").experiment.seed == 77
    assert shipped()["quickstart"] == tmp_path / "quickstart.yaml"


def test_the_dump_is_the_experiment(tmp_path):
    experiment = load_experiment("quickstart", ["models.unet.lr=1e-4"]).experiment
    path = tmp_path / "again.yaml"
    path.write_text(dump(experiment))
    assert load_experiment(str(path)).experiment == experiment


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("models.unet.lr=1e-4", ("models", "unet", "lr"), 1e-4),
        ("models.unet.lr=0.5", ("models", "unet", "lr"), 0.5),
        ("seed=3", ("seed",), 3),
        ("scores=[rmse, mae]", ("scores",), ["rmse", "mae"]),
        ("question=how warm", ("question",), "how warm"),
        ("data.predictors.0.dataset=x", ("data", "predictors", 0, "dataset"), "x"),
        ("split.gap=10D", ("split", "gap"), "10D"),
        ("split.train=[1990-01-01, 1991-01-01]", ("split", "train"), ["1990-01-01", "1991-01-01"]),
        ("training.clip=null", ("training", "clip"), None),
    ],
)
def test_an_override_sets_one_value(text, path, value):
    tree = {"models": {"unet": {"kind": "unet"}}, "data": {"predictors": [{"dataset": "a"}]}}
    override(tree, text)
    node = tree
    for key in path:
        node = node[key]
    assert node == value


@pytest.mark.parametrize("text", ["models.unet.lr", "=3", "a..b=1", "."])
def test_an_override_of_another_form_is_refused(text):
    with pytest.raises(ConfigError, match=r"--set: expected KEY\.KEY=VALUE such as models\.unet\.lr=1e-4, got "):
        override({}, text)


def test_an_option_of_a_model_that_is_not_there_is_refused():
    message = r"--set 'models\.unte\.lr=1': no model 'unte'\. Did you mean 'unet'\? Known: unet; a new one begins with"
    with pytest.raises(ConfigError, match=message):
        override({"models": {"unet": {"kind": "unet"}}}, "models.unte.lr=1")


def test_a_new_model_begins_with_its_kind():
    tree = {"models": {}}
    override(tree, "models.second.kind=unet")
    override(tree, "models.second.lr=1")
    assert tree == {"models": {"second": {"kind": "unet", "lr": 1}}}


def test_an_override_of_a_list_entry_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"--set 'a\.7\.b=1': a has no key '7'\."):
        override({"a": [{}]}, "a.7.b=1")


def test_an_override_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match=r"--set: expected a YAML value behind '=', got 'a=\[1'\."):
        override({}, "a=[1")


def test_unknown_experiments_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown experiment 'quickstrat'\. Did you mean 'quickstart'\? Known: "):
        find_experiment("quickstrat")
    with pytest.raises(ConfigError, match=r"expected an experiment file, got 'no\.yaml', which is not there\."):
        find_experiment("no.yaml")


def test_an_override_with_a_wrong_key_names_the_file_and_the_key():
    with pytest.raises(
        ConfigError, match=r"quickstart\.yaml with --set seeed=3: seeed: unknown key\. Did you mean 'seed'\?"
    ):
        load_experiment("quickstart", ["seeed=3"])


def test_an_empty_file_of_the_working_folder_hides_no_shipped_experiment(tmp_path, monkeypatch):
    """As the shell makes one before `finescale experiments show quickstart > quickstart.yaml` begins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart.yaml").touch()
    assert find_experiment("quickstart") == shipped()["quickstart"] != tmp_path / "quickstart.yaml"
    assert load_experiment("quickstart").experiment.name == "quickstart"
    message = (
        r"^expected an experiment file, got 'quickstart\.yaml', which is empty\. To begin with a shipped one: finescale "
        r"experiments show NAME > quickstart\.yaml; its names: .*quickstart.*\.$"
    )
    with pytest.raises(ConfigError, match=message):
        load_experiment("quickstart.yaml")
