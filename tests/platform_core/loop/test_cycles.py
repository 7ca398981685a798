"""A cycle is one turn of the loop, and the rules that let it begin."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles.cycles import close_cycle, cycle, cycles, open_cycle, open_cycles
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.specs import Drift

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
RULE = Drift(cooldown_hours=24, daily_budget=2)
HOUR = timedelta(hours=1)


def test_a_cycle_is_opened_with_a_name_that_people_can_read(ledger, ref):
    """Model, time and a short hash; cause and drill come back as given, and the ledger has both."""
    opened = open_cycle(ledger, ref, RULE, "drift in country", "k", T0, drill={"quantity": 100.0})
    assert opened.cycle_id.startswith("retail.cancellations-20110301T1200-")
    assert cycle(ledger, opened.cycle_id) == opened
    assert (opened.state, opened.cause, opened.drill) == ("open", "drift in country", {"quantity": 100.0})
    (entry,) = ledger.entries(ref, ["cycle.opened"])
    assert (entry.cycle, entry.reason, entry.at) == (opened.cycle_id, "drift in country", T0)
    assert entry.details["drill"] == {"quantity": 100.0}


def test_the_same_key_gives_the_same_cycle_for_ever(ledger, ref):
    """A sensor that crashed may repeat its tick, later and also after the cycle has ended."""
    opened = open_cycle(ledger, ref, RULE, "drift", "k", T0)
    assert open_cycle(ledger, ref, RULE, "drift", "k", T0 + HOUR) == opened
    close_cycle(ledger, opened.cycle_id, "promoted", "better", T0 + HOUR)
    assert open_cycle(ledger, ref, RULE, "drift", "k", T0 + 99 * HOUR).state == "promoted"
    assert len(ledger.entries(kinds=["cycle.opened"])) == 1


def test_a_key_is_of_one_model(ledger, ref):
    """Two models whose sensors choose the same key have a cycle each."""
    mine = open_cycle(ledger, ref, RULE, "drift", "k", T0)
    other = open_cycle(ledger, ModelRef("retail", "other"), RULE, "drift", "k", T0)
    assert mine.cycle_id != other.cycle_id
    assert open_cycles(ledger) == [mine, other]


def test_one_cycle_of_a_model_is_open_at_a_time(ledger, ref):
    """Not even a person may open a second one; the error names the first."""
    opened = open_cycle(ledger, ref, RULE, "drift", "a", T0)
    with pytest.raises(Refused, match=opened.cycle_id):
        open_cycle(ledger, ref, RULE, "by hand", "b", T0 + 99 * HOUR, force=True)


def test_the_database_itself_holds_one_open_cycle_a_model(ledger, ref):
    """A program that does not ask the rules still cannot write a second open cycle."""
    open_cycle(ledger, ref, RULE, "drift", "a", T0)
    row = {"team": ref.team, "model": ref.model, "cause": "", "verdict": "", "opened_at": T0, "entry_id": 1}
    with pytest.raises(IntegrityError), ledger.writing() as connection:
        connection.execute(insert(tables.cycles).values(cycle_id="x", key="x", state="open", **row))
    with ledger.writing() as connection:
        connection.execute(insert(tables.cycles).values(cycle_id="x", key="x", state="failed", **row))


def test_the_cool_down_counts_from_the_opening_of_the_last_cycle(ledger, ref):
    """By the platform's clock, to the minute; a person may force it."""
    first = open_cycle(ledger, ref, RULE, "drift", "a", T0)
    close_cycle(ledger, first.cycle_id, "rejected", "gates", T0 + 5 * HOUR)
    with pytest.raises(Refused, match="cools down until 2011-03-02 12:00"):
        open_cycle(ledger, ref, RULE, "drift", "b", T0 + 24 * HOUR - timedelta(seconds=1))
    assert open_cycle(ledger, ref, RULE, "drift", "b", T0 + 24 * HOUR).state == "open"


def test_a_cycle_of_a_clock_that_was_put_right_cools_nothing_down(ledger, ref):
    """Opened while it was days ahead, it would refuse drift's next turns for days; those before it count as ever."""
    for key, at in (("a", T0), ("b", T0 + 240 * HOUR)):
        opened = open_cycle(ledger, ref, RULE, "drift", key, at)
        close_cycle(ledger, opened.cycle_id, "failed", "", at)
    with pytest.raises(Refused, match="cools down until 2011-03-02 12:00"):
        open_cycle(ledger, ref, RULE, "drift", "c", T0 + 23 * HOUR)
    assert open_cycle(ledger, ref, RULE, "drift", "c", T0 + 24 * HOUR).state == "open"


def test_the_budget_counts_cycles_of_the_last_24_hours(ledger, ref):
    """Forced ones count too; the budget itself can be forced."""
    rule = Drift(cooldown_hours=0, daily_budget=2)
    for number in range(2):
        opened = open_cycle(ledger, ref, rule, "drift", str(number), T0 + number * HOUR, force=True)
        close_cycle(ledger, opened.cycle_id, "failed", "", T0 + number * HOUR)
    with pytest.raises(Refused, match="2 cycles in 24 hours"):
        open_cycle(ledger, ref, rule, "drift", "c", T0 + 23 * HOUR)
    assert open_cycle(ledger, ref, rule, "by hand", "d", T0 + 23 * HOUR, force=True).state == "open"


def test_a_freeze_refuses_new_cycles_and_nothing_forces_it(ledger, ref):
    """The refusal says who froze and why; a repeated tick still finds its cycle."""
    opened = open_cycle(ledger, ref, RULE, "drift", "a", T0)
    close_cycle(ledger, opened.cycle_id, "failed", "", T0)
    freezes.freeze(ledger, None, "ada", "audit week", T0)
    with pytest.raises(Refused, match="everything is frozen by ada: audit week"):
        open_cycle(ledger, ref, RULE, "drift", "b", T0 + 48 * HOUR, force=True)
    assert open_cycle(ledger, ref, RULE, "drift", "a", T0).cycle_id == opened.cycle_id


def test_the_first_to_close_a_cycle_wins(ledger, ref):
    """Closing twice changes nothing, and is in the ledger once, with how long it took."""
    opened = open_cycle(ledger, ref, RULE, "drift", "a", T0)
    closed = close_cycle(ledger, opened.cycle_id, "promoted", "better", T0 + 2 * HOUR)
    assert (closed.state, closed.verdict, closed.closed_at) == ("promoted", "better", T0 + 2 * HOUR)
    assert close_cycle(ledger, opened.cycle_id, "failed", "late", T0 + 3 * HOUR) == closed
    (entry,) = ledger.entries(ref, ["cycle.closed"])
    assert entry.details == {"state": "promoted", "hours": 2.0}
    assert cycles(ledger, ref) == [closed]
    assert open_cycles(ledger) == []


def test_an_unknown_cycle_is_not_found(ledger):
    """Reading and closing say so."""
    with pytest.raises(NotFound, match="no cycle 'x'"):
        cycle(ledger, "x")
    with pytest.raises(NotFound):
        close_cycle(ledger, "x", "failed", "", T0)


_OPENER = """
import sys, pathlib, time
from datetime import UTC, datetime
from loopline.platform_core.errors import Refused
from loopline.platform_core.loop.cycles.cycles import open_cycle
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs import Drift
url, key, start = sys.argv[1:]
ledger = Ledger.open(url)
print("ready", flush=True)
while not pathlib.Path(start).exists():
    time.sleep(0.002)  # all begin within one look at the file
try:
    now = datetime(2011, 3, 1, 12, tzinfo=UTC)
    print(open_cycle(ledger, ModelRef("retail", "cancellations"), Drift(), "drift", key, now).cycle_id)
except Refused as refused:
    print("refused")
"""


@pytest.mark.parametrize(("keys", "refusals"), [("abc", 2), ("aaa", 0)])
def test_processes_that_open_at_once_get_one_cycle(url, ledger, tmp_path, keys, refusals):
    """With different keys one process wins and the others are refused; with one key all get the same cycle."""
    start = tmp_path / "start"
    commands = [[sys.executable, "-c", _OPENER, url, key, str(start)] for key in keys]
    openers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for opener in openers:
        assert opener.stdout.readline() == "ready\n"
    start.touch()
    said = [opener.communicate(timeout=60)[0].strip() for opener in openers]
    (only,) = cycles(ledger, ModelRef("retail", "cancellations"))
    assert sorted(said) == sorted([only.cycle_id] * (3 - refusals) + ["refused"] * refusals)
    assert len(ledger.entries(kinds=["cycle.opened"])) == 1
