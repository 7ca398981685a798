"""Each identity on Azure may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.resources.azure_key_vault.secrets import AzureKeyVault
from loopline.resources.cosmos.online_store import CosmosOnlineStore
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.serving import ObjectStoreServing
from tests.deploy.terraform import asked_azure, stories
from tests.deploy.terraform.asked_azure import BLOBS, COSMOS, LOOP, ROWS, SERVING, UNSEEN
from tests.deploy.terraform.hcl import read
from tests.deploy.terraform.recorder import Recorder, recording
from tests.deploy.terraform.rights import Right, Rights, RightsKit
from tests.deploy.terraform.stories import VALUE, Bound
from tests.emulators.azurite import ACCOUNT, CONTAINER, Azurite
from tests.emulators.cosmos_fake import CosmosFake, running
from tests.emulators.faults import Request
from tests.emulators.key_vault import CLIENT, TENANT, KeyVault

SECRETS = ("loopline-ledger", "loopline-registry")


@pytest.fixture(scope="module")
def recorder(azurite: Azurite) -> Iterator[Recorder]:
    """Make what Terraform makes, and stand before the Blob service."""
    assert LOOP == CONTAINER  # which the emulator has
    azurite.make_bucket(SERVING)
    with recording(blobs=azurite.url.removesuffix(f"/{ACCOUNT}")) as recorder:
        yield recorder
    azurite.drop_bucket(SERVING)


@pytest.fixture(scope="module")
def cosmos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CosmosFake]:
    """Run an account."""
    with running(tmp_path_factory.mktemp("cosmos")) as fake:
        yield fake


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
    recorder: Recorder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Rights:
    """Do as each identity what our vendors do, and return the rights that it took."""

    def asked() -> set[Right]:
        blobs = asked_azure.of_blobs(recorder.taken("blobs"))
        found = blobs | asked_azure.of_rows(cosmos.calls) | asked_azure.of_vault(key_vault.asked)
        cosmos.calls.clear()
        key_vault.asked.clear()
        return found

    found: Rights = {}
    folder = tmp_path_factory.mktemp("work")
    for identity, story in {"loop": stories.loop, "serving": stories.serving}.items():
        bound = _bound(azurite, cosmos, key_vault, recorder, folder)  # as a process of its own, which knows nothing yet
        with pytest.MonkeyPatch.context() as environment:
            _sign_in(environment, key_vault)
            bound.reveal()
        with pytest.MonkeyPatch.context() as environment:  # each fake gives tokens in a way of its own
            for name, value in cosmos.environment.items():
                environment.setenv(name, value)
            story(bound)
        bound.online.close()
        found[identity] = asked()
    return found


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


def _bound(azurite: Azurite, cosmos: CosmosFake, vault: KeyVault, recorder: Recorder, folder: Path) -> Bound:
    """Bind the vendors as the environment file of Azure does, over proxies."""
    options = azurite.options_at(f"{recorder.urls['blobs']}/{ACCOUNT}") | {"allow_http": "true"}
    past_the_proxy = Objects(f"az://{LOOP}", azurite.options)
    return Bound(
        folder=folder,
        store=f"az://{LOOP}",
        names=SECRETS,
        secrets=AzureKeyVault(vault_url=vault.url, own_cloud=True, authority=vault.authority),
        lake=DeltaLake(root=f"az://{LOOP}/lake", storage_options=options),
        online=CosmosOnlineStore(endpoint=cosmos.url, timeout_seconds=30),
        source=ObjectStoreEventSource(url=f"az://{LOOP}/landing", storage_options=options),
        serving=ObjectStoreServing(store=f"az://{SERVING}", storage_options=options, address="http://127.0.0.1:1"),
        compute=None,  # trainings run beside the platform
        deliver=past_the_proxy.write,
    )


class TestRights(RightsKit):
    """The assignments give what was needed."""

    unseen = UNSEEN
    strange = (
        Right("Microsoft.Storage/storageAccounts/blobServices/containers/delete", f"containers/{LOOP}/*"),
        Right(f"{BLOBS}/read", "containers/other/*"),
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
    """Of Key Vault and Cosmos DB too."""
    with pytest.raises(ValueError, match="not known here"):
        asked_azure.of_vault(["/secrets"])
    with pytest.raises(KeyError):
        asked_azure.of_rows(["unknown"])


def test_each_part_of_a_batch_is_asked_for() -> None:
    """Beside the batch itself, which is written to the container."""
    body = b"--x\r\nContent-Type: application/http\r\n\r\nDELETE /a/c/k%201 HTTP/1.1\r\nContent-Length: 0\r\n\r\n--x--"
    found = asked_azure.of_blobs([Request("POST", "/a/c?restype=container&comp=batch", {}, body)])
    assert found == {Right(f"{BLOBS}/write", "containers/c/"), Right(f"{BLOBS}/delete", "containers/c/k 1")}
