"""What Argo CD and Flux follow: files that build, definitions that a real API server takes, health that is right."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import promotion_requests
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.loop.rollouts.rollback import roll_back
from loopline.resources.kubernetes.mirror import _conditions
from loopline.resources.kubernetes.mirrored import Mirrored, objects
from tests.deploy import helm_chart as chart
from tests.deploy.published_definitions import apply, create, definitions, made_of_types, namespace
from tests.platform_core.loop.conftest import REF, Loop, platform_on

FOLDER = Path(__file__).parents[2] / "deploy" / "gitops"
ENVIRONMENTS = ("dev", "prod")
DEFINITIONS = {
    "github.com/argoproj/argo-cd/v3@v3.5.0": "manifests/crds/*-crd.yaml",
    "github.com/fluxcd/source-controller@v1.9.0": "config/crd/bases/*_[go][ic]*repositories.yaml",
    "github.com/fluxcd/kustomize-controller@v1.9.0": "config/crd/bases/*_kustomizations.yaml",
}
"""Modules in which definitions are published, and where."""
RELEASES = ("github.com/fluxcd/helm-controller/api@v1.6.0", "github.com/fluxcd/helm-controller/api/v2")
"""A module of Go types alone: the one that publishes the definition made of them is not served."""


def documents(folder: str) -> Iterator[tuple[Path, dict]]:
    """Give each manifest of a folder, with its file."""
    for path in sorted((FOLDER / folder).rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path, document


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_promotion_is_read_and_named(environment):
    """Each file is a wish of the model that it lies for, and its team's kustomization makes it a ConfigMap."""
    folder = FOLDER / "environments" / environment / "promotions"
    for team in sorted(path.name for path in folder.iterdir()):
        found = dict(promotion_requests.wished(folder, team))
        assert found
        assert [promotion_requests.read(path, ref).ref for ref, path in found.items()] == list(found)
        made = yaml.safe_load((folder / team / promotion_requests.KUSTOMIZATION).read_text())["configMapGenerator"]
        assert made == [{"name": "loopline-promotions", "files": [path.name for path in found.values()]}]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_team_s_values_reach_the_release(environment):
    """A team's file is in the ConfigMap, and the ConfigMap's key in the release; and it speaks of that team alone."""
    folder = FOLDER / "environments" / environment
    (made,) = yaml.safe_load((folder / promotion_requests.KUSTOMIZATION).read_text())["configMapGenerator"]
    teams = sorted(f"teams/{path.name}" for path in (folder / "teams").iterdir())
    assert made["files"] == ["platform.yaml", *teams]
    (release,) = [d for _, d in documents(f"flux/{environment}") if d["kind"] == "HelmRelease"]
    named = [(one["name"], one["valuesKey"]) for one in release["spec"]["valuesFrom"]]
    assert named == [(made["name"], Path(file).name) for file in made["files"]]
    for file in teams:
        assert list(yaml.safe_load((folder / file).read_text())["teams"]) == [Path(file).stem]
    followed = {d["spec"]["path"] for _, d in documents(f"flux/{environment}") if d["kind"] == "Kustomization"}
    promoted = {f"./environments/{environment}/promotions/{path.name}" for path in (folder / "promotions").iterdir()}
    assert followed == {f"./environments/{environment}", *promoted}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_flux_takes_the_chart_as_a_package(environment):
    """Of a folder in a repository it leaves out links, and the chart's files are links: it would not install."""
    links = [path for path in chart.CHART.rglob("*") if path.is_symlink()]
    assert links
    found = {d["kind"]: d for _, d in documents(f"flux/{environment}") if d["metadata"]["name"] == "loopline"}
    assert found["HelmRelease"]["spec"]["chartRef"] == {"kind": "OCIRepository", "name": "loopline"}
    assert found["OCIRepository"]["spec"]["layerSelector"]["operation"] == "copy"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_chart_takes_an_environment_s_values(environment):
    """With an image of one's own, as the page says: each team has a code location into which its promotions come."""
    folder = FOLDER / "environments" / environment
    files = [folder / "platform.yaml", *sorted((folder / "teams").iterdir())]
    given = chart.merged(
        *(yaml.safe_load(path.read_text()) for path in files), {"image": {"repository": "r.test/ours"}}
    )
    made = chart.of_kind(chart.objects(given), "Deployment")
    (release,) = [d for _, d in documents(f"flux/{environment}") if d["kind"] == "HelmRelease"]
    assert release["spec"]["targetNamespace"] == "loopline"
    for path in (folder / "promotions").iterdir():
        pod = made[f"loopline-code-{path.name}"]["spec"]["template"]["spec"]
        (named,) = yaml.safe_load((path / promotion_requests.KUSTOMIZATION).read_text())["configMapGenerator"]
        mapped = [one["configMap"]["name"] for one in pod["volumes"] if one["name"] == "promotions"]
        assert mapped == [named["name"]]
        (release,) = [
            d for _, d in documents(f"flux/{environment}") if d["metadata"]["name"] == f"promotions-{path.name}"
        ]
        namespace = made[f"loopline-code-{path.name}"]["metadata"]["namespace"]
        assert release["spec"]["targetNamespace"] == namespace.replace(chart.NAMESPACE, "loopline")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl builds kustomizations, and is not installed")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kustomizations_build(environment):
    """By Kustomize itself; what comes out of a team's folder is what a code location reads."""
    folder = FOLDER / "environments" / environment
    for where in (folder, folder / "promotions" / "retail"):
        done = subprocess.run(["kubectl", "kustomize", str(where)], check=True, capture_output=True, text=True)
        (made,) = yaml.safe_load_all(done.stdout)
        assert made["kind"] == "ConfigMap"
    text = (folder / "promotions" / "retail" / "cancellations.yaml").read_text()
    assert made["data"] == {"cancellations.yaml": text}
    assert promotion_requests.read(
        folder / "promotions" / "retail" / "cancellations.yaml", ModelRef("retail", "cancellations")
    )


def health(one: Mirrored, generation: int = 1) -> tuple[str, str]:
    """Return what Argo CD says of an object, by the script that is shipped."""
    pytest.importorskip("lupa", reason="lupa runs the health script, and is not installed")
    from lupa import LuaRuntime

    data = yaml.safe_load((FOLDER / "argocd" / "health.yaml").read_text())["data"]
    script = data[f"resource.customizations.health.loopline.dev_{one.kind}"]
    runtime = LuaRuntime()
    status = dict(one.status) | {"observedGeneration": 1, "conditions": _conditions(one, {}, 1)}
    found = {"metadata": {"generation": generation}, "status": status if one.status else None}
    runtime.globals().obj = table(runtime, found)
    said = runtime.execute(script)
    return said["status"], said["message"]


def table(runtime, value):
    """Return JSON as Lua has it."""
    if isinstance(value, dict):
        return runtime.table_from({k: table(runtime, v) for k, v in value.items() if v is not None})
    return runtime.table_from([table(runtime, one) for one in value]) if isinstance(value, list) else value


@pytest.fixture
def loop(tmp_path: Path):
    """Give a platform to drive, on SQLite."""
    platform = platform_on(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    yield Loop(platform, tmp_path)
    platform.close()


def test_argo_cd_understands_the_conditions(loop):
    """Of a rollout's whole way: healthy, progressing, suspended while a person holds it, degraded once taken back."""

    def now(kind: str, version: str = "") -> tuple[str, str]:
        every = [one for one in objects(loop.ledger, "x") if one.kind == kind]
        return health(next(one for one in every if not version or one.spec["version"] == version))

    loop.roll_out("first")
    assert now("LoopModel") == ("Healthy", "version 1 is live")
    loop.later(60)
    loop.roll_out("second")
    assert now("LoopModel") == ("Progressing", "version 2 at 20 percent")
    assert now("LoopCycle")[0] == now("LoopRollout", "2")[0] == "Progressing"
    rollouts.hold(loop.ledger, REF, "anna", "look first", loop.now)
    assert now("LoopModel")[0] == "Suspended"
    roll_back(loop.platform, REF, "anna", "no", loop.now)
    assert now("LoopModel") == ("Healthy", "version 1 is live")
    assert now("LoopRollout", "2") == ("Degraded", "version 2 was taken back")
    assert now("LoopCycle")[0] == "Healthy"


def test_what_was_not_written_anew_yet_is_progressing(loop):
    """A status of an older generation says nothing of this one; nor does none."""
    loop.roll_out("first")
    (model,) = [one for one in objects(loop.ledger, "x") if one.kind == "LoopModel"]
    assert health(model, generation=2)[0] == "Progressing"
    assert health(Mirrored("LoopModel", "x", "y", {}, {}, {}))[0] == "Progressing"


def test_a_real_api_server_takes_every_manifest(kubernetes_api, tmp_path):
    """Strictly, under the definitions that Argo CD and Flux publish: an unknown field would be refused, and is."""
    from kubernetes.dynamic import DynamicClient

    apply(kubernetes_api, [*definitions(DEFINITIONS), *made_of_types(*RELEASES, tmp_path / "types")])
    manifests = [(path, d) for folder in ("argocd", "flux") for path, d in documents(folder)]
    held = [(path, d) for path, d in manifests if path.name != promotion_requests.KUSTOMIZATION]
    assert {d["kind"] for _, d in held} > {
        "AppProject",
        "ApplicationSet",
        "GitRepository",
        "HelmRelease",
        "Kustomization",
        "OCIRepository",
    }
    dynamic = DynamicClient(kubernetes_api)
    for path, document in held:
        for name in ("argocd", "flux-system"):
            namespace(dynamic, name)
        assert create(dynamic, document) == "", path
    for kind in ("AppProject", "HelmRelease"):
        one = next(d for _, d in held if d["kind"] == kind)
        broken = one | {"spec": one["spec"] | {"misspelt": []}}
        assert 'unknown field "spec.misspelt"' in create(dynamic, broken)
