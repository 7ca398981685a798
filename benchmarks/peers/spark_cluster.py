"""A real Spark cluster for tests and benchmarks: a standalone master, its workers, and a Spark Connect server.

All of it comes with the ``pyspark`` distribution; Java 17 must be there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.peers import ROOT
from loopline.platform_core.foundation.ports import free_ports

HOST = "127.0.0.1"
START_SECONDS = 600
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
LITTLE = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
"""For a Java that lives for minutes on a core that it shares."""
DAEMON = {"SPARK_DAEMON_JAVA_OPTS": f"{LITTLE} -Dspark.master.rest.enabled=false"}
SMALL = {
    "spark.executor.memory": "640m",
    "spark.executor.extraJavaOptions": LITTLE,
    "spark.driver.extraJavaOptions": LITTLE,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.host": HOST,
    "spark.driver.bindAddress": HOST,
}
"""For small tables: little memory, few parts, and no code that must be compiled."""


class SparkCluster:
    """Processes of a cluster that keep their logs and work below a folder; ``python`` is what executors run."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder, self._python = folder, python
        self._port, self._page = free_ports(2)
        self.master = f"spark://{HOST}:{self._port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, workers: int = 2, memory: str = "1g") -> None:
        """Start a master, and workers of one core each.

        Raises:
            TimeoutError: one does not start.
        """
        self._begin("master", "org.apache.spark.deploy.master.Master", *_at(self._port, self._page))
        self._wait("master", "I have been elected leader")
        self.add_workers(workers, memory)

    def add_workers(self, count: int = 1, memory: str = "1g") -> None:
        """Start more workers of one core each, and wait until the master knows them."""
        names = [f"worker{len(self.workers) + more}" for more in range(count)]
        for name in names:
            place = ("--work-dir", str(self.folder / name), *_at(*free_ports(2)))
            size = ("--cores", "1", "--memory", memory)
            self.workers.append(self._begin(name, "org.apache.spark.deploy.worker.Worker", *size, *place, self.master))
        for name in names:
            self._wait(name, "Successfully registered with master")

    def connect(self, options: Mapping[str, str] = SMALL) -> str:
        """Start a Spark Connect server whose application runs on the cluster; returns its ``sc://`` address.

        Raises:
            TimeoutError: it does not start.
        """
        (port,) = free_ports(1)
        settings = {**options, "spark.connect.grpc.binding.address": HOST, "spark.connect.grpc.binding.port": f"{port}"}
        told = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        submit = ["org.apache.spark.deploy.SparkSubmit", "--master", self.master]
        self._begin("connect", *submit, *told, "--class", SERVER, "spark-internal", memory="768m")
        self._wait("connect", "Spark Connect server started at")
        return f"sc://{HOST}:{port}"

    def alive(self) -> list[int]:
        """Return the numbers of the workers that were not killed."""
        return [number for number, each in enumerate(self.workers) if each.poll() is None]

    def executors(self, worker: int) -> list[int]:
        """Return the process ids of a worker's executors."""
        import psutil

        found = []
        for each in psutil.Process(self.workers[worker].pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                if "CoarseGrainedExecutorBackend" in " ".join(each.cmdline()):
                    found.append(each.pid)
        return found

    def kill(self, worker: int) -> None:
        """Kill a worker with all that it runs, as when its machine vanishes."""
        _kill(self.workers[worker])

    def log(self, name: str) -> str:
        """Return what a process said: ``master``, ``worker0``, ..., ``connect``."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, *names: str) -> None:
        """Kill the named processes, or all."""
        for name in names or reversed(list(self._all)):
            _kill(self._all.pop(name))

    def _begin(self, name: str, main: str, *arguments: str, memory: str = "192m") -> subprocess.Popen[bytes]:
        import pyspark

        home = Path(pyspark.__file__).parent
        own = {"SPARK_HOME": str(home), "PYSPARK_PYTHON": self._python, "PYTHONPATH": str(ROOT), **DAEMON}
        own |= {"SPARK_LOCAL_DIRS": str(self.folder / "spill"), "SPARK_CONF_DIR": str(self.folder)}
        own |= {"SPARK_DAEMON_MEMORY": memory, "SPARK_LOCAL_IP": HOST}
        with (self.folder / f"{name}.log").open("wb") as log:
            self._all[name] = subprocess.Popen(
                [str(home / "bin" / "spark-class"), main, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=os.environ | own,
            )
        return self._all[name]

    def _wait(self, name: str, words: str) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._all[name].poll() is None:
            if words in self.log(name):
                return
            time.sleep(0.2)
        raise TimeoutError(f"Spark's {name} did not start: {self.log(name)[-2000:]}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.kill()
    process.wait(30)


def _at(port: int, page: int) -> tuple[str, ...]:
    return ("--host", HOST, "--port", str(port), "--webui-port", str(page))
