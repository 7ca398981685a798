"""Each step of making, suspending, resuming and deleting may be the last one for now: the next call goes on."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    InvalidSpec,
    NotFound,
    Permanent,
    Refused,
    StoreUnavailable,
)
from loopline.platform_core.tenants import (
    Operators,
    Wanted,
    create,
    delete,
    found,
    known,
    place_of,
    resume,
    state,
    suspend,
)
from loopline.platform_core.tenants.names import checked
from loopline.platform_core.tenants.operators import read
from loopline.platform_core.tenants.place import account
from loopline.platform_core.tenants.provisioning import Done
from loopline.platform_core.testing.fakes.tenant_store import InMemoryGuest, InMemoryTenantStore, MemoryServer
from loopline.platform_core.testing.tenant_store import CRAFTED, CutOff

AT = datetime(2026, 11, 30, tzinfo=UTC)
TEMPLATE = """
name: "${tenant}"
tenant: "${tenant}"
bindings: {secrets: {vendor: files, root: "${tenant_folder}/secrets"}}
ledger: "secret://first#user"
"""


def wanted(name: str = "acme", **more: object) -> Wanted:
    """Ask as ann."""
    return Wanted(name, "ann", AT, **more)


@pytest.fixture
def servers() -> dict[str, MemoryServer]:
    """Run two."""
    return {"first": MemoryServer(), "second": MemoryServer()}


@pytest.fixture
def operators(tmp_path: Path, servers: dict[str, MemoryServer]) -> Operators:
    """Be an operator of both."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    stores = {name: InMemoryTenantStore(server=server) for name, server in servers.items()}
    fields = dict.fromkeys(stores, InMemoryTenantStore.fields)
    return Operators("test", tmp_path / "on.yaml", tmp_path / "root", tmp_path / "template.yaml", stores, fields)


def cut_off_everywhere(
    operators: Operators, servers: dict[str, MemoryServer], act: Callable[[], object], again: Callable[[], object]
) -> int:
    """Cut an act off at each request to any store in turn, and go on by calling it again; returns how often."""
    for request in range(1, 100):
        again()
        asked = 0

        def before(until: int = request) -> None:
            nonlocal asked
            asked += 1
            if asked >= until:
                raise CutOff

        for server in servers.values():
            server.before = before
        try:
            act()
        except CutOff:
            pass
        else:
            return request - 1
        finally:
            for server in servers.values():
                server.before = lambda: None
        act()
    raise AssertionError("it never came through")


def test_made_however_often_it_was_cut_off(operators: Operators, servers: dict[str, MemoryServer]) -> None:
    """A place and a user in each store, and the password that is kept is the one that counts."""

    def check() -> None:
        with suppress(NotFound):
            delete(operators, wanted())

    def act() -> None:
        assert create(operators, wanted()).tenant.state == "active"
        for name, server in servers.items():
            kept = (operators.root / "acme/secrets" / name).read_text()
            assert server.users["acme"].password in kept

    assert cut_off_everywhere(operators, servers, act, check) > 5


def test_deleted_however_often_it_was_cut_off(operators: Operators, servers: dict[str, MemoryServer]) -> None:
    """In between it is being deleted, and nothing but that can be done to it."""

    def act() -> None:
        there = found(operators, "acme")
        if there is not None and there.state == "deleting":
            for other in (create, suspend, resume):
                with pytest.raises(Refused, match=r"being deleted since .* by ann"):
                    other(operators, wanted())
        done = delete(operators, wanted())
        assert done.proof == {"first": [], "second": [], "folder": []}
        assert not any(server.users or server.places for server in servers.values())

    assert cut_off_everywhere(operators, servers, act, lambda: create(operators, wanted())) == 10


def test_suspended_and_resumed_however_often_it_was_cut_off(
    operators: Operators, servers: dict[str, MemoryServer]
) -> None:
    """Suspended in every store, then open in every store."""

    def shut() -> None:
        suspend(operators, wanted())
        assert not any(server.users["acme"].is_open for server in servers.values())

    def opened() -> None:
        resume(operators, wanted())
        assert all(server.users["acme"].is_open for server in servers.values())
        assert not (operators.root / "acme/suspended.json").exists()

    create(operators, wanted())
    assert cut_off_everywhere(operators, servers, shut, opened) > 2
    assert cut_off_everywhere(operators, servers, opened, shut) >= 2


def test_a_store_that_is_away_keeps_no_other_open(operators: Operators, servers: dict[str, MemoryServer]) -> None:
    """A suspension shuts what it can, says what it could not, and is done by the next call."""
    create(operators, wanted())
    servers["first"].is_gone = True
    with pytest.raises(StoreUnavailable):
        suspend(operators, wanted())
    assert servers["first"].users["acme"].is_open
    assert not servers["second"].users["acme"].is_open
    servers["first"].is_gone = False
    assert suspend(operators, wanted()).tenant.state == "suspended"
    assert not servers["first"].users["acme"].is_open


def test_a_store_that_cannot_be_bound_keeps_no_other_open(
    operators: Operators, servers: dict[str, MemoryServer]
) -> None:
    """Where its administrator's secret is not to be had, the others are shut; to pretend asks for no secret."""
    create(operators, wanted())
    shut = replace(operators, stores=Unbound(operators.stores))
    for act in (suspend, resume, delete):
        assert act(shut, wanted(pretend=True)).steps
    with pytest.raises(StoreUnavailable, match="no secret of first"):
        suspend(shut, wanted())
    assert servers["first"].users["acme"].is_open
    assert not servers["second"].users["acme"].is_open
    with pytest.raises(StoreUnavailable, match="no secret of first"):
        resume(shut, wanted())
    assert not servers["second"].users["acme"].is_open


class Unbound(dict[str, TenantStore]):
    """Stores of which the first one's secret is not to be had."""

    def __getitem__(self, name: str) -> TenantStore:
        """Bind a store."""
        if name == "first":
            raise StoreUnavailable("no secret of first", "see that who keeps secrets answers")
        return super().__getitem__(name)


def test_who_rotates_ends_what_came_by_the_old_password(operators: Operators, servers: dict[str, MemoryServer]) -> None:
    """Whoever is inside is out, in every store; the tenant comes in by the new one."""
    create(operators, wanted())
    place = place_of(operators, found(operators, "acme"))
    inside = {name: InMemoryGuest(server, place.secret(name)) for name, server in servers.items()}
    old = {name: guest.own for name, guest in inside.items()}
    create(operators, wanted(), rotate=True)
    for name, guest in inside.items():
        with pytest.raises(PermissionError):
            InMemoryGuest(servers[name], old[name])
        guest.own = place.secret(name)  # memory asks for it at each request; a server asks whoever comes, and no more
        with pytest.raises(PermissionError):
            guest.write("note", "text")
        InMemoryGuest(servers[name], place.secret(name)).write("note", "text")


def test_who_cannot_be_resumed_everywhere_is_resumed_nowhere(
    operators: Operators, servers: dict[str, MemoryServer]
) -> None:
    """It stays suspended, and says so; since when and why stays, and who tried in vain has not suspended it."""
    create(operators, wanted())
    suspend(operators, wanted(reason="unpaid"))
    servers["second"].is_gone = True
    with pytest.raises(StoreUnavailable):
        resume(operators, Wanted("acme", "bob", datetime(2026, 12, 1, tzinfo=UTC)))
    assert not servers["first"].users["acme"].is_open
    left = found(operators, "acme")
    assert (left.state, left.by, left.reason, left.at) == ("suspended", "ann", "unpaid", "2026-11-30T00:00:00+00:00")
    assert (operators.root / "acme/suspended.json").exists()


def test_what_is_left_is_no_deletion(operators: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that keeps something is named, in the record too; the tenant stays known until nothing is left."""
    create(operators, wanted())
    with monkeypatch.context() as patched:
        patched.setattr(InMemoryTenantStore, "delete", lambda _, __: None)
        with pytest.raises(Permanent, match="of tenant acme is left: user acme, place acme"):
            delete(operators, wanted())
    assert [(one.name, one.state) for one in known(operators)] == [("acme", "deleting")]
    assert state.recorded(operators)[-1]["now"] == "not deleted"
    assert state.recorded(operators)[-1]["left"]["first"] == ["user acme", "place acme"]
    delete(operators, wanted())
    assert known(operators) == []


def test_what_was_done_is_recorded(operators: Operators, servers: dict[str, MemoryServer]) -> None:
    """By whom, when, why, and where it was cut off; no password is."""
    servers["second"].is_gone = True
    with pytest.raises(StoreUnavailable):
        create(operators, wanted())
    servers["second"].is_gone = False
    create(operators, wanted())
    suspend(operators, wanted(reason="unpaid"))
    lines = state.recorded(operators)
    assert [line["now"] for line in lines] == [
        "creating, cut off at: make its place in second",
        "active",
        "suspended",
    ]
    assert "does not answer" in lines[0]["problem"]
    assert (lines[2]["by"], lines[2]["reason"], lines[2]["at"]) == ("ann", "unpaid", "2026-11-30T00:00:00+00:00")
    assert servers["first"].users["acme"].password not in str(lines)


@pytest.mark.parametrize("crafted", CRAFTED)
@pytest.mark.parametrize("act", [create, suspend, resume, delete])
def test_a_crafted_name_is_none(
    operators: Operators, servers: dict[str, MemoryServer], crafted: str, act: Callable[..., object]
) -> None:
    """Nothing is asked, nothing written, whatever is to be done; a dry run says the same."""

    def before() -> None:
        raise AssertionError("a store was asked")

    for server in servers.values():
        server.before = before
    for pretend in (False, True):
        with pytest.raises(InvalidSpec, match="no name of a tenant → take 2 to 24 letters"):
            act(operators, wanted(crafted, pretend=pretend))
    assert not operators.root.exists()


@pytest.mark.parametrize(
    "name", ["a", "1a", "-a", "a-", "a--b", "a_b", "aB", "a" * 25, "retail.operator", "\uff41b", "a\u0661"]
)
def test_no_name_of_a_tenant(name: str) -> None:
    """Too short, too long, or of other letters."""
    with pytest.raises(InvalidSpec):
        checked(name)


@pytest.mark.parametrize("name", ["ab", "retail", "retail-two", "a1-b2", "a" * 24])
def test_a_name_of_a_tenant(name: str) -> None:
    """Letters, digits, single dashes."""
    assert checked(name) == name


FILE = """
name: shared
root: tenants
environment: template.yaml
secrets: {vendor: files, root: secrets}
stores:
  database: {vendor: postgres, url: "secret://postgresql"}
"""


TEXTS = {"on.yaml": FILE, "template.yaml": TEMPLATE.replace("first#user", "database#ledger")}


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("on.yaml", ("root: tenants", ""), "root is missing"),
        ("on.yaml", ("name: shared", "names: shared"), "unknown key 'names'"),
        ("on.yaml", ("vendor: postgres", "vendor: postgrey"), "no vendor 'postgrey' for tenant_store"),
        ("on.yaml", ('"secret://postgresql"', '"postgresql://a:b@c/d"'), "holds a credential in clear"),
        ("on.yaml", ("database:", "Data base:"), "is no name of a store"),
        ("on.yaml", ("secrets: {vendor: files, root: secrets}", ""), "no vendor is bound for secrets"),
        ("on.yaml", ("url:", "uri:"), "tenant_store.url: Field required"),
        ("on.yaml", ("template.yaml", "other.yaml"), "cannot be read"),
        ("template.yaml", ('tenant: "${tenant}"', ""), "does not say whose it is"),
        ("template.yaml", ("database#ledger", "data#ledger"), "there is no store 'data'"),
        ("template.yaml", ("database#ledger", "database#password"), "gives a tenant no 'password'"),
        ("template.yaml", ("database#ledger", "database"), "no 'whole secret'"),
        ("template.yaml", ("ledger:", "ledgers:"), "unknown key 'ledgers'"),
        ("template.yaml", ("secrets: {vendor: files", "secret: {vendor: files"), "unknown key 'secret'"),
        ("template.yaml", ('"secret://database#ledger"', '"postgresql://a:b@c/d"'), "holds a credential in clear"),
    ],
)
def test_what_operators_write_is_checked(tmp_path: Path, file: str, change: tuple[str, str], says: str) -> None:
    """Their file and what environments are made of, with the line, before anything is done or any store is bound."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    known_there = read(tmp_path / "on.yaml")
    assert set(known_there.stores) == {"database"}
    known_there.close()
    (tmp_path / file).write_text(TEXTS[file].replace(*change))
    with pytest.raises((InvalidEnvironment, InvalidSpec), match=says):
        read(tmp_path / "on.yaml")


def test_a_variable_of_the_tenants_is_left_to_the_tenant(operators: Operators) -> None:
    """The operator has none of it: it stands in the file as it is written."""
    operators.template.write_text(TEMPLATE + 'traces: "${OF_THE_TENANT}"\n')
    create(operators, wanted())
    assert 'traces: "${OF_THE_TENANT}"' in (operators.root / "acme/environment.yaml").read_text()


def test_no_operators_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the command nor by the variable."""
    monkeypatch.delenv("LOOPLINE_TENANTS", raising=False)
    with pytest.raises(InvalidEnvironment, match="--on, or name it in LOOPLINE_TENANTS"):
        read()


def test_a_state_that_is_none_of_ours(operators: Operators) -> None:
    """It is told, not taken for a tenant that never was."""
    create(operators, wanted())
    (operators.root / ".operator/acme.json").write_text("{}")
    with pytest.raises(ContractBroken, match="no state of a tenant"):
        found(operators, "acme")


def test_a_folder_that_cannot_be_written_is_told(operators: Operators, tmp_path: Path) -> None:
    """With the path and what to do, not as a defect of ours."""
    (tmp_path / "root").write_text("no folder")
    with pytest.raises(InvalidEnvironment, match="name a root that whoever runs this may write to"):
        create(operators, wanted())


def test_what_writes_on_while_it_is_deleted_is_told(operators: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant stays known as being deleted, and the next call ends it."""
    create(operators, wanted())

    def busy(path: Path) -> None:
        raise OSError(39, "Directory not empty", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", busy)
        with pytest.raises(StoreUnavailable, match=r"Directory not empty.*end what still writes there"):
            delete(operators, wanted())
    assert [one.state for one in known(operators)] == ["deleting"]
    delete(operators, wanted())
    assert known(operators) == []


@pytest.mark.parametrize("reason", ["unpaid\u2028bill", "unpaid\x85", "\udcff of no text", "Zahlung überfällig"])
def test_a_reason_of_odd_letters_is_recorded(operators: Operators, reason: str) -> None:
    """A command line gives whatever it was given: it is one line of the record, and ends nothing."""
    create(operators, wanted())
    suspend(operators, wanted(reason=reason))
    assert [line["reason"] for line in state.recorded(operators)] == ["", reason]


def test_the_record_goes_on_after_a_torn_line(operators: Operators) -> None:
    """What a power cut left of an entry is no entry, and spoils none."""
    create(operators, wanted())
    file = operators.root / ".operator/record.jsonl"
    file.write_bytes(file.read_bytes() + b'{"at": "2026-11-30T00:00:00+00:00", "by": "a')
    suspend(operators, wanted())
    assert [line["now"] for line in state.recorded(operators)] == ["active", "suspended"]


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let this process write no file beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 10, 100])
def test_a_full_disk_is_told_and_spoils_nothing(operators: Operators, size: int) -> None:
    """At the state, a secret or the record: what was there stays whole, no draft lies about, and it is done again."""
    create(operators, wanted())
    before = found(operators, "acme")
    with room(size), pytest.raises(StoreUnavailable, match="free a full disk"):
        suspend(operators, wanted(reason="x" * 100))
    assert found(operators, "acme") == before
    assert [file for file in operators.root.rglob(".*") if file.name != ".operator"] == []
    suspend(operators, wanted())
    assert [line["now"] for line in state.recorded(operators)] == ["active", "suspended"]


def test_a_record_that_has_no_room_is_told(operators: Operators) -> None:
    """An entry of which a part was written is no entry; the tenant is what it was until it is recorded."""
    create(operators, wanted())
    file = operators.root / ".operator/record.jsonl"
    for _ in range(5):
        create(operators, wanted())
    with room(file.stat().st_size + 20), pytest.raises(StoreUnavailable, match=r"record\.jsonl: File too large"):
        create(operators, wanted())
    assert [one.state for one in known(operators)] == ["creating"]
    create(operators, wanted())
    assert [line["now"] for line in state.recorded(operators)] == ["active"] * 7


def killed(at: int, act: Callable[[], object]) -> bool:
    """Do something in a process that is killed at its n-th request to the file system; says whether it was."""
    child = os.fork()
    if child == 0:
        asked = 0

        def count(event: str, _: object) -> None:
            nonlocal asked
            if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
                asked += 1
                if asked == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code != 0


@pytest.mark.parametrize("act", [create, suspend, resume, delete])
def test_killed_at_any_file_it_goes_on(operators: Operators, act: Callable[..., Done]) -> None:
    """What is said of a tenant is always whole; what it has become is in the record before it is said."""
    begins = [create] * (act is not create) + [suspend] * (act is resume)
    for request in range(1, 500):
        for before in begins:
            before(operators, wanted())
        recorded = len(state.recorded(operators))
        was = known(operators)
        was_killed = killed(request, lambda: act(operators, wanted(reason="why")))
        there, lines = known(operators), state.recorded(operators)
        if act in {create, resume} and [one.state for one in there] == ["active"] != [one.state for one in was]:
            assert [line["now"] for line in lines[recorded:]] == ["active"]
        if act is delete and not there:
            assert [line["now"] for line in lines[recorded:]] == ["deleted"]
        act(operators, wanted())
        delete(operators, wanted())
        assert known(operators) == []
        assert not (operators.root / "acme").exists()
        if not was_killed:
            break
    assert request > 10


def test_a_thousand_tenants_are_listed_by_one_look(operators: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is looked through once, not once for each of them."""
    create(operators, wanted())
    folder, listed, listdir = operators.root / ".operator", list[Any](), os.listdir

    def counted(path: Any) -> list[str]:
        listed.append(path)
        return listdir(path)

    for number in range(1000):
        said = {"name": f"tenant-{number}", "state": "active", "at": "", "by": "ann"}
        (folder / f"tenant-{number}.json").write_text(json.dumps(said))
    monkeypatch.setattr("os.listdir", counted)
    assert len(known(operators)) == 1001
    assert len(listed) < 10


@pytest.mark.parametrize("said", ["\u00b2", "4294967295", "4294967296", "9" * 5000, "-1"])
def test_a_number_that_no_account_can_have_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Before anything is made: given to it, a file would stay root's, or the system ends the command."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(NotFound, match="this machine has no account"):
        account(said)
    assert account("4294967294") == (4294967294, 4294967294)
