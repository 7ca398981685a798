"""Two tenants of a Redis and an S3: each works by its own environment file, and finds nothing of the other's by it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest

from loopline.platform_core import environment, tenants
from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.platform import Platform
from loopline.platform_core.tenants import Operators, Wanted, operators
from loopline.platform_core.testing.online_store import view_rows
from tests.tenants.served import Served

OPERATORS = """
name: shared
root: {folder}/tenants
environment: environment.yaml
secrets: {{vendor: files, root: {folder}/secrets}}
stores:
  cache: {{vendor: redis, url: "secret://redis"}}
  objects:
    vendor: s3
    region: us-east-1
    endpoint_url: {endpoint}
    access_key_id: "secret://s3-id"
    secret_access_key: "secret://s3-secret"
"""
ENVIRONMENT = """
name: "${tenant}"
tenant: "${tenant}"
bindings:
  secrets: {vendor: files, root: "${tenant_folder}/secrets"}
  lake:
    vendor: delta
    root: "${secret://objects#url}/lake"
    storage_options: &objects
      aws_endpoint: "secret://objects#endpoint"
      aws_access_key_id: "secret://objects#access_key_id"
      aws_secret_access_key: "secret://objects#secret_access_key"
      aws_region: us-east-1
      aws_allow_http: "true"
  online_store: {vendor: redis, url: "secret://cache#url", prefix: "secret://cache#prefix", shared: true}
  event_source: {vendor: object_store, url: "${secret://objects#url}/landing", storage_options: *objects}
  engine: {vendor: polars}
  registry: {vendor: mlflow, tracking_uri: "sqlite:///${tenant_folder}/m.db", artifacts: "${tenant_folder}/home/mlflow"}
  compute: {vendor: in_process}
  serving:
    vendor: object_store
    store: "${secret://objects#url}/serving"
    address: http://server
    storage_options: *objects
  drift_report: {vendor: evidently, workspace: "${tenant_folder}/home/reports"}
ledger: "sqlite:///${tenant_folder}/home/ledger.db"
"""
MINE, THEIRS = "north", "south"
"""Others than those whose attempts on the same servers are tests beside this one."""


@pytest.fixture
def operator(running: Callable[[str], Served], tmp_path: Path) -> Iterator[Operators]:
    """Read an operator's file; administrators' credentials are secrets."""
    redis, s3 = running("redis_store"), running("s3_store")
    said = {"redis": redis.ruler["url"], "s3-id": s3.ruler["access_key_id"], "s3-secret": s3.ruler["secret_access_key"]}
    (tmp_path / "secrets").mkdir(mode=0o700)
    for name, text in said.items():
        (tmp_path / "secrets" / name).write_text(text)
    (tmp_path / "environment.yaml").write_text(ENVIRONMENT)
    (tmp_path / "shared.yaml").write_text(OPERATORS.format(folder=tmp_path, endpoint=s3.ruler["endpoint"]))
    found = operators.read(tmp_path / "shared.yaml")
    yield found
    found.close()


def asked(tenant: str) -> Wanted:
    """Ask for something, as an operator."""
    return Wanted(tenant, "tests", datetime.now(UTC))


def opened(operator: Operators, tenant: str) -> Platform:
    """Make a tenant and open its platform."""
    tenants.create(operator, asked(tenant))
    folder = operator.root / tenant
    with patch.dict(
        os.environ, {environment.FILE: str(folder / "environment.yaml"), environment.HOME: str(folder / "home")}
    ):
        return Platform(environment.read())


def test_each_works_in_its_own_places(operator: Operators) -> None:
    """A table, a row online, an arrival and a serving state are where the tenant's credentials lead, and only there."""
    mine, theirs = (opened(operator, tenant) for tenant in (MINE, THEIRS))
    for platform, number in ((mine, 1), (theirs, 2)):
        platform.lake.append("team/raw/orders", pa.table({"a": [number]}))
        platform.online_store.write("team.v.v1", "customer_id", view_rows([1], [number], spend=[float(number)]))
        delivery = platform.event_source.kit_fixtures()["deliver"]
        delivery.whole("team/orders", "one", f"a\n{number}\n".encode(), datetime.now(UTC))
    for platform, number in ((mine, 1), (theirs, 2)):
        assert platform.lake.read("team/raw/orders").to_pydict() == {"a": [number]}
        assert platform.online_store.read([("team.v.v1", ["1"])]) == [[OnlineRow(number, (float(number),))]]
        assert len(platform.event_source.arrivals("team/orders")) == 1
    for path in (operator.root / MINE).rglob("environment.yaml"):
        assert "AKIA" not in path.read_text()
    tenants.suspend(operator, asked(MINE))
    with pytest.raises(LooplineError):
        mine.lake.with_settings().read("team/raw/orders")
    with pytest.raises(LooplineError):
        mine.online_store.read([("team.v.v1", ["1"])])
    assert theirs.lake.read("team/raw/orders").num_rows == 1
    for tenant in (MINE, THEIRS):
        tenants.delete(operator, asked(tenant))
        assert all(operator.stores[name].holds(tenant) == () for name in operator.stores)
