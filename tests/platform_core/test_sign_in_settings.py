"""What an environment file may say of signing in; what says nothing lets nobody in."""

from __future__ import annotations

import pytest

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.sign_in_settings import Issuer, SignIn

PROVIDER = "issuer: 'https://id.example', client_id: portal"


def read(tmp_path, said):
    """Read a file with this block."""
    file = tmp_path / "test.yaml"
    file.write_text(f"bindings: {{secrets: {{vendor: environment_variables}}}}\n{said}\n")
    return environment.read(file, only=())


def test_accounts_and_a_provider(tmp_path):
    """With what is usual."""
    assert read(tmp_path, "").sign_in is None
    found = read(tmp_path, "sign_in: {accounts: kept/accounts.yaml, idle_minutes: 5, hours: 1, https: true}").sign_in
    assert found == SignIn(accounts=tmp_path / "kept/accounts.yaml", idle_seconds=300, longest_seconds=3600, https=True)
    found = read(tmp_path, f"sign_in: {{{PROVIDER}, groups_claim: roles}}").sign_in
    assert (found.issuer, found.groups_claim, found.audience, found.cli_client_id) == (
        "https://id.example",
        "roles",
        "portal",
        "portal",
    )
    services = "services: [{issuer: 'https://cluster.example', audience: loopline, subjects: ['system:*']}]"
    found = read(tmp_path, f"sign_in: {{{PROVIDER}, {services}}}").sign_in
    assert found.services == (Issuer("https://cluster.example", "loopline", ("system:*",)),)


def test_a_secret_is_asked_for_when_it_is_needed(tmp_path, monkeypatch):
    """Not before; and it shows nowhere."""
    bound = read(tmp_path, f"sign_in: {{{PROVIDER}, client_secret: 'secret://OIDC_SECRET'}}")
    assert "OIDC_SECRET" not in repr(bound.sign_in)
    monkeypatch.setenv("OIDC_SECRET", "one")
    assert bound.client_secret() == "one"
    monkeypatch.setenv("OIDC_SECRET", "two")
    assert bound.client_secret() == "two"
    assert read(tmp_path, f"sign_in: {{{PROVIDER}}}").client_secret() == ""
    with pytest.raises(InvalidEnvironment, match="credential in clear"):
        read(tmp_path, f"sign_in: {{{PROVIDER}, client_secret: hunter2}}")


@pytest.mark.parametrize(
    "said",
    [
        "sign_in:",
        "sign_in: true",
        "sign_in: {}",
        "sign_in: []",
        "sign_in: {accounts: }",
        "sign_in: {accounts: ''}",
        "sign_in: {accounts: 7}",
        "sign_in: {accounts: a.yaml, issuer: 'https://id.example', client_id: portal}",
        "sign_in: {accounts: a.yaml, client_id: portal}",
        "sign_in: {accounts: a.yaml, hours: 0}",
        "sign_in: {accounts: a.yaml, hours: -1}",
        "sign_in: {accounts: a.yaml, idle_minutes: .nan}",
        "sign_in: {accounts: a.yaml, idle_minutes: true}",
        "sign_in: {accounts: a.yaml, https: yes please}",
        "sign_in: {issuer: 'https://id.example'}",
        "sign_in: {issuer: 'http://id.example', client_id: portal}",
        "sign_in: {issuer: 'file:///etc', client_id: portal}",
        f"sign_in: {{{PROVIDER}, scopes: profile}}",
        f"sign_in: {{{PROVIDER}, unknown: 1}}",
        f"sign_in: {{{PROVIDER}, services: {{}}}}",
        f"sign_in: {{{PROVIDER}, services: [{{issuer: 'https://x', audience: y}}]}}",
        f"sign_in: {{{PROVIDER}, services: [{{issuer: 'https://x', audience: y, subjects: []}}]}}",
        f"sign_in: {{{PROVIDER}, services: [{{issuer: 'http://x', audience: y, subjects: [a]}}]}}",
    ],
)
def test_what_does_not_hold_together_is_refused(tmp_path, said):
    """With its line."""
    with pytest.raises(InvalidEnvironment, match=r"test\.yaml:2: sign_in"):
        read(tmp_path, said)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_provider_on_this_machine_needs_no_tls(tmp_path, host):
    """To try it out."""
    assert read(tmp_path, f"sign_in: {{issuer: 'http://{host}:8080', client_id: portal}}").sign_in
