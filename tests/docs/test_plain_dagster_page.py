"""The location of plain assets that the page shows works on AWS's emulator, and one lineage goes through both."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from loopline.asset_defs import code_location
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from tests.docs.page import Page
from tests.emulators.aws import KEY, REGION, SECRET, AwsServer

PAGE = Page("how-to/plain-dagster-beside-models.md")
ARRIVALS = dg.AssetKey(["retail", "orders_arrivals"])
REPORT = dg.AssetKey(["retail", "cancellations_report"])
BUCKET = "acme-data"


@pytest.fixture
def exports(tmp_path: Path) -> ModuleType:
    """Import the page's location from a file, as Dagster does."""
    (text,) = PAGE.blocks("python")
    file = tmp_path / "exports.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("exports", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def till(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """Let the till have written, and servers have answered; clients find the emulator by the variables they know."""
    for name, value in {"AWS_ENDPOINT_URL": aws.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(Bucket=BUCKET, Key="till/orders.csv", Body=b"Invoice\n1\n")
    answers = pa.table({"version": ["1", "1", "2"]})
    write_deltalake(f"s3://{BUCKET}/lake/retail/predictions/cancellations", answers)
    yield aws
    for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        client.delete_object(Bucket=BUCKET, Key=each["Key"])
    client.delete_bucket(Bucket=BUCKET)


def test_lineage_goes_through(exports: ModuleType) -> None:
    """What the till wrote leads to the report: edge by edge, in the one location or the other."""
    graphs = [exports.defs.resolve_asset_graph(), code_location.retail.resolve_asset_graph()]
    parents = {key: set[dg.AssetKey]() for graph in graphs for key in graph.get_all_asset_keys()}
    made = {key for graph in graphs for key in graph.materializable_asset_keys}
    for graph in graphs:
        for key in graph.get_all_asset_keys():
            parents[key] |= graph.get(key).parent_keys
    assert parents[ARRIVALS] == {dg.AssetKey(["shop", "till"])}
    before, seen = {REPORT}, set[dg.AssetKey]()
    while before:
        seen |= before
        before = {parent for key in before for parent in parents[key]} - seen
    assert {ARRIVALS, dg.AssetKey(["retail", "orders_raw"]), dg.AssetKey(["retail", "cancellations_model"])} <= seen
    assert dg.AssetKey(["shop", "till"]) in seen
    assert not graphs[0].materializable_asset_keys & graphs[1].materializable_asset_keys
    assert {ARRIVALS, REPORT} <= made


def test_the_location_runs(exports: ModuleType, till: AwsServer) -> None:
    """The file is where Loopline's event source finds it, and the report counts what the lake has."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = exports.defs.get_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance).success
        event = instance.get_latest_materialization_event(ARRIVALS)
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["bytes"].value == 10
    options = {"aws_endpoint": till.url, "aws_region": REGION, "aws_access_key_id": KEY}
    source = ObjectStoreEventSource(
        url=f"s3://{BUCKET}/landing", storage_options={**options, "aws_secret_access_key": SECRET}
    )
    assert [arrival.name for arrival in source.arrivals("retail/orders")] == ["orders.csv"]
    report = till.client("s3").get_object(Bucket=BUCKET, Key="reports/cancellations.csv")["Body"].read()
    assert sorted(report.decode().splitlines()[1:]) == ["1,2", "2,1"]
