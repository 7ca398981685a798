"""Each identity on Google Cloud may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from loopline.platform_core.testing.parts.endpoints import wait_until
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.firestore.online_store import FirestoreOnlineStore
from loopline.resources.google_secret_manager.secrets import GoogleSecretManager
from loopline.resources.managed_endpoints.service import Phase
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.vertex.compute import VertexCompute
from loopline.resources.vertex.serving import VertexServing
from tests.deploy.terraform import asked_gcp, stories
from tests.deploy.terraform.asked_gcp import (
    ACCOUNT,
    BUCKET,
    DATABASE,
    PROJECT,
    QUEUE,
    REGION,
    SECRETS,
    SERVING_ACCOUNT,
    UNSEEN,
    Buckets,
)
from tests.deploy.terraform.hcl import read
from tests.deploy.terraform.recorder import Recorder, recording
from tests.deploy.terraform.rights import Right, RightsKit
from tests.deploy.terraform.stories import VALUE, Bound
from tests.emulators.faults import Request
from tests.emulators.firestore_fake import FirestoreFake
from tests.emulators.gcs import GcsServer
from tests.emulators.job_service import listening
from tests.emulators.pubsub_fake import PubsubFake
from tests.emulators.secret_manager import SecretManager
from tests.emulators.vertex import Vertex
from tests.emulators.vertex_server import IMAGE, VertexServer

SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/{QUEUE}"
IDENTITIES = ("loop", "serving", "training")
PACKAGE_BYTES = 6_000_000
"""So many go up in parts."""


class _Cloud:
    """Google Cloud's emulators, and what each was asked since it was asked for that last."""

    def __init__(self, gcs: GcsServer, manager: SecretManager, folder: Path, recorder: Recorder) -> None:
        self.gcs, self.manager, self.recorder = gcs, manager, recorder
        self.firestore = FirestoreFake({f"projects/{PROJECT}/databases/{DATABASE}"})
        self.queue = PubsubFake({SUBSCRIPTION})
        mounted: Any = SimpleNamespace(json_url=recorder.urls["mounted"])
        self.vertex = VertexServer(folder, mounted)
        service = Vertex(folder, mounted.json_url, (folder / "public.pem").read_bytes())
        self.service = service
        self._jobs = listening(service, urlsplit(self.vertex.url).port or 0)  # here, where its client is loaded anyway
        threading.Thread(target=self._jobs.serve_forever, args=(0.05,), daemon=True).start()
        recorder.add("vertex", self.vertex.url)
        self.buckets = Buckets()
        manager.asked.clear()  # the session's fake, which other files have asked

    def asked(self, *ways: str) -> set[Right]:
        """Return the rights that were needed, by these ways to the bucket."""
        stored = [request for way in ways for request in self.recorder.taken(way)]
        found = self.buckets.asked(stored)
        found |= asked_gcp.of_firestore(self.firestore.asked)
        found |= asked_gcp.of_queue(self.queue.asked)
        found |= asked_gcp.of_secrets(self.manager.asked)
        found |= asked_gcp.of_vertex(self.recorder.taken("vertex"))
        self.firestore.asked.clear()
        self.queue.asked.clear()
        self.manager.asked.clear()
        return found

    def end(self) -> None:
        """End what was started here."""
        self.service.endpoints.end()
        self._jobs.shutdown()
        self._jobs.server_close()
        self.firestore.stop()
        self.queue.stop()


@pytest.fixture(scope="module")
def cloud(
    gcs_server: GcsServer, secret_manager: SecretManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Cloud]:
    """Make what Terraform makes, and stand before it: before both interfaces of the bucket, and that of mounts."""
    gcs_server.make_bucket(BUCKET)
    for name in SECRETS:
        secret_manager.fake.add(name, VALUE.encode())
    urls = {"xml": gcs_server.url, "json": gcs_server.json_url, "mounted": gcs_server.json_url}
    with recording(**urls) as recorder:
        running = _Cloud(gcs_server, secret_manager, tmp_path_factory.mktemp("vertex"), recorder)
        yield running
        running.end()
    gcs_server.drop_bucket(BUCKET)


@pytest.fixture(scope="module")
def given() -> dict[str, set[Right]]:
    """Read what bindings give each account."""
    made = read("gcp")
    return {identity: asked_gcp.granted(made, identity) for identity in IDENTITIES}


@pytest.fixture(scope="module")
def needed(cloud: _Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Right]]:
    """Do as each identity what our vendors do, and return the rights that it took."""
    folder = tmp_path_factory.mktemp("work")

    def loop(bound: Bound) -> None:
        stories.loop(bound)
        _endpoints(cloud, bound)

    found = {"loop": _done(cloud, folder, loop, "xml", "json")}
    found["serving"] = _done(cloud, folder, stories.serving, "xml", "json")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", cloud.recorder.urls["json"])
        environment.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        found["training"] = _done(cloud, folder, stories.training, "xml", "json", "mounted")
    return found


def _done(cloud: _Cloud, folder: Path, story: Callable[[Bound], None], *ways: str) -> set[Right]:
    """Do a story as a process of its own, which knows nothing yet; returns the rights that it took."""
    bound = _bound(cloud, folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.manager.account))
        bound.reveal()  # each fake knows an account of its own
        environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.vertex.account))
        story(bound)
    bound.online.close()
    return cloud.asked(*ways)


def _endpoints(cloud: _Cloud, bound: Bound) -> None:
    """Make an endpoint, change it, lead it back, and let it end; no container runs."""
    cloud.service.faults += [{"operation": "deploy", "bare": True, "times": 2}]
    file = bound.folder / "environment.yaml"
    file.write_text("bindings: {}\n")
    said = {"image": IMAGE, "project": PROJECT, "location": REGION, "service_account": SERVING_ACCOUNT}
    serving = VertexServing(
        **said,
        store=f"{bound.store}/serving",
        environment=file,
        endpoints={"vertex": cloud.recorder.urls["vertex"]},
        api_patience_seconds=60,
    )
    plans = [one._wanted_plan("kit.rights") for one in (serving, serving.with_settings(instances=2))]
    service, name = serving.service, plans[0].endpoint
    for plan, way in zip([*plans, plans[0]], [service.create, service.change, service.change], strict=True):
        service.lay(plan)
        assert way(name, plan.name) == ""
        assert wait_until(lambda plan=plan: service.look(name).plan == plan.name)
        assert wait_until(lambda: service.look(name).phase is Phase.SERVING)
    service.sweep(name, keep=plans[0].name)
    assert service.delete(name) == ""
    service.sweep(name)
    serving.close()


def _bound(cloud: _Cloud, folder: Path) -> Bound:
    """Bind the vendors as the environment file of Google Cloud does, over proxies."""
    store, urls = f"gs://{BUCKET}", cloud.recorder.urls
    options = cloud.gcs.options_at(urls["xml"])

    def deliver(key: str, content: bytes) -> None:
        at = f"{cloud.gcs.json_url}/upload/storage/v1/b/{BUCKET}/o"
        httpx.post(at, params={"uploadType": "media", "name": key}, content=content).raise_for_status()
        cloud.queue.tell({"eventType": "OBJECT_FINALIZE", "bucketId": BUCKET, "objectId": key}, b"", SUBSCRIPTION)

    return Bound(
        folder=folder,
        store=store,
        names=SECRETS,
        secrets=GoogleSecretManager(
            project=PROJECT, endpoint=cloud.manager.endpoint, authority=cloud.manager.authority
        ),
        lake=DeltaLake(root=f"{store}/lake", storage_options=options),
        online=FirestoreOnlineStore(
            project=PROJECT, database=DATABASE, endpoint=cloud.firestore.endpoint, timeout_seconds=30
        ),
        source=ObjectStoreEventSource(
            url=f"{store}/landing",
            storage_options=options,
            notifications=SUBSCRIPTION,
            notification_options={"endpoint": cloud.queue.endpoint},
        ),
        serving=ObjectStoreServing(store=f"{store}/serving", storage_options=options, address="http://127.0.0.1:1"),
        compute=VertexCompute(
            image=IMAGE,
            project=PROJECT,
            location=REGION,
            service_account=ACCOUNT,
            store=f"{store}/tasks",
            endpoints={"vertex": urls["vertex"], "storage": urls["json"]},
            poll_seconds=0.1,
            api_patience_seconds=10,
        ),
        deliver=deliver,
        package_bytes=PACKAGE_BYTES,
    )


class TestRights(RightsKit):
    """The bindings give what was needed."""

    unseen = UNSEEN
    strange = (
        Right("storage.buckets.setIamPolicy", f"buckets/{BUCKET}"),
        Right("storage.objects.get", "buckets/other/objects/*"),
        Right("datastore.entities.get", f"projects/{PROJECT}/databases/other"),
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"/{BUCKET}?acl"), ("POST", f"/storage/v1/b/{BUCKET}/o/a/compose"), ("PUT", f"/{BUCKET}/key?acl=")],
)
def test_what_is_not_known_is_refused(method: str, path: str) -> None:
    """A request to Cloud Storage in a way that the table does not have is no right of none."""
    with pytest.raises(ValueError, match="not known here"):
        Buckets().asked([Request(method, path, {}, b"")])


def test_other_methods_are_refused() -> None:
    """Of Vertex AI, Firestore, Pub/Sub and Secret Manager too."""
    with pytest.raises(ValueError, match="not known here"):
        asked_gcp.of_vertex([Request("GET", f"/v1/projects/{PROJECT}/locations/{REGION}/studies", {}, b"")])
    with pytest.raises(ValueError, match="not known here"):
        asked_gcp.of_firestore([("Listen", SimpleNamespace(database=f"projects/{PROJECT}/databases/{DATABASE}"))])
    with pytest.raises(ValueError, match="not known here"):
        asked_gcp.of_queue([("Seek", SimpleNamespace(subscription=SUBSCRIPTION))])
    with pytest.raises(ValueError, match="not known here"):
        asked_gcp.of_secrets([f"/v1/projects/{PROJECT}/secrets/name:addVersion"])


def test_to_write_over_is_to_delete() -> None:
    """Where nothing was, where it is said that nothing is, and where it was deleted, it is not."""
    new, over = Request("PUT", "/b/k", {}, b""), Request("PUT", "/b/k", {"x-goog-if-generation-match": "7"}, b"")
    never = Request("PUT", "/b/k", {"x-goog-if-generation-match": "0"}, b"")
    create, delete = (Right(f"storage.objects.{verb}", "buckets/b/objects/k") for verb in ("create", "delete"))
    buckets = Buckets()
    assert buckets.asked([new]) == buckets.asked([never]) == {create}
    assert buckets.asked([new]) == buckets.asked([over]) == {create, delete}
    assert buckets.asked([Request("DELETE", "/b/k", {}, b"")]) == {delete}
    assert buckets.asked([new]) == {create}
