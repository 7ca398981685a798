"""How well the organisation and each team turn the loop: figures computed from the ledger, the lake and runs."""

from loopline.scorecard.figure import Figure
from loopline.scorecard.store import histories, history, latest

__all__ = ["Figure", "histories", "history", "latest"]
