"""How a model whose versions are apart comes to what is asked of it, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loopline.platform_core.contracts.serving import CANARY, GRPC, SHADOW, SPLIT, DesiredState
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.testing.parts.endpoints import served
from loopline.resources.kserve.own_server import OwnServer
from loopline.resources.kserve.per_version import Live, Wanted, document, is_there, part_name, planned
from loopline.resources.kserve.serving import KServeServing
from tests.resources.kserve.test_inference_service import unknown

SETTLE = 5.0
MODEL = "retail.large"


def serving(**settings: Any) -> KServeServing:
    """Bind a serving that asks nobody; one model's versions are apart."""
    given = {"address": "http://gateway", "apart": ("retail.l*",), "replicas": 4, **settings}
    return KServeServing(store="s3://b/p", image="loopline:1", **given)


class OnPaper:
    """A model's InferenceService, with a KServe that does at once what it can, but for versions that do not load."""

    def __init__(self) -> None:
        self.live: Live | None = None
        self.now = 0.0
        self.broken: set[str] = set()
        self.shown: list[tuple[str, dict[str, int]]] = []
        self._own = OwnServer(serving())

    def look(self, wanted: Wanted) -> Live:
        """Take one step, and let KServe act."""
        plan = planned(self.live, wanted, self.now, SETTLE)
        made = document(plan, self.live, "loopline-x", 4, lambda version: self._own.part(MODEL, version))
        made["metadata"]["resourceVersion"] = "1"
        canaries = made["spec"].get("canary", [])
        names = [(one["predictor"]["name"], one["trafficPercent"]) for one in canaries]
        statuses = [
            {"name": name, "trafficPercent": percent, "ready": name not in self.broken} for name, percent in names
        ]
        is_ready = made["spec"]["predictor"].get("name") not in self.broken  # whatever canaries are
        conditions = [{"type": "Ready", "status": str(is_ready)}]
        made["status"] = {"conditions": conditions, "canaryStatuses": statuses}
        self.live = Live(made)
        self.shown.append((self.live.name, dict(names)))
        self.now += SETTLE
        return self.live

    def come_to(self, wanted: Wanted) -> list[tuple[str, dict[str, int]]]:
        """Look until it is there; gives what KServe was asked for on the way."""
        self.shown = []
        for _ in range(10):
            if is_there(self.look(wanted), wanted):
                return self.shown
        pytest.fail(f"it never comes to {wanted}: {self.shown}")


def test_a_version_that_replaces_another_takes_all_requests_first() -> None:
    """Only then is it the predictor, and the pods of the other one go: no request is sent where nobody is."""
    paper = OnPaper()
    assert paper.come_to(Wanted(1, "1")) == [("v1", {})]
    assert paper.come_to(Wanted(2, "2")) == [("v1", {"v2": 100}), ("v1", {"v2": 100}), ("v2", {})]


def test_a_rollout_takes_its_shares_and_comes_back() -> None:
    """Percents are KServe's weights; promoted from a share it takes all first, taken back none before it goes."""
    paper = OnPaper()
    paper.come_to(Wanted(1, "1"))
    assert paper.come_to(Wanted(2, "1", "2", 5)) == [("v1", {"v2": 5})]
    assert paper.come_to(Wanted(3, "1", "2", 50)) == [("v1", {"v2": 50})]
    assert paper.come_to(Wanted(4, "1")) == [("v1", {"v2": 0}), ("v1", {"v2": 0}), ("v1", {})]
    paper.come_to(Wanted(5, "1", "2", 50))
    assert paper.come_to(Wanted(6, "2"))[-2:] == [("v1", {"v2": 100}), ("v2", {})]


def test_a_version_that_does_not_load_answers_nobody() -> None:
    """The one before stays the predictor, however long one looks, and the next good state is come to."""
    paper = OnPaper()
    paper.come_to(Wanted(1, "1"))
    paper.broken.add("v2")
    for _ in range(5):
        assert not is_there(paper.look(Wanted(2, "2")), Wanted(2, "2"))
        assert paper.shown[-1] == ("v1", {"v2": 100})
    assert paper.come_to(Wanted(3, "3"))[-1] == ("v3", {})


def test_who_may_be_sent_requests_goes_after_they_go_past_it() -> None:
    """Also where another candidate comes at once, or another version replaces both; its pods are as many as before."""
    paper = OnPaper()
    paper.come_to(Wanted(1, "1"))
    paper.come_to(Wanted(2, "1", "2", 50))
    assert paper.come_to(Wanted(3, "1", "3", 20)) == 2 * [("v1", {"v3": 20, "v2": 0})] + [("v1", {"v3": 20})]
    paper.look(Wanted(4, "4"))
    assert paper.live is not None
    stays, leaves = (one["predictor"] for one in paper.live.document["spec"]["canary"])
    assert (stays["name"], leaves["name"], leaves["minReplicas"]) == ("v4", "v3", 1)
    assert paper.come_to(Wanted(4, "4")) == [("v1", {"v4": 100, "v3": 0}), ("v4", {})]


def test_a_candidate_that_never_loaded_goes_at_once() -> None:
    """It is sent nothing; nobody waits until it is ready to go."""
    paper = OnPaper()
    paper.come_to(Wanted(1, "1"))
    paper.broken.add("v2")
    paper.look(Wanted(2, "1", "2", 50))
    assert paper.come_to(Wanted(3, "1")) == [("v1", {})]


def test_notes_are_on_no_pod() -> None:
    """KServe copies an InferenceService's annotations to its pods, which start anew when one has changed."""
    paper = OnPaper()

    def borne() -> dict[str, dict[str, str]]:
        """Return what each part's pods bear, as KServe makes it: the part's own word goes before the service's."""
        assert paper.live is not None
        spec = paper.live.document["spec"]
        parts = [spec["predictor"], *(one["predictor"] for one in spec.get("canary", []))]
        return {one["name"]: {**paper.live.annotations, **one["annotations"]} for one in parts}

    before: dict[str, dict[str, str]] = {}
    for wanted in (Wanted(1, "1"), Wanted(2, "1", "2", 5), Wanted(3, "1", "2", 50), Wanted(4, "2"), Wanted(5, "2")):
        for _ in range(4):
            paper.look(wanted)
            now = borne()
            assert all(now[name] == notes for name, notes in before.items() if name in now)
            before = now


def test_one_whose_versions_were_together_is_taken_apart() -> None:
    """Its group's pods answer until the first version's own do."""
    paper = OnPaper()
    spec = {"predictor": {"model": {}, "minReplicas": 2}}
    paper.live = Live({"metadata": {"name": "loopline-x", "resourceVersion": "1"}, "spec": spec})
    assert paper.live.wanted.generation < 0
    assert paper.come_to(Wanted(7, "1")) == [("", {"v1": 100}), ("", {"v1": 100}), ("v1", {})]


def test_the_predictor_that_stays_is_left_as_it_is() -> None:
    """Also where settings have changed meanwhile: its pods would start anew in the middle of a change."""
    paper = OnPaper()
    live = paper.look(Wanted(1, "1"))
    live.document["spec"]["predictor"]["model"]["image"] = "loopline:0"
    assert paper.look(Wanted(2, "2")).predictor["model"]["image"] == "loopline:0"


def test_kserve_s_client_knows_every_field_of_a_canary() -> None:
    """And what KServe refuses in one is not there: replicas beyond the stable ones, scaling, a container's name."""
    paper = OnPaper()
    paper.look(Wanted(1, "1"))
    whole = paper.look(Wanted(2, "1", "2", 30)).document
    assert unknown([whole]) == []
    (canary,) = whole["spec"]["canary"]
    stable, candidate = whole["spec"]["predictor"], canary["predictor"]
    assert (stable["minReplicas"], candidate["minReplicas"]) == (4, 2)
    assert candidate.keys().isdisjoint({"maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "workerSpec"})
    assert candidate["model"]["name"] == ""
    assert candidate["model"]["storageUri"] != stable["model"]["storageUri"]
    assert candidate["model"]["readinessProbe"]["httpGet"]["path"] == f"/v2/models/{MODEL}/ready"


def test_versions_are_names_of_parts() -> None:
    """As KServe lets predictors be named."""
    assert [part_name(version) for version in ("7", "1.2", "A_b")] == ["v7", "v1-2", "va-b"]


def test_what_a_model_can_is_told_by_model(tmp_path: Path) -> None:
    """Where versions are apart entities are not split, nothing is replayed and there is no gRPC: that is refused."""
    bound = serving()
    assert bound.abilities(MODEL) == {SPLIT}
    assert bound.abilities("retail.small") == {CANARY, GRPC, SHADOW}
    assert bound.group(MODEL) == MODEL
    with pytest.raises(Unsupported, match=f"versions of {MODEL} are apart.*no gRPC endpoint") as refused:
        bound.grpc_endpoint(MODEL)
    assert f"take {MODEL} out of serving.apart" in refused.value.fix
    assert bound.grpc_endpoint("retail.small").endswith(":8081")
    state = DesiredState(MODEL, 1, served(tmp_path, "1"), shadow=served(tmp_path, "2"))
    with pytest.raises(Unsupported, match=f"replays no requests through another version for {MODEL}"):
        bound.apply(state)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": ""}, "address must say"),
        ({"store": "az://b/p"}, "store is none of these"),
        ({"runtimes": {"retail.x": {"format": "sklearn"}}}, "collector must be the URL"),
        ({"runtimes": {"retail.x": {"format": "tf"}}, "collector": "http://c"}, "format"),
    ],
)
def test_settings_that_cannot_hold_are_refused(settings: dict[str, Any], words: str) -> None:
    """When the environment is read."""
    with pytest.raises(ValidationError, match=words):
        KServeServing(**{"store": "s3://b/p", "image": "i", "address": "http://g", "apart": ("a.b",), **settings})
