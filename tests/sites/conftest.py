"""A control plane and two sites on two clouds, in processes and on ports of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.ports import free_port
from tests.conftest import RedisServer
from tests.emulators.aws import IDENTITY, REGION, AwsServer
from tests.emulators.gcs import GcsServer
from tests.emulators.postgresql import postgresql
from tests.s3_server import S3Server
from tests.sites.wire import Wire

TEAM = Path(__file__).parents[1] / "acme" / "team" / "src"
ENVIRONMENT = """
name: two-sites
bindings:
  lake: {{vendor: delta, root: "${{LOOPLINE_HOME}}/lake"}}
  online_store: {{vendor: sqlite, path: "${{LOOPLINE_HOME}}/online.db"}}
  event_source: {{vendor: folder, root: "${{LOOPLINE_HOME}}/landing"}}
  engine: {{vendor: polars}}
  registry: {{vendor: mlflow, tracking_uri: "${{CONTROL_REGISTRY}}", artifacts: "${{LOOPLINE_HOME}}/mlflow"}}
  compute: {{vendor: in_process}}
  serving: {{vendor: local, root: "${{LOOPLINE_HOME}}/serving", port: 8080}}
  drift_report: {{vendor: evidently}}
ledger: "${{CONTROL_LEDGER}}"
clock: {{replay: "${{LOOPLINE_HOME}}/clock"}}
sites:
  eu:
    bindings:
      lake: {{vendor: delta, root: {eu_lake}, storage_options: {eu_options}}}
      online_store:
        {{vendor: dynamodb, table: eu-online, create: true, region: {region}, endpoint_url: "{dynamodb}",
          timeout_seconds: 20}}
      event_source: {{vendor: folder, root: "${{LOOPLINE_HOME}}/landing/eu"}}
      registry: {{artifacts: "${{LOOPLINE_HOME}}/models/eu"}}
      compute: {{vendor: in_process}}
      serving: {{vendor: local, root: "${{LOOPLINE_HOME}}/serving/eu", port: {eu_port}}}
      drift_report: {{vendor: evidently}}
  us:
    bindings:
      lake: {{vendor: delta, root: {us_lake}, storage_options: {{google_service_account_key: "${{US_ACCOUNT}}"}}}}
      online_store: {{vendor: redis, url: "{redis}", prefix: us}}
      event_source: {{vendor: folder, root: "${{LOOPLINE_HOME}}/landing/us"}}
      registry: {{artifacts: "${{LOOPLINE_HOME}}/models/us"}}
      compute: {{vendor: in_process}}
      serving: {{vendor: local, root: "${{LOOPLINE_HOME}}/serving/us", port: {us_port}}}
      drift_report: {{vendor: evidently}}
teams:
  acme: {{sites: [eu, us]}}
"""


@dataclass
class SiteProcess:
    """A site: its process, its wire to the control plane, the folder that is its machine's disk."""

    name: str
    home: Path
    wire: Wire
    process: subprocess.Popen[str]

    def start(self, step: str, **arguments: Any) -> None:
        """Ask for a step without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"step": step, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return what the step gave."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"site {self.name} ended: {(self.home / 'log').read_text()[-3000:]}"
        found: dict[str, Any] = json.loads(line)
        return found

    def does(self, step: str, **arguments: Any) -> dict[str, Any]:
        """Ask for a step and return what it gave."""
        self.start(step, **arguments)
        return self.answer()


@dataclass(frozen=True)
class World:
    """Both sites; ``file`` is the environment file, ``variables`` the control plane's, ``databases`` its stores."""

    eu: SiteProcess
    us: SiteProcess
    file: Path
    home: Path
    variables: Mapping[str, str]
    databases: tuple[str, ...]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: S3Server,
    aws_server: AwsServer,
    gcs_server: GcsServer,
    redis_server: RedisServer,
) -> Iterator[World]:
    """Start the control plane's database, both sites' processes, and an inference server at each once it is live."""
    folder = tmp_path_factory.mktemp("sites")
    eu_port, us_port = free_port(), free_port()
    file = folder / "two-sites.yaml"
    file.write_text(
        ENVIRONMENT.format(
            eu_lake=s3_server.place(),
            eu_options=json.dumps({**s3_server.options_in_file, "aws_allow_http": "true"}),
            region=REGION,
            dynamodb=aws_server.url,
            us_lake=gcs_server.place(),
            redis=redis_server.url,
            eu_port=eu_port,
            us_port=us_port,
        )
    )
    with ExitStack() as stack:
        server = stack.enter_context(postgresql(free_port()))
        databases = {name: server.database(name.lower()) for name in ("CONTROL_LEDGER", "CONTROL_REGISTRY")}
        shared = {
            **os.environ,
            **IDENTITY,
            "LOOPLINE_ENVIRONMENT": str(file),
            "US_ACCOUNT": gcs_server.options["google_service_account_key"],
            "PYTHONPATH": os.pathsep.join([str(_installed(folder)), str(TEAM), os.environ.get("PYTHONPATH", "")]),
        }
        sites = {}
        for name in ("eu", "us"):
            wire, home = Wire(server.port), folder / name
            stack.callback(wire.close)
            away = {key: url.replace(f":{server.port}/", f":{wire.port}/") for key, url in databases.items()}
            own = {**shared, **away, "LOOPLINE_HOME": str(home)}
            sites[name] = stack.enter_context(_site(name, home, wire, own))
        for name, port in (("eu", eu_port), ("us", us_port)):
            stack.enter_context(_serving(sites[name], file, port, shared))
        home = folder / "control"
        yield World(
            sites["eu"], sites["us"], file, home, {**databases, "LOOPLINE_HOME": str(home)}, tuple(databases.values())
        )


def _installed(folder: Path) -> Path:
    """Let processes find the team, as an installation would leave it."""
    about = folder / "installed" / "acme_team-1.0.dist-info"
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: acme-team\nVersion: 1.0\n")
    about.joinpath("entry_points.txt").write_text("[loopline.teams]\nacme = acme:team\n")
    return about.parent


@contextmanager
def _site(name: str, home: Path, wire: Wire, variables: Mapping[str, str]) -> Iterator[SiteProcess]:
    home.mkdir()
    command = [sys.executable, "-m", "tests.sites.site_process", f"acme_at_{name}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, text=True, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield SiteProcess(name, home, wire, process)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _serving(site: SiteProcess, file: Path, port: int, variables: Mapping[str, str]) -> Iterator[None]:
    """Run the site's inference server, which is told of a control plane that is nowhere: it needs none."""
    nowhere = {"CONTROL_LEDGER": "postgresql://nobody@127.0.0.1:1/no", "CONTROL_REGISTRY": "http://127.0.0.1:1"}
    own = {**variables, **nowhere, "LOOPLINE_HOME": str(site.home), "LOOPLINE_SITE": site.name}
    with inference_server(file, port, variables=own):
        yield
