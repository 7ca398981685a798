"""What the parts of the cluster agree on: addresses, names and where programs and state lie."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
POD_CIDR, SERVICE_CIDR = "198.18.0.0/16", "198.19.0.0/16"
"""The range for benchmarks: it is routed nowhere."""
NODE_CIDR = "198.18.0.0/24"
API_SERVICE, NODE_ADDRESS = "198.19.0.1", "198.18.255.1"
NAMES_ADDRESS = "169.254.20.10"
"""Where pods ask for names: the address that a cache of names on each node has in any cluster that runs one."""
NODE = "node-1"
API_PORT = 6443
API_INSIDE = f"https://127.0.0.1:{API_PORT}"
CGROUPS = Path("/sys/fs/cgroup")


def cache() -> Path:
    """Return the folder outside of any clone that keeps what takes minutes to build."""
    kept = os.environ.get("LOOPLINE_CACHE") or f"{os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'}/loopline"
    return Path(kept)


def programs() -> Path:
    """Return the folder of Kubernetes' programs, which ``scripts/cluster.sh`` fills: one for each ``go.mod``."""
    return _built("kubernetes", HERE)


def policies() -> Path:
    """Return the folder of the program that enforces network policies, filled by the same script."""
    return _built("policies", HERE / "policies")


def gateway() -> Path:
    """Return the folder of Envoy Gateway's program and chart, filled by the same script."""
    return _built("gateway", HERE / "gateway")


def _built(name: str, sources: Path) -> Path:
    parts = b"".join(sources.joinpath(part).read_bytes() for part in ("go.mod", "go.sum", "tools.go"))
    return cache() / name / hashlib.sha256(parts).hexdigest()[:16]


@dataclass(frozen=True)
class Place:
    """One cluster: its folder, and the id that its cgroups carry."""

    folder: Path
    ident: str

    @property
    def pki(self) -> Path:
        """Return the folder of its certificates."""
        return self.folder / "pki"

    @property
    def cgroup(self) -> str:
        """Return the name of the cgroup above all of its pods."""
        return f"loopline-{self.ident}"

    @property
    def containerd_socket(self) -> Path:
        """Return where containerd listens."""
        return self.folder / "run" / "containerd.sock"

    def kubeconfig(self, who: str) -> Path:
        """Return where a part's kubeconfig lies."""
        return self.folder / f"{who}.kubeconfig"
