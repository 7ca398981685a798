"""How SQLite finds entries among a million: by an index that gives them in order, whatever else was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from loopline.platform_core.loop import fleet, freezes, history
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.loop.rollouts import experiments
from loopline.platform_core.loop.sentences import OBSERVED
from loopline.platform_core.observability import newest, watch_metrics
from loopline.platform_core.observability.landings import Landings
from loopline.platform_core.observability.totals import Totals
from tests.platform_core.loop.conftest import REF, T0

KINDS = ["gate.judged", "gate.overridden", "model.registered"]
BY_KIND = {
    "the newest of some kinds": lambda ledger: ledger.entries(REF, KINDS, limit=60, newest_first=True),
    "what was decided": lambda ledger: history.story(ledger, REF, without=OBSERVED),
    "the newest that was decided": lambda ledger: history.newest(ledger, REF, 30, before=900, without=OBSERVED),
    "a cycle": lambda ledger: history.of_cycle(ledger, REF, "c1"),
    "whether a model is frozen": lambda ledger: freezes.frozen(ledger, REF),
    "its experiments": lambda ledger: experiments.every(ledger, REF),
}
IN_ORDER = {
    "the newest of all kinds": lambda ledger: ledger.entries(REF, limit=5, newest_first=True),
    "everything of a model": lambda ledger: history.newest(ledger, REF, 30),
    "of a kind, of all models": lambda ledger: ledger.entries(kinds=["alarm.told"], limit=9, newest_first=True),
}
BY_VERSION = {
    "windows of a version": lambda ledger: ledger.entries(REF, ["drift.window"], version="7", limit=9),
    "what is live": fleet.live,
    "the newest window of what is live": lambda ledger: newest.newest_entries(ledger, "drift.window"),
    "how many windows were judged": lambda ledger: list(watch_metrics.watch_metrics(ledger, T0)),
}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Open a ledger in which a model decided something, and looked at much."""
    folder: Path = tmp_path_factory.mktemp("plans")
    opened = Ledger.open(f"sqlite:///{folder}/ledger.db")
    for kind in ("model.registered", "drift.window", "skew.checked"):
        opened.record(Entry(kind, T0, *REF, details={"metrics": {}}))
    yield opened
    opened.close()


def _plans(ledger: Ledger, call: Callable[[Ledger], Any]) -> list[str]:
    """Say how SQLite does what a call asks of ``entries``, step by step."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM entries" in statement or "JOIN entries" in statement:
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    call(ledger)
    event.remove(ledger.engine, "before_cursor_execute", note)
    with ledger.reading() as connection:
        steps = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each}", given).all() for each, given in asked]
    return [step.detail for each in steps for step in each]


@pytest.mark.parametrize("what", [*BY_KIND, *IN_ORDER, *BY_VERSION])
def test_nothing_is_scanned_or_sorted(ledger: Ledger, what: str) -> None:
    """Neither every entry is looked at, nor are those that were found sorted for the few that are wanted.

    What a subquery has limited (``SCAN anon``) may be sorted.
    """
    plans = _plans(ledger, (BY_KIND | IN_ORDER | BY_VERSION)[what])
    assert any("INDEX entries_" in step for step in plans)
    assert not [step for step in plans if step.startswith("SCAN entries")]
    sorted_here = [before for before, step in pairwise(plans) if "TEMP B-TREE FOR ORDER" in step]
    assert not [before for before in sorted_here if not before.startswith("SCAN anon")]


@pytest.mark.parametrize("what", BY_KIND)
def test_other_kinds_are_not_looked_through(ledger: Ledger, what: str) -> None:
    """Windows and checks are most of what a model leaves: who asks for other kinds reads none of them."""
    plans = _plans(ledger, BY_KIND[what])
    assert not [step for step in plans if "entries_of_model" in step]


@pytest.mark.parametrize("what", BY_VERSION)
def test_other_versions_are_not_looked_through(ledger: Ledger, what: str) -> None:
    """A version that went live just now has no window yet: those of all before it are not read to find that out."""
    assert any("entries_by_version" in step for step in _plans(ledger, BY_VERSION[what]))


@pytest.mark.parametrize("kept", [Landings, watch_metrics.Windows])
def test_a_second_scrape_reads_new_entries_only(ledger: Ledger, kept: type[Totals[Any, Any]]) -> None:
    """The range of entries is part of the index's search."""
    past = dict.fromkeys(("cycle", "version", "actor", "reason"), "") | {"team": REF.team, "model": REF.model}
    details = {"source": "shop/orders", "arrivals": 1, "rows": 1, "dead": 0}
    with ledger.writing() as connection:
        long_ago = past | {"kind": kept.kind, "at": T0, "recorded_at": T0, "details": details}
        connection.execute(tables.entries.insert().values(long_ago))
    totals = kept()
    assert totals.totals(ledger)
    sums = [step for step in _plans(ledger, totals.totals) if "entries_by_version" in step or ">?" in step]
    assert sums
    assert all("entries_by_kind (kind=? AND rowid>?)" in step or "entry_id>?" in step for step in sums), sums
