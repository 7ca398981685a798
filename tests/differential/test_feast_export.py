"""What ``loopline features export-feast`` writes, Feast applies, and gives the values that we give."""

from __future__ import annotations

import json
import lzma
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import retail
from click.testing import CliRunner
from pyarrow import compute, csv, parquet

from loopline.cli import loopline
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import ARRIVED_AT, EVENT_TIME, raw_table, view_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs.contracts.odcs import read_contract

ENVIRONMENT = """
name: export
bindings:
  lake: {{vendor: delta, root: "{home}/lake"}}
  online_store: {{vendor: sqlite, path: "{home}/online.db"}}
  event_source: {{vendor: folder, root: "{home}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "sqlite:///{home}/mlflow.db", artifacts: "{home}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "{home}/serving", port: 1}}
  drift_report: {{vendor: evidently}}
ledger: "sqlite:///{home}/ledger.db"
"""
LINES = 8_000
"""Three days of orders."""


@dataclass
class Exported:
    """The retail team with some days of orders, its repository, and what the commands said."""

    platform: Platform
    raw: pa.Table
    folder: Path
    said: dict[str, Any]
    applied: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory, feast_program: Path):
    """Materialize some days, export them by the command, and let Feast apply what came out."""
    home = tmp_path_factory.mktemp("export")
    (home / "environment.yaml").write_text(ENVIRONMENT.format(home=home))
    platform = Platform.open(home / "environment.yaml")
    raw = _orders(platform)
    platform.lake.append(raw_table("retail", "orders"), raw)
    for view in retail.team.views:
        materialize(platform, retail.team, view)
    arguments = ["features", "export-feast", "retail", str(home / "feast"), "--output", "json"]
    result = CliRunner().invoke(loopline, [*arguments, "--environment", str(home / "environment.yaml")])
    assert result.exit_code == 0, result.output
    applied = subprocess.run([feast_program, "apply"], cwd=home / "feast", capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr[-2000:]
    yield Exported(platform, raw, home / "feast", json.loads(result.stdout), applied.stdout)
    platform.close()


def test_every_view_is_written_and_applied(exported: Exported) -> None:
    """The command names each view with its rows, and Feast deploys views, entities and a service a model."""
    assert {view["view"] for view in exported.said["views"]} == {"customer_history", "order_shape"}
    for view in exported.said["views"]:
        assert (
            parquet.read_metadata(exported.folder / "data" / f"{view['view']}.parquet").num_rows == view["rows"] > 100
        )
    for name in ("customer_history", "order_shape", "customer_id", "invoice", "cancellations", "repeat_orders"):
        assert name in exported.applied


@pytest.mark.parametrize("model", [model.name for model in retail.team.models])
def test_feast_gives_our_values(exported: Exported, by_feast, tmp_path: Path, model: str) -> None:
    """No row of these days is late, so Feast's training rows of a model are ours: each label, each feature."""
    platform, spec = exported.platform, retail.team.model(model)
    labels = _asking(exported.raw, sorted({view.entity for view in spec.features}))
    views = [ViewRows(view, platform.lake.read(view_table("retail", view))) for view in spec.features]
    ours = platform.engine.point_in_time(labels, views)

    parquet.write_table(labels, tmp_path / "labels.parquet")
    asked = (exported.folder, model, tmp_path / "labels.parquet", tmp_path / "out.parquet")
    by_feast("benchmarks.peers.feast_service", *asked)
    theirs = parquet.read_table(tmp_path / "out.parquet").sort_by("row")
    features = [name for name in ours.column_names if name not in labels.column_names]
    assert len(features) > 10
    for name in features:
        assert ours[name].null_count < len(ours) > 100, name
        assert ours[name].to_pylist() == theirs[name].to_pylist(), name


def test_again_leaves_the_configuration(exported: Exported) -> None:
    """A folder that holds something is refused; ``--again`` writes views and rows, and keeps ``feature_store.yaml``."""
    configuration = exported.folder / "feature_store.yaml"
    configuration.write_text(mine := configuration.read_text() + "# mine\n")
    (exported.folder / "repo.py").unlink()
    arguments = ["features", "export-feast", "retail", str(exported.folder)]
    arguments += ["--environment", str(exported.folder.parent / "environment.yaml")]
    refused = CliRunner().invoke(loopline, arguments)
    assert (refused.exit_code, "--again" in refused.stderr) == (1, True)
    assert CliRunner().invoke(loopline, [*arguments, "--again"]).exit_code == 0
    assert (exported.folder / "repo.py").is_file()
    assert configuration.read_text() == mine


def _asking(raw: pa.Table, keys: list[str]) -> pa.Table:
    """Ask for each order twice: when it is placed, and five hours later."""
    rows = raw.group_by("invoice").aggregate([("customer_id", "max"), ("invoiced_at", "min")])
    rows = rows.rename_columns(["invoice", "customer_id", EVENT_TIME])
    place = rows.column_names.index(EVENT_TIME)
    after = rows.set_column(place, EVENT_TIME, compute.add(rows[EVENT_TIME], pa.scalar(timedelta(hours=5))))
    both = pa.concat_tables([rows, after]).select([*keys, EVENT_TIME])
    return both.append_column("row", pa.array(range(len(both))))


def _orders(platform: Platform) -> pa.Table:
    """Return accepted lines of the first days, each known at the moment of its order."""
    folder = Path(retail.__file__).parent
    with lzma.open(folder / "data" / "online_retail.csv.xz", "rt") as file:
        text = "".join(islice(file, LINES)).encode()
    names = text.split(b"\n", 1)[0].decode().strip().split(",")
    options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    rows = csv.read_csv(pa.BufferReader(text), convert_options=options)
    good = platform.engine.check_rows(rows, read_contract(folder / "contracts" / "orders.v2.yaml")).good
    return good.append_column(ARRIVED_AT, good["invoiced_at"])
