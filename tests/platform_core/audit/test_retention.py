"""Entries past their time are let go and the record verifies; one let go within its time, or by nobody, is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError

from loopline.platform_core.audit import anchoring, exporting, keys, recording, removing, retained, sealing, verifying
from loopline.platform_core.audit.entry import AuditEntry, instant
from loopline.platform_core.audit.reading import Wanted, bodies
from loopline.platform_core.audit.removing import Keeper
from loopline.platform_core.audit.retained import History
from loopline.platform_core.audit.tables import audit_entries, audit_removed
from loopline.platform_core.errors import CommitConflict, ContractBroken, NotFound, Refused
from loopline.platform_core.loop.ledger import append_only
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.retention import FLOOR, Holding, Retention, parsed
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from tests.platform_core.audit.installation import Installation
from tests.platform_core.audit.test_sealing import _owner
from tests.platform_core.ledgers import new_ledger

NOW = datetime.now(UTC)
POLICY = Retention({"data.": 400, "default": 3650})
KINDS = ("data.read", "gate.overridden", "data.changed")


def days(count: float) -> datetime:
    """Return the instant so many days ago."""
    return NOW - timedelta(days=count)


class Old(Installation):
    """An installation whose record began long ago; each day's entries are sealed, and anchored, on that day."""

    def on(self, ago: float, *what: str, policy: Retention | None = None, anchored: bool = True) -> None:
        """Write entries, or a policy, as it was done so many days ago."""
        if policy is not None:
            Keeper(self.ledger, policy, now=lambda: days(ago)).say("alice")
        with self.ledger.writing() as connection:
            for one in what:
                recording.record(connection, AuditEntry(one, "alice", instant(days(ago))), days(ago))
        sealing.seal(self.ledger, self.key, now=lambda: days(ago))
        if anchored:
            anchoring.anchor(self.ledger, self.anchors, self.key.verifying)

    def keeper(self, policy: Retention = POLICY, at: datetime = NOW) -> Keeper:
        """Return who lets go, as on a day."""
        return Keeper(self.ledger, policy, self.anchors, now=lambda: at)

    def retain(self, policy: Retention = POLICY, at: datetime = NOW):
        """Let go of what is due."""
        return self.keeper(policy, at).retain(self.key, "keeper")

    @property
    def here(self) -> list[int]:
        """Return the numbers of the entries that are there."""
        with self.ledger.reading() as connection:
            return list(connection.scalars(select(audit_entries.c.audit_id).order_by(audit_entries.c.audit_id)))

    def said(self) -> list[str]:
        """Return what a verification says."""
        return [f"{one.kind} {one.audit_id}: {one.said}" for one in self.verify().findings]


@pytest.fixture
def begun(key) -> Callable[[str], Old]:
    """Make one: a policy 600 days ago (entry 1), then three entries 500 days, and three 300 days ago."""

    def make(url: str) -> Old:
        one = Old(Ledger.open(url), key, InMemoryAnchors())
        one.on(600, policy=POLICY)
        one.on(500, *KINDS)
        one.on(300, *KINDS)
        return one

    return make


@pytest.fixture
def old(begun, url) -> Old:
    """Make one on each database."""
    return begun(url)


@pytest.fixture
def lite(begun, tmp_path) -> Old:
    """Make one where it is quick."""
    return begun(new_ledger(tmp_path))


def test_what_is_past_its_time_is_let_go_and_the_record_verifies(old: Old):
    """By kind; that it was done is a sealed entry, and of what is gone the hash is counted."""
    before = old.verify()
    assert old.keeper().due(old.key.verifying) == {"data.read": 1, "data.changed": 1}
    assert old.here == [1, 2, 3, 4, 5, 6, 7]
    assert old.retain() == {"data.read": 1, "data.changed": 1}
    assert old.here == [1, 3, 5, 6, 7, 8]
    report = old.verify()
    assert (report.well, report.sealed, report.retained, report.anchored) == (True, 8, 2, 8)
    assert (before.sealed, before.retained) == (7, 0)
    with old.ledger.reading() as connection:
        ((_, body),) = bodies(connection, [8])
    assert '"reason":"1 data.changed, 1 data.read"' in body
    assert '"who":"keeper"' in body
    assert old.retain() == {}
    assert old.here == [1, 3, 5, 6, 7, 8]


def test_proofs_go_on_where_entries_are_gone(lite: Old):
    """What is left is proven in the tree with all leaves, which only grew; of what is gone it is said who let it go."""
    size = lite.verify().sealed
    lite.retain()
    with lite.ledger.reading() as connection:
        told = list(exporting.proven(connection, Wanted(), since=size))
        assert len(told) == 1 + 6
        assert '"size": 8' in told[0]
        assert [one.split('"audit_id": ')[1].split(",")[0] for one in told[1:]] == ["1", "3", "5", "6", "7", "8"]
        assert exporting.proof(connection, 3)
        with pytest.raises(NotFound, match="only its hash is kept") as error:
            exporting.proof(connection, 2)
        assert "entry 8" in error.value.fix
        assert len(list(exporting.cef(connection, Wanted()))) == 6


def test_the_ledger_s_own_row_of_what_is_gone(lite: Old):
    """It stays in the ledger, and is neither missed in the record nor taken for one that was put there."""
    lite.decide(1)
    with lite.ledger.reading() as connection:
        number, body = connection.execute(
            select(audit_entries.c.audit_id, audit_entries.c.body).order_by(audit_entries.c.audit_id.desc())
        ).first()
    lite.owner(
        "DELETE FROM audit_entries WHERE audit_id = :number",
        "INSERT INTO audit_entries VALUES (:number, 'default', 1, :old, :body)",
        number=number, old=int(days(600).timestamp() * 1e6), body=body,
    )  # fmt: skip
    sealing.seal(lite.ledger, lite.key, now=lambda: days(299))
    anchoring.anchor(lite.ledger, lite.anchors, lite.key.verifying)
    policy = Retention({"gate.": 200})
    lite.on(250, policy=policy)
    assert lite.retain(policy)["gate.overridden"] >= 1
    assert number not in lite.here
    assert lite.held() == []
    assert lite.verify().well
    with lite.ledger.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM entries")) == 1


def test_a_policy_that_keeps_for_less_waits_for_its_notice(lite: Old):
    """Whoever shortens it lets nothing go for thirty days, in which it stands in the record; longer holds at once."""
    short = Retention({"default": 200})
    assert lite.retain(short, days(60)) == {"data.read": 1, "data.changed": 1}  # by what held before
    assert removing.notice(lite.ledger, at=days(31)) == ("default=200", days(30))
    assert lite.retain(short, days(31)) == {}
    assert removing.notice(lite.ledger, at=days(29)) is None
    assert lite.retain(short, days(28)) == {"data.read": 1, "data.changed": 1, "gate.overridden": 2}
    assert lite.verify().well


def test_a_policy_after_a_shorter_one_does_not_hide_it(lite: Old):
    """It keeps for longer than the one just before, and still for less than what holds until then."""
    for ago, kept in ((10, 200), (9, 201)):
        lite.on(ago, policy=Retention({"default": kept}))
    assert removing.notice(lite.ledger, at=days(9)) == ("default=201", days(-20))
    assert removing.notice(lite.ledger, at=days(-20)) is None
    lite.on(8, policy=POLICY)
    assert removing.notice(lite.ledger, at=days(8)) is None


def test_the_first_policy_waits_too(key, tmp_path):
    """Before it all was kept for ever, and what nothing names is."""
    one = Old(Ledger.open(f"sqlite:///{tmp_path}/l.db"), key, InMemoryAnchors())
    one.on(500, *KINDS)
    one.on(29, policy=POLICY)
    assert one.retain() == {}
    assert one.retain(Retention()) == {}
    one = Old(Ledger.open(f"sqlite:///{tmp_path}/m.db"), key, InMemoryAnchors())
    one.on(500, *KINDS, policy=Retention({"data.": 200}))
    assert one.retain(Retention({"data.": 200})) == {"data.read": 1, "data.changed": 1}
    assert one.verify().well


def test_who_removes_an_entry_is_found(lite: Old):
    """One within its time and one past it alike, as long as nobody let it go."""
    lite.owner("DELETE FROM audit_entries WHERE audit_id IN (2, 6)")
    assert lite.said() == [
        "removed 2: an entry that was sealed is gone", "removed 6: an entry that was sealed is gone"
    ]  # fmt: skip
    with pytest.raises(Refused, match="not well"):
        lite.retain()


def test_who_says_that_a_young_entry_was_let_go_is_found(lite: Old):
    """Also with the true key: its checkpoint and its anchor say how old it is."""
    name(lite, lite.key, (2, "data.read"), (5, "data.read"))
    lite.owner("DELETE FROM audit_entries WHERE audit_id IN (2, 5)")
    (found,) = lite.said()
    assert found == "removed 5: an entry that was sealed is gone: it was let go 101 days before its time"


def test_who_says_that_an_entry_was_of_another_kind_is_found(lite: Old):
    """As long as it is there, by what it tells; and what retention writes is let go by no policy."""
    name(lite, lite.key, (3, "data.read"), (1, "audit.retention_set"))
    found = lite.said()
    assert "forged 3: it is said to be let go as data.read" in found
    assert any(one.startswith("removed 1:") and "no policy" in one for one in found)
    with pytest.raises(Refused, match="not well"):
        lite.retain()


def test_who_has_no_key_lets_nothing_go(lite: Old):
    """Neither by a note of another key, nor by one of other lines, nor by lines without a removal."""
    name(lite, keys.new(), (2, "data.read"))
    lite.owner("DELETE FROM audit_entries WHERE audit_id = 2")
    assert [one.split(":")[0] for one in lite.said()] == ["forged 8", "removed 2"]


def test_lines_beside_what_was_signed(lite: Old):
    """A line more, one less, another kind: then nothing of that removal counts."""
    lite.retain()
    for statement in (
        "INSERT INTO audit_removed VALUES (8, 3, 'default', NULL, 'data.read')",
        "DELETE FROM audit_removed WHERE audit_id IN (3, 4)",
    ):
        lite.owner("DROP TRIGGER IF EXISTS audit_removed_no_delete", statement)
        assert lite.said()[0].startswith("forged 8")
        assert any(one.startswith("removed 2") for one in lite.said())
    lite.owner("INSERT INTO audit_removed VALUES (3, 5, 'default', NULL, 'data.read')")
    assert any(one.startswith("forged 3") for one in lite.said())


def test_a_line_of_no_removal_hides_nothing(lite: Old):
    """Neither a row that was put into the ledger, nor an entry from those who are handed the record."""
    lite.decide(1)
    lite.seal(anchored=True)
    lite.owner(
        "INSERT INTO entries SELECT entry_id + 1, kind, at, recorded_at, team, model, cycle, version, actor, reason,"
        " details, unique_key FROM entries",
        "INSERT INTO audit_removed VALUES (999999, 999998, 'default', 2, 'gate.overridden')",
        "INSERT INTO audit_removed VALUES (999999, 3, 'default', NULL, 'gate.overridden')",
    )
    assert "forged 999999: 2 entries are said to be let go by entry 999999, which did not" in lite.said()
    with lite.ledger.reading() as connection:
        handed = list(exporting.proven(connection, Wanted()))
    assert any('"audit_id": 3,' in line for line in handed)


def test_a_record_that_claims_other_times(lite: Old):
    """With the key and the database: a checkpoint of the past on top of a newer one, or of a day to come."""
    for at in (days(500), NOW + timedelta(days=3)):
        with lite.ledger.writing() as connection:
            recording.record(connection, AuditEntry("data.read", "eve", instant(NOW)), days(500))
        sealing.seal(lite.ledger, lite.key, now=lambda at=at: at)
        assert "says that it was signed at" in lite.said()[0]
        lite.owner("DELETE FROM audit_checkpoints WHERE size = 8", "DELETE FROM audit_entries WHERE audit_id = 8")
        assert lite.verify().well


def test_an_entry_counts_from_its_anchor(key, tmp_path):
    """Where it was anchored later than it was sealed, and before it was let go: that nobody can write again."""
    one = Old(Ledger.open(f"sqlite:///{tmp_path}/l.db"), key, InMemoryAnchors())
    one.on(600, policy=POLICY)
    one.on(500, "data.read", anchored=False)
    one.on(405, "data.read")
    assert one.retain(at=days(5)) == {}
    assert one.retain() == {"data.read": 2}
    assert one.verify().well


def test_without_anchors_checkpoints_tell(lite: Old):
    """And who binds anchors afterwards finds the record well."""
    anchors, lite.anchors = lite.anchors, None
    keeper = Keeper(lite.ledger, POLICY, now=lambda: NOW)
    assert keeper.retain(lite.key, "keeper") == {"data.read": 1, "data.changed": 1}
    lite.anchors = InMemoryAnchors()
    anchoring.anchor(lite.ledger, lite.anchors, lite.key.verifying)
    assert lite.verify().well
    lite.anchors = anchors
    assert lite.verify().well


def test_what_a_kill_left_is_gone_on_with(lite: Old, monkeypatch):
    """It is named and not sealed, or sealed and not deleted: nothing is named twice, and the record is always well."""
    for owner, step in ((sealing, "seal"), (Keeper, "_well"), (Keeper, "_delete")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, _killed)
            with pytest.raises(ZeroDivisionError):
                lite.retain()
        assert lite.verify().well
    assert lite.retain() == {"data.read": 1, "data.changed": 1}
    assert lite.verify().retained == 2
    with lite.ledger.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(audit_removed)) == 2


def _killed(*_: object, **__: object) -> None:
    raise ZeroDivisionError


def let_go_before(old: Old, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let somebody else let go of what is due just before a step is taken for the first time."""
    step = getattr(owner, name)

    def between(*told: Any) -> Any:
        monkeypatch.setattr(owner, name, step)
        assert old.retain() == {"data.read": 1, "data.changed": 1}
        return step(*told)

    monkeypatch.setattr(owner, name, between)


def test_two_that_retain_at_once(old: Old, monkeypatch):
    """Each entry is named once; who comes second is told to try again, and not that clocks differ."""
    let_go_before(old, monkeypatch, Keeper, "_name")
    with pytest.raises(CommitConflict, match="retains at the same time"):
        old.retain()
    assert old.retain() == {}
    assert old.verify().retained == 2


def test_two_that_delete_at_once(old: Old, monkeypatch):
    """Each tells what it deleted itself."""
    let_go_before(old, monkeypatch, Keeper, "_delete")
    assert old.retain() == {}
    assert old.verify().retained == 2


@pytest.mark.parametrize("step", ["lines", "_of_entries"])
def test_a_verification_while_entries_are_let_go(old: Old, monkeypatch, step: str):
    """It sees the record as it was when it began, and not entries that are gone without a reason."""
    let_go_before(old, monkeypatch, verifying.retained if step == "lines" else verifying, step)
    assert old.said() == []
    assert old.here == [1, 3, 5, 6, 7, 8]
    assert old.verify().retained == 2


def test_an_export_while_entries_are_let_go(old: Old, monkeypatch):
    """It hands out what stood there when it began."""
    let_go_before(old, monkeypatch, exporting, "bodies")
    for count in (7, 6):
        with old.ledger.snapshot() as connection:
            assert len(list(exporting.cef(connection, Wanted()))) == count


def test_an_entry_that_is_none_any_more_is_found_after_it_was_named(lite: Old, monkeypatch):
    """A verification says so, instead of ending by it."""
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "_delete", _killed)
        with pytest.raises(ZeroDivisionError):
            lite.retain()
    lite.owner("UPDATE audit_entries SET body = 'x' WHERE audit_id = 2")
    assert "changed 2: an entry is not what was sealed" in lite.said()
    with pytest.raises(Refused, match="not well"):
        lite.retain()


def test_others_write_while_the_policy_is_looked_for(lite: Old):
    """All of a long record is looked through for it, each hour: where it stands there, nothing is held meanwhile."""
    with lite.ledger.writing():
        lite.keeper().say("keeper")


def test_an_anchor_is_found_among_many():
    """A verification asks of every entry that is gone which anchor has it first: there are as many as quarter hours."""
    many = 20_000
    anchored = [(size, days(-size)) for size in range(1, many + 1)]
    history = History(range(many), [], [many], [days(1)], anchored)
    began = time.monotonic()
    assert [history.sealed_at(seq, many) for seq in range(many)] == [at for _, at in anchored]
    assert time.monotonic() - began < 2
    assert history.sealed_at(5, 5) == days(1)


def test_the_database_lets_exactly_that_go(old: Old):
    """What is named and half a year old; nothing else, and no line is taken back, also not by its owner."""
    old.on(170, "data.read")
    statement = insert(audit_removed)
    rows = [{"removal": 8, "audit_id": n, "tenant": "default", "what": "data.read"} for n in (2, 8)]
    with old.ledger.writing() as connection:
        connection.execute(statement, rows)
    wrong = ["DELETE FROM audit_entries WHERE audit_id = 8", "DELETE FROM audit_entries WHERE audit_id = 3"]
    wrong += ["DELETE FROM audit_removed", "UPDATE audit_removed SET what = 'x'"]
    wrong += ["UPDATE audit_entries SET body = 'x' WHERE audit_id = 2"]
    on_postgresql = old.ledger.engine.dialect.name == "postgresql"
    wrong += ["TRUNCATE audit_removed", "TRUNCATE audit_entries"] if on_postgresql else []
    wrong += [] if on_postgresql else ["INSERT OR REPLACE INTO audit_removed SELECT * FROM audit_removed"]
    for one in wrong:
        with pytest.raises(DBAPIError, match="only appended"), old.ledger.writing() as connection:
            connection.execute(text(one))
    if on_postgresql:  # a table of that name elsewhere names nothing
        shadow = text("CREATE TEMPORARY TABLE audit_removed AS SELECT 3 AS audit_id, 'default' AS tenant")
        with old.ledger.reading() as connection:
            connection.execute(shadow)
            with pytest.raises(DBAPIError, match="only appended"):
                connection.execute(text("DELETE FROM audit_entries WHERE audit_id = 3"))
    with old.ledger.writing() as connection:
        assert connection.execute(text("DELETE FROM audit_entries WHERE audit_id = 2")).rowcount == 1


def test_only_a_keeper_may(begun, new_database):
    """A role that appends names nothing and deletes nothing; one that keeps does, and no more than that."""
    url = new_database()
    old = begun(url)
    space = make_url(url).query["options"].rpartition("space_")[2]
    for name_, keeper in ((f"appends_{space}", False), (f"keeps_{space}", True)):
        _owner(url, f"CREATE ROLE {name_} LOGIN")
        append_only.grant(old.ledger, name_, keeper=keeper)
        limited = Ledger.open(str(make_url(url).set(username=name_).render_as_string(hide_password=False)))
        own = Old(limited, old.key, old.anchors)
        if keeper:
            assert own.retain() == {"data.read": 1, "data.changed": 1}
        else:
            with pytest.raises(Refused, match="may not let go"):
                own.retain()
        assert own.verify().well
        for statement in ("DELETE FROM audit_entries WHERE audit_id = 6", "DELETE FROM audit_removed"):
            with pytest.raises(DBAPIError, match=r"permission denied|only appended"), limited.writing() as connection:
                connection.execute(text(statement))
        limited.close()
        _owner(url, f"DROP OWNED BY {name_}", f"DROP ROLE {name_}")


@pytest.mark.parametrize("body", [
    '{"what":"audit.retention_set"', '["what":"audit.retained"]', '{"what":"audit.retention_set","subject":["x"]}',
    '{"what":"audit.retained","signed":"\\n\\n"}',
    '{"what":"audit.retention_set","subject":"default=9999999999999999999999"}',
    '{"what":["x"]}', f'{{"what":"{"x" * 300}"}}',
])  # fmt: skip
def test_what_others_write_into_the_record_lets_nothing_go(lite: Old, body: str):
    """Somebody who may append does not make a verification fail, nor shorten anything."""
    row = {"tenant": "default", "recorded_us": int(days(290).timestamp() * 1e6), "body": body}
    with lite.ledger.writing() as connection:
        connection.execute(insert(audit_entries), row)
    sealing.seal(lite.ledger, lite.key, now=lambda: days(290))
    assert lite.verify().well
    assert sum(lite.keeper(Retention({"default": 183})).due(lite.key.verifying).values()) <= 2
    assert removing.notice(lite.ledger) is None


def test_policies_in_force():
    """The longest that held in the thirty days before; before the first, and without a name, for ever; never below."""
    held = Holding([(days(100), Retention({"a.": 400})), (days(10), Retention({"a.": 200, "b.c": 190}))])
    for ago, what, kept in (
        (101, "a.b", None), (90, "a.b", None), (69, "a.b", 400), (9, "a.b", 400), (-21, "a.b", 200),
        (-21, "b.c", 190), (-21, "b.d", None), (9, "b.c", None), (-21, "audit.retained", None),
    ):  # fmt: skip
        assert held.keeps(what, days(ago)) == kept, (ago, what)
    assert Holding([(days(100), Retention({"default": 1}))]).keeps("x.y", NOW) == FLOOR.days
    policy = Retention({"data.read": 400, "default": 3650})
    assert parsed(policy.text) == policy
    assert parsed(Retention().text) == Retention()
    assert (policy.keeps("data.read"), policy.keeps("data.write"), policy.keeps("audit.retained")) == (400, 3650, None)
    assert Retention({"default": 200}).shortens(policy)
    assert not policy.shortens(Retention({"default": 400, "data.": 200}))
    assert not Retention().shortens(policy)
    for wrong in ("", "x", "data.read", "default=-1", "default=1=2", "default=1\n", "default=\u0661"):
        with pytest.raises(ContractBroken):
            parsed(wrong)


def name(old: Old, key, *lines: tuple[int, str]) -> None:
    """Say by a key that entries were let go, and seal that by the true one."""
    with old.ledger.reading() as connection:
        leaves = {n: sealing.sealed(body) for n, body in bodies(connection, [n for n, _ in lines])}
    lines = sorted(lines)
    at = NOW - timedelta(seconds=1)
    note = retained.signed([(n, None, what) for n, what in lines], leaves, key, "default", at)
    if key is not old.key:
        note = note.replace(key.verifying.id.hex(), old.key.verifying.id.hex())
    with old.ledger.writing() as connection:
        told = AuditEntry("audit.retained", "eve", instant(NOW), subject=f"{len(lines)} entries", signed=note)
        removal = recording.record(connection, replace(told), NOW)
        rows = [{"removal": removal, "audit_id": n, "tenant": "default", "what": what} for n, what in lines]
        connection.execute(insert(audit_removed), rows)
    old.seal(anchored=True)
