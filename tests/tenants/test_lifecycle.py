"""``loopline tenant`` on a real PostgreSQL: made, suspended, resumed, deleted; and what people see of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopline.cli import loopline
from loopline.platform_core import environment
from loopline.platform_core.errors import Refused
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.tenants import read, state
from tests.tenants.served import Served
from tests.tenants.stores.postgres import PostgresGuest
from tests.tenants.world import IS_ROOT, World
from tests.tenants.world import world as of_stores


@pytest.fixture(scope="module")
def alone(server: Served) -> Iterator[World]:
    """Be another operator of the same server: here tenants come and go."""
    with of_stores(server, signing_in=False) as made:
        yield made


@pytest.fixture(scope="module")
def acme(alone: World) -> Iterator[str]:
    """Make a tenant that stays: what a test does to it, it undoes."""
    alone.json("create", "acme")
    yield "acme"
    alone.json("delete", "acme", "--yes", "acme")


def listed(alone: World, tenant: str) -> list[dict[str, str]]:
    """Return what is said of a tenant where all are listed."""
    return [one for one in alone.json("list")["tenants"] if one["name"] == tenant]


def test_a_dry_run_says_all_and_changes_nothing(alone: World) -> None:
    """Each step is said as the run itself says it afterwards; nothing is there in between."""
    said = alone.json("create", "late", "--dry-run")
    assert said["pretended"]
    assert not alone.root.joinpath("late").exists()
    assert alone.served.store.holds("late") == ()
    assert listed(alone, "late") == []
    done = alone.json("create", "late", "--by", "ann")
    assert [step.removeprefix("would ") for step in said["steps"]] == done["steps"]
    held = alone.served.store.holds("late")
    for verb in ("suspend", "resume", "delete"):
        assert alone.json(verb, "late", "--dry-run")["pretended"]
    assert alone.served.store.holds("late") == held
    assert alone.served.store.is_open("late")
    (known,) = listed(alone, "late")
    assert (known["name"], known["state"], known["by"]) == ("late", "active", "ann")
    alone.json("delete", "late", "--yes", "late")


def test_made_again_it_is_the_same(alone: World, acme: str) -> None:
    """The passwords stay, so that whoever works goes on; with --rotate they are others, and the old ones end."""
    before = alone.fields(acme)
    guest = PostgresGuest(before)
    guest.write("note", "kept")
    alone.json("create", acme)
    assert alone.fields(acme) == before
    assert guest.read("note") == "kept"
    alone.json("create", acme, "--rotate")
    assert alone.fields(acme) != before
    with pytest.raises(Exception, match=r"terminat|closed"):
        guest.read("note")
    assert PostgresGuest(alone.fields(acme)).read("note") == "kept"
    with pytest.raises(Exception, match="password authentication failed"):
        PostgresGuest(before)


def test_what_it_has_is_its_own_to_read(alone: World, acme: str) -> None:
    """No credential stands in the environment file; nobody but the operator and the tenant reads its secrets."""
    folder = alone.root / acme
    fields = alone.fields(acme)
    text = alone.environment(acme).read_text()
    assert fields["password"] not in text
    assert "secret://database#ledger" in text
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert alone.root.joinpath(".operator").stat().st_mode & 0o077 == 0


def test_suspended_its_work_stops_and_what_it_has_stays(alone: World, acme: str) -> None:
    """Who is connected is out; every command says why in one sentence; resumed all of it is there."""
    inside = PostgresGuest(alone.fields(acme))
    inside.write("note", "kept")
    with alone.as_tenant(acme):
        bound = environment.read(only=())
        url = bound.revealed("ledger")
        Ledger.open(url).close()
    alone.json("suspend", acme, "--by", "ann", "--reason", "an unpaid bill")
    with pytest.raises(Exception, match=r"terminat|closed"):
        inside.read("note")
    with pytest.raises(Refused, match=r"lets this role in no more.*'loopline tenant resume'"):
        Ledger.open(url)
    with alone.as_tenant(acme):
        for command in (["status"], ["validate"], ["up", "--no-web"], ["history", "returns"]):
            told = CliRunner().invoke(loopline, command)
            assert told.exit_code == 1
            said = " ".join(told.output.split())
            assert "tenant acme is suspended since " in said
            assert "by ann (an unpaid bill)" in said
            assert "Traceback" not in said
    alone.json("suspend", acme)
    again = alone.json("create", acme, code=1)
    assert (again["error"], again["fix"]) == ("Refused", "run 'loopline tenant resume acme' first")
    alone.json("resume", acme)
    assert PostgresGuest(alone.fields(acme)).read("note") == "kept"
    with alone.as_tenant(acme):
        assert environment.read(only=()).tenant == acme


def test_what_runs_ends_with_the_suspension(alone: World, acme: str) -> None:
    """``loopline up`` looks for the mark: what it started ends in order."""
    import threading

    from loopline.cli.installation import up

    stop = threading.Event()
    waiting = threading.Thread(target=up._wait, args=(stop, alone.environment(acme)))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    alone.json("suspend", acme)
    waiting.join(10)
    assert not waiting.is_alive()
    alone.json("resume", acme)


def test_deleted_nothing_is_left_and_that_is_kept(alone: World) -> None:
    """The name is asked for twice; the proof says of each store that it holds nothing, and stays in the record."""
    alone.json("create", "late")
    PostgresGuest(alone.fields("late")).write("note", "gone")
    refused = alone.json("delete", "late", code=1)
    assert "all that late has would be lost" in refused["problem"]
    assert alone.json("delete", "late", "--yes", "lute", code=1)["error"] == "Refused"
    assert alone.served.store.is_open("late")
    done = alone.json("delete", "late", "--yes", "late", "--by", "ann")
    assert done["left"] == {"database": [], "folder": []}
    assert alone.served.store.holds("late") == ()
    assert not os.path.lexists(alone.root / "late")
    assert listed(alone, "late") == []
    newest = json.loads((alone.root / ".operator/record.jsonl").read_text().splitlines()[-1])
    assert (newest["tenant"], newest["now"], newest["by"]) == ("late", "deleted", "ann")
    assert newest["left"] == done["left"]
    assert alone.json("delete", "late", "--yes", "late")["left"] == done["left"]
    assert alone.json("show", "late", code=1)["error"] == "NotFound"


def test_what_a_tenant_has_is_shown(alone: World, acme: str) -> None:
    """By store, with bytes; no password."""
    PostgresGuest(alone.fields(acme)).write("note", "shown")
    shown = alone.json("show", acme)
    assert shown["stores"]["database"]["open"]
    assert "table ledger.note" in shown["stores"]["database"]["holds"]
    assert shown["stores"]["database"]["bytes"] > 1_000_000
    assert alone.fields(acme)["password"] not in json.dumps(shown)
    assert "database" in alone.run("show", acme).output


def test_one_operator_at_a_time(alone: World, acme: str) -> None:
    """The second is told; whoever only looks is not held up."""
    operators = read_as_operator(alone)
    with state.locked(operators):
        assert "somebody else changes tenants" in alone.json("suspend", acme, code=1)["problem"]
        assert alone.json("suspend", acme, "--dry-run")["pretended"]
        assert alone.json("list")["tenants"]
    assert alone.served.store.is_open(acme)


def read_as_operator(world: World) -> object:
    """Read the operator's file."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in world._variables().items():
            patched.setenv(name, value)
        return read(world.on)


@pytest.mark.skipif(not IS_ROOT, reason="only root gives files to an account")
def test_two_tenants_share_no_account(alone: World, acme: str) -> None:
    """Nor root's; an account that is another's is refused before anything is made."""
    alone.json("create", "first", "--user", "23003")
    refused = alone.json("create", "second", "--user", "23003", code=1)
    assert "has the user or the group of tenant first" in refused["problem"]
    assert "as root" in alone.json("create", "second", "--user", "0", code=1)["problem"]
    assert "no account" in alone.json("create", "second", "--user", "nobody-here", code=1)["problem"]
    assert alone.served.store.holds("second") == ()
    alone.json("delete", "first", "--yes", "first")


def test_a_link_in_its_home_leads_the_operator_nowhere(alone: World, tmp_path: Path) -> None:
    """Deleting a tenant removes its links, not what they lead to."""
    alone.json("create", "late")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    (alone.root / "late/home/link").symlink_to(kept)
    alone.json("delete", "late", "--yes", "late")
    assert (kept / "file").read_text() == "kept"


def test_where_policies_say_who_may_they_are_asked(alone: World, tmp_path: Path) -> None:
    """Of the environment in force: a platform admin rules tenants, and who owns a team does not."""
    (tmp_path / "roles.yaml").write_text("teams: {shop: {owner: [zed]}}\nplatform: {platform_admin: [ann]}\n")
    (tmp_path / "control.yaml").write_text(
        f"name: control\nledger: sqlite:///{tmp_path}/ledger.db\naccess: {{roles: roles.yaml}}\nbindings: {{}}\n"
    )
    asked = ("--environment", str(tmp_path / "control.yaml"), "--by")
    for words in (
        ("create", "late"),
        ("delete", "late", "--yes", "late"),
        ("suspend", "late"),
        ("resume", "late"),
    ):
        denied = alone.json(*words, *asked, "zed", code=1)
        assert denied["error"] == "Denied"
        assert denied["problem"].startswith("zed may not rule tenants of platform")
    assert alone.served.store.holds("late") == ()
    alone.json("create", "late", *asked, "ann")
    alone.json("delete", "late", "--yes", "late", *asked, "ann")
