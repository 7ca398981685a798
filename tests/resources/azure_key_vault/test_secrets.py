"""Key Vault's secrets keep the promises, on a strict fake with TLS and challenge, signed in by workload identity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopline.platform_core.errors import InvalidEnvironment, Refused, StoreUnavailable
from loopline.platform_core.testing.secrets import Mood, SecretsServerKit
from loopline.resources.azure_key_vault.secrets import AzureKeyVault
from tests.emulators.key_vault import CLIENT, TENANT, KeyVault

OTHERS = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME", "AZURE_TOKEN_CREDENTIALS")


class Administrator:
    """Sets secrets."""

    def __init__(self, vault: KeyVault) -> None:
        self.vault = vault

    def name(self, word: str) -> str:
        return word

    def put(self, name: str, value: str) -> None:
        self.vault.set(name, value)

    def put_bytes(self, name: str, value: bytes) -> bool:
        if value:
            return False
        self.vault.set(name, "")
        return True

    def withdraw(self, name: str) -> None:
        self.vault.disable(name)

    def feel(self, mood: Mood) -> None:
        self.vault.mood = mood
        self.vault.awake.clear() if mood == "silent" else self.vault.awake.set()


@pytest.fixture
def vault(key_vault: KeyVault, monkeypatch: pytest.MonkeyPatch) -> KeyVault:
    """Give the vault to a process as a pod with workload identity is one."""
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", key_vault.url)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(key_vault.federated))
    key_vault.secrets.clear()
    return key_vault


@pytest.fixture
def keeper(vault: KeyVault) -> Iterator[Administrator]:
    """Give who sets secrets."""
    administrator = Administrator(vault)
    yield administrator
    administrator.feel("well")


@pytest.fixture
def secrets(vault: KeyVault) -> Iterator[AzureKeyVault]:
    """Secrets of the vault."""
    made = AzureKeyVault(vault_url=vault.url, own_cloud=True, authority=vault.authority, timeout_seconds=0.8)
    made.client(made._made)
    yield made
    made.close()


class TestAzureKeyVault(SecretsServerKit):
    """Every promise, by Azure's client."""

    tested_on = "strict fake"


def test_who_asks_is_found_by_the_clients_own_chain(
    vault: KeyVault, keeper: Administrator, secrets: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sign-in serves several reads; a federated token that is nobody's is refused, with what to do."""
    keeper.put("mine", "v")
    before = vault.signed_in
    for _ in range(3):
        assert secrets.read("mine").get_secret_value() == "v"
    assert vault.signed_in == before + 1
    vault.federated.write_text("nobody's")
    secrets.close()
    try:
        with pytest.raises(Refused, match="mine") as caught:
            secrets.read("mine")
    finally:
        vault.federated.write_text(vault.assertion)
    assert "workload identity" in caught.value.fix
    assert "nobody's" not in str(caught.value)


def test_a_sign_in_that_is_away_is_worth_another_try(
    vault: KeyVault, keeper: Administrator, secrets: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no refusal: the vault answers, and the service that gives tokens does not."""
    keeper.put("mine", "v")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://127.0.0.1:9")
    secrets.close()
    with pytest.raises(StoreUnavailable):
        secrets.read("mine")


def test_a_process_that_nobody_is(vault: KeyVault, secrets: AzureKeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client's own secret that is wrong is refused by the sign-in, and by us with what to do."""
    monkeypatch.delenv("AZURE_FEDERATED_TOKEN_FILE")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wr0ng")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    secrets.close()
    with pytest.raises(Refused, match="mine") as caught:
        secrets.read("mine")
    assert "wr0ng" not in str(caught.value)


def test_a_right_that_is_missing_and_a_secret_that_is_disabled_differ(
    keeper: Administrator, secrets: AzureKeyVault
) -> None:
    """Both are 403; one is the identity's, the other the secret's to mend."""
    keeper.put("mine", "v")
    keeper.feel("refuses")
    with pytest.raises(Refused) as missing:
        secrets.read("mine")
    keeper.feel("well")
    keeper.withdraw("mine")
    with pytest.raises(Refused) as disabled:
        secrets.read("mine")
    assert "Key Vault Secrets User" in missing.value.fix
    assert "enable it" in disabled.value.fix


def test_names_are_held_before_the_vault_is_asked(vault: KeyVault, secrets: AzureKeyVault) -> None:
    """Letters, digits and dashes, up to 127; case makes no other name, as in the vault."""
    vault.set("Retail-Redis", "v")
    assert secrets.read("retail-redis").get_secret_value() == "v"
    asked = len(vault.asked)
    for name in ("retail_redis", "retail/redis", "x" * 128, "retail-redis/0123", "ö"):
        with pytest.raises(InvalidEnvironment, match="127"):
            secrets.read(name)
    assert len(vault.asked) == asked
