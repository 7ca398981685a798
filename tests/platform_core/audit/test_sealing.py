"""Entries are written with what they tell, sealed apart from that, and signed so that others can check it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError

from loopline.platform_core.audit import checkpoint, keys, origin, recording, sealing
from loopline.platform_core.audit.entry import parsed
from loopline.platform_core.audit.merkle import EMPTY, Peaks, Tree, leaf_hash
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.errors import CommitConflict, ContractBroken, InvalidEnvironment, Refused, Unsupported
from loopline.platform_core.loop.ledger import append_only
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger, append
from tests.platform_core.audit.installation import T0, Installation


def test_a_tree_is_that_of_rfc_6962():
    """The roots of the test vectors that Certificate Transparency's own implementations share; and both trees agree."""
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    tree, peaks = Tree(hashes), Peaks()
    assert tree.root(0) == peaks.root() == EMPTY
    for size, leaf in enumerate(hashes, 1):
        peaks.add(leaf)
        assert peaks.root() == tree.root(size)
        assert roots.get(size, peaks.root().hex()) == peaks.root().hex()


def test_an_entry_says_who_what_and_from_where(on_sqlite: Installation):
    """What the way in said is in each entry of its block, and of no other; the trace follows from the cycle."""
    with origin.acting(source="192.0.2.7", policy="four-eyes@3", on_behalf_of="bob"):
        on_sqlite.decide(1)
    on_sqlite.decide(1)
    recording.note(on_sqlite.ledger, "attempt.denied", "mallory", outcome="denied", subject="retail/cancellations")
    *_, inside, outside, denied = _entries(on_sqlite.ledger)
    assert (inside.who, inside.what, inside.version) == ("alice", "gate.overridden", "7")
    assert (inside.source, inside.policy, inside.on_behalf_of) == ("192.0.2.7", "four-eyes@3", "bob")
    assert len(inside.trace) == 32
    assert outside.source.count(":") == 2
    assert (outside.policy, outside.on_behalf_of) == ("", "")
    assert (denied.who, denied.outcome, denied.entry_id) == ("mallory", "denied", None)


def test_an_entry_is_there_when_the_decision_is(record: Installation):
    """Taken back with it, and once where the decision is recorded once."""
    before = len(_entries(record.ledger))

    def fail() -> None:
        with record.ledger.writing() as connection:
            append(connection, Entry("x.y", T0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(_entries(record.ledger)) == before
    for _ in range(2):
        record.ledger.record(Entry("x.y", T0), once="once")
    assert len(_entries(record.ledger)) == before + 1


def test_no_decision_without_its_entry(on_sqlite: Installation):
    """Where the record cannot be written, the ledger is not either."""
    before = on_sqlite.ledger.entries()
    on_sqlite.owner("ALTER TABLE audit_entries RENAME TO elsewhere")
    with pytest.raises(Exception, match="no such table"):
        on_sqlite.decide(1)
    assert on_sqlite.ledger.entries() == before


def test_writers_and_sealers_at_once_lose_nothing(record: Installation):
    """Every entry is sealed once; of two sealers at the same time one may be told to try again."""
    stop = threading.Event()

    def seal() -> int:
        conflicts = 0
        while not stop.is_set():
            try:
                record.seal(anchored=False)
            except CommitConflict:
                conflicts += 1
        return conflicts

    with ThreadPoolExecutor(4) as pool:
        sealers = [pool.submit(seal) for _ in range(2)]
        writers = [pool.submit(record.decide, 15) for _ in range(2)]
        for writer in writers:
            writer.result()
        stop.set()
        for sealer in sealers:
            sealer.result()
    record.seal(anchored=True)
    report = record.verify()
    assert (report.well, report.sealed, report.anchored, report.pending) == (True, 40, 40, 0)


def test_what_is_committed_late_is_sealed_later(made, new_database):
    """On PostgreSQL a smaller number may appear after a greater one was sealed."""
    record = made(new_database())
    record.seal(anchored=False)
    with record.ledger.writing() as slow:
        append(slow, Entry("x.slow", T0))
        record.decide(1)
        record.seal(anchored=False)
    record.seal(anchored=True)
    report = record.verify()
    assert (report.well, report.sealed, report.pending) == (True, 12, 0)


def test_more_than_fits_one_checkpoint(on_sqlite: Installation, monkeypatch):
    """The rest goes into the next ones; what was settled is not looked at again, and nothing is left out."""
    monkeypatch.setattr(sealing, "AT_ONCE", 4)
    on_sqlite.decide(9)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert sealing.seal(on_sqlite.ledger, on_sqlite.key, now=lambda: later).size == 19
    on_sqlite.decide(1)
    assert sealing.seal(on_sqlite.ledger, on_sqlite.key).size == 20
    report = on_sqlite.verify()
    assert (report.well, report.checkpoints) == (True, 7)


def test_nothing_is_put_on_a_tree_that_was_changed(on_sqlite: Installation):
    """Whoever seals says so, and which command tells more."""
    on_sqlite.owner("UPDATE audit_checkpoints SET peaks = zeroblob(64) WHERE size = 9")
    with pytest.raises(ContractBroken, match="not the one that was signed"):
        on_sqlite.seal(anchored=False)


def test_a_note_is_signed_for_one_tenant_by_one_key(key):
    """Another tenant's, another key's, a changed one and garbage are refused."""
    made = checkpoint.Checkpoint(checkpoint.origin(key, "acme"), 5, b"\1" * 32, T0)
    note = checkpoint.signed(made, key)
    assert checkpoint.opened(note, key.verifying, "acme") == made
    other = keys.new(key.name).verifying
    for wrong, verifier, tenant in (
        (note, key.verifying, "other"),
        (note, other, "acme"),
        (note.replace("\n5\n", "\n6\n"), key.verifying, "acme"),
        ("", key.verifying, "acme"),
        ("\n\n", key.verifying, "acme"),
        (note.replace("— ", "- "), key.verifying, "acme"),
    ):
        with pytest.raises(ContractBroken):
            checkpoint.opened(wrong, verifier, tenant)


def test_a_key_is_one_line_for_its_owner_only(tmp_path):
    """It is read as it was written; none is written over; what is no key is refused without being shown."""
    key, file = keys.new("acme.example/audit"), tmp_path / "new" / "key"
    public = keys.write(key, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.signing(file.read_text()).text == key.text
    assert keys.verifying(public.read_text()).text == key.verifying.text
    with pytest.raises(Refused, match="is there already"):
        keys.write(keys.new(), file)
    secret = key.text.split("+", 4)[4]
    assert secret not in repr(key)
    for text_ in (
        "",
        "x",
        key.text[:-8],
        key.verifying.text,
        key.text.replace("acme", "acne"),
        f"PRIVATE+KEY+{secret}",
    ):
        with pytest.raises(InvalidEnvironment) as told:
            keys.signing(text_)
        assert secret not in str(told.value)
    for text_ in ("", key.text, key.verifying.text.replace("acme", "acne"), key.verifying.text + "AAAA"):
        with pytest.raises(InvalidEnvironment):
            keys.verifying(text_)
    with pytest.raises(InvalidEnvironment, match="no name of a key"):
        keys.new("a+b")


def test_a_role_that_can_only_append(made, new_database):
    """It decides, seals and verifies; it changes, deletes and truncates nothing, and takes no trigger away."""
    url = new_database()
    record = made(url)
    name = f"appender_{make_url(url).query['options'].rpartition('space_')[2]}"
    _owner(url, f"CREATE ROLE {name} LOGIN")
    append_only.grant(record.ledger, name)
    limited = Ledger.open(str(make_url(url).set(username=name).render_as_string(hide_password=False)))
    own = Installation(limited, record.key, record.anchors)
    own.decide(2)
    own.seal(anchored=True)
    report = own.verify()
    assert (report.well, report.sealed, report.anchored) == (True, 12, 12)
    for table in ("entries", "audit_entries", "audit_checkpoints"):
        for statement in (
            f"UPDATE {table} SET tenant = 'x'" if table != "entries" else "UPDATE entries SET reason = 'x'",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER USER",
            f"DROP TABLE {table}",
        ):
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner"), limited.writing() as connection:
                connection.execute(text(statement))
    limited.close()
    record.owner("DROP TABLE alembic_version")
    with pytest.raises(Refused, match="may not bring the ledger's schema"):
        Ledger.open(limited.engine.url.render_as_string(hide_password=False))
    _owner(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_sqlite_has_no_roles(on_sqlite: Installation):
    """It is said with what to do instead."""
    with pytest.raises(Unsupported, match="no roles"):
        append_only.statements(on_sqlite.ledger, "x")


def _owner(url: str, *statements: str) -> None:
    parsed_url = make_url(url)
    connection = psycopg2.connect(host=parsed_url.query["host"], user=parsed_url.username, dbname="postgres")
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def _entries(ledger: Ledger):
    with ledger.reading() as connection:
        bodies = connection.scalars(select(audit_entries.c.body).order_by(audit_entries.c.audit_id))
        return [parsed(body) for body in bodies]
