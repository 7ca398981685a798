"""``loopline score-stream`` on a real broker and in a folder: requests in, answers and dead records out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.scoring.scorer_status import PartitionStatus, ScorerStatus, StatusFile
from loopline.platform_core.testing.parts.model_packages import Constant, write_package

REF = ModelRef("corner", "returns")


def bound(world: Any, stream: str) -> Path:
    """Write an environment with a stream and an endpoint that keeps a log, and let a version be live in it."""
    text = world.environment.read_text().replace(
        "serving: {vendor: kept}", "serving: {vendor: local, root: %s, port: 1}"
    )
    file = world.home.parent / "streams.yaml"
    file.write_text((text % (world.home / "serving")).replace("clock:", f"  event_stream: {stream}\nclock:"))
    platform = Platform.open(file)
    served = Served("1", write_package(world.home / "package", Constant(0.75)), "cycle-1")
    msgspec.structs.replace(manifest.load(served.package), model=REF.dotted).save(served.package)
    platform.registry.publish(Publication(REF.dotted, served.package, None, None))
    change(platform, REF, served, None, 0, actor="t", reason="t", cycle="cycle-1", now=world.now)
    platform.close()
    return file


@pytest.mark.parametrize("vendor", ["kafka", "folder"])
def test_a_stream_is_scored(vendor: str, world: Any, request: pytest.FixtureRequest) -> None:
    """Two requests and a record that is none: counted, answered, put aside, logged; once more, nothing is left."""
    where = f"root: {world.home}/streams"
    if vendor == "kafka":
        where = f"bootstrap_servers: '{request.getfixturevalue('kafka')}'"
    file = bound(world, f"{{vendor: {vendor}, partitions: 2, {where}}}")
    platform = Platform.open(file)
    requests = [{"id": n, "entities": {"customer_id": n}, "features": {"amount": 2.0}} for n in (1, 2)]
    records = [Record(json.dumps(each).encode(), b"k") for each in [*requests, "no request"]]
    platform.event_stream.publish("corner/asked", records)
    command = ("score-stream", "corner/returns", "--from", "asked", "--to", "corner/said", "--once")
    done = world.json(*command, "--member", "a", "--environment", str(file))
    assert (done["answers"], done["dead"]) == (2, 1)
    assert world.json(*command, "--member", "a", "--environment", str(file))["answers"] == 0
    answers = [json.loads(row) for row in platform.event_stream.read("corner/said", {}, 9)["value"].to_pylist()]
    assert [(answer["id"], answer["probability"], answer["label"]) for answer in answers] == [
        (1, 0.75, 1),
        (2, 0.75, 1),
    ]
    assert len(platform.event_stream.read("corner/asked.dead", {}, 9)) == 1
    files = log.log_folder(world.home / "serving", REF.dotted).glob("*.frames")
    assert sum(len(records) for each in files for records, _ in log.read(each)) == 2
    platform.close()


def test_scorers_are_listed(world: Any) -> None:
    """With what each keeps of its partitions; one that was killed is silent."""
    file = bound(world, f"{{vendor: folder, root: {world.home}/streams}}")
    said = ("scorers", "corner/returns", "--environment", str(file))
    assert "no scorer of corner/returns" in world.run(*said).output
    for at in (time.time(), 0.0):
        kept = PartitionStatus(3, 40, 2, entities=5, events=9)
        status = ScorerStatus(REF.dotted, "corner/asked", at or time.time() - 60, 7, "corner.v.v1:ab12", [kept], {}, {})
        StatusFile(world.home / "serving", REF.dotted).write(status)
    found = world.json(*said)["scorers"]
    assert sorted(one["silent"] for one in found) == [False, True]
    assert found[0]["partitions"] == [{"partition": 3, "place": 40, "lag": 2, "entities": 5, "events": 9}]
    assert "corner.v.v1:ab12" in world.run(*said).output


@pytest.mark.parametrize("missing", ["--from", "--to"])
def test_both_streams_are_named(world: Any, missing: str) -> None:
    """Where answers go is nobody's guess."""
    given = [each for name in ("--from", "--to") if name != missing for each in (name, "x")]
    assert missing in world.run("score-stream", "returns", *given).output
