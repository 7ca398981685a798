"""What an entry of the audit's record costs a decision, how many come onto one chain, and how long a million verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event
from time import perf_counter
from unittest.mock import patch

from sqlalchemy import insert, select

from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns
from loopline.platform_core.audit import anchoring, keys, sealing, verifying
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.loop.ledger import audited
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.resources.folder.anchors import FolderAnchors
from tests.emulators.postgresql import postgresql

HOW = """A decision is a gate that a person overrode, recorded in a transaction of its own, as `loopline gate override`
does; beside it the same without an entry of the record, in turns. One chain: four threads decide on PostgreSQL, each in
its own transactions, while another seals ten times a second; what counts is entries that are sealed, by the wall. A
million: entries as they are written, in SQLite; sealed, anchored in a folder each 100,000, and verified from signatures
and anchors to each entry's bytes. The ledger's own rows are held against the record besides, for as many as decided."""
WRITERS = 4
SEAL_SECONDS = 0.1
KEY = keys.new()


def compare(quick: bool = False) -> Section:
    """Measure what a decision costs on each database, one chain, and a whole verification."""
    count, many = (100, 20_000) if quick else (1_000, 1_000_000)
    rows, promises = [], []
    with _databases() as urls:
        for name, url in urls.items():
            taken = in_turns({"with": _decisions(url, count), "without": _decisions(url, count, recorded=False)}, 4)
            ms = {side: [1e3 * one for times in each for one in times] for side, each in taken.items()}
            costs = median(ms["with"]) - median(ms["without"])
            rows.append(
                [f"a decision, {name}", *(_spread(ms[side]) for side in ("with", "without")), f"{costs:.2f} ms"]
            )
            promises.append(Promise(f"an entry beside a decision, {name}", costs, 2, " ms"))
        seconds, entries = _chain(urls["PostgreSQL"], 10 * count)
        rows.append(["one chain, four writers and a sealer", f"{entries / seconds:.0f} entries/s", "", ""])
        promises.append(Promise("an entry on one chain (400 a second)", 1e3 * seconds / entries, 2.5, " ms"))
    seal, verify = _million(many)
    rows.append([f"{many:,} entries sealed and anchored", f"{seal:.1f} s", "", ""])
    rows.append([f"{many:,} entries verified", f"{verify:.1f} s", "", ""])
    promises.append(Promise("a million entries verified", verify * 1_000_000 / many, 10, " s"))
    return Section("The audit's record", HOW, ("what", "with the record", "without", "difference"), rows, promises)


@contextmanager
def _databases() -> Iterator[dict[str, str]]:
    with TemporaryDirectory() as folder, postgresql(syncs=True) as server:
        yield {"SQLite": f"sqlite:///{folder}/ledger.db", "PostgreSQL": server.database("audited")}


def _decisions(url: str, count: int, *, recorded: bool = True) -> Callable[[], list[float]]:
    """Return what records decisions and gives the seconds of each."""

    def run() -> list[float]:
        ledger, seconds = Ledger.open(url), []
        with patch.object(audited, "record", audited.record if recorded else lambda *_: None):
            for _ in range(count):
                began = perf_counter()
                _decide(ledger)
                seconds.append(perf_counter() - began)
        ledger.close()
        return seconds

    return run


def _decide(ledger: Ledger) -> None:
    details = {"gate": "AtLeast(roc_auc)", "value": 0.64, "bound": 0.65}
    about = "retail", "cancellations", "c1", "7", "alice", "the shift is known"
    ledger.record(Entry("gate.overridden", datetime.now(UTC), *about, details=details))


def _chain(url: str, count: int) -> tuple[float, int]:
    """Return the seconds from the first of so many decisions to the seal of the last, and how many they were."""
    ledger, done = Ledger.open(url), Event()
    sealing.seal(ledger, KEY)

    def seal() -> None:
        while not done.wait(SEAL_SECONDS):
            sealing.seal(ledger, KEY)

    began = perf_counter()
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        sealer = pool.submit(seal)
        writers = [pool.submit(lambda: [_decide(ledger) for _ in range(count // WRITERS)]) for _ in range(WRITERS)]
        for writer in writers:
            writer.result()
        done.set()
        sealer.result()
    sealing.seal(ledger, KEY)
    seconds = perf_counter() - began
    ledger.close()
    return seconds, count // WRITERS * WRITERS


def _million(many: int) -> tuple[float, float]:
    """Return the seconds in which so many entries are sealed with their anchors, and verified."""
    with TemporaryDirectory() as folder:
        ledger, anchors = Ledger.open(f"sqlite:///{folder}/ledger.db"), FolderAnchors(root=Path(folder) / "anchors")
        _decide(ledger)
        with ledger.reading() as connection:
            first = dict(connection.execute(select(audit_entries)).mappings().one())
        sealed = 0.0
        for at in range(0, many, 100_000):
            _fill(ledger, first, min(100_000, many - at), at)
            began = perf_counter()
            sealing.seal(ledger, KEY)
            anchoring.anchor(ledger, anchors, KEY.verifying)
            sealed += perf_counter() - began
        began = perf_counter()
        with ledger.snapshot() as connection:
            report = verifying.verify(connection, KEY.verifying, anchoring.kept(anchors))
        seconds = perf_counter() - began
        assert report.well
        assert report.sealed == report.anchored == many + 1
        ledger.close()
        return sealed, seconds


def _fill(ledger: Ledger, first: dict[str, object], count: int, at: int) -> None:
    """Write entries as long as a decision's, each another one."""
    body = str(first["body"])
    rows = [
        first | {"audit_id": at + n + 2, "entry_id": None, "body": body.replace("c1", f"c{at + n}")}
        for n in range(count)
    ]
    with ledger.writing() as connection:
        connection.execute(insert(audit_entries), rows)


def _spread(ms: list[float]) -> str:
    return f"{median(ms):.2f} ms (p95 {quantiles(ms, n=20)[-1]:.2f})"
