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
        ("training.channels_last=true", ("training", "channels_last"), True),
        ("question=2024", ("question",), "2024"),
        ("question='a: b'", ("question",), "a: b"),
        ("question=a: b", ("question",), "a: b"),
        ("name=007", ("name",), "007"),
        ("compute.memory=null", ("compute", "memory"), None),
        ("compute.scheduler=tcp://host:8786", ("compute", "scheduler"), "tcp://host:8786"),
        ("split.train.0=1990-01-01", ("split", "train", 0), "1990-01-01"),
        ("data.predictors[0].dataset=x", ("data", "predictors", 0, "dataset"), "x"),
        ("data.predictors[1].dataset=b", ("data", "predictors", 1, "dataset"), "b"),
        ("uncertainty[0].method=swag", ("uncertainty", 0, "method"), "swag"),
        ("scores.0=mae", ("scores", 0), "mae"),
        ("models.unet.augment.0.kind=noise", ("models", "unet", "augment", 0, "kind"), "noise"),
        ("data.region={lat: [40, 42]}", ("data", "region"), {"lat": [40, 42]}),
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


@pytest.mark.parametrize(
    ("tree", "text", "message"),
    [
        ({"a": [{}]}, "a.7.b=1", r"^--set 'a\.7\.b=1': a is a list and has one entry, 0, got '7'\. .*add an entry as a\.1\."),
        ({"a": [{}]}, "a.².b=1", r"^--set .* a is a list and has one entry, 0, got .².\. "),
        ({"a": [1, 2]}, "a.x=1", r"a is a list and has entries 0 to 1, got 'x'\. Give it whole, as in --set 'a=\.\.\.'\. It is \[1, 2\]\."),
        ({"a": [1]}, "a.0.b=1", r"a\.0 has no key 'b', it is 1\."),
    ],
)  # fmt: skip
def test_an_override_of_an_entry_that_is_not_there_is_refused(tree, text, message):
    with pytest.raises(ConfigError, match=message):
        override(tree, text)


def test_identifiers_of_basins_stay_as_they_are_typed():
    """YAML 1.1 reads 01547700 as an octal number."""
    tree = {"split": {"by": "basin"}}
    override(tree, "split.validation=[01547700]")
    override(tree, "split.test={left: [02064000, 007]}")
    assert tree["split"]["validation"] == ["01547700"]
    assert tree["split"]["test"] == {"left": ["02064000", "007"]}
    block = {"split": {"by": "block"}}
    override(block, "split.train=[0, 99]")
    assert block["split"]["train"] == [0, 99]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models.unet.ler=1", r"models\.unet\.ler: unknown key\. Did you mean 'lr'\? Known: .*kind"),
        ("uncertainty[0].membrs=3", r"uncertainty\.0\.membrs: unknown key\. Did you mean 'members'\?"),
        ("uncertainty.0.modls=[unet]", r"uncertainty\.0\.modls: unknown key\. Did you mean 'models'\?"),
        ("explain.0.dayz=3", r"explain\.0\.dayz: unknown key\. Did you mean 'days'\?"),
        ("explain[1].methd=lrp", r"explain\.1\.methd: unknown key\. Did you mean 'method'\?"),
        (
            "uncertainty.0.calibration={kind: emos, foldz: 3}",
            r"uncertainty\.0\.calibration\.foldz: unknown key\. Did you mean 'folds'\?",
        ),
        ("prepare.inputs.anomly=none", r"prepare\.inputs\.anomly: unknown key\. Did you mean 'anomaly'\?"),
        ("modles.unet.lr=3", r"modles: unknown key\. Did you mean 'models'\?"),
        ("models.unet.lr=fast", r"models\.unet\.lr: expected a number, got 'fast'\."),
        ("models.unet.depth=true", r"models\.unet\.depth: expected a whole number, got true\."),
        ("explain[0].groups=[seasn]", r"explain\.0\.groups\.0: .* got 'seasn'\. Did you mean 'season'\?"),
        ("split.train=2001-01-01", r"split\.train: expected a list such as \[a, b\], got '2001-01-01'\."),
    ],
)
def test_a_wrong_key_or_type_is_answered_with_what_was_meant_at_every_depth(text, message):
    from flows.plan import make_plan

    with pytest.raises(ConfigError, match=message):
        make_plan(load_experiment("tiny", [text]).experiment, where="tiny.yaml")


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
