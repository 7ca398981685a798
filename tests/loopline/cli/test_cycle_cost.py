"""``loopline cycle cost``: what trainings used becomes money by the price sheet, a service's bill where it has one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from tests.loopline.scorecard.test_cost import PRICE, SHEET

MACHINES = f"{SHEET}  machine_hours: {{ml.m5.large: {PRICE.format(0.7)}}}\n"


def trained(world, hours, **more):
    """Let a training be registered that ran 100 s, used 150 CPU seconds and held 4 GiB."""
    used = {"wall_seconds": 100.0, "cpu_seconds": 150.0, "memory_gb_seconds": 400.0, "gpu_seconds": 0.0, "cores": 2.0}
    at = world.now + timedelta(hours=hours)
    details = {"usage": {**used, **more}}
    world.record(Entry(REGISTERED, at, "corner", "returns", f"c{hours}", str(hours), details=details))


def test_a_training_costs_what_is_billed_or_what_it_used(world):
    """Two machines of a type with a price, half an hour each, cost one hour of it; of another type the parts count."""
    said = world.run("cycle", "cost", "returns").stdout
    assert "no training of corner/returns said what it used" in said
    trained(world, 1)
    trained(world, 2, billed_seconds=1800.0, machine="ml.m5.large", machines=2)
    trained(world, 3, billed_seconds=1800.0, machine="ml.m5.xlarge", machines=2)
    (world.environment.parent / "sheet.yaml").write_text(MACHINES)
    world.say("prices: sheet.yaml\n")
    said = world.json("cycle", "cost", "returns")
    assert [one["cost"] for one in said["trainings"]] == [0.19, 0.7, 0.19]
    assert (said["prices"], said["currency"]) == ("Test", "EUR")
    assert said["trainings"][1]["billed_seconds"] == pytest.approx(1800)
    text = world.run("cycle", "cost", "returns", "--last", "2").stdout
    assert "2 of ml.m5.large, 1800 s" in text
    assert [line.split()[-1] for line in text.splitlines()[1:3]] == ["0.70", "0.19"]
    assert text.splitlines()[-1] == "by Test, in EUR"
    assert len(text.splitlines()) == 4
