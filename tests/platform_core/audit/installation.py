"""An installation with its record; tampering goes by its database owner's SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from loopline.platform_core.audit import anchoring, sealing, verifying
from loopline.platform_core.audit.findings import Finding, Report
from loopline.platform_core.audit.keys import SigningKey
from loopline.platform_core.loop.ledger import audited
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors

TABLES = ("entries", "audit_entries", "audit_checkpoints")
T0 = datetime(2011, 3, 1, 12, tzinfo=UTC)


@dataclass
class Installation:
    """A ledger with its record, the key that signs, and anchors that only take new files."""

    ledger: Ledger
    key: SigningKey
    anchors: InMemoryAnchors

    def decide(self, count: int) -> None:
        """Record decisions."""
        for _ in range(count):
            said = {"reason": "bütter", "details": {"auc": 0.1 + 0.2, "é": [1, None]}}
            self.ledger.record(Entry("gate.overridden", T0, "retail", "cancellations", "c1", "7", "alice", **said))

    def seal(self, *, anchored: bool) -> None:
        """Seal what is new."""
        sealing.seal(self.ledger, self.key)
        if anchored:
            anchoring.anchor(self.ledger, self.anchors, self.key.verifying)

    def verify(self, *, outside: bool = True) -> Report:
        """Verify the record, against the anchors or without."""
        found = list(anchoring.kept(self.anchors)) if outside else []
        with self.ledger.snapshot() as connection:
            return verifying.verify(connection, self.key.verifying, found)

    def held(self) -> list[Finding]:
        """Hold the ledger against the record."""
        with self.ledger.reading() as connection:
            return audited.held(connection)[1]

    def owner(self, *statements: str, **values: Any) -> None:
        """Run SQL as the database's owner, who takes the triggers away first."""
        with self.ledger.writing() as connection:
            if connection.dialect.name == "postgresql":
                for table in TABLES:
                    connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            else:
                for table in TABLES:
                    for verb in ("update", "delete"):
                        connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
            for statement in statements:
                bound = {name: value for name, value in values.items() if f":{name}" in statement}
                connection.execute(text(statement), bound)
