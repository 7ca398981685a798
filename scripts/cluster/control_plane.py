"""etcd, the API server, the controllers and the scheduler."""

from __future__ import annotations

import http.client
import ssl

from scripts.cluster.certificates import write_kubeconfig
from scripts.cluster.processes import Processes
from scripts.cluster.settings import API_INSIDE, API_PORT, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, Place, programs

_ETCD = "http://127.0.0.1:2379"
_NODE_SILENT = "180s"
"""How long a node may say nothing: longer than the one API server, which it says it to, is away in any test."""
_FAST = ("--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=200", "--kube-api-burst=400")


def start_api(place: Place, processes: Processes) -> None:
    """Start etcd, which keeps nothing safe, and the API server on it."""
    peer = "http://127.0.0.1:2380"
    processes.start(
        "etcd",
        "etcd",
        *("--data-dir", str(place.folder / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD, "--listen-peer-urls", peer),
    )
    processes.start("apiserver", programs() / "kube-apiserver", *_api_flags(place))


def start_controllers(place: Place, processes: Processes) -> None:
    """Start what acts on the API: controller manager and scheduler."""
    pki = place.pki
    for name in ("controllers", "scheduler"):
        write_kubeconfig(place, name, API_INSIDE)
    processes.start(
        "controllers",
        programs() / "kube-controller-manager",
        *_FAST,
        *_signed_in(place, "controllers"),
        f"--service-account-private-key-file={pki}/accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        "--use-service-account-credentials",
        f"--node-monitor-grace-period={_NODE_SILENT}",
        *("--allocate-node-cidrs", f"--cluster-cidr={POD_CIDR}", f"--service-cluster-ip-range={SERVICE_CIDR}"),
        *(f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key"),
    )
    scheduler = programs() / "kube-scheduler"
    processes.start("scheduler", scheduler, *_FAST, *_signed_in(place, "scheduler"))


class Api:
    """Asks the API server from within, as its administrator."""

    def __init__(self, place: Place) -> None:
        self.context = ssl.create_default_context(cafile=str(place.pki / "ca.crt"))
        self.context.load_cert_chain(place.pki / "admin.crt", place.pki / "admin.key")

    def get(self, path: str) -> bytes | None:
        """Return what the server answers; None while it does not, or says no."""
        connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=self.context, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read() if answer.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _signed_in(place: Place, who: str) -> tuple[str, ...]:
    return tuple(f"--{what}kubeconfig={place.kubeconfig(who)}" for what in ("", "authentication-", "authorization-"))


def _api_flags(place: Place) -> tuple[str, ...]:
    pki = place.pki
    return (
        f"--etcd-servers={_ETCD}",
        *(f"--secure-port={API_PORT}", "--bind-address=0.0.0.0", f"--advertise-address={NODE_ADDRESS}"),
        *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        *(f"--kubelet-certificate-authority={pki}/ca.crt", "--kubelet-preferred-address-types=InternalIP"),
        f"--service-account-key-file={pki}/accounts.pub",
        f"--service-account-signing-key-file={pki}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        *("--authorization-mode=Node,RBAC", "--allow-privileged=true", "--profiling=false"),
        "--enable-admission-plugins=NodeRestriction,ResourceQuota,ExtendedResourceToleration",
        *(f"--requestheader-client-ca-file={pki}/ca.crt", "--requestheader-allowed-names=front-proxy-client"),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        *("--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User"),
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
    )
