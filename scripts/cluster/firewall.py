"""What enforces network policies: kube-router's firewall, beside kube-proxy and with none of its other parts."""

from __future__ import annotations

from scripts.cluster.certificates import write_kubeconfig
from scripts.cluster.node import rules
from scripts.cluster.processes import Processes
from scripts.cluster.settings import API_INSIDE, NODE, SERVICE_CIDR, Place, policies

_PASSED = "0x20000"
"""The mark of what policies let through; the rule that accepts it is the last of a whole round."""


def start(place: Place, processes: Processes) -> None:
    """Start it; the node has to be known to the API."""
    processes.start(
        "firewall",
        policies() / "kube-router",
        *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--enable-cni=false"),
        f"--kubeconfig={write_kubeconfig(place, 'firewall', API_INSIDE)}",
        *(f"--hostname-override={NODE}", f"--service-cluster-ip-range={SERVICE_CIDR}"),
    )


def enforces() -> bool:
    """Say whether its first round over all pods and policies is through."""
    return _PASSED in rules("KUBE-ROUTER-FORWARD")
