"""The vendor's own client by hand: the requests that our store sends, without what it makes of them.

Each function opens what asks and returns a call that writes rows (name → packed row) and one that reads names.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from zlib import crc32

Rows = Mapping[str, bytes]
ByHand = tuple[Callable[[Rows], object], Callable[[Sequence[str]], object]]
AT_ONCE = 4
"""Requests with many rows that are on their way together, as ours are."""
DYNAMODB_TABLE, DYNAMODB_REGION, DYNAMODB_WRITERS = "benchmark", "eu-central-1", 16


def _in_parts(ask: Callable[[list[str]], object], names: Sequence[str], most: int) -> None:
    parts = [list(names[first : first + most]) for first in range(0, len(names), most)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, parts))


def dynamodb(url: str) -> ByHand:
    """BatchGetItem, consistent; PutItem a row by 16 threads, on the condition that no newer event is there."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=DYNAMODB_WRITERS)
    client = boto3.client("dynamodb", region_name=DYNAMODB_REGION, endpoint_url=url, config=config)
    writers = ThreadPoolExecutor(DYNAMODB_WRITERS)

    def key(name: str) -> dict[str, Any]:
        return {"v": {"S": f"by-hand#{crc32(name.encode()) % 64:02x}"}, "k": {"S": name}}

    def read(names: Sequence[str]) -> Any:
        asked = {"Keys": [key(name) for name in names], "ConsistentRead": True}
        return client.batch_get_item(RequestItems={DYNAMODB_TABLE: asked})["Responses"]

    def put(rows: Rows, name: str) -> None:
        when = {"N": "1767225600000000"}
        client.put_item(
            TableName=DYNAMODB_TABLE,
            Item={**key(name), "t": when, "p": {"B": rows[name]}},
            ConditionExpression="attribute_not_exists(t) OR t <= :t",
            ExpressionAttributeValues={":t": when},
        )

    return lambda rows: list(writers.map(partial(put, rows), rows)), read


def firestore(url: str) -> ByHand:
    """BatchGetDocuments, then BatchWrite on the condition that no such document is there."""
    from google.cloud.firestore_v1.types import firestore as messages
    from google.cloud.firestore_v1.types import write as changes

    from loopline.resources.firestore.documents import READS, ROW
    from loopline.resources.firestore.link import Link

    link = Link("kit", "(default)", url)
    client, database = link._client, link.database  # noqa: SLF001 - opened alike

    def read(names: Sequence[str]) -> list[Any]:
        asked = [f"{link.root}/by-hand/{name}" for name in names]
        request = messages.BatchGetDocumentsRequest(database=database, documents=asked)
        return [messages.BatchGetDocumentsResponse.pb(one) for one in client.batch_get_documents(request, timeout=60)]

    def write_some(rows: Rows, names: list[str]) -> None:
        read(names)
        request = messages.BatchWriteRequest(database=database)
        for name in names:
            one = changes.Write.pb(changes.Write())
            one.current_document.exists = False
            one.update.name = f"{link.root}/by-hand/{name}"
            one.update.fields[ROW].bytes_value = rows[name]
            messages.BatchWriteRequest.pb(request).writes.append(one)
        client.batch_write(request, timeout=60)

    return lambda rows: _in_parts(partial(write_some, rows), list(rows), READS), read


def cosmos(url: str) -> ByHand:
    """``read_items``, then ``create_item`` a row by ten threads."""
    from loopline.resources.cosmos.link import CONNECTIONS, Link

    container: Any = Link(url, "loopline", "features", 60)._container  # noqa: SLF001 - opened alike
    readers, writers = ThreadPoolExecutor(CONNECTIONS), ThreadPoolExecutor(CONNECTIONS)

    def read(names: Sequence[str]) -> list[Any]:
        return list(container.read_items([(name, name) for name in names], executor=readers))

    def create(rows: Rows, name: str) -> None:
        row = base64.b64encode(rows[name]).decode("ascii")
        container.create_item({"id": name, "view": "by hand", "row": row})

    def write_some(rows: Rows, names: list[str]) -> None:
        read(names)
        list(writers.map(partial(create, rows), names))

    return lambda rows: _in_parts(partial(write_some, rows), list(rows), 100), read


def bigtable(url: str) -> ByHand:
    """ReadRows, then CheckAndMutateRow a row by 32 threads, on the condition that nothing is there."""
    from google.cloud.bigtable_v2.types import bigtable as messages
    from google.cloud.bigtable_v2.types import data

    from loopline.resources.bigtable.cells import mutations, seen_filter
    from loopline.resources.bigtable.link import WRITERS, Link, Reach

    link = Link(Reach("kit", "kit-rows", "loopline", "rows", "", url))
    client, at = link._client, link._at  # noqa: SLF001 - opened alike
    writers = ThreadPoolExecutor(WRITERS)

    def read(names: Sequence[str]) -> list[Any]:
        rows = data.RowSet(row_keys=[name.encode() for name in names])
        request = messages.ReadRowsRequest(rows=rows, filter=seen_filter("rows", None), **at)
        return [messages.ReadRowsResponse.pb(one) for one in client.read_rows(request, timeout=60)]

    def change(rows: Rows, name: str) -> None:
        request = messages.CheckAndMutateRowRequest(
            row_key=name.encode(),
            predicate_filter=seen_filter("rows", None),
            false_mutations=mutations("rows", rows[name], None),
            **at,
        )
        client.check_and_mutate_row(request, timeout=60)

    def write_some(rows: Rows, names: list[str]) -> None:
        read(names)
        list(writers.map(partial(change, rows), names))

    return lambda rows: _in_parts(partial(write_some, rows), list(rows), 500), read


BY_HAND: Mapping[str, Callable[[str], ByHand]] = {
    "dynamodb": dynamodb,
    "firestore": firestore,
    "cosmos": cosmos,
    "bigtable": bigtable,
}
