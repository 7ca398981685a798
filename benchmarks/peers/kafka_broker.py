"""A real Kafka broker for tests and benchmarks: one KRaft node on free ports, in a folder that goes afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import ROOT
from loopline.platform_core.foundation.ports import free_ports

LIBS = ROOT / ".peers" / "kafka" / "libs"
JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
CLUSTER = "bG9vcGxpbmUtdGVzdC1rZg"
"""Any 16 bytes in base64."""
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{listeners}
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.enable=false
"""
MORE = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
"""The property of the process that names from where a broker may take the keys of tokens."""
START_SECONDS = 240
"""For what hangs: it takes five seconds on a machine alone, and a minute on one that is overcommitted."""


@dataclass(frozen=True)
class Doors:
    """What a broker listens on besides ``PLAINTEXT``: ports by name, settings, SCRAM passwords by user, a key file."""

    ports: Mapping[str, int] = field(default_factory=dict)
    settings: str = ""
    scram: Mapping[str, str] = field(default_factory=dict)
    keys: str = "none"

    @property
    def listeners(self) -> str:
        """Return the rest of the line ``listeners``."""
        return "".join(f",{name}://127.0.0.1:{port}" for name, port in self.ports.items())


@contextmanager
def broker(folder: Path, doors: Doors | None = None) -> Iterator[str]:
    """Run a broker that keeps its data in the folder; gives its ``bootstrap_servers`` without TLS.

    Raises:
        RuntimeError: its jars cannot be had, or it does not start.
    """
    fetched = subprocess.run([ROOT / "scripts" / "kafka.sh"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise RuntimeError(f"no Kafka: {fetched.stdout}{fetched.stderr}")
    doors, ports, settings = doors or Doors(), free_ports(2), folder / "server.properties"
    common = SETTINGS.format(broker=ports[0], controller=ports[1], folder=folder, listeners=doors.listeners)
    settings.write_text(common + doors.settings)
    users = [f"SCRAM-SHA-512=[name={user},password={password}]" for user, password in doors.scram.items()]
    scram = [word for user in users for word in ("--add-scram", user)]
    with (folder / "log.txt").open("wb") as log:
        _java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", settings, *scram, log=log).wait(START_SECONDS)
        server = _java(f"-D{MORE}={doors.keys}", "kafka.Kafka", settings, log=log)
        try:
            _wait_for(ports[0], server, folder / "log.txt")
            yield f"127.0.0.1:{ports[0]}"
        finally:
            server.kill()  # its folder goes too: nothing is worth saving
            server.wait(30)


def _java(*arguments: object, log: object) -> subprocess.Popen[bytes]:
    command = ["java", *JVM, QUIET, "-cp", f"{LIBS}/*", *map(str, arguments)]
    return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the broker tells of itself and gives producers their ids, not only until its port is open."""
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient

    common = {"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}
    admin = AdminClient(common)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if admin.list_topics(timeout=1).brokers:
                Producer({**common, "transactional.id": "is-it-up"}).init_transactions(5)
                return
        except KafkaException:
            time.sleep(0.1)
    raise RuntimeError(f"Kafka did not start: {log.read_text()[-2000:]}")
