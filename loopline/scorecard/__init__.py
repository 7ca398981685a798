"""Scorecard: DORA metrics, service levels, cost and reuse by team, from the ledger, the lake and runs."""

from loopline.scorecard.figure import Figure
from loopline.scorecard.store import histories, history, latest

__all__ = ["Figure", "histories", "history", "latest"]
