"""The tests' own Kubernetes: it comes up beside another one, and nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from kubernetes import client, config

from scripts.cluster.images import only_pause
from scripts.cluster.outside import running
from scripts.cluster.settings import CGROUPS, NODE

pytestmark = pytest.mark.timeout(600)  # the first one brings the cluster up
OWNER = """
import sys, time
from pathlib import Path
from scripts.cluster.images import only_pause
from scripts.cluster.outside import running
with running(Path(sys.argv[1]), only_pause()) as found:
    print("up", flush=True)
    time.sleep(600)  # until it is killed
"""


def left(folder: Path) -> list[str]:
    """List what speaks of a cluster's folder: processes and mounts."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in process.joinpath("cmdline").read_text():
                found.append(process.joinpath("cmdline").read_text())
        except OSError:
            continue
    return found + [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]


@pytest.fixture
def place():
    """Name a folder whose sockets have short enough names: tests' own folders have long ones, under several workers."""
    with tempfile.TemporaryDirectory(prefix="loopline-cluster-") as folder:
        yield Path(folder)


def test_two_side_by_side_and_one_ends_without_a_trace(cluster, place):
    """Ports, networks and cgroups are each cluster's own; processes, mounts, cgroups and files go with it."""
    ours = f"*/loopline-{os.getpid()}-*"  # another worker's may come up meanwhile
    before = set(CGROUPS.glob(ours))
    with running(place / "second", only_pause()) as second:
        core = client.CoreV1Api(config.new_client_from_config(str(second.kubeconfig)))
        assert [node.metadata.name for node in core.list_node().items] == [NODE]
        assert set(CGROUPS.glob(ours)) > before
    assert left(second.folder) == []
    assert set(CGROUPS.glob(ours)) == before
    assert not second.folder.exists()
    first = client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig)))
    assert first.read_node(NODE)


def test_it_ends_with_its_owner(place):
    """Whoever started it is killed (-9): no process stays."""
    command = [sys.executable, "-c", OWNER, str(place / "owned")]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "up\n"
    owner.kill()
    owner.wait()
    end = time.monotonic() + 20
    while left(place / "owned") and time.monotonic() < end:
        time.sleep(0.1)  # between two looks
    assert left(place / "owned") == []
