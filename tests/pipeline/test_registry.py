import pytest

from pipeline.errors import ConfigError, MissingExtraError, UnknownNameError
from pipeline.registry import Registry, load_plugins, suggest


@pytest.fixture
def colours() -> Registry:
    registry = Registry("colour", "pipeline.registry_example")
    registry._filled = True
    return registry


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known(colours):
    colours.register("teal")(object)
    colours.register("amber")(dict)
    with pytest.raises(UnknownNameError, match=r"^unknown colour 'tael'\. Did you mean 'teal'\? Known: amber, teal\.$"):
        colours.get("tael")


def test_a_name_is_given_once(colours):
    colours.register("teal")(object)
    with pytest.raises(
        ConfigError, match="the colour 'teal' is already registered by <class 'object'>; choose another"
    ):
        colours.register("teal")(dict)


def test_registering_the_same_thing_again_is_no_fault(colours):
    colours.register("teal")(dict)
    assert colours.register("teal")(dict) is dict


def test_a_missing_library_is_named_with_the_command_that_installs_it(colours):
    colours.register("teal", requires=("no_such_library",))(object)
    message = r"^colour 'teal' needs no_such_library, which is not installed\. Run: pip install no_such_library$"
    with pytest.raises(MissingExtraError, match=message):
        colours.get("teal")


def test_suggest_is_silent_when_nothing_is_near():
    assert suggest("zzz", ["rmse", "mae"]) == ""


def test_a_plugin_file_registers_on_import(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from pipeline.metrics import METRICS, Metric\n"
        "@METRICS.register('always_one')\n"
        "class One(Metric):\n"
        "    def terms(self, case): return ()\n"
        "    def value(self, count, sums, weights): return count * 0 + 1\n"
    )
    from pipeline.metrics import METRICS

    assert load_plugins(["mine.py"], base=tmp_path)[-1] == "mine.py"
    assert "always_one" in METRICS._entries


def test_a_plugin_that_is_not_there_or_breaks_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"plugins: expected a Python file, got 'no\.py', which is not at"):
        load_plugins(["no.py"], base=tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(
        ConfigError, match=r"plugins: .*broken\.py failed on import: ZeroDivisionError: division by zero"
    ):
        load_plugins(["broken.py"], base=tmp_path)
