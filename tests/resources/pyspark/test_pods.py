"""What an environment says of executors' pods becomes Spark's settings, and a mistake is told with its fix."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loopline.resources.pyspark import pods as module
from loopline.resources.pyspark.engine import PysparkEngine
from loopline.resources.pyspark.executor_pod import await_driver, command
from loopline.resources.pyspark.pods import Pods

MASTER = "k8s://https://cluster.test"
TOLD = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.0.0.1:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "900m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.2",
    "SPARK_EXECUTOR_POD_NAME": "loopline-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    **{f"SPARK_JAVA_OPT_{number}": f"-Dn={number}" for number in (10, 2, 0)},
}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"master": MASTER}, "needs pods: say at least"),
        ({"pods": {"image": "x"}}, "'local.2.' makes no pods"),
        ({"master": MASTER, "remote": "sc://a:1", "pods": {"image": "x"}}, "remote 'sc://a:1' makes no pods"),
        ({"master": MASTER, "pods": {}}, "image"),
        ({"master": MASTER, "pods": {"image": "x", "namespace": "No_Name"}}, "namespace"),
        ({"master": MASTER, "pods": {"image": "x", "executors": 0}}, "executors"),
        ({"master": MASTER, "pods": {"image": "x", "memory": 3}}, "memory"),
        ({"master": MASTER, "pods": {"image": "x", "memory_gb": 0.5}}, "memory_gb"),
        ({"master": MASTER, "pods": {"image": "x", "driver_port": 80}}, "driver_port"),
    ],
)
def test_a_mistake_is_named(given: dict[str, Any], words: str) -> None:
    """When the environment is read, long before Spark is started."""
    with pytest.raises(ValidationError, match=words):
        PysparkEngine(**given)


def test_a_pod_s_memory_is_java_s_and_python_s_together() -> None:
    """Both fit into what was asked for: without Python's share the kernel would end the pod."""
    pods = Pods(image="x", memory_gb=4, cpu=2, executors=3)
    options = pods.options(None)
    heap, beside = (int(options[f"spark.executor.{name}"][:-1]) for name in ("memory", "memoryOverhead"))
    assert heap + beside == pods.memory_mib == 3814
    assert 0.35 < beside / pods.memory_mib < 0.45
    assert [options[f"spark.executor.{name}"] for name in ("cores", "instances")] == ["2", "3"]


def test_what_spark_has_no_settings_for_stands_in_the_template() -> None:
    """In a file that stays as long as this process; asked again it is the same file."""
    pods = Pods(
        image="x",
        node_selector={"pool": "spot"},
        tolerations=({"key": "spot", "operator": "Exists"},),
        priority_class="low",
        environment_from=("stores",),
        image_pull_secrets=("key",),
        env={"A": "b"},
    )
    file = pods.options("/opt/python")["spark.kubernetes.executor.podTemplateFile"]
    assert pods.options("/opt/python")["spark.kubernetes.executor.podTemplateFile"] == file
    spec = json.loads(Path(file).read_text())["spec"]
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"pool": "spot"}, "low")
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert spec["imagePullSecrets"] == [{"name": "key"}]
    (container,) = spec["containers"]
    assert container["command"] == ["/opt/python", "-m", "loopline.resources.pyspark.executor_pod"]
    assert container["envFrom"] == [{"secretRef": {"name": "stores"}}]
    assert {"name": "A", "value": "b"} in container["env"]


def test_a_pod_owns_executors_of_its_own_namespace_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner of another namespace would have Kubernetes end them at once."""
    name = "spark.kubernetes.driver.pod.name"
    assert name not in Pods(image="x").options(None)
    (tmp_path / "namespace").write_text("team\n")
    monkeypatch.setattr(module, "_OWN_NAMESPACE", tmp_path / "namespace")
    monkeypatch.setenv("HOSTNAME", "code-1")
    assert Pods(image="x", namespace="team").options(None)[name] == "code-1"
    assert name not in Pods(image="x", namespace="other").options(None)


def test_the_executor_s_program_is_spark_s() -> None:
    """With the options in their order, and what Spark says of the pod."""
    run = command(TOLD, Path("/site/pyspark"), "/jre/bin/java")
    assert run[:4] == ["/jre/bin/java", "-Dn=0", "-Dn=2", "-Dn=10"]
    assert run[4:8] == ["-Xms900m", "-Xmx900m", "-cp", "/site/pyspark/jars/*"]
    assert run[8:] == [
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *("--driver-url", "spark://CoarseGrainedScheduler@10.0.0.1:7078", "--executor-id", "3", "--cores", "2"),
        *("--app-id", "spark-1", "--hostname", "10.0.0.2", "--resourceProfileId", "0"),
        *("--podName", "loopline-exec-3"),
    ]
    less = {name: value for name, value in TOLD.items() if name != "SPARK_DRIVER_URL"}
    with pytest.raises(KeyError, match="SPARK_DRIVER_URL"):
        command(less, Path(), "java")


def test_an_executor_waits_until_its_driver_lets_it_in() -> None:
    """Where policies are enforced it is let in a moment after it runs, and Spark's own program would ask once."""
    with socket.socket() as driver:
        driver.bind(("127.0.0.1", 0))
        url = f"spark://CoarseGrainedScheduler@127.0.0.1:{driver.getsockname()[1]}"
        assert not await_driver(url, seconds=0)
        late = threading.Timer(1.0, driver.listen)
        late.start()
        assert await_driver(url, seconds=60)
        late.join()
