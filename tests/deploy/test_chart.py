"""The chart: every profile renders objects that Kubernetes takes, and what they say holds for all of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from loopline.platform_core import environment
from loopline.platform_core.alarms import watchdog_heartbeat
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import liveness
from loopline.pod.settings import DagsterSettings
from loopline.resources.kubernetes.endpoint_manifests import manifests, pod
from loopline.resources.kubernetes.names import MANAGED
from loopline.resources.pyspark.admission import VERBS
from loopline.resources.pyspark.pods import Pods
from tests.deploy.helm_chart import (
    CHART,
    EVERYTHING,
    KUBERNETES,
    LEAST,
    NAMESPACE,
    PROFILES,
    container_of,
    merged,
    objects,
    of_kind,
    pods,
    profile,
    read,
    texts,
)

DEPLOY = CHART.parents[1]
KSERVE = {
    "collector": {"enabled": True},
    "certificates": {"source": "none"},
    "environment": {
        "text": "bindings: {serving: {vendor: kserve, store: s3://b/p, image: x}}\n"
        "dagster: {run_pods: '${LOOPLINE_RUN_PODS:-}'}"
    },
}
LINKERD = merged(EVERYTHING, {"mesh": {"kind": "linkerd"}})
BY_TEAM = merged(EVERYTHING, {"serving": {"namespace": "mlops-{team}"}})
VALUES = {"least": LEAST, "everything": EVERYTHING, "linkerd": LINKERD, "kserve": merged(EVERYTHING, KSERVE)} | {
    "by team": BY_TEAM,
    **{one.stem: profile(one) for one in PROFILES},
}
VOLUMES = {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
FOREIGN = {
    "cert-manager.io",
    "monitoring.coreos.com",
    "gateway.networking.k8s.io",
    "security.istio.io",
    "policy.linkerd.io",
}
"""Groups whose kinds Kubernetes itself does not know."""
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)  # a megabyte an object
every = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)


def test_there_is_a_profile_for_each_place():
    """A laptop's cluster and three clouds; OpenShift's is laid over one of them."""
    places = ["aws", "azure", "google", "laptop-cluster", "openshift"]
    assert [one.stem for one in PROFILES] == [f"values-{place}" for place in places]


@every
def test_helm_finds_nothing_to_say(values):
    """``helm lint --strict``: no warning, and no error."""
    found = helm.lint(CHART, values, strict=True, namespace=NAMESPACE)
    assert found["total_charts_linted"] == 1
    assert not found["errors"]
    assert {one["error"] for one in found["messages"]} == {"icon is recommended"}


@every
def test_kubernetes_takes_every_object(values):
    """Each one keeps to the schema of its kind, unknown fields are none, and no two have one name."""
    rendered, named = objects(values), set()
    for one in rendered:
        named.add((one["apiVersion"], one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]))
        if one["apiVersion"].partition("/")[0] not in FOREIGN:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    assert len(named) == len(rendered) > 30


def test_a_field_that_kubernetes_does_not_know_is_found():
    """The check before is one: a misspelt field is refused."""
    service = of_kind(objects(LEAST), "Service")["loopline-portal"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "spec": {**service["spec"], "port": []}}, KUBERNETES, strict=True)


@every
def test_no_pod_may_more_than_restricted_allows(values):
    """No root, nothing writable but volumes, no privileges; each says what it needs; tokens only where asked for."""
    found = pods(objects(values))
    for one in found.values():
        spec = one["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert all(VOLUMES & set(volume) for volume in spec["volumes"])
        for container in spec["containers"]:
            assert container["securityContext"] == RESTRICTED
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert container["resources"]["limits"]["memory"]
    tokens = {name for name, one in found.items() if one["spec"]["automountServiceAccountToken"]}
    asks = {"loopline-mirror", "loopline-watchdog"}
    starts_pods = (
        {"loopline-daemon", "loopline-webserver"} if "'pods': True" in str(values) else set()
    )  # of ad_tech's runs
    assert tokens == {name for name in found if "-code-" in name or name in asks} | starts_pods


def test_what_answers_is_looked_at_spread_and_not_taken_away_at_once():
    """Probes, a budget and a Service for each process with a port; a code location is never there twice."""
    rendered = objects(EVERYTHING)
    deployments = of_kind(rendered, "Deployment")
    answering = {name for name, one in deployments.items() if "ports" in container_of(one)}
    assert len(answering) == 6
    for name in answering:
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container_of(deployments[name]))
    assert set(of_kind(rendered, "Service")) == answering
    quiet = {"loopline-daemon", "loopline-mirror", "loopline-watchdog"}
    assert set(of_kind(rendered, "PodDisruptionBudget")) == set(deployments) == answering | quiet
    assert all(one["spec"]["template"]["spec"]["topologySpreadConstraints"] for one in deployments.values())
    single = {name for name, one in deployments.items() if one["spec"]["strategy"].get("type") == "Recreate"}
    assert single == {name for name in deployments if "-code-" in name} | {"loopline-mirror"}
    assert {deployments[name]["spec"]["replicas"] for name in single} == {1}
    assert {name for name in answering if "lifecycle" in container_of(deployments[name])} == answering - single


def test_what_listens_on_no_port_shows_a_sign_of_life(tmp_path):
    """Daemon, watchdog and mirror: the probe's own command says no while there is none, and once it is too old."""
    deployments = of_kind(objects(EVERYTHING), "Deployment")
    looked_at = [container_of(deployments[f"loopline-{name}"]) for name in ("daemon", "mirror", "watchdog")]
    for container in looked_at:
        program, *options, look = container["livenessProbe"]["exec"]["command"]
        assert container["startupProbe"]["exec"]["command"] == [program, *options, look]
        (path,) = re.findall(r"'(/var/lib/loopline/[\w.]+)'", look)
        sign = tmp_path / Path(path).name
        sign.unlink(missing_ok=True)
        ask = [sys.executable, *options, look.replace(path, str(sign))]
        said = [subprocess.run(ask, check=False, capture_output=True).returncode]
        liveness.beat(tmp_path) if sign.name == liveness.FILE else watchdog_heartbeat.write_round(tmp_path, {})
        said.append(subprocess.run(ask, check=False, capture_output=True).returncode)
        os.utime(sign, (0, 0))
        said.append(subprocess.run(ask, check=False, capture_output=True).returncode)
        assert said == [1, 0, 1]


def test_a_team_has_a_namespace_of_its_own():
    """With a quota, limits, accounts, rights for its Jobs, the environment, and its own image."""
    rendered = objects(EVERYTHING)
    namespace = of_kind(rendered, "Namespace")["mlops-ad-tech"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for kind in ("ResourceQuota", "LimitRange", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "NetworkPolicy"):
        assert of_kind(rendered, kind, "mlops-ad-tech"), kind
    code = of_kind(rendered, "Deployment", "mlops-ad-tech")["loopline-code-ad-tech"]
    assert container_of(code)["image"] == "r.test/ads:7"
    assert {"name": "claim-files", "mountPath": "/landing"} in container_of(code)["volumeMounts"]
    assert container_of(of_kind(rendered, "Deployment")["loopline-code-retail"])["image"] == "r.test/loopline:0.1.0"


def test_endpoints_have_a_quota_and_limits_as_teams_have():
    """What is said of it is laid over; in a team's own namespace that of the team holds."""
    given = objects(EVERYTHING)
    hard = of_kind(given, "ResourceQuota", "mlops-serving")["loopline-serving"]["spec"]["hard"]
    assert set(hard) == set(of_kind(given, "ResourceQuota", "mlops-retail")["loopline-retail"]["spec"]["hard"])
    limits = [of_kind(given, "LimitRange", f"mlops-{one}")[f"loopline-{one}"]["spec"] for one in ("serving", "retail")]
    assert limits[0] == limits[1]
    said = {"serving": {"quota": {"requests.cpu": "40", "pods": 100}}}
    found = of_kind(objects(merged(EVERYTHING, said)), "ResourceQuota", "mlops-serving")
    assert found["loopline-serving"]["spec"]["hard"] == hard | {"requests.cpu": "40", "pods": 100}
    beside = [one for one in objects(merged(BY_TEAM, said)) if one["kind"] == "ResourceQuota"]
    places = [one["metadata"]["namespace"] for one in beside]
    assert sorted(places) == ["mlops-ad-tech", "mlops-retail"]


def test_teams_may_do_nothing_in_each_other_s_namespace():
    """Each namespace's rights are given to its own code location alone, and none is to read Secrets."""
    rendered = objects(EVERYTHING)
    for namespace in ("mlops-retail", "mlops-ad-tech"):
        bindings = of_kind(rendered, "RoleBinding", namespace)
        for name in {"loopline-jobs", "loopline-spark"} & set(bindings):
            assert [one["namespace"] for one in bindings.pop(name)["subjects"]] == [namespace]
        starting = {(one["name"], one["namespace"]) for b in bindings.values() for one in b["subjects"]}
        assert starting <= {("loopline-platform", NAMESPACE)}
    rights = [*of_kind(rendered, "Role").values(), *of_kind(rendered, "ClusterRole").values()]
    rules = [rule for one in rights for rule in one["rules"]]
    assert len(rules) > 8
    assert not [rule for rule in rules if {"secrets", "*"} & set(rule["resources"]) or "*" in rule["verbs"]]
    given = {
        subject["name"]: [rule["verbs"] for rule in of_kind(rendered, "ClusterRole")[one["roleRef"]["name"]]["rules"]]
        for one in of_kind(rendered, "ClusterRoleBinding").values()
        for subject in one["subjects"]
    }
    (shown,) = given.values()  # the mirror's, which the values ask for
    assert shown == [["get", "list", "create", "patch", "delete"], ["patch"]]


def test_a_team_that_binds_spark_may_make_executors_and_reach_them():
    """The rights and ports that the engine asks for, in the team's own namespace; another team has neither."""
    rendered, pods = objects(EVERYTHING), Pods(image="r.test/spark:1")
    (of_pods, _) = of_kind(rendered, "Role", "mlops-ad-tech")["loopline-spark"]["rules"]
    assert (of_pods["resources"], tuple(of_pods["verbs"])) == (["pods"], VERBS)
    policies = of_kind(rendered, "NetworkPolicy", "mlops-ad-tech")
    executors, drivers = (policies[f"loopline-spark-{name}"]["spec"] for name in ("executors", "drivers"))
    labels = pods.template(None)["metadata"]["labels"]
    assert executors["podSelector"]["matchLabels"].items() <= labels.items()
    code = of_kind(rendered, "Deployment", "mlops-ad-tech")["loopline-code-ad-tech"]["spec"]["template"]
    assert drivers["podSelector"]["matchLabels"].items() <= code["metadata"]["labels"].items()
    options = pods.options(None)
    first, blocks = (int(options[f"spark.{name}.port"]) for name in ("driver", "blockManager"))
    last = blocks + int(options["spark.port.maxRetries"])
    assert drivers["ingress"][0]["ports"] == [{"port": first, "endPort": last, "protocol": "TCP"}]
    assert executors["ingress"][0]["ports"] == [{"port": blocks, "endPort": last, "protocol": "TCP"}]
    assert not [
        one["metadata"]
        for one in rendered
        if one["metadata"]["name"].startswith("loopline-spark") and one["metadata"]["namespace"] != "mlops-ad-tech"
    ]


def test_the_mirror_is_there_where_it_is_wanted():
    """With the rights to write our kinds and no others, and each team's namespace, also one of another name."""
    mirrored = {"mirror": {"enabled": True}}
    assert "loopline-mirror" not in of_kind(objects(LEAST), "Deployment")
    rendered = objects(merged(LEAST, mirrored, {"teams": {"ad_tech": {}, "ops": {"namespace": "operations"}}}))
    arguments = container_of(of_kind(rendered, "Deployment")["loopline-mirror"])["args"]
    assert arguments[1:] == ["--namespace", "mlops-{team}", "--of", "ops=operations"]
    rules = of_kind(rendered, "ClusterRole")["mlops-loopline-mirror"]["rules"]
    assert {group for rule in rules for group in rule["apiGroups"]} == {"loopline.dev"}
    looking = of_kind(rendered, "ClusterRole")["mlops-loopline-loops"]
    assert looking["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in looking["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


USED = {"server": {"LOOPLINE_STORE", "LOOPLINE_REDIS"}, "relay": {"LOOPLINE_STORE"}, "shadow": {"LOOPLINE_STORE"}}
"""Without them no container of an endpoint's pod would find what it reads."""


def test_an_endpoint_s_pod_has_the_secrets_that_it_uses_and_no_other(monkeypatch, tmp_path):
    """Neither the databases of Dagster and the ledger nor MLflow, and the object store's keys in its relay alone.

    By these variables, and nothing of the process that deploys, each container's environment binds.
    """
    serving = read(objects(LEAST), "mlops-serving", tmp_path, monkeypatch, "serving").bindings["serving"]
    found = pod(serving, "retail")
    containers = {one["name"]: one for one in (*found["initContainers"], *found["containers"])}
    assert {one["name"] for one in found["volumes"]} == {"serving", "scratch", "environment"}
    for name, container in containers.items():
        assert container["envFrom"] == []
        given = {
            one["name"]: one["valueFrom"] for one in container["env"] if "secretKeyRef" in one.get("valueFrom", {})
        }
        needed = {key for key, one in given.items() if not one["secretKeyRef"].get("optional")}
        assert needed == USED[name]
        of_the_store = {key for key in given if key.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
        assert set(given) - needed == of_the_store
        assert bool(of_the_store) == (name == "relay")
        for variable in [one for one in os.environ if one.startswith("LOOPLINE_")]:
            monkeypatch.delenv(variable)
        for variable in needed:
            monkeypatch.setenv(variable, "redis://stated")
        only = ("serving", "online_store") if name == "server" else ("serving",)
        inside = environment.read(tmp_path / "environment.yaml", only=only, alone=True)
        assert set(inside.bindings) == set(only)
        with pytest.raises(InvalidEnvironment, match=r"variable LOOPLINE_\w+ is not set"):
            environment.read(tmp_path / "environment.yaml", only=only)


def test_merged_wishes_reach_each_team_s_code_location_alone(monkeypatch, tmp_path):
    """A ConfigMap that need not be there yet, below the folder that the environment names; in no other process."""
    rendered = objects(EVERYTHING)
    mounted = {
        name: [one["mountPath"] for one in container_of(made)["volumeMounts"] if one["name"] == "promotions"]
        for name, made in of_kind(rendered, "Deployment").items()
    }
    assert {name: paths for name, paths in mounted.items() if paths} == {
        "loopline-code-retail": ["/etc/loopline-promotions/retail"],
        "loopline-code-ad-tech": ["/etc/loopline-promotions/ad_tech"],
    }
    retail = of_kind(rendered, "Deployment")["loopline-code-retail"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "promotions", "configMap": {"name": "loopline-promotions", "optional": True}} in retail
    promotions = read(rendered, "mlops-retail", tmp_path, monkeypatch).promotions
    assert promotions is not None
    assert (promotions.folder, promotions.required) == (Path("/etc/loopline-promotions"), True)
    assert "promotions" not in [
        one["name"]
        for made in of_kind(objects(LEAST), "Deployment").values()
        for one in made["spec"]["template"]["spec"]["volumes"]
    ]


def test_only_pods_of_endpoints_reach_the_collector():
    """It asks for no key, so a policy admits them and the scraper alone; what is not sent on yet outlives its pod."""
    rendered = objects(merged(LEAST, KSERVE))
    pod = of_kind(rendered, "Deployment", "mlops-serving")["loopline-collector"]["spec"]["template"]
    (rule,) = of_kind(rendered, "NetworkPolicy", "mlops-serving")["loopline-collector"]["spec"]["ingress"]
    endpoints = {"matchLabels": {"app.kubernetes.io/component": "serving"}}
    assert [one for one in rule["from"] if "podSelector" in one] == [{"podSelector": endpoints}]
    assert [one["namespaceSelector"]["matchLabels"] for one in rule["from"] if "namespaceSelector" in one] == [
        {"kubernetes.io/metadata.name": "monitoring"}
    ]
    admitted = of_kind(rendered, "NetworkPolicy", "mlops-serving")["loopline-collector"]["spec"]["podSelector"]
    assert admitted["matchLabels"].items() <= pod["metadata"]["labels"].items()
    out = of_kind(rendered, "NetworkPolicy", "mlops-serving")["loopline-collector-events"]["spec"]
    assert (out["podSelector"], out["egress"][0]["to"][0]["podSelector"]) == (endpoints, admitted)
    claim = of_kind(rendered, "PersistentVolumeClaim", "mlops-serving")["loopline-collector"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    assert volumes["claim-loopline-collector"]["persistentVolumeClaim"] == {"claimName": "loopline-collector"}
    assert volumes["environment"]["configMap"]["name"] in of_kind(rendered, "ConfigMap", "mlops-serving")


def test_a_code_location_may_make_and_end_endpoints():
    """Of every kind that both vendors make, and read what keeps pods from starting; of nothing else."""
    (rights,) = of_kind(objects(LEAST), "Role", "mlops-serving").values()
    may = {
        (group, name): set(rule["verbs"])
        for rule in rights["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
    }
    looks = {("", "pods"), ("", "events")}
    assert all(may[one] == {"list"} for one in looks)
    made = {
        ("apps", "deployments"),
        ("", "services"),
        ("policy", "poddisruptionbudgets"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("gateway.networking.k8s.io", "httproutes"),
        ("serving.kserve.io", "inferenceservices"),
        ("serving.kserve.io", "servingruntimes"),
    }
    assert set(may) == looks | made
    assert all(may[one] == {"get", "list", "create", "patch", "delete"} for one in made)


def test_each_team_s_endpoints_may_have_its_own_namespace():
    """Made by its own code location and the platform's alone, with account, environment and what may reach them."""
    rendered = objects(BY_TEAM)
    assert set(of_kind(rendered, "Namespace")) == {"mlops-retail", "mlops-ad-tech"}
    for namespace in ("mlops-retail", "mlops-ad-tech"):
        makers = of_kind(rendered, "RoleBinding", namespace)["loopline-endpoints"]["subjects"]
        assert [(one["name"], one["namespace"]) for one in makers] == [
            ("loopline-code", NAMESPACE),
            ("loopline-code", namespace),
        ]
        assert "loopline-serving" in of_kind(rendered, "ServiceAccount", namespace)
        assert "loopline-endpoints" in of_kind(rendered, "NetworkPolicy", namespace)
        assert "loopline-serving" in of_kind(rendered, "ServiceMonitor", namespace)
        text = of_kind(rendered, "ConfigMap", namespace)["loopline-environment"]["data"]["environment.yaml"]
        assert yaml.safe_load(text)["bindings"]["serving"]["namespace"] == "mlops-{team}"
    asked = {
        namespace: [
            where["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for rule in of_kind(rendered, "NetworkPolicy", namespace)["loopline-processes"]["spec"]["egress"]
            for where in rule["to"]
            if {"port": 8080, "protocol": "TCP"} in rule.get("ports", [])
        ]
        for namespace in (NAMESPACE, "mlops-ad-tech")
    }
    assert asked == {NAMESPACE: ["mlops-ad-tech", "mlops-retail"], "mlops-ad-tech": ["mlops-ad-tech"]}
    uris = of_kind(rendered, "Certificate", "mlops-retail")["loopline-tls"]["spec"]["uris"]
    assert [uri.rpartition("/")[2] for uri in uris] == ["loopline-code", "loopline-serving"]


def test_endpoints_of_a_team_may_stand_apart_from_its_jobs():
    """In a namespace beside the team's own: it is made, and holds what a pod there needs."""
    rendered = objects(merged(LEAST, {"serving": {"namespace": "models-{team}"}, "teams": {"ad_tech": {}}}))
    for team in ("retail", "ad-tech"):
        namespace = of_kind(rendered, "Namespace")[f"models-{team}"]
        assert namespace["metadata"]["labels"]["loopline.dev/team"] == team.replace("-", "_")
        makers = of_kind(rendered, "RoleBinding", f"models-{team}")["loopline-endpoints"]["subjects"]
        assert [one["namespace"] for one in makers] == [NAMESPACE, f"mlops-{team}"]
        policies = of_kind(rendered, "NetworkPolicy", f"models-{team}")
        assert set(policies) == {"loopline-deny", "loopline-stores", "loopline-endpoints"}
        assert "environment.yaml" in of_kind(rendered, "ConfigMap", f"models-{team}")["loopline-environment"]["data"]


def test_a_team_s_runs_may_be_pods_and_nobody_else_s_are(tmp_path):
    """Daemon and web server may start and end pods in its namespace alone; it says nothing of other teams there."""
    values = merged(EVERYTHING, {"teams": {"ad_tech": {"variables": {"N": 1}, "runs": {"jobs": ["loopline_cycle"]}}}})
    rendered = objects(values)
    chosen = {}
    for namespace in (NAMESPACE, "mlops-ad-tech", "mlops-retail"):
        text = of_kind(rendered, "ConfigMap", namespace)["loopline-environment"]["data"]["run-pods.yaml"]
        chosen[namespace] = DagsterSettings(storage="postgresql://h/d", run_pods=yaml.safe_load(text)).run_pods
    assert chosen["mlops-retail"] == {}
    assert chosen["mlops-ad-tech"] == chosen[NAMESPACE]
    (team,) = chosen[NAMESPACE].values()
    assert (team.image, team.namespace, team.service_account) == ("r.test/ads:7", "mlops-ad-tech", "loopline-code")
    assert (team.jobs, team.claims, team.env["N"]) == (("loopline_cycle",), {"files": "/landing"}, "1")
    assert team.secrets == {"loopline-tls": "/etc/loopline-tls"}
    assert team.labels["app.kubernetes.io/part-of"] == "loopline"
    tokens = {
        name
        for name, one in of_kind(rendered, "Deployment").items()
        if one["spec"]["template"]["spec"]["automountServiceAccountToken"] and "-code-" not in name
    }
    tokens.discard("loopline-mirror")
    assert tokens == {"loopline-daemon", "loopline-webserver", "loopline-watchdog"}
    rights = set(of_kind(rendered, "Role", "mlops-ad-tech"))
    assert rights == {"loopline-jobs", "loopline-runs", "loopline-spark", "loopline-starts"}
    assert set(of_kind(rendered, "Role", "mlops-retail")) == {"loopline-jobs", "loopline-starts"}
    assert "Its runs are pods there: loopline_cycle." in texts(values)["loopline/templates/NOTES.txt"]


def test_a_new_image_of_a_team_whose_runs_are_pods_starts_no_other_pod_anew():
    """Who starts runs reads it from a file that changes while they run."""
    before = of_kind(objects(EVERYTHING), "Deployment")
    after = of_kind(objects(merged(EVERYTHING, {"teams": {"ad_tech": {"image": {"tag": "8"}}}})), "Deployment")
    assert [name for name in before if before[name] != after[name]] == ["loopline-code-ad-tech"]


def test_every_namespace_denies_by_default():
    """Nothing comes in or goes out but for what a policy lists; tasks of a team reach names and stores alone."""
    rendered = objects(EVERYTHING)
    for namespace in (NAMESPACE, "mlops-retail", "mlops-ad-tech", "mlops-serving"):
        deny = of_kind(rendered, "NetworkPolicy", namespace)["loopline-deny"]["spec"]
        assert deny["policyTypes"] == ["Ingress", "Egress"]
        assert not {"ingress", "egress"} & set(deny)
    team = of_kind(rendered, "NetworkPolicy", "mlops-retail")
    assert team["loopline-deny"]["spec"]["podSelector"] == {}
    ports = [[port["port"] for port in rule["ports"]] for rule in team["loopline-stores"]["spec"]["egress"]]
    assert ports == [
        [53, 53],
        [443, 5000],
        [443],
        [5432],
        [6379],
    ]
    ours = {"app.kubernetes.io/part-of": "loopline", "app.kubernetes.io/instance": "loopline"}
    assert team["loopline-processes"]["spec"]["podSelector"] == {"matchLabels": ours}


def test_workers_of_one_task_reach_each_other():
    """Tasks of a team, in its own namespace, on any port; nothing of the platform, and no other team's."""
    rendered = objects(EVERYTHING)
    for namespace in ("mlops-retail", "mlops-ad-tech"):
        spec = of_kind(rendered, "NetworkPolicy", namespace)["loopline-tasks"]["spec"]
        assert spec["podSelector"] == {"matchLabels": MANAGED}
        peers = [{"podSelector": {"matchLabels": MANAGED}}]
        assert (spec["ingress"], spec["egress"]) == ([{"from": peers}], [{"to": peers}])


def test_nothing_is_reached_from_outside_but_features_behind_keys():
    """One route, for reading; no Service with an address of its own; the feature service asks for keys."""
    rendered = objects(EVERYTHING)
    assert list(of_kind(rendered, "HTTPRoute")) == ["loopline-features"]
    (rule,) = of_kind(rendered, "HTTPRoute")["loopline-features"]["spec"]["rules"]
    assert {one["method"] for one in rule["matches"]} == {"GET", "POST"}
    assert not [one for one in of_kind(rendered, "Service").values() if "type" in one["spec"]]
    assert not of_kind(rendered, "Ingress")
    assert "--keys" in container_of(of_kind(rendered, "Deployment")["loopline-features"])["args"]
    for namespace, name in {"mlops-serving": "loopline-environment", "mlops-retail": "loopline-environment"}.items():
        file = yaml.safe_load(of_kind(rendered, "ConfigMap", namespace)[name]["data"]["environment.yaml"])
        serving = file["bindings"]["serving"]
        assert serving["secrets"] == {"loopline-keys": "/etc/loopline-keys", "loopline-tls": "/etc/loopline-tls"}
        assert serving["gateway"] == {"keys": "/etc/loopline-keys/keys.json"}
        assert serving["http_gateway"] == "gateways/public"


def test_a_tag_alone_is_one_of_the_platform_s_repository():
    """So is a digest; the platform's own digest is not taken then."""
    digest = f"sha256:{'a' * 64}"
    for own, image in (({"tag": "8"}, "r.test/loopline:8"), ({"digest": digest}, f"r.test/loopline@{digest}")):
        values = merged(LEAST, {"image": {"digest": f"sha256:{'b' * 64}"}, "teams": {"retail": {"image": own}}})
        assert container_of(of_kind(objects(values), "Deployment")["loopline-code-retail"])["image"] == image


def test_nothing_of_the_whole_cluster_is_made_unless_asked_for():
    """No role, no definition; with namespaces that are there already nothing at all that has no namespace."""
    mine = {"teamDefaults": {"createNamespace": False}, "serving": {"createNamespace": False}}
    assert [one["kind"] for one in objects(merged(LEAST, mine)) if "namespace" not in one["metadata"]] == []
    assert {one["kind"] for one in objects(LEAST) if "namespace" not in one["metadata"]} == {"Namespace"}
    asked = objects(merged(LEAST, {"rbac": {"clusterWide": True}}))
    (role,) = of_kind(asked, "ClusterRole").values()
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
    defined = of_kind(objects(merged(LEAST, {"mirror": {"enabled": True}})), "CustomResourceDefinition")
    assert len(defined) == 3
    assert {one["metadata"]["annotations"]["helm.sh/resource-policy"] for one in defined.values()} == {"keep"}


def test_accounts_and_rights_may_be_somebody_else_s():
    """Neither is made; pods name the accounts all the same."""
    values = merged(EVERYTHING, {"rbac": {"create": False}, "serviceAccount": {"create": False}})
    rendered = objects(values)
    kinds = {one["kind"] for one in rendered}
    assert not {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & kinds
    named = {one["spec"]["serviceAccountName"] for one in pods(rendered).values()}
    assert named == {"loopline-platform", "loopline-code", "loopline-mirror"}


def test_a_training_reaches_no_address_that_is_not_named():
    """What selects a team's tasks opens names, stores and other tasks alone; whoever means the internet says so."""
    for path in PROFILES[:4]:
        for one in of_kind(objects(profile(path)), "NetworkPolicy", "mlops-retail").values():
            ranges = {
                to["ipBlock"]["cidr"] for rule in one["spec"].get("egress", ()) for to in rule["to"] if "ipBlock" in to
            }
            assert not {"0.0.0.0/0", "::/0"} & ranges, (path.stem, one["metadata"]["name"])


def test_what_endpoints_need_outlives_the_release():
    """Account, environment and policies of their namespace are kept, so that a lost pod is replaced, unless said."""
    needed = {"ServiceAccount", "ConfigMap", "NetworkPolicy"}
    for values, places in ((LEAST, {"mlops-serving"}), (BY_TEAM, {"mlops-retail", "mlops-ad-tech"})):
        kept = [
            one
            for one in objects(values)
            if one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep" and one["kind"] in needed
        ]
        assert {one["metadata"]["namespace"] for one in kept} == places
        for place in places:
            names = {(one["kind"], one["metadata"]["name"]) for one in kept if one["metadata"]["namespace"] == place}
            policies = {("NetworkPolicy", f"loopline-{name}") for name in ("deny", "stores", "endpoints")}
            assert names == policies | {("ServiceAccount", "loopline-serving"), ("ConfigMap", "loopline-environment")}
    gone = objects(merged(LEAST, {"serving": {"keep": False}}))
    assert not [one for one in gone if one["kind"] in needed and "annotations" in one["metadata"]]
    for values, said in (
        (LEAST, "They go on answering"),
        (merged(LEAST, {"serving": {"keep": False}}), "is not replaced"),
    ):
        assert said in texts(values)["loopline/templates/NOTES.txt"]


def test_links_in_alarms_open_from_outside():
    """Dagster's and the portal's addresses as people reach them; the watchdog itself asks inside the cluster."""
    values = merged(LEAST, {"webserver": {"url": "https://dagster.test"}, "portal": {"url": "https://loop.test/ml"}})
    portal, watchdog = (
        pods(objects(values))[f"loopline-{part}"]["spec"]["containers"][0] for part in ("portal", "watchdog")
    )
    given = {one["name"]: one["value"] for one in watchdog["env"]}
    assert (given["LOOPLINE_DAGSTER_URL"], given["LOOPLINE_PORTAL_URL"]) == (
        "https://dagster.test",
        "https://loop.test/ml",
    )
    assert {"dagster.test", "loop.test"} <= set(given["LOOPLINE_HOSTS"].split(","))
    assert watchdog["args"][-2:] == ["--dagster", "http://loopline-webserver.mlops.svc:3000"]
    assert portal["args"][-1] == "https://dagster.test"
    only = pods(objects(merged(LEAST, {"portal": {"url": "https://loop.test"}})))["loopline-portal"]
    assert "LOOPLINE_DAGSTER_URL" not in str(only)  # no link that opens inside the cluster alone


def test_a_model_s_route_carries_the_hostnames(monkeypatch, tmp_path):
    """So that one Gateway may serve others beside it."""
    serving = read(objects(EVERYTHING), "mlops-retail", tmp_path, monkeypatch, "serving").bindings["serving"]
    (route,) = [one for one in manifests(serving, "retail.m", "retail.m") if one["kind"] == "HTTPRoute"]
    assert route["spec"]["hostnames"] == ["models.test"]


def test_without_exposure_models_get_no_route():
    """The environment names no gateway then."""
    text = of_kind(objects(LEAST), "ConfigMap", NAMESPACE)["loopline-environment"]["data"]["environment.yaml"]
    file = yaml.safe_load(text)
    assert file["bindings"]["serving"]["http_gateway"] == "${LOOPLINE_GATEWAY:-}"
    assert "LOOPLINE_GATEWAY" not in str(pods(objects(LEAST)))


def test_rules_and_dashboards_are_those_of_deploy():
    """Through links, so there is one of each: what Prometheus' operator and Grafana get is what the tests here hold."""
    rendered = objects(EVERYTHING)
    rules = [one["spec"] for one in of_kind(rendered, "PrometheusRule").values()]
    assert rules == [yaml.safe_load(one.read_text()) for one in sorted(DEPLOY.joinpath("alerts").glob("*.yaml"))]
    pages = [one for name, one in of_kind(rendered, "ConfigMap").items() if "-dashboard-" in name]
    found = [json.loads(text) for one in pages for text in one["data"].values()]
    assert found == [json.loads(one.read_text()) for one in sorted(DEPLOY.joinpath("dashboards").glob("*.json"))]
    assert len(found) == 5


def test_a_packaged_chart_brings_the_links_targets_along(tmp_path):
    """Where the repository is not: rules and dashboards are in the archive, and nothing else of their folders."""
    with helm.Chart.load(helm.package(CHART, destination=tmp_path)) as packed:
        files = {one["name"] for one in packed.files}
        assert not [name for name in files if "generate" in name or "provisioning" in name]
        assert packed.render(EVERYTHING, name="loopline", namespace=NAMESPACE) == texts(EVERYTHING)


def test_a_change_of_the_environment_starts_pods_anew():
    """And nothing else does: the same values render the same, and one team more changes no other pod."""
    assert texts(LEAST) == texts(LEAST)
    before = of_kind(objects(LEAST), "Deployment")
    changed = of_kind(
        objects(merged(LEAST, {"environment": {"variables": {"LOOPLINE_STORE": "s3://b"}}})), "Deployment"
    )
    assert len(before) == 7
    assert not [name for name in before if changed[name]["spec"]["template"] == before[name]["spec"]["template"]]
    another = of_kind(objects(merged(LEAST, {"teams": {"ad_tech": {}}})), "Deployment")
    assert set(another) == set(before) | {"loopline-code-ad-tech"}
    assert {name: another[name] for name in before} == before


def test_the_environment_file_is_the_one_in_deploy_filled_in_by_place(monkeypatch, tmp_path):
    """Each namespace's binds: a team's trainings run its image, in its namespace; what is secret stays a variable."""
    rendered = objects(EVERYTHING)
    for namespace, image in {NAMESPACE: "r.test/loopline:0.1.0", "mlops-ad-tech": "r.test/ads:7"}.items():
        data = of_kind(rendered, "ConfigMap", namespace)["loopline-environment"]["data"]
        bound = read(rendered, namespace, tmp_path, monkeypatch, "compute", "serving")
        assert (bound.bindings["compute"].image, bound.bindings["compute"].namespace) == (image, namespace)
        assert bound.bindings["serving"].namespace == "mlops-serving"
        assert {"aws-us-east-1.yaml", "google-cloud-run.yaml"} < set(data)
        assert "${LOOPLINE_LEDGER}" in data["environment.yaml"]
    (served,) = [one for name, one in of_kind(rendered, "ConfigMap", "mlops-serving").items()]
    assert served["metadata"]["name"] == "loopline-environment"


def test_the_workspace_names_every_code_location():
    """By the Service that the chart makes for it; web server and daemon follow the file, so no pod is started anew."""
    rendered = objects(EVERYTHING)
    workspace = yaml.safe_load(of_kind(rendered, "ConfigMap")["loopline-workspace"]["data"]["workspace.yaml"])
    hosts = {one["grpc_server"]["location_name"]: one["grpc_server"]["host"] for one in workspace["load_from"]}
    assert hosts == {
        "retail": "loopline-code-retail.mlops-retail.svc",
        "ad_tech": "loopline-code-ad-tech.mlops-ad-tech.svc",
        "loopline": "loopline-code-loopline.mlops.svc",
    }
    services = of_kind(rendered, "Service").values()
    assert set(hosts.values()) <= {f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc" for one in services}


def test_chart_and_platform_have_one_version():
    """``appVersion`` is what ``pyproject.toml`` says."""
    chart = yaml.safe_load(CHART.joinpath("Chart.yaml").read_text())
    assert f'version = "{chart["appVersion"]}"' in Path(__file__).parents[2].joinpath("pyproject.toml").read_text()


def test_helm_test_asks_every_part():
    """Each team, the platform's own location, the daemon, portal and feature service."""
    (question,) = of_kind(objects(EVERYTHING), "Pod").values()
    assert question["metadata"]["annotations"]["helm.sh/hook"] == "test"
    said = " ".join(question["spec"]["containers"][0]["args"])
    for part in ("--team loopline", "--team retail", "--team ad_tech", ":3000", ":8790/metrics", ":8090/health"):
        assert part in said


def test_notes_say_what_to_do_next():
    """How to test, how to look at the pages, which Secrets each team needs, what is exposed."""
    notes = texts(LEAST)["loopline/templates/NOTES.txt"]
    for said in ("helm test loopline -n mlops", "port-forward svc/loopline-portal", "mlops-retail", "loopline-stores"):
        assert said in notes
    assert "without keys" in notes
    assert "need a key of loopline-keys" in texts(EVERYTHING)["loopline/templates/NOTES.txt"]
