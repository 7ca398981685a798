"""Writes the README's figures: the demo's from ``docs/demo.json``, and times from ``docs/benchmarks.md``.

``python -m scripts.readme_figures`` writes them. ``loopline demo --output json | python -m scripts.readme_figures
--compare``, as in CI, writes nothing, and ends with an error where a run's facts are others than those; ``--record``
keeps the run's.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from loopline.demo import outcome

ROOT = Path(__file__).parents[1]
README, DEMO, BENCHMARKS = ROOT / "README.md", ROOT / "docs" / "demo.json", ROOT / "docs" / "benchmarks.md"
SAME = ("held", "files", "rows", "dead_letters", "dead_letters_by_reason", "requests_served", "requests_failed")
"""What every run of the demo shares; when drift is found, and how long anything takes, is the machine's."""
ROWS = "order lines"
Side = tuple[str, str, tuple[str, ...]]
TIMES: dict[str, tuple[str, tuple[Side, ...]]] = {
    "100,000 labels joined with three views of a million rows, as known then": (
        "Point-in-time joins",
        (
            ("", "time", ("1,000,000", "ours, from memory")),
            ("Feast", "time", ("1,000,000", "Feast, known values only")),
        ),
    ),
    "ten features of 100 entities, over HTTP": (
        "Features over HTTP",
        (("", "100 entities x 10", ("ours",)), ("Feast", "100 entities x 10", ("Feast: `feast serve`",))),
    ),
    "CPU of a request to 200 trees of LightGBM": (
        "Serving each kind",
        (
            ("", "ours", ("regression",)),
            ("KServe's ModelServer", "kserve.ModelServer", ("regression",)),
            ("MLServer", "MLServer", ("regression",)),
        ),
    ),
    "drift of a million rows, 20 columns": (
        "Drift beside Evidently",
        (("", "time", ("Loopline", "1,000,000")), ("Evidently", "time", ("Evidently", "1,000,000"))),
    ),
    "from a failed drift check to the candidate's first answer": (
        "From drift to canary",
        (("", "ours", ("candidate answers",)), ("bare Dagster", "bare", ("candidate answers",))),
    ),
}
"""What was measured: its section in the benchmarks, and each side's name, column, and cells that name its row."""


def main() -> None:
    """Write the README, or compare a run's facts with those that are recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--compare", action="store_true")
    asked = parser.parse_args()
    if asked.compare:
        sys.exit(compared(json.loads(sys.stdin.read().splitlines()[-1])))
    if asked.record:
        facts = json.loads(sys.stdin.read().splitlines()[-1])
        DEMO.write_text(json.dumps({name: facts[name] for name in SAME}, indent=2) + "\n", encoding="utf-8")
    README.write_text(current(), encoding="utf-8")


def compared(facts: dict[str, Any]) -> str | None:
    """Print a run's last page; return what is other than recorded, if anything is."""
    print(outcome.page(facts, facts["broken"], ROWS, []))
    known = json.loads(DEMO.read_text(encoding="utf-8"))
    others = [f"{name}: {facts[name]}, recorded is {known[name]}" for name in SAME if facts[name] != known[name]]
    return "\n".join(["the README's demo is another one: --record this one", *others]) if others else None


def current() -> str:
    """Return the README with the figures of today."""
    facts = json.loads(DEMO.read_text(encoding="utf-8"))
    shown = [*outcome.landed_lines(facts, ROWS), "  ...", outcome.served_line(facts), "", "  The story held."]
    demo = "\n".join(["```text", *shown, "```"])
    text = README.read_text(encoding="utf-8")
    for name, block in (("demo", demo), ("benchmarks", times(BENCHMARKS.read_text(encoding="utf-8")))):
        begin, _, rest = text.partition(f"<!-- {name}: python -m scripts.readme_figures -->\n")
        end = rest.partition("<!-- end -->")[2]
        text = f"{begin}<!-- {name}: python -m scripts.readme_figures -->\n{block}\n<!-- end -->{end}"
    return text


def times(benchmarks: str) -> str:
    """Return the table of times beside others', and how many of the page's bounds are kept."""
    lines = ["| measured | Loopline | others |", "| --- | --- | --- |"]
    for what, (section, (ours, *others)) in TIMES.items():
        link = f"docs/benchmarks.md#{section.lower().replace(' ', '-')}"
        beside = ", ".join(f"{side[0]} {cell(benchmarks, section, side)}" for side in others)
        lines.append(f"| [{what}]({link}) | {cell(benchmarks, section, ours)} | {beside} |")
    verdicts = re.findall(r"^- .*: (kept|\*\*not kept\*\*)$", benchmarks, re.MULTILINE)
    bounds = f"Of {len(verdicts)} bounds that the page sets, {verdicts.count('kept')} are kept; it names the others."
    return "\n".join([*lines, "", bounds])


def cell(benchmarks: str, section: str, side: Side) -> str:
    """Return the time in a side's cell of a section's table."""
    _, column, names = side
    text = benchmarks.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    head, *rows = ([one.strip() for one in line.split("|")] for line in lines)
    (row,) = (row for row in rows if set(names) <= set(row))
    time = re.match(r"[\d.,]+ (s|ms|µs)\b", row[head.index(column)])
    assert time is not None, f"{section}: {row} has no time under {column}"
    return time[0]


if __name__ == "__main__":
    main()
