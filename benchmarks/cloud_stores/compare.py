"""Online reads and writes: our stores on DynamoDB, Firestore, Cosmos DB, Bigtable beside each client by hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cloud_stores.by_hand import DYNAMODB_TABLE
from benchmarks.online_reads import data
from benchmarks.page import Promise, Section
from benchmarks.turns import asked, in_turns
from tests.emulators.aws import IDENTITY
from tests.emulators.bigtable_fake import BigtableFake
from tests.emulators.cosmos_fake import running
from tests.emulators.dynalite import Dynalite
from tests.emulators.firestore_fake import FirestoreFake

HOW = """One view of ten features, {entities:,} entities, in an emulator (DynamoDB: Dynalite) or the tests' strict
fakes on this machine: figures are good for ratios alone, since they take most of the time. A read asks for one entity
or a hundred random ones, one read after another; a write is every row, once. Each side is one process, and the two take
{rounds} short turns each, so that what else the machine does meets both. By hand is the vendor's own client with the
requests that ours sends, over a channel that is opened in the same way: in DynamoDB rows are written on the condition
that no newer event is there; elsewhere they are looked at, then written on the condition that they are as they were
seen. What comes back is not decoded."""
HEADER = ("service", "side", "1 entity", "100 entities", "p99", "keys written / s")
HAND, OURS = "by hand", "ours"
ENTITIES, READS = 300, 20
NAMES = {"dynamodb": "DynamoDB", "firestore": "Firestore", "cosmos": "Cosmos DB", "bigtable": "Bigtable"}
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure both sides of each service, in turns."""
    rounds = 2 if quick else 6
    rows: list[list[str]] = []
    promises: list[Promise] = []
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        data.write(folder, ENTITIES)
        for service, serving in _SERVERS.items():
            with serving(folder) as url:
                found = _measured(service, folder, url, rounds)
            rows += [_row(NAMES[service], side, figures) for side, figures in found.items()]
            promises += _promises(NAMES[service], found)
    return Section(
        "Online features in clouds' stores", HOW.format(entities=ENTITIES, rounds=rounds), HEADER, rows, promises
    )


def _measured(service: str, folder: Path, url: str, rounds: int) -> dict[str, Figures]:
    """Let both sides measure in turns, the first of which only makes them warm."""
    with ExitStack() as stack:
        sides = {
            side: stack.enter_context(asked("benchmarks.cloud_stores.side", service, side, folder, url, READS))
            for side in (HAND, OURS)
        }
        taken = in_turns(sides, 1 + rounds)
    return {side: _figures(runs[1:]) for side, runs in taken.items()}


def _figures(runs: Sequence[Mapping[str, Any]]) -> Figures:
    """Put rounds together: medians of reads and of the pace of writes; the 99th percentile of reads of a hundred."""
    one, many = (sorted(us for run in runs for us in run[name]) for name in ("one_us", "many_us"))
    return {
        "one_us": median(one),
        "many_us": median(many),
        "many_p99_us": many[int(len(many) * 0.99)],
        "keys_s": median(run["keys_s"] for run in runs),
    }


@contextmanager
def _dynamodb(folder: Path) -> Iterator[str]:
    os.environ.update(IDENTITY)
    server = Dynalite(folder)
    server.start()
    server.client().create_table(
        TableName=DYNAMODB_TABLE,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in "vk"],
        KeySchema=[{"AttributeName": "v", "KeyType": "HASH"}, {"AttributeName": "k", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield server.url
    server.end()


@contextmanager
def _firestore(folder: Path) -> Iterator[str]:  # noqa: ARG001 - one signature for all
    server = FirestoreFake()
    yield server.endpoint
    server.stop()


@contextmanager
def _bigtable(folder: Path) -> Iterator[str]:  # noqa: ARG001 - one signature for all
    server = BigtableFake()
    yield server.endpoint
    server.stop()


@contextmanager
def _cosmos(folder: Path) -> Iterator[str]:
    with running(folder) as fake:
        os.environ.update(fake.environment)
        yield fake.url


Serving = Callable[[Path], AbstractContextManager[str]]
_SERVERS: Mapping[str, Serving] = {
    "dynamodb": _dynamodb,
    "firestore": _firestore,
    "cosmos": _cosmos,
    "bigtable": _bigtable,
}


def _promises(name: str, found: Mapping[str, Figures]) -> list[Promise]:
    hand, ours = found[HAND], found[OURS]
    return [
        Promise(f"{name}: a read of 100 entities, beside its client", ours["many_us"] / hand["many_us"], 1.3, "x"),
        Promise(f"{name}: time of a write, beside its client", hand["keys_s"] / ours["keys_s"], 1 / 0.7, "x"),
    ]


def _row(name: str, side: str, found: Figures) -> list[str]:
    times = [f"{found[figure] / 1000:.1f} ms" for figure in ("one_us", "many_us", "many_p99_us")]
    return [name, side, *times, f"{found['keys_s']:,.0f}"]
