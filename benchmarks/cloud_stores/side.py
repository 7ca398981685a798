"""One side in a process of its own: ``python -m benchmarks.cloud_stores.side SERVICE SIDE FOLDER URL TIMES``.

For each line that it reads it writes every row of one view of ten features into a place that is new, then reads random
entities there, one and a hundred at a time; prints a JSON object: keys written a second, and µs of each read.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.cloud_stores.by_hand import BY_HAND, DYNAMODB_REGION, DYNAMODB_TABLE, DYNAMODB_WRITERS
from benchmarks.online_reads import data
from benchmarks.online_reads.side import MANY, Keys


class Side(NamedTuple):
    """What writes every row into a place of that name, and what reads some keys there."""

    write: Callable[[str], object]
    read: Callable[[str, Keys], object]


def by_hand(service: str, folder: Path, url: str) -> Side:
    """Let the vendor's client write and read what our store does."""
    from loopline.platform_core.contracts.online_packing import pack
    from loopline.platform_core.contracts.online_store import newest

    write, read = BY_HAND[service](url)
    rows = {key: pack(row) for key, row in newest(data.ENTITY, data.rows(folder, data.EVERYTHING)).items()}
    return Side(
        lambda place: write({f"{place}-{key}": row for key, row in rows.items()}),
        lambda place, keys: read([f"{place}-{key}" for key in keys]),
    )


def ours(service: str, folder: Path, url: str) -> Side:
    """Let our store write and read."""
    store, rows = _STORES[service](url), data.rows(folder, data.EVERYTHING)
    return Side(
        lambda place: store.write(place, data.ENTITY, rows),
        lambda place, keys: store.read([(place, keys)]),
    )


def _dynamodb(url: str) -> Any:
    from loopline.resources.dynamodb.online_store import DynamodbOnlineStore

    return DynamodbOnlineStore(
        table=DYNAMODB_TABLE,
        region=DYNAMODB_REGION,
        endpoint_url=url,
        connections=DYNAMODB_WRITERS,
        timeout_seconds=60,
    )


def _firestore(url: str) -> Any:
    from loopline.resources.firestore.online_store import FirestoreOnlineStore

    return FirestoreOnlineStore(project="kit", endpoint=url, timeout_seconds=60)


def _cosmos(url: str) -> Any:
    from loopline.resources.cosmos.online_store import CosmosOnlineStore

    return CosmosOnlineStore(endpoint=url, timeout_seconds=60)


def _bigtable(url: str) -> Any:
    from loopline.resources.bigtable.online_store import BigtableOnlineStore

    return BigtableOnlineStore(project="kit", instance="kit-rows", endpoint=url, timeout_seconds=60)


_STORES: dict[str, Callable[[str], Any]] = {
    "dynamodb": _dynamodb,
    "firestore": _firestore,
    "cosmos": _cosmos,
    "bigtable": _bigtable,
}


def _round(side: Side, entities: int, times: int) -> dict[str, Any]:
    place, drawn = f"round-{uuid.uuid4().hex[:8]}", random.Random(0)
    gc.collect()
    began = perf_counter()
    side.write(place)
    found: dict[str, Any] = {"keys_s": entities / (perf_counter() - began)}
    for name, size in (("one_us", 1), ("many_us", MANY)):
        asked = [[str(key) for key in drawn.sample(range(entities), size)] for _ in range(times)]
        found[name] = [_timed(side, place, keys) for keys in asked]
    return found


def _timed(side: Side, place: str, keys: Keys) -> float:
    began = perf_counter()
    side.read(place, keys)
    return (perf_counter() - began) * 1e6


def main() -> None:
    """Measure the side named, once for each line."""
    service, name, folder, url, times = sys.argv[1:]
    side = {"by hand": by_hand, "ours": ours}[name](service, Path(folder), url)
    entities = len(data.rows(Path(folder), data.EVERYTHING))
    side.read("nowhere", ["0"])  # connected, before the watch starts
    for _ in sys.stdin:
        print(json.dumps(_round(side, entities, int(times))), flush=True)


if __name__ == "__main__":
    main()
