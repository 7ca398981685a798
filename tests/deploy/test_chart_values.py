"""Values that cannot be: each is refused with its name, and with what to do."""

from __future__ import annotations

import helm_python as helm
import pytest

from tests.deploy.helm_chart import LEAST, PROFILES, merged, profile, texts

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
    "a variable": ({"environment": {"variables": {"A-B": "1"}}}, ["A-B", "pattern"]),
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
    "a team where endpoints are": ({"teams": {"a": {"namespace": "mlops-serving"}}}, ["taken by serving"]),
}


@pytest.mark.parametrize(("values", "said"), BAD.values(), ids=BAD)
def test_a_value_that_cannot_be_is_refused_by_name(values, said):
    """The message has the value's name, what is wrong, and what could be."""
    with pytest.raises(helm.HelmError) as refused:
        texts(merged(LEAST, values))
    assert [word for word in said if word not in str(refused.value)] == []


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_are_held_to_the_same(path):
    """A misspelt value on top of a profile is refused, so the profile itself went through the schema."""
    with pytest.raises(helm.HelmError, match="protal"):
        texts(merged(profile(path), {"protal": {}}))
