"""What a person or a process waits for before anything happens: imports and ``--help``."""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.page import Promise, Section
from benchmarks.turns import SCRIPTS, in_turns, wall_seconds

KERNEL = "import platform_core, loopline.platform_core.specs, loopline.platform_core.contracts"
LOCATION = "import loopline.asset_defs.code_location as location; location.retail"
COMMANDS = {
    "`python -c pass`": [sys.executable, "-c", "pass"],
    "kernel: `platform_core`, its specs and contracts": [sys.executable, "-c", KERNEL],
    "`loopline --help`": [str(SCRIPTS / "loopline"), "--help"],
    "`import dagster`": [sys.executable, "-c", "import dagster"],
    "`dagster --help`": [str(SCRIPTS / "dagster"), "--help"],
    "code location of `retail`, defined": [sys.executable, "-c", LOCATION],
}
HOW = """Wall time of a fresh process from start to end, files cached. Bare Dagster's own start stands beside ours:
whoever loads a code location pays for `import dagster` in any case."""


def compare(quick: bool = False) -> Section:
    """Measure each command, in turns."""
    times = 3 if quick else 10
    for command in COMMANDS.values():
        wall_seconds(command)  # files get into the cache
    taken = in_turns({name: lambda c=command: wall_seconds(c) for name, command in COMMANDS.items()}, times)
    found = {name: median(seconds) for name, seconds in taken.items()}
    names = list(COMMANDS)
    rows = [[name, f"{found[name]:.2f} s", f"{min(taken[name]):.2f} s"] for name in names]
    promises = [
        Promise("kernel's import", found[names[1]], 0.3, " s"),
        Promise("`loopline --help`", found[names[2]], 0.2, " s"),
    ]
    return Section("Imports and help", HOW, ("what", "median", "least"), rows, promises)
