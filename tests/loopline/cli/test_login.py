"""Accounts, who logs in by one, and in whose name commands decide from then on."""

from __future__ import annotations

import json
import stat
from contextlib import closing

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core.audit.entry import parsed
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.sessions import Sessions
from loopline.platform_core.loop import freezes
from loopline.platform_core.platform import Platform
from loopline.sign_in import command

PASSWORD = "four words of a sentence"
ROLES = """
groups: {science: []}
teams: {corner: {owner: [science], operator: [cy]}}
"""


@pytest.fixture
def asking(world, tmp_path, monkeypatch, quick_hashes):
    """Let the environment ask who somebody is, by accounts."""
    world.say("sign_in: {accounts: accounts.yaml}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(command.TOKEN, raising=False)
    command._held.clear()
    yield world
    command._held.clear()


def run(*arguments, typed="", code=0):
    """Run a command with something on its standard input."""
    result = CliRunner().invoke(loopline, [*arguments, "--output", "json"], input=typed)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def logged_in(name="ana", password=PASSWORD, code=0):
    """Log in by an account, as a script does."""
    return run("login", "--name", name, "--password-stdin", typed=f"{password}\n", code=code)


def made(*names):
    """Make accounts."""
    for name in names:
        run("user", "add", name, "--password-stdin", typed=f"{PASSWORD}\n")


def told():
    """Read the audit's record."""
    with closing(Platform.open()) as platform, platform.ledger.reading() as connection:
        rows = connection.execute(audit_entries.select().order_by(audit_entries.c.audit_id)).all()
    return [parsed(row.body) for row in rows]


def frozen_by(world):
    """Return who froze the model."""
    return [entry.actor for entry in world.entries(freezes.FROZEN)]


def test_accounts_are_made_listed_and_taken_away(asking):
    """The file is its owner's alone; who did it is in the record."""
    made("ben", "ana")
    file = asking.environment.parent / "accounts.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("user", "list")["users"] == ["ana", "ben"]
    assert "has an account" in run("user", "add", "Ana", "--password-stdin", typed=f"{PASSWORD}\n", code=1)["problem"]
    assert "characters" in run("user", "add", "cy", "--password-stdin", typed="short\n", code=1)["problem"]
    logged_in()
    assert run("user", "password", "ana", "--password-stdin", typed=f"{PASSWORD}!\n")["ended"] == 1
    assert run("user", "remove", "ben")["ended"] == 0
    assert run("user", "list")["users"] == ["ana"]
    said = [(one.what, one.subject) for one in told() if one.what.startswith("account")]
    assert said == [
        ("account.added", "ben"),
        ("account.added", "ana"),
        ("account.password", "ana"),
        ("account.removed", "ben"),
    ]


def test_a_password_is_typed_twice_and_not_shown(asking):
    """Where a person sits at a terminal."""
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    result = CliRunner().invoke(loopline, ["user", "add", "ana"], input=typed)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    result = CliRunner().invoke(loopline, ["login"], input=f"ana\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert "logged in as ana" in result.stdout
    assert PASSWORD not in result.output


def test_who_logged_in_decides(asking):
    """Nobody else, whatever the call, the variable or the machine says; and nobody without a login."""
    made("ana", "ben")
    refused = run("freeze", "returns", "--reason", "x", code=1)
    assert "nobody has logged in" in refused["problem"]
    assert logged_in()["name"] == "ana"
    run("freeze", "returns", "--reason", "x")
    assert frozen_by(asking) == ["ana"]
    for name in ("ben", "Ana", "alice"):
        refused = run("thaw", "returns", "--reason", "x", "--by", name, code=1)
        assert f"ana has logged in, and cannot decide as {name}" in refused["problem"]
    run("thaw", "returns", "--reason", "x", "--by", "ana")
    assert run("logout")["name"] == "ana"
    assert run("logout")["name"] is None
    assert "nobody has logged in" in run("freeze", "returns", "--reason", "x", code=1)["problem"]
    events = [one.what for one in told() if one.what.startswith("person")]
    assert events == ["person.signed_in", "person.signed_out"]


def test_a_login_is_kept_for_its_owner_alone(asking, tmp_path):
    """And ends with the session, wherever that was ended."""
    made("ana")
    logged_in()
    kept = list((tmp_path / "config").rglob("*.json"))
    assert [stat.S_IMODE(file.stat().st_mode) for file in kept] == [0o600]
    assert PASSWORD not in kept[0].read_text()
    assert [stat.S_IMODE(kept[0].parent.stat().st_mode)] == [0o700]
    run("user", "remove", "ana")
    command._held.clear()
    assert "the session is over" in run("freeze", "returns", "--reason", "x", code=1)["problem"]


def test_a_wrong_password_is_told_and_guesses_are_slowed_down(asking):
    """As in the browser; the right one does not help then."""
    made("ana")
    for _ in range(5):
        assert "name or password is wrong" in logged_in(password="wrong wrong wrong", code=1)["problem"]
    assert "too many attempts" in logged_in(code=1)["problem"]


def test_a_pipeline_shows_a_token(asking, monkeypatch):
    """By a variable, in the place of a login; one that is not taken is not passed over for the login."""
    made("ana", "ben")
    logged_in("ben")
    word = json.loads(next((asking.home.parent / "config").rglob("*.json")).read_text())["session"]
    logged_in("ana")
    monkeypatch.setenv(command.TOKEN, word)
    run("freeze", "returns", "--reason", "x")
    assert frozen_by(asking) == ["ben"]
    monkeypatch.setenv(command.TOKEN, "lls_unknown")
    assert "nobody has logged in" in run("thaw", "returns", "--reason", "x", code=1)["problem"]


def test_policies_see_who_logged_in(asking, monkeypatch):
    """And the groups that vouch for him are looked up in the file of roles."""
    (asking.environment.parent / "roles.yaml").write_text(ROLES)
    asking.say("access: {roles: roles.yaml}\n")
    made("cy", "zed")
    logged_in("zed")
    refused = run("freeze", "returns", "--reason", "x", code=1)
    assert "zed may not freeze model of corner/returns" in refused["problem"]
    assert refused["fix"].endswith("who may now: cy")
    logged_in("cy")
    run("freeze", "returns", "--reason", "x")
    with closing(Platform.open()) as platform:
        service = Caller("svc", frozenset({"science", "other"}), service=True)
        monkeypatch.setenv(command.TOKEN, Sessions(platform.ledger, 600, 600).begin(service))
    run("thaw", "returns", "--reason", "x")


def test_where_nobody_is_asked_nothing_has_changed(world):
    """Names are claimed as before; to log in is refused with what to write."""
    run("freeze", "returns", "--reason", "x", "--by", "anybody")
    assert frozen_by(world) == ["anybody"]
    assert "says nothing of signing in" in run("login", code=1)["problem"]
    assert "names no accounts" in run("user", "list", code=1)["problem"]
