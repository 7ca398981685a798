"""The Job of a run, as dagster-k8s makes it of what the environment file says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import kubernetes
import kubernetes_validate
import pytest

from loopline.pod import instance
from loopline.pod.run_pods import RUN_OF, RunPods, launcher_settings
from loopline.pod.settings import DagsterSettings

dagster_k8s = pytest.importorskip("dagster_k8s.job", reason="the extra dagster-k8s is not installed")
EVERYTHING = {
    "image": "risk:7",
    "namespace": "risk",
    "service_account": "code",
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
    "claims": {"files": "/landing"},
    "secrets": {"tls": "/etc/tls"},
    "environment_from": ["stores"],
    "env": {"A": "b"},
    "labels": {"app.kubernetes.io/part-of": "loopline"},
    "node_selector": {"pool": "heavy"},
    "tolerations": [{"key": "heavy", "operator": "Exists"}],
    "priority_class": "high",
}


@pytest.fixture
def job(tmp_path):
    """Make the Job of a run with these tags; nothing is asked of a cluster."""
    from dagster_k8s.container_context import K8sContainerContext

    from loopline.pod.team_pods import TeamPods

    file = tmp_path / "kubeconfig.json"
    named = {"clusters": ("cluster", {"server": "http://127.0.0.1:1"}), "users": ("user", {})}
    named["contexts"] = ("context", {"cluster": "a", "user": "a"})
    said = {kind: [{"name": "a", one: value}] for kind, (one, value) in named.items()}
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "a", **said}))

    def make(tags=None, **more):
        launcher = TeamPods(**launcher_settings("risk", RunPods(**{**EVERYTHING, **more, "kubeconfig": file})))
        run = SimpleNamespace(job_code_origin=None, tags=tags or {})
        context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
        made = dagster_k8s.construct_dagster_k8s_job(
            job_config=context.get_k8s_job_config(None, launcher),
            args=["python", "-m", "dagster", "api", "execute_run", "{}"],
            job_name="dagster-run-1",
            user_defined_k8s_config=context.run_k8s_config,
        )
        return kubernetes.client.ApiClient().sanitize_for_serialization(made)

    return make


def test_kubernetes_takes_it_and_it_keeps_to_restricted(job):
    """Every field is known; it is tried once, soon forgotten, runs as nobody, and writes to volumes alone."""
    made = job()
    kubernetes_validate.validate(made, "1.35", strict=True)
    spec = made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert (made["spec"]["backoffLimit"], made["spec"]["ttlSecondsAfterFinished"]) == (0, 600)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (container["image"], spec["serviceAccountName"], spec["priorityClassName"]) == ("risk:7", "code", "high")
    assert container["command"] == ["python", "-m", "loopline.cli", "pod", "run"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert (variables[RUN_OF], variables["A"]) == ("risk", "b")
    assert "LOOPLINE_STEPS_ARE_PODS" not in variables
    mounts = {one["mountPath"] for one in container["volumeMounts"]}
    assert mounts == {"/var/lib/loopline", "/tmp", "/etc/loopline", "/landing", "/etc/tls"}
    steps = job(steps=True)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "LOOPLINE_STEPS_ARE_PODS", "value": "yes"} in steps


def test_a_tag_changes_what_a_pod_asks_for_and_nothing_else(job):
    """Who may start a run in Dagster's pages may not thereby become root, or read another team's Secret."""
    asked = {"container_config": {"resources": {"limits": {"memory": "8Gi"}}}}
    more = job({"dagster-k8s/config": json.dumps(asked)})["spec"]["template"]["spec"]["containers"][0]
    assert more["resources"]["limits"]["memory"] == "8Gi"
    for part, value in (
        ("container_config", {"security_context": {"privileged": True}}),
        ("container_config", {"env_from": [{"secret_ref": {"name": "other"}}]}),
        ("pod_spec_config", {"host_network": True}),
        ("job_spec_config", {"backoff_limit": 9}),
    ):
        with pytest.raises(Exception, match=f"violated the allowed list: {part}.{next(iter(value))}"):
            job({"dagster-k8s/config": json.dumps({part: value})})


def test_who_starts_runs_is_chosen_where_pods_are_possible(monkeypatch):
    """Dagster's own where nothing is said; ours where something may be; dagster-k8s' in such a run's pod itself."""
    storage = {"storage": "postgresql://h/d"}
    assert "run_launcher" not in instance.shared(DagsterSettings(**storage))
    some = DagsterSettings(**storage, run_pods={"risk": EVERYTHING})
    assert instance.shared(DagsterSettings(**storage, run_pods={}))["run_launcher"]["class"] == "TeamLauncher"
    ours = {"module": "loopline.pod.launcher", "class": "TeamLauncher", "config": {}}
    assert instance.shared(some)["run_launcher"] == ours
    monkeypatch.setenv(RUN_OF, "risk")
    in_pod = instance.shared(some)["run_launcher"]
    assert (in_pod["class"], in_pod["config"]["job_image"]) == ("TeamPods", "risk:7")


def test_rollouts_are_never_pods():
    """Of a team that names no job all go that may; of one that does, those alone."""
    every, some = RunPods(**EVERYTHING), RunPods(**EVERYTHING, jobs=["loopline_cycle"])
    assert every.takes("loopline_cycle")
    assert every.takes("__ASSET_JOB")
    assert not every.takes("loopline_rollout_step")
    assert not every.takes("loopline_promotion")
    assert some.takes("loopline_cycle")
    assert not some.takes("loopline_ingest")
