"""What our vendors do as each identity, on whichever cloud they are bound to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.compute import Compute
from loopline.platform_core.contracts.event_source import EventSource
from loopline.platform_core.contracts.lake import Lake
from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.contracts.secrets import Secrets
from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.contracts.state_store import ServerReport
from loopline.platform_core.errors import Refused
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.testing.compute import ECHO, ENDLESS, SMALL, calls
from loopline.platform_core.testing.lake import numbered
from loopline.platform_core.testing.online_store import view_rows
from loopline.resources.object_store.grouped import GROUP_VARIABLE, GroupedServing
from loopline.resources.object_store.serving import ObjectStoreServing

VALUE = "postgresql://one"
TABLE, SOURCE, VIEW = "shop/raw/orders", "shop/orders", "shop.orders.v1"
MODEL, OTHER = "shop.model", "shop.other"


@dataclass(frozen=True)
class Bound:
    """Vendors as an environment file binds them; ``deliver`` writes a file as somebody else."""

    folder: Path
    store: str
    names: tuple[str, ...]
    """Of secrets."""
    secrets: Secrets
    lake: Lake
    online: OnlineStore
    source: EventSource
    serving: ObjectStoreServing
    compute: Compute | None
    deliver: Callable[[str, bytes], None]
    package_bytes: int = 1000

    def reveal(self) -> None:
        """Read each secret."""
        assert [self.secrets.current(name) for name in self.names] in (
            [VALUE] * len(self.names),
            [VALUE.encode()] * len(self.names),
        )


def loop(bound: Bound) -> None:
    """Take files in, write features, train, deploy, and read what servers have logged."""
    bound.reveal()
    _tables(bound.lake)
    bound.source.arrivals(SOURCE)
    bound.deliver(f"landing/{SOURCE}/one.csv", b"id\n1")
    [arrival] = bound.source.arrivals(SOURCE)
    assert len(bound.source.read(SOURCE, arrival)) == 1
    _rows(bound.online)
    if bound.compute is not None:
        _trained(bound.compute, bound.folder)
    package = bound.folder / "package"
    package.mkdir()
    package.joinpath("weights").write_bytes(b"1" * bound.package_bytes)
    for model in (MODEL, OTHER):
        bound.serving.states.ask(DesiredState(model, 1, Served("1", package, "cycle-1")))
    bound.serving.states.observed(MODEL)
    bound.serving.logs.read(MODEL, None)
    bound.serving.feed.drop(OTHER)
    _grouped(bound).states.ask(DesiredState(MODEL, 1, Served("1", package, "cycle-1")))


def serving(bound: Bound) -> None:
    """Serve as a server of its own, and as one of an endpoint group."""
    _served(bound, bound.serving)
    of_a_group(bound)


def of_a_group(bound: Bound) -> None:
    """Serve as a server of an endpoint group, which has a prefix to itself."""
    with pytest.MonkeyPatch.context() as environment:
        grouped = _grouped(bound)
        environment.setenv(GROUP_VARIABLE, grouped.group(MODEL))
        _served(bound, grouped)


def _grouped(bound: Bound) -> GroupedServing:
    return GroupedServing(store=bound.serving.store, storage_options=bound.serving.storage_options)


def _served(bound: Bound, serving: ObjectStoreServing) -> None:
    """Learn what is to be served, fetch its package, say so, read features, and log answers."""
    bound.reveal()
    found = serving.feed.asked(bound.folder / "packages")
    assert found
    assert not found.problems
    for _ in range(2):
        serving.feed.report("one", ServerReport({MODEL: ObservedState(1, ready=True)}))
    serving.feed.leave("one")
    for keys in (["1"], [*"12345"]):  # which some services are asked for in two ways
        asyncio.run(bound.online.fetch([(VIEW, keys)]))
    assert serving.sink.put("one", MODEL, f"0-000001{log.SUFFIX}", 0, b"frames") == 6


def training(bound: Bound) -> None:
    """Read the lake, and write and read a model's files by MLflow's own client of the store."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    bound.reveal()
    assert len(bound.lake.read(TABLE))
    files = bound.folder / "files"
    files.mkdir()
    files.joinpath("model.txt").write_text("tree")
    kept = get_artifact_repository(f"{bound.store}/models/1")
    kept.log_artifacts(str(files))
    assert [each.path for each in kept.list_artifacts()] == ["model.txt"]
    assert Path(kept.download_artifacts("model.txt")).read_text() == "tree"


def _tables(lake: Any) -> None:
    for n in range(3):
        lake.append(TABLE, numbered(n, day=1 + n % 2), {"app": n})
    assert len(lake.read(TABLE)) == 3
    assert (lake.version(TABLE), lake.committed(TABLE)) == (2, {"app": 2})
    lake.tidy(TABLE, [2], timedelta(0))
    lake.drop_days(TABLE, date(2020, 1, 2))
    assert TABLE in lake.tables()
    with lake.set_apart("apart") as apart:
        apart.append(TABLE, numbered(1))


def _rows(online: OnlineStore) -> None:
    """Leave a row, and have written over and deleted others."""
    online.write(VIEW, "customer_id", view_rows(["1", "2"], [1, 1], spend=[1.0, 2.0]))
    void = view_rows(["2"], [2], spend=[0.0])
    online.replace(VIEW, "customer_id", view_rows(["1"], [2], spend=[3.0]), void)
    assert online.read([(VIEW, ["1"])])[0][0]
    online.drop(VIEW)


def _trained(compute: Any, folder: Path) -> None:
    """Run a task to its end, and cancel one while it runs."""
    assert compute.run(ECHO, {"folder": str(folder), "value": 1}, SMALL, "echo")["value"] == 1
    assert compute.billed("echo")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(compute.run, ENDLESS, {"folder": str(folder), "seconds": 60}, SMALL, "endless")
        end = time.monotonic() + 60
        while calls(folder) < 2 and time.monotonic() < end:
            time.sleep(0.1)  # between two looks
        compute.cancel("endless")
        with pytest.raises(Refused, match="cancelled"):
            waiting.result()
