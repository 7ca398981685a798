"""One authority a cluster, a certificate for each of its parts, and the kubeconfigs that name them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from scripts.cluster.settings import API_SERVICE, NODE, NODE_ADDRESS, Place

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_CLIENT, _SERVER = "extendedKeyUsage=clientAuth", "extendedKeyUsage=serverAuth"
_SERVICE = "kubernetes.default.svc"
_API_NAMES = (
    f"subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:{_SERVICE},DNS:{_SERVICE}.cluster.local,"
    f"DNS:localhost,IP:127.0.0.1,IP:{API_SERVICE},IP:{NODE_ADDRESS}\n"
)
_KUBELET_NAMES = f"subjectAltName=DNS:{NODE},IP:127.0.0.1,IP:{NODE_ADDRESS}\n"
PARTS = {
    "apiserver": ("/CN=kube-apiserver", _API_NAMES + _SERVER),
    "kubelet-client": ("/O=system:masters/CN=kube-apiserver-kubelet-client", _CLIENT),
    "admin": ("/O=system:masters/CN=admin", _CLIENT),
    "controllers": ("/CN=system:kube-controller-manager", _CLIENT),
    "scheduler": ("/CN=system:kube-scheduler", _CLIENT),
    "proxy": ("/CN=system:kube-proxy", _CLIENT),
    "firewall": ("/O=system:masters/CN=kube-router", _CLIENT),
    "kubelet": (f"/O=system:nodes/CN=system:node:{NODE}", _KUBELET_NAMES + "extendedKeyUsage=clientAuth,serverAuth"),
    "front-proxy": ("/CN=front-proxy-client", _CLIENT),
}


def make(place: Place) -> None:
    """Make every key and certificate of the cluster; they are good for a year."""
    place.pki.mkdir(parents=True)
    _openssl(
        place.pki, "req", "-x509", *_CURVE, "-keyout", "ca.key", "-out", "ca.crt", "-days", "365", "-subj", "/CN=ca"
    )
    for name, (subject, extensions) in PARTS.items():
        _signed(place.pki, name, subject, extensions)
    _openssl(place.pki, "genrsa", "-out", "accounts.key", "2048")
    _openssl(place.pki, "rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")


def write_kubeconfig(place: Place, who: str, server: str, part: str = "") -> Path:
    """Write a part's kubeconfig for a server's URL; ``part`` names the certificate, if it has another name."""
    path, part = place.kubeconfig(who), part or who
    user = {"client-certificate": f"{place.pki}/{part}.crt", "client-key": f"{place.pki}/{part}.key"}
    cluster = {"server": server, "certificate-authority": f"{place.pki}/ca.crt"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "loopline",
        "clusters": [{"name": "loopline", "cluster": cluster}],
        "users": [{"name": who, "user": user}],
        "contexts": [{"name": "loopline", "context": {"cluster": "loopline", "user": who}}],
    }
    path.write_text(json.dumps(document))
    return path


def _signed(folder: Path, name: str, subject: str, extensions: str) -> None:
    key, request, certificate = f"{name}.key", f"{name}.csr", f"{name}.crt"
    folder.joinpath(f"{name}.ext").write_text(extensions)
    _openssl(folder, "req", *_CURVE, "-keyout", key, "-out", request, "-subj", subject)
    authority = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext")
    _openssl(folder, "x509", "-req", "-in", request, "-out", certificate, "-days", "365", *authority)


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
