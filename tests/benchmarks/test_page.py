"""The page keeps what was not measured."""

from __future__ import annotations

from benchmarks.page import Promise, Section, write


def section(title: str, value: float) -> Section:
    """Make a section with one figure."""
    return Section(title, "How.", ("what", "figure"), [["it", f"{value}"]], [Promise("it", value, 1.0)])


def test_a_section_takes_the_place_of_its_elder_and_the_others_stay() -> None:
    """Sections keep their order; a new one comes last; the machine is told once."""
    first = write([section("One", 0.5), section("Two", 0.6)])
    second = write([section("Three", 0.8), section("One", 2.0)], first)
    titles = [line for line in second.splitlines() if line.startswith("## ")]
    assert titles == ["## One", "## Two", "## Three", "## Machine"]
    assert "it: 2.00, at most 1: **not kept**" in second
    assert "it: 0.60, at most 1: kept" in second
    assert "0.50" not in second
    assert write([], second) == second
