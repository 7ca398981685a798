"""Where nobody signs in that is said, and such a server listens on its own machine only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from loopline.cli.installation.up import _sign_in
from loopline.features_api import server as features
from loopline.mlflow_ui.app import made
from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidSpec, Refused
from loopline.portal import server as portal
from loopline.sign_in import open as open_to
from loopline.up import web_server

LAPTOP = Path(__file__).parents[3] / "deploy/environments/laptop.yaml"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    """Forget what this machine's variables say."""
    monkeypatch.delenv(open_to.VARIABLE, raising=False)
    monkeypatch.delenv("LOOPLINE_ENVIRONMENT", raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8", "[::1]"])
def test_this_machine_for_itself_is_fine(host):
    """And it is said that it is open."""
    assert "open: nobody signs in" in open_to.refuse_beyond(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "portal.corp", "", "localhost.evil.example", "0"])
def test_beyond_it_is_refused(host, monkeypatch):
    """Unless somebody says so, by an option or a variable."""
    with pytest.raises(Refused, match="nobody signs in here") as refused:
        open_to.refuse_beyond(host)
    assert "--open" in refused.value.fix
    assert "nobody signs in" in open_to.refuse_beyond(host, anyway=True)
    for value, fine in (("1", True), ("true", True), ("", False), ("0", False)):
        monkeypatch.setenv(open_to.VARIABLE, value)
        if fine:
            assert host in open_to.refuse_beyond(host)
        else:
            with pytest.raises(Refused):
                open_to.refuse_beyond(host)


@pytest.fixture
def bound(tmp_path, monkeypatch):
    """Name an environment file that says nothing of signing in."""
    file = tmp_path / "test.yaml"
    file.write_bytes(LAPTOP.read_bytes())
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    return file


@pytest.mark.parametrize("text", ["sign_in: {accounts: accounts.yaml\nbindings: {}\n", "sign_in:\n\t- a\n", None])
def test_a_file_that_cannot_be_read_opens_nothing(bound, monkeypatch, text):
    """Half written, or not there yet: Dagster's and MLflow's servers took it for one that says nothing."""
    bound.unlink() if text is None else bound.write_text(text)
    monkeypatch.setenv(open_to.VARIABLE, "1")
    said = (environment.asks_to_sign_in, environment.guarded)
    for asked in (*said, lambda: open_to.desk_of("0.0.0.0"), lambda: web_server.sign_in("0.0.0.0"), made):
        with pytest.raises(InvalidSpec, match=bound.name):
            asked()


def test_without_any_file_nobody_is_asked(tmp_path, monkeypatch):
    """As where Dagster's server is tried before 'loopline init'."""
    monkeypatch.chdir(tmp_path)
    assert not environment.asks_to_sign_in()
    assert open_to.desk_of("127.0.0.1") is None


def test_no_server_listens_beyond_by_itself(bound, capsys, monkeypatch):
    """Portal, feature service, Dagster's and MLflow's pages end with the reason, whatever way they are started."""
    assert portal.main(["--host", "0.0.0.0", "--port", "0"]) == 2
    assert "nobody signs in here" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["features", "--host", "0.0.0.0", "--port", "0"])
    assert features.main() == 2
    assert "nobody signs in here" in capsys.readouterr().err
    for options in (["--host", "0.0.0.0"], ["--host=0.0.0.0", "--port", "1"]):
        monkeypatch.setattr("sys.argv", ["web_server", *options])
        assert web_server.main() == 2
        assert "nobody signs in here" in capsys.readouterr().err
    for options in ([], ["--host", "0.0.0.0"], ["--host=10.0.0.5"]):  # nor where nobody has said where it listens
        monkeypatch.setattr("sys.argv", ["uvicorn", *options])
        with pytest.raises(Refused, match="nobody signs in here"):
            made()


def test_up_says_how_people_sign_in(bound):
    """Or that nobody does."""

    def said() -> str:
        return _sign_in(SimpleNamespace(platform=SimpleNamespace(environment=environment.read(only=()))))

    before = bound.read_text()
    assert said().startswith("open: nobody signs in")
    bound.write_text(before + "\nsign_in: {accounts: accounts.yaml}")
    assert "accounts.yaml" in said()
    bound.write_text(before + "\nsign_in: {issuer: 'https://id.example', client_id: portal}")
    assert said() == "at https://id.example"
