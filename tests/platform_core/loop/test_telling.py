"""Each kind of entry has a sentence: of decisions, and of what is observed of a model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sentences import sentence, tell

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OBSERVED = {"number": 7, "verdict": {"rows": 1520, "since": "", "until": ""}}
DATED = {"number": 7, "verdict": {"rows": 1520, "since": "2011-03-01T09:00:00+00:00", "until": "2011-03-08"}}
IMAGES = {"image": "shop:2", "before": "shop:1"}
REALISED = {"predictions": 1000, "labelled": 700, "roc_auc": 0.70412, "recall": None}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"kind": "drift.window", "version": "2", "reason": "drifted: spend", "details": OBSERVED},
         "window 7 of version 2: 1,520 rows, drifted: spend"),
        ({"kind": "drift.window", "version": "2", "reason": "quiet", "details": DATED},
         "window 7 (2011-03-01 to 2011-03-08) of version 2: 1,520 rows, quiet"),
        ({"kind": "quality.realised", "version": "2", "details": REALISED},
         "version 2: 700 of 1,000 answers labelled, roc auc 0.7041, recall none"),
        ({"kind": "skew.checked", "version": "2", "reason": "0 of 347 rows differ", "details": {"passed": True}},
         "skew of version 2 passed: 0 of 347 rows differ"),
        ({"kind": "skew.checked", "version": "2", "reason": "9 of 347 rows differ", "details": {"passed": False}},
         "skew of version 2 did not pass: 9 of 347 rows differ"),
        ({"kind": "later.kind", "reason": "why", "version": "3", "actor": "ada"}, "later.kind version 3 by ada: why"),
        ({"kind": "later.kind", "version": "2", "reason": "of a later release"},
         "later.kind version 2: of a later release"),
        ({"kind": "later.kind"}, "later.kind"),
        ({"kind": "training_set.pinned", "details": {"rows": 12345, "positives": 67}},
         "training set pinned: rows 12,345, positives 67"),
        ({"kind": "model.registered", "version": "2", "details": {"metrics": {"roc_auc": 0.71234}}},
         "version 2 registered: roc auc 0.7123"),
        ({"kind": "deployment.arrived", "version": "2", "details": {"generation": 7}},
         "the endpoint is at generation 7: version 2 answers everywhere"),
        ({"kind": "endpoint.watched", "details": {"up_seconds": 86390.4, "down_seconds": 9.6}},
         "the endpoint was seen ready for 86,390 s and not ready for 10 s"),
        ({"kind": "image.started", "details": IMAGES, "reason": "another one is named"},
         "image shop:2 answers beside shop:1: another one is named"),
        ({"kind": "image.rolled_back", "details": IMAGES, "reason": "odd logs", "actor": "ada"},
         "image shop:2 is taken back to shop:1 by ada: odd logs"),
        ({"kind": "loop.thawed", "team": "retail", "model": "m", "actor": "ada", "reason": "over"},
         "retail/m thawed by ada: over"),
    ],
)  # fmt: skip
def test_each_kind_of_entry_is_told(entry: dict[str, Any], text: str) -> None:
    """Also kinds of a later release, plainly; without its time, and with it."""
    happened = Entry(at=NOON, **entry)
    assert sentence(happened) == text
    assert tell(happened) == f"2026-03-01 12:00:00 {text}"
