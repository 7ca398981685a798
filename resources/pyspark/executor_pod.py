"""Program of a Spark executor's pod, configured by the variables that Spark gives it.

``python -m loopline.resources.pyspark.executor_pod executor``; Spark leaves the program to the image, and its own
images have a shell script for it. This one needs Java and the distribution ``pyspark``, and no shell.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

REACHED_SECONDS = 60.0
"""How long an executor waits for its driver to let it in. Where network policies are enforced, a new pod is let in once
its address is known, a second or two after it runs; Spark's executor asks once, and Spark gives up after a few."""
BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
_OPTION = "SPARK_JAVA_OPT_"
_TOLD = {
    "--driver-url": "SPARK_DRIVER_URL",
    "--executor-id": "SPARK_EXECUTOR_ID",
    "--cores": "SPARK_EXECUTOR_CORES",
    "--app-id": "SPARK_APPLICATION_ID",
    "--hostname": "SPARK_EXECUTOR_POD_IP",
    "--resourceProfileId": "SPARK_RESOURCE_PROFILE_ID",
    "--podName": "SPARK_EXECUTOR_POD_NAME",
}


def command(variables: Mapping[str, str], home: Path, java: str) -> list[str]:
    """Return what to run; ``home`` is where the distribution lies.

    Raises:
        KeyError: a variable that Spark gives each executor's pod is missing.
    """
    numbered = sorted((name for name in variables if name.startswith(_OPTION)), key=_number)
    memory = variables["SPARK_EXECUTOR_MEMORY"]
    classes = os.pathsep.join(filter(None, [variables.get("SPARK_CLASSPATH", ""), str(home / "jars" / "*")]))
    options = [*(variables[name] for name in numbered), f"-Xms{memory}", f"-Xmx{memory}", "-cp", classes]
    return [java, *options, BACKEND, *(part for name, of in _TOLD.items() for part in (name, variables[of]))]


def await_driver(url: str, seconds: float = REACHED_SECONDS) -> bool:
    """Wait until the driver at a URL such as ``spark://name@host:port`` takes a connection; False if it never does."""
    place = urlsplit(url)
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((place.hostname or "", place.port or 0), timeout=2).close()
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        else:
            return True


def main() -> None:
    """Become the executor."""
    import pyspark

    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None:
        sys.exit("there is no Java in this image\n→ put a JRE of version 17 into it, and its place into JAVA_HOME")
    try:
        run = command(os.environ, Path(pyspark.__file__).parent, java)
    except KeyError as error:
        sys.exit(f"{error.args[0]} is not set\n→ this is the program of a pod that Spark makes, and of nothing else")
    driver = os.environ["SPARK_DRIVER_URL"]
    if not await_driver(driver):
        told = f"the driver at {driver} cannot be reached after {REACHED_SECONDS:.0f} s"
        sys.exit(f"{told}\n→ see whether it runs, and whether a network policy parts its pod from the executors'")
    os.chdir(tempfile.gettempdir())  # where Spark keeps files of a session; the image is read-only
    os.execv(java, run)  # noqa: S606 - no shell is wanted


def _number(name: str) -> int:
    return int(name.removeprefix(_OPTION))


if __name__ == "__main__":
    main()
