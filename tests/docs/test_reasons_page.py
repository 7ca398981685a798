"""What the page on reasons shows works as it stands."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.training.packaging.additivity import additive
from tests.docs.page import Page

PAGE = Page("how-to/say-why-a-row-was-answered-so.md")
COLUMNS = ["income", "debts", "months_known"]


def test_a_declined_applicant_is_told_what_spoke_against_him() -> None:
    """The page's request asks why, and its code makes reasons of a real model's contributions, the principal first."""
    from sklearn.linear_model import LogisticRegression

    (asked,) = PAGE.blocks("json")
    request = decode(asked.encode())
    assert request.explain
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(2500, 500, 600), random.integers(0, 6, 600), random.integers(1, 60, 600)])
    scaled = x / [500, 1, 12]
    fails = random.random(600) < 1 / (1 + np.exp(-(2 + scaled @ [-1.0, 0.9, -0.3])))
    found = additive(LogisticRegression().fit(scaled, fails), scaled, [0, 0, 0])
    assert found is not None
    row = np.array([[request.columns[name][0] for name in COLUMNS]], dtype=float) / [500, 1, 12]
    told = dict(zip(COLUMNS, found.contributions(row)[0, 0, :-1].tolist(), strict=True))
    shown: dict[str, Any] = {"json": json}
    for code in PAGE.blocks("python"):
        exec(code, shown)  # the page's own
    reasons = shown["declined"]({"contributions": json.dumps(told)})
    assert reasons[0] == "Excessive obligations in relation to income"
    assert len(reasons) == 3
