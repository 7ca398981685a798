"""Starts a cluster in namespaces of its own and ends it without a trace: no process, mount or cgroup stays."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from scripts.cluster import certificates, cgroups
from scripts.cluster.forward import opened
from scripts.cluster.images import Images
from scripts.cluster.inside import READY, Start
from scripts.cluster.seed import plant
from scripts.cluster.settings import HERE, Place, gateway, policies, programs

_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc")
PROGRAMS = ("etcd", "containerd", "ctr", "runc", "iptables", "ipset", "conntrack", "ip", "openssl")
_PR_SET_PDEATHSIG = 1
_NUMBERS = count(1)
_LOG_TAIL = 3000


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up: its folder, its administrator's kubeconfig, and its node's ports outside by number.

    ``network`` is the namespace of its network, into which a server that pods shall reach can be started (nsenter).
    """

    folder: Path
    kubeconfig: Path
    ports: dict[str, int]
    network: Path


def obstacle() -> str | None:
    """Say why this machine cannot hold a cluster whatever is installed; None: it can."""
    if os.geteuid() != 0:
        return "a cluster needs root, for namespaces and cgroups"
    tried = subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True, text=True)
    return None if tried.returncode == 0 else f"a cluster needs namespaces of its own: {tried.stderr.strip()}"


def missing() -> list[str]:
    """List the programs that are not there; ``scripts/cluster.sh`` brings all of them."""
    built = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
    wanted = [programs() / name for name in built] + [policies() / "kube-router"]
    wanted += [gateway() / "envoy-gateway", gateway() / "chart"]
    return [name for name in PROGRAMS if not shutil.which(name)] + [one.name for one in wanted if not one.exists()]


@contextmanager
def running(folder: Path, images: Images, ports: tuple[int, ...] = (), limit_seconds: float = 240) -> Iterator[Cluster]:
    """Run a cluster with images on its node; ``ports`` of the node are reached through ports of this machine.

    Raises:
        RuntimeError: it did not come up, with the end of its log.
    """
    cgroups.sweep()
    place = Place(folder.absolute(), f"{os.getpid()}-{next(_NUMBERS)}")
    place.folder.mkdir(parents=True)
    certificates.make(place)
    plant(images.seed, place.folder / "containerd")
    doors, outside = opened(ports)
    kubeconfig = certificates.write_kubeconfig(place, "admin", f"https://127.0.0.1:{outside['api']}")
    start = Start(str(place.folder), place.ident, doors, [str(archive) for archive in images.archives])
    process = _start(place, start)
    for door in doors:
        os.close(door.descriptor)
    try:
        _until_ready(place, process, limit_seconds)
        yield Cluster(place.folder, kubeconfig, outside, Path(f"/proc/{process.pid}/ns/net"))
    finally:
        process.kill()  # unshare ignores SIGTERM; --kill-child takes the namespaces' first process along, and so all
        process.wait()
        cgroups.remove(place.cgroup)
        subprocess.run(["rm", "-rf", str(place.folder)], check=False)  # tens of thousands of files


def _start(place: Place, start: Start) -> subprocess.Popen[bytes]:
    command = [*_UNSHARE, sys.executable, "-m", "scripts.cluster.inside", start.to_json()]
    with place.folder.joinpath("cluster.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=HERE.parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[door.descriptor for door in start.doors],
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call, and no lock is held
        )


def _end_with_parent() -> None:
    """However the caller ends, even by kill -9: the cluster ends with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _until_ready(place: Place, process: subprocess.Popen[bytes], limit_seconds: float) -> None:
    until = time.monotonic() + limit_seconds
    while not place.folder.joinpath(READY).exists():
        if process.poll() is not None or time.monotonic() > until:
            log = place.folder.joinpath("cluster.log").read_text()[-_LOG_TAIL:]
            raise RuntimeError(f"the cluster did not come up within {limit_seconds:g} s:\n{log}")
        time.sleep(0.05)
