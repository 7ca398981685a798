"""Lists what the tests hold: each promise of a contract on each vendor, and each mutant that a kit must catch.

``python -m scripts.promises`` prints a line for each, in order, and their numbers at the end: two outputs are compared
with diff, so that no promise or mutant loses its test when tests are written anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_KIT = re.compile(r"tests/(?P<where>[^:]+)/test_\w+\.py::(?P<vendor>Test\w+)::test_(?P<promise>\d+)_(?P<test>\w+)")
_MUTANT = re.compile(r"tests/[^:]+/(?P<kit>test_\w+)\.py::\w*(catches|caught)\w*(?P<mutant>\[.+\])?$")


def listed(nodes: Iterable[str]) -> Iterator[str]:
    """Yield a line for each promise on a vendor and each mutant among node ids of pytest; a parameter is no promise."""
    for node in nodes:
        if found := _KIT.match(node):
            yield f"promise {found['where']} {found['vendor']} {found['promise']} {found['test']}"
        elif found := _MUTANT.match(node):
            yield f"mutant {found['kit']} {found['mutant'] or node.rsplit('::', 1)[1]}"


def main() -> None:
    """Print them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    nodes = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    lines = sorted(set(listed(nodes)))
    print("\n".join(lines))
    for what in ("promise", "mutant"):
        print(f"{sum(line.startswith(what) for line in lines)} {what}s", file=sys.stderr)


if __name__ == "__main__":
    main()
