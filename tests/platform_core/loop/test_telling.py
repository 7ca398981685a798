"""Sentences for what is observed of a model, beside those of its decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loopline.platform_core.loop.ledger import Entry
from loopline.platform_core.loop.sentences import sentence, tell

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "drift.window",
        "drifted: spend",
        {"number": 7, "verdict": {"rows": 1520}},
        "window 7 of version 2: 1,520 rows, drifted: spend",
    ),
    (
        "quality.realised",
        "",
        {"predictions": 1000, "labelled": 700, "auc": 0.70412, "recall": None},
        "version 2: 700 of 1,000 answers labelled, roc auc 0.7041, recall none",
    ),
    ("skew.checked", "0 of 347 rows differ", {"passed": True}, "skew of version 2 passed: 0 of 347 rows differ"),
    ("skew.checked", "9 of 347 rows differ", {"passed": False}, "skew of version 2 did not pass: 9 of 347 rows differ"),
    ("later.kind", "of a later release", {}, "later.kind version 2: of a later release"),
]


@pytest.mark.parametrize(("kind", "reason", "details", "said"), CASES)
def test_what_is_observed_is_told(kind: str, reason: str, details: dict[str, Any], said: str) -> None:
    """Without its time, and with it."""
    entry = Entry(kind, NOON, "shop", "returns", version="2", reason=reason, details=details)
    assert sentence(entry) == said
    assert tell(entry) == f"2026-03-01 12:00:00 {said}"
