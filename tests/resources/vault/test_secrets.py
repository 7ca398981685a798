"""Vault's secrets keep the promises, on a real server of OpenBao; tokens are renewed, and rights are the server's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, Refused, StoreUnavailable
from loopline.platform_core.testing.secrets import Mood, SecretsServerKit
from loopline.resources.vault.secrets import VaultSecrets
from tests.emulators.faults import FaultProxy
from tests.emulators.moods import feel
from tests.emulators.openbao import OpenBao

POLICY = 'path "secret/data/kit/*" { capabilities = ["read"] }'
NONE = 'path "secret/data/nothing" { capabilities = ["read"] }'


class Administrator:
    """Writes secrets below ``kit/``, and may take the policy's rights away."""

    def __init__(self, openbao: OpenBao, proxy: FaultProxy) -> None:
        self.root, self.proxy = openbao.root, proxy

    def name(self, word: str) -> str:
        return f"kit/{word}"

    def put(self, name: str, value: str) -> None:
        try:
            fields = json.loads(value)
        except ValueError:
            fields = None
        fields = fields if isinstance(fields, dict) else {"value": value}
        self.root.secrets.kv.v2.create_or_update_secret(name, secret=fields)

    def put_bytes(self, name: str, value: bytes) -> bool:
        if value:
            return False
        self.root.secrets.kv.v2.create_or_update_secret(name, secret={"value": ""})
        return True

    def withdraw(self, name: str) -> None:
        self.root.secrets.kv.v2.delete_latest_version_of_secret(name)

    def feel(self, mood: Mood) -> None:
        self.root.sys.create_or_update_policy("kit", NONE if mood == "refuses" else POLICY)
        feel(self.proxy, mood)


@pytest.fixture
def proxy(openbao: OpenBao) -> Iterator[FaultProxy]:
    """Stand between client and server."""
    with FaultProxy(openbao.url) as between:
        yield between


@pytest.fixture
def keeper(openbao: OpenBao, proxy: FaultProxy) -> Administrator:
    """Give who writes secrets, with the policy as it should be."""
    administrator = Administrator(openbao, proxy)
    administrator.feel("well")
    return administrator


@pytest.fixture
def approle(openbao: OpenBao, keeper: Administrator, tmp_path: Path) -> dict[str, Any]:
    """Give the settings of a role whose tokens last two seconds."""
    return role(openbao, tmp_path, "2s")


def role(openbao: OpenBao, folder: Path, ttl: str) -> dict[str, Any]:
    """Make a role, and the file of its secret."""
    root = openbao.root
    if "approle/" not in root.sys.list_auth_methods()["data"]:
        root.sys.enable_auth_method("approle")
    root.auth.approle.create_or_update_approle(f"kit-{ttl}", token_policies=["kit"], token_ttl=ttl, token_max_ttl=ttl)
    file = folder / "secret-id"
    file.write_text(root.auth.approle.generate_secret_id(f"kit-{ttl}")["data"]["secret_id"] + "\n")
    return {
        "auth": "approle",
        "role": root.auth.approle.read_role_id(f"kit-{ttl}")["data"]["role_id"],
        "secret_id_file": file,
    }


class TestVault(SecretsServerKit):
    """Every promise, by a role that signs in."""

    tested_on = "real server: OpenBao"

    @pytest.fixture
    def secrets(
        self, openbao: OpenBao, keeper: Administrator, proxy: FaultProxy, tmp_path: Path
    ) -> Iterator[VaultSecrets]:
        secrets = VaultSecrets(url=proxy.url, timeout_seconds=0.8, **role(openbao, tmp_path, "1h"))
        yield secrets
        secrets.close()


def test_a_token_that_ends_is_replaced_in_time(
    openbao: OpenBao, keeper: Administrator, approle: dict[str, Any]
) -> None:
    """Its greatest time is two seconds; reads go on for longer, and one sign-in serves several reads."""
    with FaultProxy(openbao.url) as between:
        secrets = VaultSecrets(url=between.url, **approle)
        keeper.put("kit/long", "v")
        end, reads = time.monotonic() + 3, 0
        while time.monotonic() < end:
            assert secrets.read("kit/long").get_secret_value() == "v"
            reads += 1
            time.sleep(0.05)  # a reader now and then: the token ends by the clock
        signed_in = between.count(lambda request: request.path.endswith("/login"))
        assert 2 <= signed_in <= 4
        assert reads > 5 * signed_in


def test_a_revoked_token_is_replaced_once(openbao: OpenBao, keeper: Administrator, approle: dict[str, Any]) -> None:
    """Somebody revoked all tokens; whoever can sign in does so, and who cannot is refused."""
    with FaultProxy(openbao.url) as between:
        secrets = VaultSecrets(url=between.url, **approle)
        keeper.put("kit/revoked", "v")
        secrets.read("kit/revoked")
        openbao.root.sys.revoke_prefix("auth/approle/login")
        assert secrets.read("kit/revoked").get_secret_value() == "v"
        approle["secret_id_file"].write_text("wrong")
        openbao.root.sys.revoke_prefix("auth/approle/login")
        with pytest.raises(Refused):
            secrets.read("kit/revoked")


def test_a_sealed_server_is_told_and_asked_again(
    openbao: OpenBao, keeper: Administrator, approle: dict[str, Any]
) -> None:
    """Whoever had signed in and who has not: worth another try, and answered once it is unsealed."""
    keeper.put("kit/sealed", "v")
    signed_in, new = (VaultSecrets(url=openbao.url, **approle) for _ in range(2))
    signed_in.read("kit/sealed")
    openbao.root.sys.seal()
    try:
        for secrets in (signed_in, new):
            with pytest.raises(StoreUnavailable, match="Vault does not answer: VaultDown") as caught:
                secrets.read("kit/sealed")
            assert "unsealed" in caught.value.fix
    finally:
        openbao.unseal()
    assert [secrets.read("kit/sealed").get_secret_value() for secrets in (signed_in, new)] == ["v", "v"]


def test_a_token_of_a_file_or_a_variable(
    openbao: OpenBao, keeper: Administrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read each time, for an agent writes it anew; without a token it is said where one comes from."""
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    keeper.put("kit/token", "v")
    token = openbao.root.auth.token.create(policies=["kit"], ttl="1h")["auth"]["client_token"]
    file = tmp_path / "token"
    file.write_text("nobody's\n")
    secrets = VaultSecrets(url=openbao.url, token_file=file)
    with pytest.raises(Refused, match="kit/token"):
        secrets.read("kit/token")
    file.write_text(f"{token}\n")
    assert secrets.read("kit/token").get_secret_value() == "v"
    file.unlink()
    with pytest.raises(Refused, match="token"):
        secrets.read("kit/token")
    with pytest.raises(Refused, match="no token"):
        VaultSecrets(url=openbao.url).read("kit/token")
    monkeypatch.setenv("VAULT_TOKEN", token)
    monkeypatch.setenv("VAULT_ADDR", openbao.url)
    assert VaultSecrets().read("kit/token").get_secret_value() == "v"
    assert token not in repr(VaultSecrets())


def test_fields_and_versions(openbao: OpenBao, keeper: Administrator) -> None:
    """A secret with several fields has no whole, and a foreign path is refused."""
    token = openbao.root.auth.token.create(policies=["kit"], ttl="1h")["auth"]["client_token"]
    secrets = VaultSecrets(url=openbao.url)
    secrets.client(secrets._made).client.token = token
    keeper.put("kit/db", json.dumps({"user": "ann", "password": "p", "port": 5432}))
    assert secrets.read("kit/db", "port").get_secret_value() == "5432"
    with pytest.raises(ContractBroken, match="3 fields") as caught:
        secrets.read("kit/db")
    assert "secret://kit/db#" in caught.value.fix
    openbao.root.secrets.kv.v2.create_or_update_secret("risk/db", secret={"value": "r"})
    with pytest.raises(Refused, match="risk/db"):
        secrets.read("risk/db")
    for name in ("kit/../risk/db", "kit//db", "kit/db?version=1", "kit/.db"):
        with pytest.raises(InvalidEnvironment):
            secrets.read(name)
    with pytest.raises(NotFound, match="kit/no"):
        secrets.read("kit/no")


def test_settings_that_cannot_sign_in() -> None:
    """They are refused where the file is read."""
    for wrong in ({"auth": "approle", "role": "r"}, {"auth": "kubernetes"}, {"auth": "approle"}):
        with pytest.raises(ValueError, match="needs"):
            VaultSecrets(**wrong)
