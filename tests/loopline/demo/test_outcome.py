"""The story's last lines put what was estimated beside what labels have shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from loopline.demo import outcome
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.loop.rollouts import quality_table

REF = ModelRef("retail", "cancellations")
START = datetime(2010, 7, 26, tzinfo=UTC)


def kept(
    value: float, labelled: int, *, estimated: bool, metric: str = "roc_auc", segment: str = ""
) -> tuple[Any, ...]:
    """Make a figure as it is kept."""
    return (metric, segment, value, value - 0.03, value + 0.03, 1_000, labelled, estimated)


def test_estimated_beside_realised(tmp_path) -> None:
    """Of all rows, by window; one with few labels is left out, for chance alone moves it."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    weeks = (
        [
            kept(0.71, 900, estimated=True),
            kept(0.68, 900, estimated=False),
            kept(0.5, 900, estimated=True, segment="a=b"),
        ],
        [kept(0.70, 1_000, estimated=True), kept(0.71, 1_000, estimated=False)],
        [kept(0.72, 90, estimated=True), kept(0.40, 90, estimated=False)],
        [kept(0.73, 0, estimated=True)],
    )
    for number, week in enumerate(weeks):
        start = START + timedelta(days=28 * number)
        row = quality_table.Row(
            "1", start, start + timedelta(days=28), start, "", msgspec.json.encode(week).decode(), "[]"
        )
        quality_table.put(ledger, REF, [row], "")
    model = SimpleNamespace(searched="roc_auc")
    stage: Any = SimpleNamespace(platform=SimpleNamespace(ledger=ledger), ref=REF, model=model)
    found = outcome._estimated(stage)
    ledger.close()
    assert found["mean_error"] == pytest.approx(0.02)
    assert [pair["since"] for pair in found["windows"]] == ["2010-07-26", "2010-08-23"]
    said, figures = outcome._estimate_lines(found, "AUC")
    assert said.endswith("(off by 0.020):")
    assert figures.strip() == "0.71/0.68 0.70/0.71"
    assert outcome._estimate_lines({"windows": [], "mean_error": None}, "AUC") == []
