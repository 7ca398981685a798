"""The Java SDK's own tests, against the same server as Python's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.machine import needs

JAVA = Path(__file__).parents[2] / "sdk" / "java"


@pytest.mark.timeout(600)  # an empty Maven repository is filled first
@pytest.mark.parametrize("shop", ["redis"], indirect=True)
def test_the_java_sdk_passes_its_tests(server: str, tmp_path: Path) -> None:
    """With a server given, every Java test runs: calls, answers, errors and numbers are the vectors' bytes."""
    maven = needs("mvn")
    project = tmp_path / "sdk" / "java"
    shutil.copytree(JAVA, project, ignore=shutil.ignore_patterns("target"))
    shutil.copytree(JAVA.parent / "vectors", tmp_path / "sdk" / "vectors")
    command = [maven, "-q", "-B", "-ntp", "test", f"-Dserver={server}"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    suites = [ET.parse(report).getroot() for report in project.glob("target/surefire-reports/*.xml")]
    ran = {suite.get("name", "").rpartition(".")[2]: int(suite.get("tests", 0)) for suite in suites}
    assert ran.keys() == {"AnswersTest", "RetryTest", "ServerTest", "VectorsTest"}
    assert min(ran.values()) > 0
    assert not any(int(suite.get("skipped", 0)) for suite in suites)
