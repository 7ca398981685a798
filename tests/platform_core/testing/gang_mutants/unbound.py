"""Ends nobody when one falls."""

from __future__ import annotations

import sys
from pathlib import Path

from loopline.resources.subprocess import gang

gang.end = lambda _ranks: None
gang.end_forked = lambda: None
gang._end_with = lambda _alive: None
gang.MODULE = "gang_mutants.unbound"
if sys.argv[1] == "rank":
    gang.work(Path(sys.argv[2]), int(sys.argv[3]))
else:
    gang.main(Path(sys.argv[1]), int(sys.argv[2]))
