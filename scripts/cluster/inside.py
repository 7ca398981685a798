"""The first process of the new namespaces: it starts everything, and reaps whoever ends.

``python -m scripts.cluster.inside '<json of Start>'`` is what ``outside`` runs under ``unshare``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.cluster import cgroups, control_plane, firewall, node
from scripts.cluster.certificates import write_kubeconfig
from scripts.cluster.forward import Door, serve
from scripts.cluster.processes import Processes
from scripts.cluster.settings import API_INSIDE, NAMES_ADDRESS, NODE, NODE_ADDRESS, Place

READY = "ready"
"""The file that says that the cluster is up."""


@dataclass(frozen=True)
class Start:
    """What the outside tells the inside."""

    folder: str
    ident: str
    doors: list[Door]
    images: list[str]

    def to_json(self) -> str:
        """Write it as one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Start:
        """Read the argument."""
        data = json.loads(text)
        return cls(**{**data, "doors": [Door(**door) for door in data["doors"]]})


def main(start: Start) -> None:
    """Bring the cluster up, then carry its ports until somebody ends it."""
    place = Place(Path(start.folder), start.ident)
    processes = Processes(place.folder)
    _network()
    cgroups.make(place)
    api = _control_plane(place, processes, start.images)
    processes.start("names", sys.executable, "-m", "scripts.cluster.names", start.folder, start.ident)
    node.start_node(place, processes)
    processes.wait_for("the node is known", lambda: api.get(f"/api/v1/nodes/{NODE}") is not None)
    processes.wait_for("Services are routed", node.routes_services)  # later rounds of both keep the other's rules
    firewall.start(place, processes)
    processes.wait_for("the node is ready", lambda: _ready(api))
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    processes.wait_for("the default service account is there", lambda: api.get(account) is not None)
    processes.wait_for("network policies are enforced", firewall.enforces)
    place.folder.joinpath(READY).touch()
    processes.say("ready")
    asyncio.run(serve(start.doors, processes.reap))


def _control_plane(place: Place, processes: Processes, images: list[str]) -> control_plane.Api:
    """Start API and containerd together: images are imported while the API comes up."""
    write_kubeconfig(place, "inside", API_INSIDE, "admin")
    control_plane.start_api(place, processes)
    node.start_containerd(place, processes)
    api = control_plane.Api(place)
    processes.wait_for("containerd answers", lambda: node.containerd_answers(place))
    for image in images:
        node.import_image(place, Path(image))
        processes.say(f"image {Path(image).stem}")
    processes.wait_for("the API answers", lambda: api.get("/readyz") is not None)
    control_plane.start_controllers(place, processes)
    return api


def _network() -> None:
    """Give the namespaces a network: kubelet and kube-proxy refuse a node whose address is loopback's."""
    for command in (
        "mount --make-rprivate /",
        f"hostname {NODE}",
        "ip link set lo up",
        "ip link add node0 type bridge",
        f"ip addr add {NODE_ADDRESS}/32 dev node0",
        f"ip addr add {NAMES_ADDRESS}/32 dev node0",
        "ip link set node0 up",
        "ip route add default dev node0",
    ):
        subprocess.run(command.split(), check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")  # pods of one bridge are seen by no rule else


def _ready(api: control_plane.Api) -> bool:
    text = api.get(f"/api/v1/nodes/{NODE}")
    conditions = json.loads(text)["status"].get("conditions", []) if text else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


if __name__ == "__main__":
    main(Start.from_json(sys.argv[1]))
