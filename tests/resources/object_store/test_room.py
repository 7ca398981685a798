"""A model that does not fit its endpoint group is refused by name, before any pod is asked to load it."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served, ServerUse
from loopline.platform_core.contracts.state_store import ServerReport
from loopline.platform_core.errors import Refused
from loopline.resources.kubernetes import group_capacity
from loopline.resources.kubernetes.serving import KubernetesServing
from tests.s3_server import S3Server

GIB_OF_A_GB = 1e9 / 2**30


@pytest.fixture
def serving(s3_server: S3Server) -> KubernetesServing:
    """Bind a serving whose models share one group of 1 GB; no cluster is asked."""
    place = {"store": s3_server.place(), "storage_options": s3_server.options}
    return KubernetesServing(image="loopline:1", endpoint_group="small", memory_gb=1, **place)


def version(folder: Path, number: str, megabytes: float) -> Served:
    """Make a package of a size, without its bytes on the disk."""
    package = folder / number
    package.mkdir()
    with package.joinpath("model.txt").open("wb") as file:
        file.truncate(int(megabytes * 1e6))
    return Served(number, package, f"cycle-{number}")


def holds(serving: KubernetesServing, *gigabytes: float) -> None:
    """Let a pod say what its servers' processes hold."""
    uses = [ServerUse(f"worker-{n}", 1.0, size * GIB_OF_A_GB, 1.0) for n, size in enumerate(gigabytes)]
    report = ServerReport({"retail.other": ObservedState(1, ready=True)}, uses=uses)
    serving.group_states("small").report("pod-1", report)


def test_what_fits_is_let_through(serving: KubernetesServing, tmp_path: Path) -> None:
    """Beside what the fullest server holds."""
    holds(serving, 0.5, 0.8)
    group_capacity.require(serving, DesiredState("retail.one", 1, version(tmp_path, "1", 190)))


def test_what_does_not_fit_is_refused_and_changes_nothing(serving: KubernetesServing, tmp_path: Path) -> None:
    """By its name, the group's and the numbers; the servers are asked for nothing."""
    holds(serving, 0.5, 0.8)
    with pytest.raises(Refused, match=r"retail.one does not fit endpoint group 'small'.*0\.80 GB.*0\.21 GB.*is 1"):
        serving.apply(DesiredState("retail.one", 1, version(tmp_path, "1", 210)))
    assert serving.states.wanted("retail.one") is None


def test_a_candidate_comes_on_top_and_what_is_there_does_not(serving: KubernetesServing, tmp_path: Path) -> None:
    """A version that is loaded already is in what its server holds; a roll-back always fits."""
    stable, candidate = version(tmp_path, "1", 300), version(tmp_path, "2", 300)
    serving.states.ask(DesiredState("retail.one", 1, stable))
    holds(serving, 0.6)
    group_capacity.require(serving, DesiredState("retail.one", 2, stable, candidate, 5))
    holds(serving, 0.75)
    with pytest.raises(Refused, match=r"retail\.one does not fit"):
        group_capacity.require(serving, DesiredState("retail.one", 2, stable, candidate, 5))
    serving.states.ask(DesiredState("retail.one", 2, stable, candidate, 5))
    holds(serving, 1.2)
    group_capacity.require(serving, DesiredState("retail.one", 3, stable))


def test_each_worker_holds_all_and_packages_may_grow(serving: KubernetesServing, tmp_path: Path) -> None:
    """Workers multiply, and so does the environment's own factor of a package."""
    state = DesiredState("retail.one", 1, version(tmp_path, "1", 150))
    holds(serving, 0.4)
    group_capacity.require(serving, state)
    with pytest.raises(Refused, match="2 workers of"):
        group_capacity.require(serving.model_copy(update={"workers": 2}), state)
    with pytest.raises(Refused, match=r"0\.75 GB more"):
        group_capacity.require(serving.model_copy(update={"memory_factor": 5}), state)
