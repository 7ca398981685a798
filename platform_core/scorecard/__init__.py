"""How well the organisation and each team turn the loop: figures computed from the ledger, the lake and runs."""

from platform_core.scorecard.figure import Figure
from platform_core.scorecard.store import histories, history, latest

__all__ = ["Figure", "histories", "history", "latest"]
