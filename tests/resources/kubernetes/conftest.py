"""What the tests of the vendors on Kubernetes share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cluster.endpoints_in_pods import bind_pods, object_store  # noqa: F401 - fixtures

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """Let pods, which do not run as root, write there too."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture
def bound(kubernetes_compute):
    """Bind a compute to the team's namespace, with settings of a test's own."""
    return kubernetes_compute


@pytest.fixture
def core(kubernetes_core):
    """Give the API's part that knows pods, nodes and quotas."""
    return kubernetes_core


@pytest.fixture
def api(kubernetes_api):
    """Give the API."""
    return kubernetes_api


@pytest.fixture
def namespace(team_namespace):
    """Give the team's namespace."""
    return team_namespace
