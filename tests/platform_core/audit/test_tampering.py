"""Whatever is done to the record by SQL is found, and told by the entry: each case is a mutant of a good record."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from loopline.platform_core.audit import anchoring, exporting, keys, sealing
from loopline.platform_core.audit.entry import UNREADABLE
from loopline.platform_core.audit.reading import Wanted, newest
from loopline.platform_core.audit.tables import audit_checkpoints, audit_entries
from loopline.platform_core.errors import ContractBroken, Refused
from tests.platform_core.audit.installation import T0, Installation

FORGED = "replace(body, 'alice', 'mallory')"


def kinds(found) -> list[tuple[str, int | None, int | None]]:
    """Say what was found, and where."""
    return [(one.kind, one.seq, one.audit_id) for one in found]


def test_a_good_record_is_well(record: Installation):
    """All is counted: what is sealed, anchored, and waits; the ledger is what the record tells."""
    report = record.verify()
    assert report.well
    assert (report.sealed, report.pending, report.checkpoints) == (9, 1, 3)
    assert (report.anchors, report.anchored) == (2, 6)
    assert record.held() == []


def test_the_database_refuses_to_change_what_was_appended(record: Installation):
    """Also its owner, as long as the triggers are there."""
    tables = ("audit_entries", "audit_checkpoints")
    statements = [f"UPDATE {table} SET tenant = 'x'" for table in tables] + [f"DELETE FROM {table}" for table in tables]
    if record.ledger.engine.dialect.name == "postgresql":
        statements += [f"TRUNCATE {table}" for table in tables]
    else:
        statements += [f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" for table in tables]
    for statement in statements:
        with pytest.raises(DBAPIError, match="only appended"), record.ledger.writing() as connection:
            connection.execute(text(statement))
    assert record.verify().well


def test_a_changed_entry(record: Installation):
    """An anchored one, one that is only sealed; of one that waits the ledger knows."""
    record.owner(f"UPDATE audit_entries SET body = {FORGED} WHERE audit_id IN (2, 8)")
    assert kinds(record.verify().findings) == [("changed", 1, 2), ("changed", 7, 8)]


def test_a_removed_entry(on_sqlite: Installation):
    """In the middle and at the end of what is sealed."""
    on_sqlite.owner("DELETE FROM audit_entries WHERE audit_id IN (4, 9)")
    assert kinds(on_sqlite.verify().findings) == [("removed", 3, 4), ("removed", 8, 9)]
    assert [(one.kind, one.entry_id) for one in on_sqlite.held()] == [("inserted", 4), ("inserted", 9)]


def test_two_entries_in_each_other_s_place(on_sqlite: Installation):
    """Both are told as reordered, and not as changed."""
    on_sqlite.owner(
        "UPDATE audit_entries SET body = 'x' WHERE audit_id = 1",
        "UPDATE audit_entries SET body = :five WHERE audit_id = 1",
        "UPDATE audit_entries SET body = :one WHERE audit_id = 5",
        one=_body(on_sqlite, 1),
        five=_body(on_sqlite, 5),
    )
    assert kinds(on_sqlite.verify().findings) == [("reordered", 0, 1), ("reordered", 4, 5)]


def test_an_entry_among_sealed_ones(on_sqlite: Installation):
    """Below the number under which none can appear any more."""
    with on_sqlite.ledger.reading() as connection:
        late = connection.scalar(text("SELECT max(recorded_us) FROM audit_entries")) + 1
    on_sqlite.owner("UPDATE audit_checkpoints SET settled = 9 WHERE size = 9")  # as ten minutes later
    on_sqlite.owner(
        "INSERT INTO audit_entries VALUES (-3, 'default', NULL, :late, :body)", late=late, body=_body(on_sqlite, 2)
    )
    assert kinds(on_sqlite.verify().findings) == [("inserted", None, -3)]


def test_hashes_that_were_changed_with_the_entry(on_sqlite: Installation):
    """The signature names the checkpoint; where it was anchored, the entry itself is named."""
    forge(on_sqlite, 8)
    report = on_sqlite.verify()
    assert [(one.kind, one.seq) for one in report.findings] == [("changed", None)]
    assert "entries 6 to 8" in report.findings[0].said
    forge(on_sqlite, 2)
    assert ("changed", 1, 2) in kinds(on_sqlite.verify().findings)


def test_a_checkpoint_that_another_key_signed(on_sqlite: Installation):
    """It is told as forged, though the tree is well."""
    other = Installation(on_sqlite.ledger, keys.new(), on_sqlite.anchors)
    on_sqlite.owner("DELETE FROM audit_checkpoints WHERE size = 9")
    with pytest.raises(ContractBroken, match="not signed by the key"):
        sealing.seal(other.ledger, other.key)
    on_sqlite.owner("UPDATE audit_checkpoints SET note = replace(note, 'at 20', 'at 19') WHERE size = 6")
    assert [one.kind for one in on_sqlite.verify().findings] == ["forged"]


def test_a_checkpoint_that_is_gone(on_sqlite: Installation):
    """Its entries are gone from the tree: the next one says so."""
    on_sqlite.owner("DELETE FROM audit_checkpoints WHERE size = 3")
    found = on_sqlite.verify().findings
    assert any(one.kind == "removed" and "the checkpoint before" in one.said for one in found)


REWRITES: dict[str, tuple[Callable[[list[str]], list[str]], list[tuple[str, int]]]] = {
    "changed": (
        lambda every: [one.replace("alice", "mallory") if i == 1 else one for i, one in enumerate(every)],
        [("changed", 1)],
    ),
    "removed": (lambda every: every[:4] + every[5:], [("removed", 4)]),
    "inserted": (lambda every: [*every[:2], every[2].replace("alice", "mallory"), *every[2:]], [("inserted", 2)]),
    "reordered": (lambda every: [every[3], *every[1:3], every[0], *every[4:]], [("reordered", 0), ("reordered", 3)]),
    "rolled back": (lambda every: every[:4], [("removed", 4), ("removed", 5)]),
}


@pytest.mark.parametrize("how", REWRITES)
def test_a_superuser_who_has_the_key_and_rewrites_everything(on_sqlite: Installation, how: str):
    """All signatures are good then; the anchors name the entry."""
    rewrite, expected = REWRITES[how]
    rewritten(on_sqlite, rewrite)
    assert on_sqlite.verify(outside=False).well
    report = on_sqlite.verify()
    assert [(one.kind, one.seq) for one in report.findings] == expected
    if how != "rolled back":  # the next anchor is refused at once
        with pytest.raises(ContractBroken, match="rewritten"):
            anchoring.anchor(on_sqlite.ledger, on_sqlite.anchors, on_sqlite.key.verifying)


def test_a_rewritten_record_on_postgresql(made, new_database):
    """The same by a superuser of PostgreSQL."""
    record = made(new_database())
    rewritten(record, REWRITES["changed"][0])
    assert record.verify(outside=False).well
    assert kinds(record.verify().findings) == [("changed", 1, 2)]


def test_an_anchor_that_is_not_what_was_written(on_sqlite: Installation):
    """One whose hashes were changed, one that is missing, one that is none."""
    kept = dict(on_sqlite.anchors.kept)
    first, second = sorted(kept)
    told = json.loads(kept[first])
    on_sqlite.anchors.kept[first] = json.dumps(told | {"leaves": told["leaves"][4:] + "AAAA"}).encode()
    assert [one.kind for one in on_sqlite.verify().findings] == ["forged", "forged"]
    del on_sqlite.anchors.kept[first]
    (found,) = on_sqlite.verify().findings
    assert (found.kind, "missing" in found.said, second in found.said) == ("forged", True, True)
    for garbage in (b"", b"[]", b'{"checkpoint": 1, "from": 0, "leaves": ""}', b"\xff"):
        on_sqlite.anchors.kept = {first: garbage}
        assert [one.kind for one in on_sqlite.verify().findings] == ["forged"]


@pytest.mark.parametrize("body", [
    "x", "[1]", '{"what":5}', '{"what":"a.b"}', '{"what":"a.b","recorded_at":"2026-01-01"}', "[" * 10_000,
    '{"what":"a.b","who":["x"],"recorded_at":"2026-01-01T00:00:00+00:00"}', '{"what":"a.b","reason":NaN}',
    '{"what":"a.b","reason":["\\udcff"]}',
])  # fmt: skip
def test_what_is_no_entry_hides_no_other(on_sqlite: Installation, body: str):
    """Whoever may append, by SQL too, can end neither a list nor an export: it is shown as what it is."""
    with on_sqlite.ledger.writing() as connection:
        connection.execute(insert(audit_entries), {"tenant": "default", "recorded_us": 0, "body": body})
    on_sqlite.seal(anchored=False)
    with on_sqlite.ledger.snapshot() as connection:
        listed = newest(connection, Wanted(), 100)[0]
        forms = [list(form(connection, Wanted())) for form in (exporting.cef, exporting.ocsf, exporting.proven)]
    assert [entry.what for _, entry in listed] == [UNREADABLE, *["gate.overridden"] * 10]
    assert [len(lines) for lines in forms] == [11, 11, 12]
    assert "|audit.unreadable|" in forms[0][-1]
    assert json.loads(forms[2][-1])["entry"] == body
    assert on_sqlite.verify().well


def test_two_that_anchor_at_once(on_sqlite: Installation):
    """Both began where the last anchor ends: what they say twice must be the same."""
    sealed = [on_sqlite.anchors.kept[name] for name in on_sqlite.anchors.names("default")]
    first, second = (json.loads(one) for one in sealed)
    both = base64.b64decode(first["leaves"]) + base64.b64decode(second["leaves"])
    twice = second | {"from": 0, "leaves": base64.b64encode(both).decode()}
    on_sqlite.anchors.kept[f"default/{6:020d}"] = json.dumps(twice).encode()
    assert on_sqlite.verify().anchored == 6
    assert on_sqlite.verify().well
    twice["leaves"] = base64.b64encode(both[32:64] + both[:32] + both[64:]).decode()
    on_sqlite.anchors.kept[f"default/{6:020d}"] = json.dumps(twice).encode()
    assert [one.kind for one in on_sqlite.verify().findings] == ["forged"]


def test_an_anchor_is_written_once(on_sqlite: Installation):
    """Nothing new, no anchor; another one of the same size is refused."""
    assert anchoring.anchor(on_sqlite.ledger, on_sqlite.anchors, on_sqlite.key.verifying).size == 9
    assert anchoring.anchor(on_sqlite.ledger, on_sqlite.anchors, on_sqlite.key.verifying) is None
    with pytest.raises(Refused, match="another one"):
        on_sqlite.anchors.put(f"default/{9:020d}", b"{}")


def test_a_ledger_that_is_not_what_the_record_tells(record: Installation):
    """An entry of the ledger itself was changed, taken away, or put there."""
    record.owner(
        "UPDATE entries SET details = replace(CAST(details AS TEXT), '0.3', '0.4')"
        + ("::json" if record.ledger.engine.dialect.name == "postgresql" else "")
        + " WHERE entry_id = 2",
        "DELETE FROM entries WHERE entry_id = 5",
    )
    with record.ledger.writing() as connection:
        row = dict.fromkeys(("team", "model", "cycle", "version", "actor", "reason"), "")
        connection.execute(_entries().insert(), {"kind": "x.y", "at": T0, "recorded_at": T0, "details": {}, **row})
    assert [(one.kind, one.entry_id, one.audit_id) for one in record.held()] == [
        ("changed", 2, 2),
        ("inserted", 11, None),
        ("removed", 5, 5),
    ]
    assert record.verify().well


def forge(record: Installation, audit_id: int) -> None:
    """Change an entry and its hash in the checkpoint, as somebody does who has no key."""
    with record.ledger.reading() as connection:
        done = audit_checkpoints.c
        row = connection.execute(select(audit_checkpoints).where(done.size >= audit_id).order_by(done.size)).first()
    leaves = bytearray(row.leaves)
    body = _body(record, audit_id).replace("alice", "mallory")
    at = (audit_id - 1) % 3 * 32
    leaves[at : at + 32] = sealing.sealed(body)
    record.owner(
        "UPDATE audit_entries SET body = :body WHERE audit_id = :number",
        "UPDATE audit_checkpoints SET leaves = :leaves WHERE size = :size",
        body=body,
        number=audit_id,
        leaves=bytes(leaves),
        size=row.size,
    )


def rewritten(record: Installation, rewrite: Callable[[list[str]], list[str]]) -> None:
    """Write another history and seal it by the true key."""
    with record.ledger.reading() as connection:
        entry = audit_entries.c
        every = list(connection.scalars(select(entry.body).order_by(entry.audit_id)))
    record.owner("DELETE FROM audit_checkpoints", "DELETE FROM audit_entries")
    with record.ledger.writing() as connection:
        for number, body in enumerate(rewrite(every), 1):
            row = {"audit_id": number, "tenant": "default", "recorded_us": number, "body": body}
            connection.execute(audit_entries.insert(), row)
    record.seal(anchored=False)


def _body(record: Installation, audit_id: int) -> str:
    with record.ledger.reading() as connection:
        return connection.scalar(select(audit_entries.c.body).where(audit_entries.c.audit_id == audit_id))


def _entries():
    from loopline.platform_core.loop.ledger.tables import entries

    return entries
