"""Tables of the audit log, in the ledger's database, which itself refuses updates and deletes of their rows.

But for entries that ``audit_removed`` names and that are older than half a year: those it lets go.

They are apart from ``loop.ledger.tables``, whose tables hold what may change.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from loopline.platform_core.foundation.append_only_table import append_only

metadata = MetaData()

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("audit_id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("tenant", String(128), nullable=False),
    Column("entry_id", BigInteger),  # the ledger's entry that it tells of
    Column("recorded_us", BigInteger, nullable=False),  # the wall's time
    Column("body", Text, nullable=False),  # what is sealed, to the byte
    Index("audit_entries_by_tenant", "tenant", "audit_id"),
    Index("audit_entries_by_entry", "entry_id"),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),  # entries in the tree, these included
    Column("since", BigInteger, nullable=False),  # the size before: on top of one checkpoint stands one other
    Column("note", Text, nullable=False),  # the signed root
    Column("settled", BigInteger, nullable=False),  # no entry up to this number can still appear
    Column("top", BigInteger, nullable=False),  # the greatest number among ``members``
    Column("members", LargeBinary, nullable=False),  # numbers of the entries added, 8 bytes each, in the tree's order
    Column("leaves", LargeBinary, nullable=False),  # their hashes, 32 bytes each
    Column("peaks", LargeBinary, nullable=False),  # hashes of the tree's whole subtrees, the largest first
    UniqueConstraint("tenant", "since", name="audit_checkpoints_on_top"),
)

audit_removed = Table(
    "audit_removed",
    metadata,
    Column("removal", BigInteger, primary_key=True, autoincrement=False),  # the entry by which it was let go
    Column("audit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", String(128), nullable=False),
    Column("entry_id", BigInteger),  # the ledger's entry that it told of
    Column("what", String(256), nullable=False),  # what it told
    UniqueConstraint("audit_id", name="audit_removed_once"),
    Index("audit_removed_by_entry", "entry_id"),
)

_SAID = "the audit is only appended to"
append_only(
    audit_entries,
    _SAID,
    "audit_id = NEW.audit_id",
    released={
        "sqlite": "OLD.recorded_us < (CAST(strftime('%s', 'now') AS INTEGER) - 183 * 86400) * 1000000 AND EXISTS "
        "(SELECT 1 FROM audit_removed WHERE audit_id = OLD.audit_id AND tenant = OLD.tenant)",
        "postgresql": "IF TG_OP = 'DELETE' AND OLD.recorded_us < "
        "(extract(epoch FROM clock_timestamp())::bigint - 183 * 86400) * 1000000 THEN "
        "EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.audit_removed WHERE audit_id = $1 AND tenant = $2)', "
        "TG_TABLE_SCHEMA) INTO named USING OLD.audit_id, OLD.tenant; IF named THEN RETURN OLD; END IF; END IF;",
    },
)
append_only(audit_checkpoints, _SAID, "tenant = NEW.tenant AND (size = NEW.size OR since = NEW.since)")
append_only(audit_removed, _SAID, "audit_id = NEW.audit_id")
