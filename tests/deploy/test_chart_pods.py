"""What a cluster asks of pods is a value of the chart, and reaches every pod: ours, trainings, runs, endpoints."""

from __future__ import annotations

import json

import kubernetes_validate
import yaml

from loopline.platform_core.specs.model import Requirements
from loopline.pod.run_pods import launcher_settings
from loopline.pod.settings import DagsterSettings
from loopline.resources.kubernetes.endpoint_manifests import manifests
from loopline.resources.kubernetes.job import manifest
from tests.deploy.helm_chart import CHART, KUBERNETES, LEAST, NAMESPACE, merged, objects, of_kind, pods, profile, read

OPENSHIFT = CHART / "values-openshift.yaml"
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
PLACED = {
    "image": {"pullPolicy": "Always", "pullSecrets": ["registry"]},
    "scheduling": {
        "nodeSelector": {"pool": "ml"},
        "tolerations": [{"key": "ml", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClass": "high.value",
    },
    "podLabels": {"cost": "ml"},
    "podAnnotations": {"audit.test/seen": "yes"},
    "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "extraVolumes": [{"name": "shared", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    "caBundle": {"configMap": "authorities"},
    "environment": {"variables": {"HTTPS_PROXY": "http://proxy.test:3128"}},
    "teams": {"retail": {"variables": {"OURS": 7}, "runs": {"pods": True}}},
}
"""What a cluster may ask of every pod."""
TRUST = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"), "/etc/loopline-ca/ca.crt")


def placed_pods(values, monkeypatch, folder):
    """Return each kind of pod's template by name: our own processes, and what they make by the environment file."""
    rendered = objects(values)
    bound = read(rendered, "mlops-retail", folder, monkeypatch, "compute", "serving").bindings
    run = DagsterSettings(
        storage="postgresql://h/d", run_pods=yaml.safe_load(folder.joinpath("run-pods.yaml").read_text())
    ).run_pods["retail"]
    settings = launcher_settings("retail", run)["run_k8s_config"]
    run_spec = settings["pod_spec_config"] | {"containers": [{"name": "run", **settings["container_config"]}]}
    made = {
        "training": manifest(bound["compute"], Requirements(), "k", "t", "a")["spec"]["template"],
        "endpoint": manifests(bound["serving"], "retail", "retail.m")[0]["spec"]["template"],
        "run": {"metadata": settings["pod_template_spec_metadata"], "spec": run_spec},
    }
    return made | {name: one for name, one in pods(rendered).items() if not name.endswith("-test")}


def test_what_a_cluster_asks_of_pods_reaches_every_one(monkeypatch, tmp_path):
    """The platform's, teams' code locations, runs, trainings and endpoints; all of it is taken by Kubernetes."""
    found = placed_pods(merged(LEAST, PLACED), monkeypatch, tmp_path)
    assert {"training", "endpoint", "run", "loopline-portal", "loopline-code-retail"} <= set(found)
    for name, one in found.items():
        spec, asked = one["spec"], PLACED["scheduling"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"} | one["metadata"], "spec": spec}
        kubernetes_validate.validate(json.loads(json.dumps(pod)), KUBERNETES, strict=True)
        assert spec["imagePullSecrets"] == [{"name": "registry"}], name
        assert (spec["nodeSelector"], spec["affinity"]) == (asked["nodeSelector"], asked["affinity"])
        assert asked["tolerations"][0] in spec["tolerations"]
        assert spec["priorityClassName"] == "high.value"
        assert one["metadata"]["labels"]["cost"] == "ml"
        assert one["metadata"]["annotations"]["audit.test/seen"] == "yes"
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert {"shared", "ca-bundle"} <= {volume["name"] for volume in spec["volumes"]}
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            assert name == "run" or container["imagePullPolicy"] == "Always"  # the launcher says it of runs
            assert {"/shared", "/etc/loopline-ca"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
            given = {variable["name"]: variable.get("value") for variable in container["env"]}
            assert given.items() >= (TRUST | PLACED["environment"]["variables"]).items()
            assert ("OURS" in given) == (name in {"training", "run", "loopline-code-retail"})


def test_what_the_environment_file_says_of_pods_goes_first(monkeypatch, tmp_path):
    """Trainings of a pool of their own stay there; without such values the file is left as it was written."""
    text = CHART.joinpath("files", "environment.yaml").read_text()
    own = text.replace(
        "  compute:\n", "  compute:\n    node_selector: {pool: gpu}\n    pod_template: {labels: {cost: gpu}}\n"
    )
    found = placed_pods(merged(LEAST, PLACED, {"environment": {"text": own}}), monkeypatch, tmp_path)
    assert found["training"]["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert found["training"]["metadata"]["labels"]["cost"] == "gpu"
    assert found["endpoint"]["spec"]["nodeSelector"] == {"pool": "ml"}
    shipped = of_kind(objects(LEAST), "ConfigMap", NAMESPACE)["loopline-environment"]["data"]["environment.yaml"]
    assert [line for line in shipped.splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]


def test_executors_of_spark_are_placed_as_all_pods(monkeypatch, tmp_path):
    """Where the environment binds the engine with pods of its own."""
    text = CHART.joinpath("files", "environment.yaml").read_text()
    spark = text.replace(
        "engine: {vendor: polars}", "engine: {vendor: pyspark, pods: {image: r.test/spark}, master: k8s://https://h}"
    )
    rendered = objects(merged(LEAST, PLACED, {"environment": {"text": spark}}))
    engine = read(rendered, "mlops-retail", tmp_path, monkeypatch, "engine").bindings["engine"]
    template = engine.pods.template(None)
    assert (template["metadata"]["labels"]["cost"], template["spec"]["nodeSelector"]) == ("ml", {"pool": "ml"})
    assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_openshift_chooses_users_and_groups(monkeypatch, tmp_path):
    """Its profile takes ours out of every pod, so that restricted-v2 admits them by the namespace's range."""
    values = merged(profile(OPENSHIFT), {"teams": {"retail": {"runs": {"pods": True}}}})
    for name, one in placed_pods(values, monkeypatch, tmp_path).items():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(one["spec"]["securityContext"]), name
        for container in [*one["spec"]["containers"], *one["spec"].get("initContainers", ())]:
            assert container["securityContext"] == RESTRICTED
