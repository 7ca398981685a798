"""``loopline conformance`` on deploy/environments/servers.yaml: real servers, on which others have things as well."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka.admin import AdminClient
from mlflow import MlflowClient

from tests.loopline.conformance.conftest import COMMAND
from tests.mlflow_server import mlflow_server

FILE = Path(__file__).parents[3] / "deploy" / "environments" / "servers.yaml"
CONTRACTS = ("online_store", "event_stream", "registry")


@pytest.fixture
def variables(redis_server: Any, kafka: str, tmp_path: Path) -> Any:
    """Say where the servers are."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    with mlflow_server(folder) as port:
        servers = {"LOOPLINE_REDIS": redis_server.url, "LOOPLINE_KAFKA": kafka}
        yield servers | {"LOOPLINE_MLFLOW": f"http://127.0.0.1:{port}", "LOOPLINE_HOME": str(tmp_path / "home")}


def seen(variables: dict[str, str]) -> dict[str, Any]:
    """List what the servers and the home hold."""
    store, admin = (
        redis.Redis.from_url(variables["LOOPLINE_REDIS"]),
        AdminClient({"bootstrap.servers": variables["LOOPLINE_KAFKA"]}),
    )
    client = MlflowClient(variables["LOOPLINE_MLFLOW"], variables["LOOPLINE_MLFLOW"])
    home = Path(variables["LOOPLINE_HOME"])
    kept = home / "conformance" / "last"
    return {
        "keys": sorted(store.keys()),
        "topics": sorted(name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")),
        "groups": sorted(one.group_id for one in admin.list_consumer_groups().result().valid),
        "models": sorted(model.name for model in client.search_registered_models()),
        "experiments": sorted(one.name for one in client.search_experiments()),
        "files": sorted(str(path) for path in home.rglob("*") if path.is_file() and kept not in path.parents),
    }


def test_every_promise_on_real_servers_and_nothing_left(variables: dict[str, str]) -> None:
    """What others have there is as it was; a home keeps only the record of what runs found."""
    store = redis.Redis.from_url(variables["LOOPLINE_REDIS"])
    store.set("loopline:team.view.v1:7", b"own")
    MlflowClient(variables["LOOPLINE_MLFLOW"]).create_registered_model("team.own")
    before = seen(variables)
    asked = [word for contract in CONTRACTS for word in ("--contract", contract)]
    command = [*COMMAND, "conformance", "--output", "json", "--environment", str(FILE), *asked]
    done = subprocess.run(command, env=os.environ | variables, text=True, capture_output=True, check=False)
    said = json.loads(done.stdout)
    verdicts = {held["contract"]: {promise["verdict"] for promise in held["promises"]} for held in said["held"]}
    one_list = {"registry": {"kept", "not claimed"}}  # a server has no other registry to carry versions to
    assert verdicts == {contract: {"kept"} for contract in CONTRACTS} | one_list, said
    assert [held["problem"] for held in said["held"]] == ["", "", ""]
    assert done.returncode == 0
    assert seen(variables) == before
    store.delete("loopline:team.view.v1:7")
