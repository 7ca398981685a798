"""One real node: containerd with its images, kubelet, kube-proxy, and a bridge for the pods."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from scripts.cluster.certificates import write_kubeconfig
from scripts.cluster.processes import Processes
from scripts.cluster.settings import (
    API_INSIDE,
    NAMES_ADDRESS,
    NODE,
    NODE_ADDRESS,
    NODE_CIDR,
    POD_CIDR,
    Place,
    programs,
)

PAUSE = "loopline.local/pause:1"
"""The image that holds a pod's namespaces open."""


def start_containerd(place: Place, processes: Processes) -> None:
    """Start containerd with settings of its own; pods get addresses on a bridge."""
    for name in ("run", "cni", "kubelet"):
        place.folder.joinpath(name).mkdir(exist_ok=True)
    _write(place.folder / "cni" / "10-pods.conflist", _network(place))
    settings = place.folder / "containerd.toml"
    settings.write_text(_CONTAINERD.format(folder=place.folder, socket=place.containerd_socket, pause=PAUSE))
    processes.start("containerd", "containerd", "--config", str(settings))


def import_image(place: Place, archive: Path) -> None:
    """Make an OCI archive's image known to the node."""
    subprocess.run([*_ctr(place), "images", "import", str(archive)], check=True, capture_output=True)


def containerd_answers(place: Place) -> bool:
    """Say whether containerd is up."""
    return subprocess.run([*_ctr(place), "version"], check=False, capture_output=True).returncode == 0


def start_node(place: Place, processes: Processes) -> None:
    """Start kubelet and kube-proxy."""
    for name in ("kubelet", "proxy"):
        write_kubeconfig(place, name, API_INSIDE)
    settings = _write(place.folder / "kubelet.json", _kubelet(place))
    processes.start(
        "kubelet",
        programs() / "kubelet",
        *(f"--kubeconfig={place.kubeconfig('kubelet')}", f"--config={settings}"),
        *(f"--root-dir={place.folder}/kubelet", f"--cert-dir={place.folder}/kubelet/pki"),
        *(f"--node-ip={NODE_ADDRESS}", f"--hostname-override={NODE}", "--node-labels=loopline.dev/pool=cpu"),
    )
    settings = _write(place.folder / "proxy.json", _proxy(place))
    processes.start("proxy", programs() / "kube-proxy", f"--config={settings}")


def routes_services() -> bool:
    """Say whether kube-proxy's first round of rules is through."""
    return bool(rules("KUBE-FORWARD"))


def rules(chain: str) -> str:
    """Return the rules of a chain of the node's, "" where there is no such chain."""
    command = ["iptables", "--wait", "--list-rules", chain]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _ctr(place: Place) -> list[str]:
    return ["ctr", "-a", str(place.containerd_socket), "-n", "k8s.io"]


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


_CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "{folder}/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


def _network(place: Place) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": f"{place.folder}/addresses",
        "ranges": [[{"subnet": NODE_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}


def _kubelet(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.cgroup}",
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": f"unix://{place.containerd_socket}",
        "address": "0.0.0.0",
        "authentication": {
            "x509": {"clientCAFile": f"{place.pki}/ca.crt"},
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{place.pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{place.pki}/kubelet.key",
        "failSwapOn": False,
        "readOnlyPort": 0,
        "healthzPort": 10248,
        "clusterDomain": "cluster.local",
        "clusterDNS": [NAMES_ADDRESS],
        "resolvConf": "",
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,
        "maxPods": 200,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "4s",
        "volumePluginDir": f"{place.folder}/volumeplugins",
        "podLogsDir": f"{place.folder}/podlogs",
        "serializeImagePulls": False,
    }


def _proxy(place: Place) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(place.kubeconfig("proxy"))},
        "hostnameOverride": NODE,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "bindAddress": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
