"""Renders the chart as Helm does, without a cluster."""

from __future__ import annotations

import json
from functools import cache

import helm_python as helm
import yaml

from loopline.platform_core import environment
from tests.cluster.installed_chart import CHART, merged

PROFILES = sorted(CHART.glob("values-*.yaml"))
NAMESPACE = "mlops"
KUBERNETES = "1.35"
RANGES = {"cidrs": ["10.0.0.0/8"]}
LEAST = {
    "image": {"repository": "r.test/loopline"},
    "teams": {"retail": None},
    "stores": dict.fromkeys(("postgresql", "redis", "objectStore", "mlflow"), RANGES),
    "networkPolicy": {"apiServer": RANGES},
}
"""What an installation has to say."""
TLS = """
    tls: {certificate: /etc/loopline-tls/tls.crt, key: /etc/loopline-tls/tls.key}
    secrets: {loopline-tls: /etc/loopline-tls}"""
ENCRYPTED = (CHART / "files" / "environment.yaml").read_text().replace("\n  drift_report:", f"{TLS}\n  drift_report:")
"""The shipped environment file, whose inference servers speak TLS."""
EVERYTHING = {
    **LEAST,
    "environment": {"text": ENCRYPTED},
    "teams": {
        "retail": None,
        "ad_tech": {
            "image": {"repository": "r.test/ads", "tag": "7"},
            "claims": {"files": "/landing"},
            "runs": {"pods": True},
            "spark": {"enabled": True},
        },
    },
    "mirror": {"enabled": True},
    "promotions": {"enabled": True, "required": True},
    "serving": {"keys": "loopline-keys"},
    "certificates": {"source": "cert-manager", "issuer": {"name": "ours"}},
    "mesh": {"kind": "istio"},
    "monitoring": {"rules": {"enabled": True}, "serviceMonitors": {"enabled": True}},
    "expose": {"enabled": True, "hostnames": ["models.test"]},
}
"""Every option that renders something."""


def profile(path):
    """Return a profile's values with what an installation has to say."""
    return merged(LEAST, yaml.safe_load(path.read_text()), {"image": {"repository": "r.test/loopline"}})


def texts(values):
    """Return each template's text."""
    with helm.Chart.load(CHART) as chart:
        return chart.render(values, name="loopline", namespace=NAMESPACE)


def objects(values):
    """Return the objects of a release, rendered once for all who only look at them."""
    return _objects(json.dumps(values))


@cache
def _objects(values):
    found = [text for path, text in texts(json.loads(values)).items() if path.endswith(".yaml")]
    return [one for text in found for one in yaml.load_all(text, yaml.CSafeLoader) if one]


def of_kind(rendered, kind, namespace=None):
    """Return objects of a kind by name."""
    return {
        one["metadata"]["name"]: one
        for one in rendered
        if one["kind"] == kind and namespace in {None, one["metadata"].get("namespace")}
    }


def pods(rendered):
    """Return the pods that objects make, by their name."""
    found = {name: one["spec"]["template"] for name, one in of_kind(rendered, "Deployment").items()}
    return found | of_kind(rendered, "Pod")


def container_of(deployment):
    """Return a Deployment's first container."""
    return deployment["spec"]["template"]["spec"]["containers"][0]


def read(rendered, namespace, folder, monkeypatch, *only):
    """Read the environment file of a namespace, as a process there does."""
    for name in ("LOOPLINE_STORE", "LOOPLINE_REDIS", "LOOPLINE_MLFLOW", "LOOPLINE_LEDGER", "LOOPLINE_DAGSTER_STORAGE"):
        monkeypatch.setenv(name, "s3://bucket")
    for file, text in of_kind(rendered, "ConfigMap", namespace)["loopline-environment"]["data"].items():
        folder.joinpath(file).write_text(text)
    return environment.read(folder / "environment.yaml", only=only)
