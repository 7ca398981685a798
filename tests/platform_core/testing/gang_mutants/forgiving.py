"""Waits for the first worker alone."""

from __future__ import annotations

import sys
from pathlib import Path

from loopline.resources.subprocess import gang


def only_first(ranks: list[gang.Rank]) -> gang.Rank | None:
    """Look at no other."""
    for rank in ranks:
        rank.process.wait()
    return None


gang.first_fallen = only_first
gang.main(Path(sys.argv[1]), int(sys.argv[2]))
