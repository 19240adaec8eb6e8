"""What the doctor says of Prefect."""

import pytest

from flows.health import prefect

CLOUD = "https://api.prefect.cloud/api/accounts/1"


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect/profiles.toml").write_text(
        f'active = "work"\n[profiles.work]\nPREFECT_API_URL = "{CLOUD}"\nPREFECT_API_KEY = "pnu_secret"\n'
        '[profiles.here]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"\n'
    )
    return tmp_path


def test_nothing_in_force(tmp_path):
    assert prefect.settings_finding({}, tmp_path).state == "ok"


def test_a_profile_that_points_elsewhere_is_told_and_its_key_never_shown(home):
    found = prefect.settings_finding({}, home)
    assert found.state == "note"
    assert f"PREFECT_API_URL={CLOUD} from the profile 'work'" in found.found
    assert "pnu_secret" not in f"{found}"
    assert found.mend == "prefect profile use ephemeral"


def test_the_environment_wins(home):
    found = prefect.settings_finding({"PREFECT_PROFILE": "here", "PREFECT_API_KEY": "pnu_x"}, home)
    assert found.state == "note"
    assert found.mend == "unset PREFECT_API_KEY"
    assert prefect.settings_finding({"PREFECT_PROFILE": "here"}, home).state == "ok"


def test_a_password_in_an_address_is_not_shown(tmp_path):
    found = prefect.settings_finding({"PREFECT_API_URL": "https://me:pw@host.example/api"}, tmp_path)
    assert "PREFECT_API_URL=https://host.example/api" in found.found
    assert "pw@" not in f"{found}"


def test_a_server_that_is_named_and_does_not_answer(monkeypatch):
    monkeypatch.setattr(prefect, "server_that_answers", lambda: None)
    assert prefect.server_finding({}).state == "ok"
    found = prefect.server_finding({"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    assert (found.state, found.mend) == ("note", "unset PREFECT_API_URL")


@pytest.mark.parametrize(("theirs", "state"), [("2.20.1", "note"), ("", "ok"), ("same", "ok")])
def test_a_server_of_another_version(monkeypatch, theirs, state):
    monkeypatch.setattr(prefect, "server_that_answers", lambda: "http://127.0.0.1:4200/api")
    monkeypatch.setattr(
        prefect, "_version_of", lambda server: prefect.version("prefect") if theirs == "same" else theirs
    )
    assert prefect.server_finding({}).state == state
