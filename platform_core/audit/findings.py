"""Report of an audit verification: one finding for each entry that is not what was sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["changed", "removed", "inserted", "reordered", "forged"]


@dataclass(frozen=True)
class Finding:
    """One thing that was done to the record.

    ``seq`` is the entry's place in the tree, from 0, None for what has none; ``audit_id`` its number in the database.
    ``forged`` is a checkpoint or an anchor that was not signed so.
    """

    kind: Kind
    said: str
    seq: int | None = None
    audit_id: int | None = None
    entry_id: int | None = None


@dataclass(frozen=True)
class Report:
    """What a verification found.

    ``sealed`` entries are held by ``checkpoints`` signatures, the first ``anchored`` of them also by ``anchors`` files
    outside of the database; ``pending`` are not sealed yet, and held by nothing. Of the sealed, ``retained`` are there
    by their hash alone: retention let the rest go, in its time.
    """

    sealed: int
    pending: int
    checkpoints: int
    anchors: int
    anchored: int
    ledger: int
    findings: Sequence[Finding]
    retained: int = 0

    @property
    def well(self) -> bool:
        """Say whether everything is what was sealed."""
        return not self.findings


def differences(known: Sequence[bytes], found: Sequence[bytes], since: int, where: str) -> list[Finding]:
    """Compare leaves place by place from ``since`` on: ``known`` are those that were (``where``), ``found`` those now.

    What is at both sides at another place was moved by what went or came before it; where nothing went or came, it was
    reordered. What went and what came at the same place is one change.
    """
    if known == found:
        return []
    gone, came = set(known) - set(found), set(found) - set(known)
    pairs = list(zip(known, found, strict=False))
    changed = [i for i, (was, now) in enumerate(pairs) if was in gone and now in came]
    removed = [i for i, was in enumerate(known) if was in gone and i not in set(changed)]
    inserted = [i for i, now in enumerate(found) if now in came and i not in set(changed)]
    moved = [i for i, (was, now) in enumerate(pairs) if was != now and i not in set(changed)]
    said: list[tuple[Kind, list[int], str]] = [
        ("changed", changed, f"is not what was {where}"),
        ("removed", removed, f"which was {where}, is gone"),
        ("inserted", inserted, f"is none that was {where}"),
        ("reordered", [] if removed or inserted else moved, f"stands at another place than it was {where}"),
    ]
    return [
        Finding(kind, f"entry {since + i} {words}" if kind != "removed" else f"entry {since + i}, {words}", since + i)
        for kind, places, words in said
        for i in places
    ]
