"""Sample declarations and tables for the engine kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.engine import Engine, ViewRows
from loopline.platform_core.specs import Source, feature_view, labels

if TYPE_CHECKING:
    from pathlib import Path

    import narwhals as nw
    import pyarrow as pa

ORDERS = Source("orders", contract="orders.yaml")


def at(hours: float) -> datetime:
    """Count hours from the start of 2020."""
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hours)


@feature_view(ORDERS, entity="customer", time="ordered_at", ttl_days=1)
def spending(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend so far, number of orders, and the first article in the alphabet."""
    import narwhals as nw

    moments = orders.group_by("customer", "ordered_at").agg(
        nw.col("amount").sum(), orders=nw.len(), article=nw.col("article").min()
    )
    so_far = nw.col("amount").cum_sum().over("customer", order_by="ordered_at")
    return moments.select("customer", "ordered_at", "article", "orders", spend=so_far)


@feature_view(ORDERS, entity="customer", time="ordered_at")
def meanings(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: the numbers that its article is a list of, as a vector."""
    import narwhals as nw

    vector = nw.col("article").str.split(",").cast(nw.List(nw.Float64()))
    return orders.select("customer", "ordered_at", meaning=vector)


def words(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: what its article is a list of, as texts."""
    import narwhals as nw

    return orders.select("customer", "ordered_at", meaning=nw.col("article").str.split(","))


@labels(ORDERS, entities=("customer",), time="ordered_at", label="large", known_at="later", segments=("article",))
def large_order(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether it is larger than 2, known two hours later."""
    import narwhals as nw

    return orders.with_columns(large=nw.col("amount") > 2, later=nw.col("ordered_at").dt.offset_by("2h"))


@labels(ORDERS, entities=("customer",), time="ordered_at", label="found", known_at="later")
def articles_found(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: the texts that its article is a list of, as they are and as numbers; known two hours later."""
    import narwhals as nw

    found = nw.col("article").str.split(",")
    later = nw.col("ordered_at").dt.offset_by("2h")
    return orders.with_columns(found=found, numbers=found.cast(nw.List(nw.Float64())), later=later)


def put_contract(path: Path, **columns: str) -> None:
    """Write a contract of columns and their ODCS types; without any, that of the orders here."""
    wanted = columns or {"customer": "integer", "ordered_at": "timestamp", "amount": "number", "article": "string"}
    properties = "\n".join(f"      - {{name: {name}, logicalType: {kind}}}" for name, kind in wanted.items())
    head = f"apiVersion: v3.1.0\nkind: DataContract\nid: {path.stem}\nversion: 1.0.0\nstatus: active\n"
    path.write_text(f"{head}schema:\n  - name: {path.stem}\n    properties:\n{properties}\n")


def raw_orders(*rows: tuple[int | None, float, float, float, str | None]) -> pa.Table:
    """Make accepted rows of (customer, hour, arrival's hour, amount, article)."""
    import pyarrow as pa

    instant, columns = pa.timestamp("us", "UTC"), list(zip(*rows, strict=True))
    return pa.table(
        {
            "customer": pa.array(columns[0], pa.int64()),
            "ordered_at": pa.array([at(hour) for hour in columns[1]], instant),
            "_arrived_at": pa.array([at(hour) for hour in columns[2]], instant),
            "amount": pa.array(columns[3], pa.float64()),
            "article": pa.array(columns[4], pa.string()),
        }
    )


def offline_rows(*rows: tuple[int | None, float, float, float | None], **renamed: str) -> pa.Table:
    """Make rows of ``spending``'s table of (customer, hour, hour of creation, spend)."""
    import pyarrow as pa

    instant, columns = pa.timestamp("us", "UTC"), list(zip(*rows, strict=True))
    made = {
        "customer": pa.array(columns[0], pa.int64()),
        "event_time": pa.array([at(hour) for hour in columns[1]], instant),
        "created_at": pa.array([at(hour) for hour in columns[2]], instant),
        "spend": pa.array(columns[3], pa.float64()),
    }
    return pa.table({renamed.get(name, name): column for name, column in made.items()})


def asked(*rows: tuple[int | None, float | None]) -> pa.Table:
    """Make labels' rows of (customer, hour), numbered."""
    import pyarrow as pa

    times = [None if hour is None else at(hour) for _, hour in rows]
    return pa.table(
        {
            "number": list(range(len(rows))),
            "customer": pa.array([customer for customer, _ in rows], pa.int64()),
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )


def joined(engine: Engine, labels: pa.Table, *views: ViewRows) -> list[Mapping[str, Any]]:
    """Join and return rows."""
    rows: list[Mapping[str, Any]] = engine.point_in_time(labels, views).to_pylist()
    return rows


def spends(engine: Engine, labels: pa.Table, rows: pa.Table) -> Sequence[float | None]:
    """Join ``spending``'s rows and return what each label's row got."""
    return [row["spend"] for row in joined(engine, labels, ViewRows(spending, rows))]
