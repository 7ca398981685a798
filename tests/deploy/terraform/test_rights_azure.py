"""Each identity on Azure may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from azure.storage.queue import QueueClient

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.testing.parts.endpoints import served, wait_until
from loopline.resources.azure_key_vault.secrets import AzureKeyVault
from loopline.resources.azure_ml.compute import AzureMLCompute
from loopline.resources.azure_ml.endpoints import OnlineEndpoints
from loopline.resources.azure_ml.serving import AzureMLServing
from loopline.resources.cosmos.online_store import CosmosOnlineStore
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.managed_endpoints import serving as managed
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.serving import ObjectStoreServing
from tests.deploy.terraform import asked_azure, stories
from tests.deploy.terraform.asked_azure import BLOBS, COSMOS, LOOP, MESSAGES, QUEUE, ROWS, SERVING, UNSEEN
from tests.deploy.terraform.hcl import read
from tests.deploy.terraform.recorder import Recorder, recording
from tests.deploy.terraform.rights import Right, Rights, RightsKit
from tests.deploy.terraform.stories import VALUE, Bound
from tests.emulators.azure_ml import AzureML
from tests.emulators.azure_ml_server import AzureMLServer, endpoint_settings
from tests.emulators.azurite import ACCOUNT, CONTAINER, KEY, Azurite
from tests.emulators.cosmos_fake import CosmosFake, running
from tests.emulators.faults import Request
from tests.emulators.job_service import listening
from tests.emulators.key_vault import CLIENT, TENANT, KeyVault

QUEUE_OPTIONS = {"account_name": ACCOUNT, "account_key": KEY}
SECRETS = ("loopline-ledger", "loopline-registry")


@pytest.fixture(scope="module")
def recorder(azurite: Azurite) -> Iterator[Recorder]:
    """Make what Terraform makes, and stand before the Blob service."""
    assert LOOP == CONTAINER  # which the emulator has
    azurite.make_bucket(SERVING)
    queue = _queue(azurite.queue_url)
    queue.create_queue()
    blobs, queues = (url.removesuffix(f"/{ACCOUNT}") for url in (azurite.url, azurite.queue_url))
    with recording(blobs=blobs, mounted=blobs, queues=queues) as recorder:
        yield recorder
    queue.delete_queue()
    azurite.drop_bucket(SERVING)


def _queue(url: str) -> QueueClient:
    return QueueClient.from_queue_url(f"{url}/{QUEUE}", credential=dict(QUEUE_OPTIONS))


@pytest.fixture(scope="module")
def cosmos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CosmosFake]:
    """Run an account."""
    with running(tmp_path_factory.mktemp("cosmos")) as fake:
        yield fake


class _Workspace(NamedTuple):
    """Azure ML here, where it is reached, and what stands before its storage account."""

    server: AzureMLServer
    service: AzureML
    recorder: Recorder


@pytest.fixture(scope="module")
def workspace(azurite: Azurite, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Workspace]:
    """Run a workspace here, whose jobs have the container mounted as the identity of jobs."""
    folder = tmp_path_factory.mktemp("azure-ml")
    said = AzureMLServer(folder, azurite, "good")
    service = AzureML(folder, (f"{recorder.urls['mounted']}/{ACCOUNT}", KEY), said.token)
    server = listening(service, urlsplit(said.url).port or 0, str(folder / "certificate.pem"))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield _Workspace(said, service, recorder)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def given() -> Rights:
    """Read what assignments give each identity."""
    made = read("azure")
    return {identity: asked_azure.granted(made, identity) for identity in UNSEEN}


@pytest.fixture(scope="module")
def needed(
    azurite: Azurite,
    cosmos: CosmosFake,
    key_vault: KeyVault,
    workspace: _Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> Rights:
    """Do as each identity what our vendors do, and return the rights that it took."""
    recorder = workspace.recorder

    def asked(*ways: str) -> set[Right]:
        found = asked_azure.of_blobs([request for way in ways for request in recorder.taken(way)])
        found |= asked_azure.of_queue(recorder.taken("queues"))
        found |= asked_azure.of_rows(cosmos.calls) | asked_azure.of_vault(key_vault.asked)
        found |= asked_azure.of_jobs([operation for operation, _ in workspace.service.requests])
        workspace.service.requests.clear()
        cosmos.calls.clear()
        key_vault.asked.clear()
        return found

    found: Rights = {}
    key_vault.asked.clear()  # the session's, which other files have asked
    folder = tmp_path_factory.mktemp("work")
    for identity, story in {"loop": stories.loop, "serving": stories.serving, "training": stories.training}.items():
        bound = _bound(
            azurite, cosmos, key_vault, workspace, folder
        )  # as a process of its own, which knows nothing yet
        with pytest.MonkeyPatch.context() as environment:
            _sign_in(environment, key_vault)
            bound.reveal()
        with pytest.MonkeyPatch.context() as environment:  # each fake gives tokens in a way of its own
            for name, value in cosmos.environment.items():
                environment.setenv(name, value)
            environment.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_at(_account(recorder)))
            story(bound)
            if identity == "loop":
                _endpoint_made_and_changed(azurite, workspace, folder, environment)
        bound.online.close()
        found[identity] = asked("blobs", *(("mounted",) if identity == "training" else ()))
    return found


def _endpoint_made_and_changed(
    azurite: Azurite, workspace: _Workspace, folder: Path, patch: pytest.MonkeyPatch
) -> None:
    """Make an endpoint of a model, let it come to another plan, and take it away."""
    patch.setattr(managed, "LOOK_SECONDS", -1.0)
    options = azurite.options_at(_account(workspace.recorder)) | {"allow_http": "true"}
    place = {"store": f"az://{SERVING}", "storage_options": options}
    said = {**endpoint_settings(workspace.server, azurite, "rights"), **place}
    file = folder / "endpoint.yaml"
    file.write_text("bindings: {}\n")
    state = DesiredState("shop.endpoint", 1, served(folder, "1"))
    for instances in (1, 2):
        workspace.service.faults.append({"operation": "deploy", "bare": True})
        with closing(AzureMLServing(**said, environment=file, instances=instances)) as serving:
            serving.apply(state)
            assert wait_until(lambda serving=serving: _has_one(serving, state.model))
            if instances == 2:
                assert serving.let_go(state.model)


def _has_one(serving: AzureMLServing, model: str) -> bool:
    """Look, and say whether the endpoint has come to its plan and nothing else is left of it."""
    serving.observe(model)
    endpoint, plan = serving.endpoint_name(model), serving.below(serving.group(model)).read("endpoint")
    seen = serving.service.look(endpoint)
    assert plan is not None
    assert isinstance(serving.service, OnlineEndpoints)
    return seen.plan == plan[0].decode() and len(serving.service.link.deployments(endpoint)) == 1


def _sign_in(environment: pytest.MonkeyPatch, vault: KeyVault) -> None:
    """Be a pod with workload identity."""
    for name in ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME", "AZURE_TOKEN_CREDENTIALS"):
        environment.delenv(name, raising=False)
    environment.setenv("AZURE_AUTHORITY_HOST", vault.url)
    environment.setenv("AZURE_TENANT_ID", TENANT)
    environment.setenv("AZURE_CLIENT_ID", CLIENT)
    environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(vault.federated))
    for name in SECRETS:
        vault.set(name, VALUE)


def _account(recorder: Recorder) -> str:
    return f"{recorder.urls['blobs']}/{ACCOUNT}"


def _bound(azurite: Azurite, cosmos: CosmosFake, vault: KeyVault, workspace: _Workspace, folder: Path) -> Bound:
    """Bind the vendors as the environment file of Azure does, over proxies."""
    account, server = _account(workspace.recorder), workspace.server
    options = azurite.options_at(account) | {"allow_http": "true"}
    jobs = server.settings("tasks") | {"endpoints": server.endpoints | {"blob": account}}
    past_the_proxy = Objects(f"az://{LOOP}", azurite.options)

    def deliver(key: str, content: bytes) -> None:
        past_the_proxy.write(key, content)
        subject = f"/blobServices/default/containers/{LOOP}/blobs/{key}"
        said = {"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": {"api": "PutBlob"}}
        _queue(azurite.queue_url).send_message(base64.b64encode(json.dumps(said).encode()).decode())

    return Bound(
        folder=folder,
        store=azurite.for_mlflow(f"az://{LOOP}"),
        names=SECRETS,
        secrets=AzureKeyVault(vault_url=vault.url, own_cloud=True, authority=vault.authority),
        lake=DeltaLake(root=f"az://{LOOP}/lake", storage_options=options),
        online=CosmosOnlineStore(endpoint=cosmos.url, timeout_seconds=30),
        source=ObjectStoreEventSource(
            url=f"az://{LOOP}/landing",
            storage_options=options,
            notifications=f"{workspace.recorder.urls['queues']}/{ACCOUNT}/{QUEUE}",
            notification_options=QUEUE_OPTIONS,
        ),
        serving=ObjectStoreServing(store=f"az://{SERVING}", storage_options=options, address="http://127.0.0.1:1"),
        compute=AzureMLCompute(**jobs),
        deliver=deliver,
    )


class TestRights(RightsKit):
    """The assignments give what was needed."""

    unseen = UNSEEN
    strange = (
        Right("Microsoft.Storage/storageAccounts/blobServices/containers/delete", f"containers/{LOOP}/*"),
        Right(f"{BLOBS}/read", "containers/other/*"),
        Right(f"{MESSAGES}/process/action", "queues/other"),
        Right(f"{COSMOS}/sqlDatabases/containers/items/upsert", ROWS),
    )


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/a/b?restype=container"), ("PUT", "/a/b/c?comp=tags"), ("GET", "/a/b?comp=acl")]
)
def test_what_is_not_known_is_refused(method: str, path: str) -> None:
    """A request in a way that the table does not have is no right of none."""
    with pytest.raises(ValueError, match="not known here"):
        asked_azure.of_blobs([Request(method, path, {}, b"")])


def test_other_requests_are_refused() -> None:
    """Of queues, Key Vault and Cosmos DB too."""
    for method, path in (("PUT", "/a/q"), ("GET", "/a/q/messages?peekonly=true"), ("POST", "/a/q/messages")):
        with pytest.raises(ValueError, match="not known here"):
            asked_azure.of_queue([Request(method, path, {}, b"")])
    with pytest.raises(ValueError, match="not known here"):
        asked_azure.of_vault(["/secrets"])
    with pytest.raises(KeyError):
        asked_azure.of_rows(["unknown"])


def test_each_part_of_a_batch_is_asked_for() -> None:
    """Beside the batch itself, which is written to the container."""
    body = b"--x\r\nContent-Type: application/http\r\n\r\nDELETE /a/c/k%201 HTTP/1.1\r\nContent-Length: 0\r\n\r\n--x--"
    found = asked_azure.of_blobs([Request("POST", "/a/c?restype=container&comp=batch", {}, body)])
    assert found == {Right(f"{BLOBS}/write", "containers/c/"), Right(f"{BLOBS}/delete", "containers/c/k 1")}
