"""A code location whose pod does not start, on a real cluster: the alarm says why, and of whom."""

from __future__ import annotations

import pytest
import yaml

from loopline.graphql import Dagster
from loopline.platform_core.alarms.pages import Pages
from loopline.pod.kubelet import Kubelet
from loopline.up.ports import free_port
from loopline.watchdog.dagster_health import DagsterHealth
from loopline.watchdog.look import Bounds
from scripts.cluster import images
from scripts.cluster.python_layer import interpreter
from tests.loopline.pod.test_pods import ENVIRONMENT, Pods, states, until

pytestmark = pytest.mark.timeout(1200)
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
TEAMS = {
    "absent": {"image": "loopline.local/nobody:9", "imagePullPolicy": "Never"},
    "crashing": {"image": images.NAME, "imagePullPolicy": "Never", "command": [str(interpreter()), "-c", "exit(3)"]},
    "large": {"image": images.NAME, "resources": {"requests": {"memory": "900Gi"}}},
}


@pytest.fixture
def located(kubernetes_core, team_namespace, tmp_path):
    """Start a code location's pod and Service for each team; gives the workspace file."""
    servers = []
    for team, container in TEAMS.items():
        labels = {"app.kubernetes.io/name": f"code-{team}"}
        spec = {"containers": [{"name": f"code-{team}", "securityContext": RESTRICTED, **container}]}
        pod = {"metadata": {"name": f"code-{team}-1", "labels": labels}, "spec": spec}
        kubernetes_core.create_namespaced_pod(team_namespace, pod)
        service = {"metadata": {"name": f"code-{team}"}, "spec": {"selector": labels, "ports": [{"port": 4000}]}}
        kubernetes_core.create_namespaced_service(team_namespace, service)
        host = f"code-{team}.{team_namespace}.svc"
        servers.append({"grpc_server": {"host": host, "port": 4000, "location_name": team}})
    file = tmp_path / "asked.yaml"
    file.write_text(yaml.safe_dump({"load_from": servers}))
    return file


def test_the_alarm_of_a_broken_image_has_the_kubelet_s_words(cluster, located, tmp_path, new_database):
    """Each team's alarm bears its name and its own reason; one that runs has none; who may not ask says nothing."""
    kubelet = Kubelet(located, cluster.kubeconfig)
    until(lambda: "ErrImageNeverPull" in kubelet.words("absent"), lambda: kubelet.words("absent"))
    assert "loopline.local/nobody:9" in kubelet.words("absent")
    until(lambda: "code-crashing ended" in kubelet.words("crashing"), lambda: kubelet.words("crashing"), 180)
    until(lambda: "Insufficient memory" in kubelet.words("large"), lambda: kubelet.words("large"))
    assert kubelet.words("nobody") == ""
    assert Kubelet(located.with_name("no file"), cluster.kubeconfig).words("absent") == ""

    text = ENVIRONMENT.format(shared=tmp_path, ledger=new_database(), storage=new_database(), logs="", options="{}")
    pods, web = Pods(tmp_path, text), free_port()
    try:
        good = free_port()
        pods.locate(retail=good, **dict.fromkeys(TEAMS, free_port()))
        pods.start("code", "code-server", "retail", "--port", str(good))
        pods.start("web", "web-server", "--open", "--port", str(web))
        dagster = Dagster(f"http://127.0.0.1:{web}/graphql")
        expected = {"retail": "loaded", **dict.fromkeys(TEAMS, "broken")}
        until(lambda: states(dagster) == expected, lambda: pods.said("web"), 300)
        health, problems = DagsterHealth(dagster, Pages(""), Bounds(), kubelet.words), {}

        def told():
            problems.update((alarm.cause, alarm.problem) for alarm in health.locations().alarms)
            return "code-crashing ended" in problems["location:crashing"]  # it is being started anew in between

        until(told, lambda: problems)
    finally:
        for name in list(pods.running):
            pods.kill(name)
    assert set(problems) == {f"location:{team}" for team in TEAMS}
    assert "the pod of team absent does not start: code-absent: ErrImageNeverPull" in problems["location:absent"]
    assert "Insufficient memory" in problems["location:large"]
