"""One side in a process of its own: ``python -m benchmarks.dynamodb.side NAME FOLDER URL TIMES``.

Writes every row of one view of ten features, then reads random entities, one and a hundred at a time; prints a JSON
object of figures, those of ``online_reads`` and the CPU of this process for a read of a hundred and for a key written.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.online_reads import data
from benchmarks.online_reads.side import MANY, Keys, Read, figures

REGION, AT_ONCE, WARM, COUNTED = "eu-central-1", 16, 5, 30
VIEW, TABLE = data.EVERYTHING.view, "benchmark"
Reading = tuple[Callable[[], int], Read]


def raw(folder: Path, url: str) -> Reading:
    """Let boto3 do by hand what our store does: a consistent BatchGetItem, PutItem on a condition by 16 threads."""
    import boto3
    from botocore.config import Config

    from loopline.platform_core.contracts.online_packing import pack_values
    from loopline.platform_core.contracts.online_store import newest

    config = Config(max_pool_connections=2 * AT_ONCE)
    client = boto3.client("dynamodb", region_name=REGION, endpoint_url=url, config=config)
    view = f"raw-{uuid.uuid4().hex}"
    puts = [
        {
            "TableName": TABLE,
            "Item": {
                **_key(view, key),
                "t": {"N": str(row.event_time_us)},
                "p": {"B": pack_values(row.values)},
            },
            "ConditionExpression": "attribute_not_exists(t) OR t <= :t",
            "ExpressionAttributeValues": {":t": {"N": str(row.event_time_us)}},
        }
        for key, row in newest(data.ENTITY, data.rows(folder, data.EVERYTHING)).items()
    ]

    def write() -> int:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return sum(1 for _ in pool.map(lambda put: client.put_item(**put), puts))

    def read(keys: Keys) -> object:
        asked = {"Keys": [_key(view, key) for key in keys], "ConsistentRead": True}
        return client.batch_get_item(RequestItems={TABLE: asked})["Responses"][TABLE]

    return write, read


def ours(folder: Path, url: str) -> Reading:
    """Let our store write and read."""
    store = _store(url)
    return _writing(store, folder), lambda keys: store.read([(VIEW, keys)])


def fetching(folder: Path, url: str) -> Reading:
    """Let our store be asked from an event loop, as the inference server asks it."""
    store, loop = _store(url), asyncio.new_event_loop()
    return _writing(store, folder), lambda keys: loop.run_until_complete(store.fetch([(VIEW, keys)]))


def _store(url: str) -> Any:
    from loopline.resources.dynamodb.online_store import DynamodbOnlineStore

    prefix = f"ours-{uuid.uuid4().hex}-"  # as raw's: each turn writes rows that are new
    store = DynamodbOnlineStore(
        table=TABLE, region=REGION, endpoint_url=url, connections=AT_ONCE, timeout_seconds=60, prefix=prefix
    )
    store.read([(VIEW, ["0"])])  # connected, and what it needs imported, before the watch starts
    return store


def _writing(store: Any, folder: Path) -> Callable[[], int]:
    rows = data.rows(folder, data.EVERYTHING)
    return lambda: int(store.write(VIEW, data.ENTITY, rows))


def _key(view: str, key: str) -> dict[str, Any]:
    return {"v": {"S": f"{view}#{int(key) % 64:02x}"}, "k": {"S": f"={key}"}}


def _cpu_ms(read: Read, entities: int) -> float:
    """Return what a read of a hundred costs this process."""
    drawn = random.Random(1)
    asked = [[str(key) for key in drawn.sample(range(entities), MANY)] for _ in range(COUNTED)]
    began = process_time()
    for keys in asked:
        read(keys)
    return (process_time() - began) / COUNTED * 1000


SIDES = {"raw": raw, "ours": ours, "fetch": fetching}


def main() -> None:
    """Measure the side named."""
    name, folder, url, times = sys.argv[1:]
    write, read = SIDES[name](Path(folder), url)
    entities = len(data.rows(Path(folder), data.EVERYTHING))
    spent: list[float] = []

    def counted() -> int:
        began = process_time()
        done = write()
        spent.append((process_time() - began) / done * 1000)
        return done

    found = figures(counted, read, entities, int(times))
    print(json.dumps(found | {"cpu_write_ms": spent[0], "cpu_read_ms": _cpu_ms(read, entities)}))


if __name__ == "__main__":
    main()
