"""Arrivals are listed and taken back, and what rests on them follows at once."""

from __future__ import annotations

from contextlib import closing

import pytest

from loopline.platform_core.platform import Platform

HEADER = "customer_id,sold_at,amount,country,returned\n"
DAYS = {
    "2011-03-01.csv": "1,2011-03-01 10:00:00,5.0,DE,0\n2,2011-03-01 11:00:00,2.0,FR,1\n",
    "2011-03-02.csv": "1,2011-03-02 10:00:00,500.0,DE,0\n3,2011-03-02 11:00:00,-1.0,FR,1\n",
}


@pytest.fixture
def landed(world):
    """Land two files, one of them with a price in cents, and materialize."""
    for number, (name, rows) in enumerate(DAYS.items()):
        world.later(24 * number)
        world.deliver(name, HEADER + rows, world.now.timestamp())
    world.later(24)
    world.materialize()
    return world


def newest(world):
    """Read the newest values of customer 1 online."""
    with closing(Platform.open()) as platform:
        [[row]] = platform.online_store.read([("corner.customer_sales.v1", ["1"])])
    return row.event_time_us, row.values


def test_an_arrival_is_taken_back_and_put_back(landed):
    """The list says so, the ledger says who and why, and online follows at once: back, and forth again."""
    listed = landed.json("arrivals", "list", "corner/sales")["arrivals"]
    assert [(one["name"], one["rows"], one["dead_letters"]) for one in listed] == [
        ("2011-03-02.csv", 1, 1),
        ("2011-03-01.csv", 2, 0),
    ]
    wrong = newest(landed)
    done = landed.json("arrivals", "withdraw", "corner/sales", "2011-03-02.csv", "--reason", "cents", "--by", "ada")
    assert done["withdrawn"] == "2011-03-02.csv"
    right = newest(landed)
    assert right != wrong
    assert right[0] < wrong[0]
    assert "2011-03-02.csv" in landed.run("arrivals", "list", "corner/sales").stdout
    assert landed.json("arrivals", "list", "corner/sales")["arrivals"][0]["withdrawn_at"] is not None
    assert landed.run("arrivals", "restore", "corner/sales", "2011-03-02", "--reason", "were euros").exit_code == 1
    assert landed.run("arrivals", "restore", "corner/sales", "2011-03-02.csv", "--reason", "were euros").exit_code == 0
    assert newest(landed) == wrong


def test_what_cannot_be_taken_back_is_refused(landed):
    """An unknown name, and one that is taken back already."""
    assert "no landed arrival" in landed.run("arrivals", "withdraw", "corner/sales", "x.csv", "--reason", "r").output
    landed.run("arrivals", "withdraw", "corner/sales", "2011-03-01.csv", "--reason", "r")
    again = landed.run("arrivals", "withdraw", "corner/sales", "2011-03-01.csv", "--reason", "r")
    assert again.exit_code == 1
    assert "is withdrawn" in again.output
