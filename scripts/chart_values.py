"""Writes the table of values in the chart's README from ``values.yaml``: ``python -m scripts.chart_values``.

A test holds the table current.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "loopline"
README = CHART / "README.md"
HEAD = "| value | default | what it says |\n| --- | --- | --- |\n"
_LINE = re.compile(r"^( *)([\w.]+):(?: +([^#\s].*?))?(?: +# (.*)| *)$")


def main() -> None:
    """Write the table anew."""
    README.write_text(current(), encoding="utf-8")


def current() -> str:
    """Return the README with the table that ``values.yaml`` gives."""
    text = README.read_text(encoding="utf-8")
    return (
        text[: text.index(HEAD)] + HEAD + "".join(f"| `{name}` | {value} | {said} |\n" for name, value, said in rows())
    )


def rows() -> Iterator[tuple[str, str, str]]:
    """Give each line of ``values.yaml``: the value's whole name, its default, and what its comment says."""
    path: list[tuple[int, str]] = []
    before = ""
    for line in CHART.joinpath("values.yaml").read_text(encoding="utf-8").splitlines():
        found = _LINE.match(line)
        if found is None:
            before = f"{before} {line.strip('# ')}".strip() if line.startswith("#") else ""
            continue
        depth, name, value, said = len(found[1]), found[2], found[3] or "", found[4] or ""
        path = [(at, word) for at, word in path if at < depth] + [(depth, name)]
        words = " ".join(part for part in (said, before) if part)
        before = ""
        if value or words:
            yield (
                ".".join(word for _, word in path),
                f"`{value}`" if value else "",
                words.replace("|", "\\|").replace("<", "\\<"),
            )


if __name__ == "__main__":
    main()
