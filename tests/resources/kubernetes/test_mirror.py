"""Models, cycles and rollouts as objects of a real cluster: what kubectl shows, and what it costs."""

from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest
import yaml
from kubernetes import client

from loopline.platform_core import alarms
from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.resources.kubernetes import mirror as mirroring
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.mirror import Budget, Mirror
from loopline.resources.kubernetes.mirrored import objects
from loopline.resources.kubernetes.settings import PlainSignIn
from tests.deploy import helm_chart as chart
from tests.platform_core.loop.conftest import REF, Loop, platform_on

CRDS = Path(__file__).parents[3] / "deploy" / "helm" / "loopline" / "files" / "definitions"
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")
ONE = "/apis/loopline.dev/v1alpha1/namespaces/{namespace}/{plural}"


@pytest.fixture
def loop(tmp_path: Path):
    """Give a platform to drive, on SQLite."""
    platform = platform_on(f"sqlite:///{tmp_path}/ledger.db", tmp_path)
    yield Loop(platform, tmp_path)
    platform.close()


def promoted(loop: Loop, record: rollouts.RolloutRecord) -> None:
    """Let a rollout go to its end."""
    while rollouts.rollout(loop.ledger, record.rollout_id).state == "running":
        loop.ask(60)
        loop.later(11)
        loop.step(record)


def shown(loop: Loop) -> dict[str, dict[str, tuple[bool, str, str]]]:
    """Return the conditions of what should be shown, by kind and name."""
    return {f"{one.kind}/{one.name}": dict(one.conditions) for one in objects(loop.ledger, "loopline-{team}")}


def test_conditions_follow_a_rollout(loop):
    """Nothing is live, a version is, another is on its way, is held, is taken back; the model itself stays ready."""
    assert shown(loop) == {}
    loop.roll_out("first")
    model = "LoopModel/retail.cancellations"
    assert shown(loop)[model]["Ready"] == (True, "Live", "version 1 is live")
    assert shown(loop)[model]["Progressing"] == (False, "Idle", "")
    loop.later(60)
    loop.roll_out("second")
    assert shown(loop)[model]["Progressing"] == (True, "RollingOut", "version 2 at 20 percent")
    rollouts.hold(loop.ledger, REF, "anna", "look first", loop.now)
    assert shown(loop)[model]["Progressing"][1] == "Held"
    (found,) = [said for name, said in shown(loop).items() if name.startswith("LoopRollout") and "-v2-" in name]
    assert (found["Ready"][0], found["Progressing"][0], found["Degraded"][0]) == (False, True, False)
    rollback.roll_back(loop.platform, REF, "anna", "no", loop.now)
    (found,) = [said for name, said in shown(loop).items() if name.startswith("LoopRollout") and "-v2-" in name]
    assert found["Degraded"] == (True, "RolledBack", "version 2 was taken back")
    assert shown(loop)[model]["Degraded"] == (False, "NoAlarm", "")
    alarms.raise_alarm(loop.platform, alarms.Alarm(f"serving:{REF}", "error", "it does not answer", "look", REF))
    assert shown(loop)[model]["Degraded"] == (True, "Alarm", "it does not answer")


def test_names_are_kubernetes_own(loop):
    """Of a team or a model whose name a cluster would not take, one stays told from another."""
    from loopline.resources.kubernetes.mirrored import _dns

    assert _dns("re_tail.can_cel") == "re-tail.can-cel"
    names = [_dns(name) for name in ("Retail.a", "retail.a", "_retail.a", "RETAIL.a")]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and name[0].isalnum() for name in names)


def test_a_team_may_have_a_namespace_of_another_name(loop):
    """Then its objects are there, and those of others where they were."""
    loop.roll_out("first")
    assert {one.namespace for one in objects(loop.ledger, "ns-{team}", {"other": "x"})} == {"ns-retail"}
    assert {one.namespace for one in objects(loop.ledger, "ns-{team}", {"retail": "shop"})} == {"shop"}
    assert mirroring._named("retail=shop") == ("retail", "shop")
    with pytest.raises(ArgumentTypeError, match="'retail' is not TEAM=NAMESPACE"):
        mirroring._named("retail")


def test_the_budget_is_kept():
    """A sixth of a minute's calls at once, then as time goes."""
    budget = Budget(600)
    assert sum(budget.take() for _ in range(500)) in range(100, 110)
    budget._at -= 0.3  # seconds, that it has not been asked
    assert sum(budget.take() for _ in range(50)) in range(2, 20)


class Keeper:
    """A kind of an API in memory: lists what was applied to it."""

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.subresources = {"status": SimpleNamespace(server_side_apply=self.server_side_apply)}

    def get(self, **_: object) -> SimpleNamespace:
        """List all."""
        page = {"items": [*self.objects.values()], "metadata": {}}
        return SimpleNamespace(to_dict=lambda: page)

    def server_side_apply(self, body: dict, **_: object) -> SimpleNamespace:
        """Keep an object, or its status."""
        name = body["metadata"]["name"]
        found = self.objects[name] = self.objects.get(name, {}) | body
        found["metadata"]["generation"] = 1
        return SimpleNamespace(to_dict=lambda: found)

    def delete(self, name: str, **_: object) -> None:
        """Keep it no more."""
        del self.objects[name]


def test_one_that_starts_anew_writes_nothing_that_stands(loop, monkeypatch):
    """It lists each kind, and no more: all that a large platform shows would use its budget for minutes."""
    kinds = {kind: Keeper() for kind in mirroring.KINDS}
    monkeypatch.setattr(Mirror, "_kind", lambda _, kind: kinds[kind])
    link = SimpleNamespace(call=lambda call, **how: call(**how), refusal=client.ApiException)
    loop.roll_out("first")
    first = Mirror(loop.ledger, link, "loopline-{team}", Budget(6000))
    first.round()
    assert first.calls == len(kinds) + 2 * 3
    again = Mirror(loop.ledger, link, "loopline-{team}", Budget(6000))
    again.round()
    assert again.calls == len(kinds)
    loop.later(60)
    loop.roll_out("second")
    again.round()
    assert again.calls > len(kinds)


def test_a_large_ledger_is_not_read_all_the_time(loop, monkeypatch):
    """Where a look takes long, the next one waits many times as long, however often something happens."""
    looks = []

    def slow(*_):
        looks.append(1)
        end = time.thread_time() + 2 * mirroring.LONG_SECONDS
        while time.thread_time() < end:
            pass
        return iter(())

    monkeypatch.setattr(mirroring, "objects", slow)
    monkeypatch.setattr(Mirror, "_kind", lambda *_: Keeper())
    link = SimpleNamespace(call=lambda call, **how: call(**how), refusal=client.ApiException)
    mirror = Mirror(loop.ledger, link, "loopline-{team}", Budget(6000))
    for _ in range(3):
        mirror.round()
    assert len(looks) == 1
    assert mirror._rests_until > time.monotonic() + 1
    mirror._rests_until = 0
    mirror.round()
    assert len(looks) == 2


class TestOnACluster:
    """With the definitions that the chart ships."""

    @pytest.fixture(autouse=True)
    def definitions(self, cluster, kubernetes_api) -> None:
        """Apply the definitions, and wait until they are served."""
        from kubernetes.dynamic import DynamicClient

        dynamic = DynamicClient(kubernetes_api)
        kind = dynamic.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
        for file in sorted(CRDS.glob("*.yaml")):
            kind.server_side_apply(body=yaml.safe_load(file.read_text()), field_manager="tests")
        until(lambda: self.served(kubernetes_api))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": chart.NAMESPACE}}
        every = chart.objects(chart.merged(chart.LEAST, {"mirror": {"enabled": True}}))
        rights = [one for one in every if one["kind"] in RIGHTS and "mirror" in str(one["metadata"])]
        for one in (namespace, *rights):
            resource = dynamic.resources.get(api_version=one["apiVersion"], kind=one["kind"])
            resource.server_side_apply(body=one, field_manager="tests")
        self.api, self.kubeconfig = kubernetes_api, cluster.kubeconfig

    def served(self, api: client.ApiClient) -> bool:
        """Say whether all kinds are served."""
        try:
            for plural in ("loopmodels", "loopcycles", "looprollouts"):
                get(api, f"/apis/loopline.dev/v1alpha1/{plural}")
        except client.ApiException:
            return False
        return True

    @pytest.fixture
    def mirror(self, loop, team_namespace):
        """Mirror the ledger into the team's namespace, with the rights that are shipped and no others."""
        link = Link(PlainSignIn(self.kubeconfig, api_patience_seconds=1))
        link.api.set_default_header("Impersonate-User", f"system:serviceaccount:{chart.NAMESPACE}:loopline-mirror")
        yield Mirror(loop.ledger, link, team_namespace, Budget(6000))
        link.close()

    def table(self, namespace: str, plural: str) -> list[dict[str, object]]:
        """Return what ``kubectl get`` prints, row by row: the server's own table."""
        form = "application/json;as=Table;v=v1;g=meta.k8s.io"
        found = get(self.api, ONE.format(namespace=namespace, plural=plural), form)
        names = [column["name"] for column in found["columnDefinitions"]]
        return [dict(zip(names, row["cells"], strict=True)) for row in found["rows"]]

    def test_a_model_goes_through_a_rollout(self, loop, mirror, team_namespace):
        """The table shows each step; conditions keep the time of their last change; what is quiet costs no call."""
        loop.roll_out("first")
        loop.later(60)
        record = loop.roll_out("second")
        mirror.round()
        (row,) = self.table(team_namespace, "loopmodels")
        seen = (row["Name"], row["Live"], row["Candidate"], row["Percent"], row["Cycle"], row["Ready"], row["Degraded"])
        assert seen == ("retail.cancellations", "1", "2", 20, "open", "True", "False")
        (running,) = [row for row in self.table(team_namespace, "looprollouts") if row["Version"] == "2"]
        assert (running["Percent"], running["State"], running["Ready"]) == (20, "running", "False")
        before = self.conditions(team_namespace)
        calls = mirror.calls
        mirror.round()
        assert mirror.calls == calls
        promoted(loop, record)
        mirror.round()
        (row,) = self.table(team_namespace, "loopmodels")
        assert (row["Live"], row["Candidate"], row["Percent"], row["Cycle"]) == ("2", "", 0, "promoted")
        (row,) = self.table(team_namespace, "loopcycles")
        assert (row["Model"], row["State"], row["Ready"]) == ("cancellations", "promoted", "True")
        after = self.conditions(team_namespace)
        assert after["Ready"]["lastTransitionTime"] == before["Ready"]["lastTransitionTime"]
        assert (before["Progressing"]["status"], after["Progressing"]["status"]) == ("True", "False")
        assert after["Ready"]["observedGeneration"] == 1

    def conditions(self, namespace: str) -> dict[str, dict[str, object]]:
        """Return the model's conditions by type."""
        (found,) = get(self.api, ONE.format(namespace=namespace, plural="loopmodels"))["items"]
        return {one["type"]: one for one in found["status"]["conditions"]}

    def test_what_is_changed_by_hand_or_gone_is_mended(self, loop, mirror, team_namespace, monkeypatch):
        """At the next list; and what the ledger knows no more is deleted."""
        loop.roll_out("first")
        mirror.round()
        path = ONE.format(namespace=team_namespace, plural="loopmodels") + "/retail.cancellations"
        patch(self.api, f"{path}/status", {"status": {"version": "99"}})
        monkeypatch.setattr(mirroring, "LIST_SECONDS", 0)
        mirror.round()
        assert self.table(team_namespace, "loopmodels")[0]["Live"] == "1"
        call(self.api, path, "DELETE")
        mirror.round()
        mirror.round()
        assert self.table(team_namespace, "loopmodels")[0]["Live"] == "1"
        monkeypatch.setattr(mirroring, "objects", lambda *_: iter(()))
        mirror._changed_at = time.monotonic()
        mirror.round()
        assert self.table(team_namespace, "loopmodels") == []

    def test_a_small_budget_is_enough_in_time(self, loop, mirror, team_namespace):
        """What does not fit waits for a later round, and comes then."""
        loop.roll_out("first")
        mirror.budget = Budget(6)
        mirror.round()
        total = [len(self.table(team_namespace, plural)) for plural in ("loopmodels", "loopcycles", "looprollouts")]
        assert sum(total) == 1
        mirror.budget = Budget(600)
        mirror.round()
        total = [len(self.table(team_namespace, plural)) for plural in ("loopmodels", "loopcycles", "looprollouts")]
        assert total == [1, 1, 1]

    def test_a_namespace_that_is_missing_keeps_no_other_back(self, loop, mirror, caplog):
        """It is told once, by its name, and tried again."""
        loop.roll_out("first")
        mirror.namespace = "nowhere-{team}"
        mirror.round()
        assert 'namespaces "nowhere-retail" not found' in caplog.text

    def test_an_api_that_is_away_breaks_nothing(self, loop, mirror, team_namespace, caplog):
        """Rounds fail and are told; when it is back, the newest state is shown."""
        loop.roll_out("first")
        mirror.round()
        there = mirror.link.api.configuration.host
        mirror.link.api.configuration.host = "https://127.0.0.1:1"
        loop.later(60)
        loop.roll_out("second")
        with pytest.raises(StoreUnavailable):
            mirror.round()
        stop = Event()
        thread = Thread(target=mirroring.run, args=(mirror, 0.1, stop))
        thread.start()
        rollback.roll_back(loop.platform, REF, "anna", "no", loop.now)
        mirror.link.api.configuration.host = there
        until(lambda: self.table(team_namespace, "loopcycles")[0]["State"] == "rolled_back")
        stop.set()
        thread.join()
        assert self.table(team_namespace, "loopmodels")[0]["Candidate"] == ""

    def test_who_may_look_at_a_namespace_may_look_and_no_more(self, loop, mirror, team_namespace, kubernetes_api):
        """By Kubernetes' own role ``view``: get works, and a change is refused."""
        from kubernetes.dynamic import DynamicClient

        loop.roll_out("first")
        mirror.round()
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "anna", "namespace": team_namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "anna"}],
        }
        kind = DynamicClient(kubernetes_api).resources.get(api_version=binding["apiVersion"], kind="RoleBinding")
        kind.server_side_apply(body=binding, field_manager="tests")
        link = Link(PlainSignIn(self.kubeconfig))
        link.api.set_default_header("Impersonate-User", "anna")
        path = ONE.format(namespace=team_namespace, plural="loopmodels")
        until(lambda: allowed(link.api, path))
        with pytest.raises(client.ApiException) as caught:
            patch(link.api, f"{path}/retail.cancellations", {"spec": {"team": "mine"}})
        assert caught.value.status == 403
        link.close()

    def test_without_the_definitions_it_says_what_to_apply(self, loop, mirror, monkeypatch):
        """In the words of an error with its fix."""
        monkeypatch.setattr(mirroring, "API_VERSION", "loopline.dev/v9")
        with pytest.raises(Refused, match="this cluster knows no LoopModel") as caught:
            mirror.round()
        assert "mirror.enabled" in caught.value.fix


def allowed(api: client.ApiClient, path: str) -> bool:
    """Say whether one may list there and sees something."""
    try:
        return bool(get(api, path)["items"])
    except client.ApiException:
        return False


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)  # between two looks: what is looked at tells nobody


def call(api: client.ApiClient, path: str, method: str, form: str = "application/json", body: object = None) -> dict:
    """Call the API, and return its JSON."""
    headers = {"Accept": form, "Content-Type": "application/merge-patch+json", **api.default_headers}
    sent = None if body is None else json.dumps(body)
    answer = api.rest_client.pool_manager.request(method, f"{api.configuration.host}{path}", headers=headers, body=sent)
    if not 200 <= answer.status < 300:
        raise client.ApiException(answer.status, answer.reason)
    return json.loads(answer.data)


def get(api: client.ApiClient, path: str, form: str = "application/json") -> dict:
    """Get one path."""
    return call(api, path, "GET", form)


def patch(api: client.ApiClient, path: str, body: dict) -> None:
    """Patch one path."""
    call(api, path, "PATCH", body=body)
