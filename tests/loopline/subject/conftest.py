"""A club whose members are persons, on the laptop's vendors: real lake, store, files, stream, log and ledger."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import (
    ModelRef,
    explanations_table,
    prediction_table,
    realised_table,
    scores_table,
)
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles.cycles import open_cycle
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.monitor.quality import predictions
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.training import training_set

ANN, BEN, CID = "8810471", "8810472", "8810473"
"""Members; Ann is the one who asks."""
T0 = datetime(2030, 3, 1, 12, tzinfo=UTC)
REF = ModelRef("club", "stays")
POINTS = """
[loopline.teams]
club = club_team:team

[loopline.vendors]
registry.memory = loopline.platform_core.testing.fakes.registry:InMemoryRegistry
"""
ENVIRONMENT = """
name: test
bindings:
  lake: {vendor: delta, root: "${LOOPLINE_HOME}/lake"}
  online_store: {vendor: sqlite, path: "${LOOPLINE_HOME}/online.db"}
  event_source: {vendor: folder, root: "${LOOPLINE_HOME}/landing", still_seconds: 0}
  event_stream: {vendor: folder, root: "${LOOPLINE_HOME}/streams"}
  engine: {vendor: polars}
  registry: {vendor: memory}
  compute: {vendor: in_process}
  serving: {vendor: local, root: "${LOOPLINE_HOME}/serving", port: 0}
  drift_report: {vendor: evidently}
clock: {replay: "${LOOPLINE_HOME}/clock"}
"""
TEAM = '''
"""A club: who stays a member?"""

import narwhals as nw

from loopline.specs import AtLeast, Drift, Model, Source, Team, feature_view, labels

visits = Source("visits", contract="visits.yaml")
gifts = Source("gifts", contract="gifts.yaml")
taps = Source("taps", contract="taps.yaml", arrives="stream")


@feature_view(visits, entity="member_id", time="at", ttl_days=900)
def habits(rows):
    """Per member and visit: what was spent."""
    return rows.select("member_id", "at", "spent")


@feature_view(gifts, entity="gift_id", time="at", ttl_days=900)
def given(rows):
    """Per gift: what it was worth."""
    return rows.select("gift_id", "at", "worth")


@feature_view(taps, entity="member_id", time="at", ttl_days=900)
def tapped(rows):
    """Per member and tap: at which door."""
    return rows.select("member_id", "at", "door")


@labels(visits, entities=("member_id",), time="at", label="stayed", known_at="at")
def stayed(rows):
    """Per visit: did the member stay."""
    return rows.select("member_id", "at", "stayed")


def fit(train, valid, params, report):
    """Fit nothing."""
    raise NotImplementedError


stays = Model("stays", features=(habits,), labels=stayed, fit=fit, gates=(AtLeast("roc_auc", 0.6),), drift=Drift())
team = Team("club", __file__, models=(stays,), features=(given, tapped))
'''
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
schema:
  - name: {name}
    properties:
"""
TIME = '      - {name: at, logicalType: timestamp, required: true, logicalTypeOptions: {format: "%Y-%m-%d %H:%M:%S"}}\n'
MEMBER = (
    "      - {name: member_id, physicalName: Member, logicalType: integer, required: true, classification: personal}\n"
)
COLUMNS = {
    "visits": MEMBER
    + TIME
    + "      - {name: spent, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}\n"
    + "      - {name: stayed, logicalType: number}\n",
    "gifts": "      - {name: gift_id, logicalType: integer, required: true}\n"
    "      - {name: giver, logicalType: string, customProperties: [{property: entity, value: member_id}]}\n"
    + TIME
    + "      - {name: worth, logicalType: number, required: true}\n",
    "taps": MEMBER + TIME + "      - {name: door, logicalType: number}\n",
}
HEADERS = {"visits": "Member,at,spent,stayed\n", "gifts": "gift_id,giver,at,worth\n"}


@dataclass
class Club:
    """The team on its platform, and what the tests let happen."""

    home: Path
    team: Any
    platform: Platform
    now: datetime = T0
    cycles: list[str] = field(default_factory=list)

    @property
    def model(self) -> Any:
        """Return the one model."""
        return self.team.models[0]

    def later(self, hours: float = 1) -> None:
        """Move the clock."""
        self.now += timedelta(hours=hours)
        ReplayClock(self.home / "clock").set(self.now)

    def again(self) -> None:
        """Begin as a new process does."""
        self.platform.close()
        self.platform = Platform.open()

    def deliver(self, source: str, name: str, *rows: str) -> Path:
        """Let a file come, as of now."""
        folder = self.home / "landing/club" / source
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath(f".{name}").write_text(HEADERS[source] + "".join(f"{row}\n" for row in rows))
        os.utime(folder / f".{name}", (self.now.timestamp(),) * 2)
        return folder.joinpath(f".{name}").rename(folder / name)

    def tap(self, *members: str) -> None:
        """Let members tap at a door, as records of the stream."""
        at = f"{self.now:%Y-%m-%d %H:%M:%S}"
        values = [json.dumps({"Member": int(member), "at": at, "door": 1}).encode() for member in members]
        self.platform.event_stream.publish("club/taps", [Record(value) for value in values])

    def land(self, *sources: str) -> None:
        """Land and materialize."""
        for source in self.team.sources:
            if not sources or source.name in sources:
                land(self.platform, self.team, source)
        for view in self.team.views:
            materialize(self.platform, self.team, view)

    def answer(self, *members: str) -> None:
        """Let the endpoint answer one request about some members, as its log has it."""
        hiding = personal.pseudonyms()
        us = int(self.now.timestamp() * 1e6)
        keys = [json.dumps({"member_id": hiding.of("member_id", int(member))}) for member in members]
        rows = [json.dumps({"spent": float(n)}) for n, _ in enumerate(members)]
        missing: list[list[str]] = [[] for _ in members]
        scores = [0.25] * len(members)
        answered = scores, keys, rows, missing, missing, us
        record = log.Record(f"r{us}", us, us, "1", "c", "stable", 200, 1.5, *answered)
        written = log.PredictionLog(self.home / "serving", f"worker-{time.time_ns()}")
        written.write(REF.dotted, record)
        written.close()

    def compact(self) -> None:
        """Move the log into the lake."""
        predictions.compact(self.platform, self.team, self.model)

    def train(self, version: str) -> training_set.TrainingSet:
        """Pin a training set in a cycle, and register a version of it."""
        ledger = self.platform.ledger
        cycle = open_cycle(ledger, REF, self.model.drift, "test", version, self.now, force=True).cycle_id
        pinned = training_set.build(self.platform, self.team, self.model, self.now)
        told = {"team": REF.team, "model": REF.model, "cycle": cycle}
        ledger.record(Entry(PINNED, self.now, **told, details=training_set.to_json(pinned)))
        ledger.record(Entry(REGISTERED, self.now, **told, version=version, details={"metrics": {}}))
        return pinned

    def members(self, table: str) -> list[str]:
        """Read the members of a table, sorted."""
        rows = self.platform.lake.read(table)
        return sorted(map(str, rows["giver" if "giver" in rows.column_names else "member_id"].to_pylist()))

    def run(self, *arguments: str, code: int = 0) -> Any:
        """Run the command line in this process and return its JSON."""
        from loopline.cli import loopline

        result = CliRunner().invoke(loopline, [*arguments, "--output", "json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)


@pytest.fixture
def club(tmp_path, monkeypatch, install) -> Club:
    """Install the club, and let a month of it happen."""
    install("club", POINTS, club_team=TEAM)
    site = tmp_path / "site-club"
    for name, columns in COLUMNS.items():
        site.joinpath(f"{name}.yaml").write_text(CONTRACT.format(name=name) + columns)
    file = tmp_path / "test.yaml"
    file.write_text(ENVIRONMENT)
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    monkeypatch.setenv("LOOPLINE_USER", "alice")
    monkeypatch.setenv(personal.VARIABLE, "a secret of this installation")
    team = importlib.import_module("club_team").team
    club = Club(tmp_path / "home", team, Platform.open())
    club.later(0)
    yield club
    club.platform.close()


@pytest.fixture(scope="module")
def kept_home(tmp_path_factory) -> Path:
    """Keep the home in which things have happened, for the next test: it is the same wherever it lies."""
    return tmp_path_factory.mktemp("kept") / "home"


@pytest.fixture
def lived(club, kept_home) -> Club:
    """Let Ann, Ben and Cid be members: in every place there is something on Ann."""
    if kept_home.exists():
        club.platform.close()
        shutil.copytree(kept_home, club.home, dirs_exist_ok=True)
        club.platform = Platform.open()
        club.now = T0 + timedelta(hours=2)
        return club
    _live(club)
    club.again()
    shutil.copytree(club.home, kept_home)
    return club


def _live(club: Club) -> None:
    club.deliver(
        "visits",
        "one.csv",
        f"00{ANN},2030-02-01 10:00:00,5.5,1",
        f"{BEN},2030-02-01 11:00:00,2.5,0",
        f"{ANN},2030-02-02 10:00:00,-1,1",
        f"{ANN};2030-02-03 10:00:00",
    )
    club.deliver("gifts", "gifts.csv", f"1,{ANN},2030-02-01 09:00:00,3", f"2,{BEN},2030-02-01 09:00:00,4")
    club.tap(ANN, BEN)
    club.land()
    club.later()
    club.deliver("visits", "two.csv", f"{ANN},2030-02-10 10:00:00,7.5,0", f"{CID},2030-02-10 11:00:00,1.5,1")
    club.land()
    club.answer(ANN, BEN)
    club.answer(ANN)
    club.compact()
    club.answer(CID, ANN)
    rows = club.platform.lake.read(prediction_table(*REF))
    for table in (realised_table, scores_table, explanations_table):
        club.platform.lake.append(table(*REF), rows)
    club.later()


@pytest.fixture(autouse=True)
def _forget_club() -> None:
    """Let each test import its own club."""
    import sys

    yield
    sys.modules.pop("club_team", None)
