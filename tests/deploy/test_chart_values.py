"""Values that cannot be: each is refused with its name, and with what to do."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

import helm_python as helm
import pytest
import yaml

from scripts import chart_values
from tests.deploy.helm_chart import CHART, LEAST, PROFILES, merged, profile, texts

BAD = {
    "a word that is none": ({"webservr": {}}, ["webservr", "not allowed"]),
    "a number as a word": ({"webserver": {"replicas": "two"}}, ["/webserver/replicas", "got string, want integer"]),
    "no pod": ({"webserver": {"replicas": 0}}, ["/webserver/replicas", "minimum: got 0, want 1"]),
    "two code locations of a team": ({"teams": {"retail": {"replicas": 2}}}, ["retail", "'replicas' not allowed"]),
    "a team's name": ({"teams": {"Re tail": {}}}, ["Re tail", "pattern"]),
    "the platform's own name": ({"teams": {"loopline": {}}}, ["loopline", "not"]),
    "a team's field": ({"teams": {"retail": {"qota": {}}}}, ["qota", "not allowed"]),
    "a digest": ({"image": {"digest": "sha256:12"}}, ["/image/digest", "pattern"]),
    "a quantity": ({"teamDefaults": {"quota": {"pods": "many"}}}, ["/teamDefaults/quota/pods", "pattern"]),
    "no memory limit": (
        {"portal": {"resources": {"limits": {"memory": None}}}},
        ["/portal/resources/limits", "memory"],
    ),
    "no Secret": ({"stores": {"secret": ""}}, ["/stores/secret", "minLength"]),
    "a claim mounted nowhere": ({"teams": {"a": {"claims": {"files": "x"}}}}, ["/teams/a/claims/files", "pattern"]),
    "a range of addresses": ({"stores": {"redis": {"cidrs": ["ten"]}}}, ["/stores/redis/cidrs/0", "pattern"]),
    "a job that is never a pod": (
        {"teams": {"a": {"runs": {"pods": True, "jobs": ["loopline_rollout_step"]}}}},
        ["/teams/a/runs/jobs/0", "loopline_cycle"],
    ),
    "runs as pods of which nobody reads": (
        {"teams": {"a": {"runs": {"pods": True}}}, "environment": {"text": "bindings: {lake: {vendor: delta}}"}},
        ["runs.pods", 'run_pods: "${LOOPLINE_RUN_PODS:-}"'],
    ),
    "a mesh": ({"mesh": {"kind": "consul"}}, ["/mesh/kind", "'none', 'istio', 'linkerd'"]),
    "a variable": ({"environment": {"variables": {"A-B": "1"}}}, ["/environment/variables", "A-B"]),
    "the example's image": (
        {"image": {"repository": "registry.example.com/loopline"}},
        ["image.repository", "build an image"],
    ),
    "an environment that is no YAML": ({"environment": {"text": "a: [b"}}, ["environment.text is no YAML", "Give the"]),
    "an environment without vendors": ({"environment": {"text": "name: x"}}, ["names no vendors", "'bindings'"]),
    "exposed without keys": ({"expose": {"enabled": True}}, ["expose.enabled", "loopline key create", "serving.keys"]),
    "exposed where nobody asks for keys": (
        {
            "expose": {"enabled": True},
            "serving": {"keys": "k"},
            "environment": {"text": "bindings: {serving: {vendor: object_store}}"},
        },
        ["ask for no keys", "gateway: {keys: FILE}"],
    ),
    "a collector of nobody's requests": (
        {"collector": {"enabled": True}},
        ["collector.enabled", "Bind 'serving' to kserve"],
    ),
    "no issuer": ({"certificates": {"source": "cert-manager"}}, ["certificates.issuer.name", "or let"]),
    "two teams in one namespace": (
        {"teams": {"a": {"namespace": "x"}, "b": {"namespace": "x"}}},
        ["teams.b.namespace", "taken by team a", "of its own"],
    ),
    "a team in the platform's namespace": ({"teams": {"a": {"namespace": "mlops"}}}, ["taken by the platform"]),
    "a word in braces that is no team": (
        {"serving": {"namespace": "mlops-{tenant}"}},
        ["/serving/namespace", "pattern"],
    ),
    "each team's endpoints with the platform": (
        {"serving": {"namespace": "{team}"}, "teams": {"mlops": {"namespace": "x"}}},
        ["serving.namespace: mlops", "team mlops", "taken by the platform", "such as mlops-{team}"],
    ),
    "a team's endpoints with another team": (
        {"serving": {"namespace": "x-{team}"}, "teams": {"a": {}, "b": {"namespace": "x-a"}}},
        ["serving.namespace: x-a", "of team a", "taken by team b"],
    ),
    "one collector of endpoints apart": (
        {
            "collector": {"enabled": True},
            "serving": {"namespace": "x-{team}"},
            "environment": {"text": "bindings: {serving: {vendor: kserve, store: s3://b/p, image: x}}"},
        },
        ["collector.enabled", "one for all"],
    ),
    "a repository with its tag": (
        {"image": {"repository": "r.test/loopline:1"}},
        ["image.repository", "holds a tag", "image.tag"],
    ),
    "a repository with its digest": (
        {"teams": {"a": {"image": {"repository": "r.test/a@sha256:1"}}}},
        ["teams.a.image.repository", "holds a tag or digest"],
    ),
    "a repository in capitals": ({"image": {"repository": "ACCOUNT.test/ML"}}, ["image.repository", "small letters"]),
    "a tag that is none": ({"image": {"tag": "a b"}}, ["/image/tag", "pattern"]),
    "an address without its range": ({"stores": {"redis": {"cidrs": ["10.0.0.1"]}}}, ["/stores/redis/cidrs/0"]),
    "a range beyond 32": ({"stores": {"redis": {"cidrs": ["10.0.0.0/33"]}}}, ["/stores/redis/cidrs/0"]),
    "an octet beyond 255": ({"networkPolicy": {"apiServer": {"cidrs": ["300.0.0.0/8"]}}}, ["/apiServer/cidrs/0"]),
    "a rule without an end": ({"networkPolicy": {"egress": [{"from": []}]}}, ["/networkPolicy/egress/0", "from"]),
    "a limit below its request": (
        {"portal": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "900Mi"}}}},
        ["portal.resources.requests.memory: 2Gi is more than its limit.memory, 900Mi", "Raise the one"],
    ),
    "a team's limit below its request": (
        {"teams": {"a": {"runs": {"pods": True, "resources": {"requests": {"memory": "9G"}}}}}},
        ["teams.a.runs.resources.requests.memory: 9G is more", "4Gi"],
    ),
    "a default above the most": (
        {"teams": {"a": {"limits": {"max": {"memory": "512Mi"}}}}},
        ["teams.a", "memory", "512Mi", "Raise the one"],
    ),
    "a quota below the code location": (
        {"teams": {"a": {"quota": {"requests.memory": "100Mi"}}}},
        ["teams.a.resources", "requests.memory", "teams.a.quota.requests.memory, 100Mi"],
    ),
    "more runs than the memory holds": (
        {"runs": {"ofTeam": 30}},
        ["teams.retail.resources.limits.memory: 4Gi", "30 runs at once of 400Mi", "12500Mi", "runs.pods"],
    ),
    "more runs by the environment's own word": (
        {"environment": {"text": "bindings: {lake: {vendor: delta}}\ndagster: {team_runs: 20}"}},
        ["teams.retail.resources.limits.memory", "20 runs"],
    ),
    "more trainings than runs": ({"runs": {"trainings": 30}}, ["runs.trainings", "30 is more than runs.atOnce"]),
    "GPUs by half a name": (
        {"teams": {"a": {"quota": {"requests.gpu": "2"}}}},
        ["/teams/a/quota", "requests.gpu"],
    ),
    "a resource that is none": (
        {"portal": {"resources": {"requests": {"ram": "1Gi"}}}},
        ["/portal/resources/requests", "ram"],
    ),
    "a quantity of two points": ({"teamDefaults": {"quota": {"pods": "1.2.3"}}}, ["/teamDefaults/quota/pods"]),
    "a quantity below nothing": ({"teamDefaults": {"quota": {"pods": -1}}}, ["/teamDefaults/quota/pods", "minimum"]),
    "an unknown vendor": (
        {"environment": {"text": "bindings: {lake: {vendor: iceberg}}"}},
        ["bindings.lake.vendor", '"iceberg"', "delta, postgres", "environment.vendors as lake.iceberg"],
    ),
    "an unknown contract": (
        {"environment": {"text": "bindings: {laek: {vendor: delta}}"}},
        ["bindings.laek", "no such contract"],
    ),
    "a binding without settings": (
        {"environment": {"text": "bindings: {compute: kubernetes}"}},
        ["environment.text: compute is kubernetes", "vendor"],
    ),
    "bindings as a list": ({"environment": {"text": "bindings: [lake]"}}, ["'bindings' is no map"]),
    "a section that is taken out": ({"rbac": None}, ["missing property 'rbac'"]),
    "a label by which pods are found": (
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        ["/podLabels/app.kubernetes.io~1name"],
    ),
    "a label's value": ({"podLabels": {"cost": "a b"}}, ["/podLabels/cost", "pattern"]),
    "a label of a dashboard": (
        {"monitoring": {"dashboards": {"labels": {"helm.sh/chart": "x"}}}},
        ["/monitoring/dashboards/labels/helm.sh~1chart"],
    ),
    "a label that no node has": ({"scheduling": {"nodeSelector": {"a": "b c"}}}, ["/scheduling/nodeSelector/a"]),
    "a toleration's effect": (
        {"scheduling": {"tolerations": [{"key": "a", "effect": "NoShedule"}]}},
        ["/scheduling/tolerations/0/effect"],
    ),
    "an affinity that is none": ({"scheduling": {"affinity": {"node": {}}}}, ["/scheduling/affinity", "node"]),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, ["/podSecurityContext/runAsUser", "minimum"]),
    "a volume of ours": ({"extraVolumes": [{"name": "home"}]}, ["/extraVolumes/0/name", "not"]),
    "a mount of no volume": (
        {"extraVolumeMounts": [{"name": "x", "mountPath": "/x"}]},
        ["extraVolumeMounts: no volume is called x"],
    ),
    "a variable that is the chart's": ({"environment": {"variables": {"LOOPLINE_HOME": "/x"}}}, ["LOOPLINE_HOME"]),
    "a claim where the chart mounts": (
        {"teams": {"a": {"claims": {"files": "/etc/loopline"}}}},
        ["/teams/a/claims/files", "not"],
    ),
    "two claims in one place": (
        {"teams": {"a": {"claims": {"f": "/x", "g": "/x/"}}}},
        ["teams.a.claims.g", "where f is mounted"],
    ),
    "a host with a scheme": ({"portal": {"names": ["https://loop.test"]}}, ["/portal/names/0"]),
    "a host in capitals": ({"expose": {"hostnames": ["Models.test"]}}, ["/expose/hostnames/0"]),
    "an address without a scheme": ({"webserver": {"url": "dagster.test"}}, ["/webserver/url", "pattern"]),
    "steps of runs that are no pods": (
        {"teams": {"a": {"runs": {"steps": True}}}},
        ["teams.a.runs", "Set teams.a.runs.pods"],
    ),
    "promotions that nobody carries out": (
        {"promotions": {"required": True}},
        ["promotions.required", "promotions.enabled"],
    ),
    "certificates that nobody reads": (
        {"certificates": {"source": "secret"}},
        ["certificates.source", "/etc/loopline-tls", "or let certificates.source be none"],
    ),
    "a namespace that is too long": (
        {"serving": {"namespace": "a-very-long-namespace-for-endpoints-{team}"}, "teams": {"t" * 40: {}}},
        ["serving.namespace", "63 at most"],
    ),
    "a team where endpoints are": ({"teams": {"a": {"namespace": "mlops-serving"}}}, ["taken by serving"]),
}


@pytest.mark.parametrize(("values", "said"), BAD.values(), ids=BAD)
def test_a_value_that_cannot_be_is_refused_by_name(values, said):
    """The message has the value's name, what is wrong, and what could be."""
    with pytest.raises(helm.HelmError) as refused:
        texts(merged(LEAST, values))
    assert [word for word in said if word not in str(refused.value)] == []


def test_ranges_that_nobody_said_are_asked_for_all_at_once():
    """Pods reach what is named alone, so what is not named is no default; where nothing is denied none is needed."""
    silent = {name: value for name, value in LEAST.items() if name not in {"stores", "networkPolicy"}}
    with pytest.raises(helm.HelmError) as refused:
        texts(silent)
    for said in ("networkPolicy.apiServer.cidrs", "stores.mlflow.cidrs", "stores.objectStore.cidrs", "such as [10.0"):
        assert said in str(refused.value)
    assert texts(merged(silent, {"networkPolicy": {"enabled": False}}))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_are_held_to_the_same(path):
    """A misspelt value on top of a profile is refused, so the profile itself went through the schema."""
    with pytest.raises(helm.HelmError, match="protal"):
        texts(merged(profile(path), {"protal": {}}))


HONOURED = {
    "no range where there is no store": {"stores": {"redis": {"cidrs": []}}},
    "a range of IPv6": {"stores": {"redis": {"cidrs": ["fd00::/8"]}}},
    "a registry with a port": {"image": {"repository": "localhost:5000/ml/loopline"}},
    "a name of one word": {"image": {"repository": "loopline"}},
    "a class with points": {"scheduling": {"priorityClass": "ml.high"}},
    "GPUs by their whole name": {"teams": {"a": {"quota": {"requests.nvidia.com/gpu": 2, "count/jobs.batch": "9"}}}},
    "cores as a number": {"portal": {"resources": {"requests": {"cpu": 0.5}}}},
    "millions as a number": {"portal": {"resources": {"limits": {"memory": 2_000_000_000}}}},
    "a vendor of one's own": {
        "environment": {"text": "bindings: {lake: {vendor: iceberg}}", "vendors": ["lake.iceberg"]}
    },
    "a vendor by a variable": {"environment": {"text": 'bindings: {lake: {vendor: "${LAKE}"}}'}},
    "many runs that are pods": {"runs": {"ofTeam": 30, "atOnce": 30}, "teamDefaults": {"runs": {"pods": True}}},
}


@pytest.mark.parametrize("values", HONOURED.values(), ids=HONOURED)
def test_a_value_that_can_be_is_taken(values):
    """What is unusual and right is refused by none of the checks."""
    assert texts(merged(LEAST, values))


def test_the_vendors_that_the_chart_knows_are_loopline_s():
    """Those of pyproject.toml, so that a name that is misspelt is one of none."""
    listed = yaml.safe_load(CHART.joinpath("files", "vendors.yaml").read_text())
    assert listed == sorted(one.name for one in entry_points(group="loopline.vendors") if own(one))


def test_the_chart_takes_what_make_cluster_writes():
    """Over the profile for a laptop's cluster; endpoints' pods are given less of the stores than all others."""
    made = import_module("scripts.cluster.__main__")
    laptop = yaml.safe_load(CHART.joinpath("values-laptop-cluster.yaml").read_text())
    assert texts(merged(laptop, made.values()))
    secret = {"LOOPLINE_LEDGER": "x", "LOOPLINE_STORE": "x", "AWS_REGION": "x", "LOOPLINE_MLFLOW": "x"}
    assert set(made.served(secret)) == {"LOOPLINE_STORE", "AWS_REGION"}


def test_the_readme_s_table_is_of_the_values():
    """``python -m scripts.chart_values`` has written it since ``values.yaml`` changed; each value has a line."""
    assert chart_values.README.read_text() == chart_values.current()
    names = {name for name, _, _ in chart_values.rows()}
    given = yaml.safe_load(CHART.joinpath("values.yaml").read_text())
    assert {one for one in given if not any(name.partition(".")[0] == one for name in names)} == set()


def own(one):
    """Say whether an entry point is of Loopline itself."""
    return one.value.startswith("loopline.")
