"""Providers of OpenID Connect as they really are, and a browser that signs a person in at them."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
from joserfc.jwk import RSAKey

from tests.emulators.process import PEERS, Emulator, fetch_node_modules, node

PAGES = "http://localhost:8790"
"""Where our own pages are, for the provider; nothing needs to listen there."""
PASSWORD = "a password of many words"
KEYCLOAK = Path(__file__).parents[3] / "scripts" / "keycloak.sh"
SCRIPT = Path(__file__).parents[2] / "emulators" / "oidc" / "provider.mjs"


def back_channel(port: int) -> str:
    """Return where a provider says who has signed out there."""
    return f"http://127.0.0.1:{port}/sign-in/back-channel"


class Running(Protocol):
    """A provider with the clients ``portal`` (and its secret), ``cli`` (device flow) and ``ci`` (a service)."""

    issuer: str
    person: str
    group: str
    cli_scopes: str
    heard: int

    def rotate(self) -> None:
        """Let it sign with a key that it did not have before."""


@dataclass
class Light:
    """The certified provider of Node's world, with everything in memory."""

    folder: Path
    port: int
    heard: int
    person: str = "ana.science"
    group: str = "science"
    cli_scopes: str = "openid profile email offline_access"
    server: Emulator = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        fetch_node_modules()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it with a new key."""
        keys = self.folder / "keys.json"
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True).as_dict(private=True)
        keys.write_text(json.dumps({"keys": [key]}))
        script = self.folder / "provider.mjs"
        script.write_text(SCRIPT.read_text())
        modules = self.folder / "node_modules"
        if not modules.exists():
            modules.symlink_to((PEERS / "oidc" / "node_modules").resolve())
        command = [node(), str(script), str(self.port), str(keys), PAGES, back_channel(self.heard)]
        self.server = Emulator(command, self.folder)
        self.server.start(lambda: httpx.get(f"{self.issuer}/jwks").raise_for_status())

    def rotate(self) -> None:
        """Start it anew with another key."""
        self.server.end()
        self.start()


_GROUPS = {
    "name": "groups",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-group-membership-mapper",
    "config": {"full.path": "false", "id.token.claim": "true", "access.token.claim": "true", "claim.name": "groups"},
}
_AUDIENCE = {
    "name": "audience",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "portal", "access.token.claim": "true", "id.token.claim": "false"},
}
_DEVICE = "oauth2.device.authorization.grant.enabled"
REALM: dict[str, Any] = {
    "realm": "loopline",
    "enabled": True,
    "sslRequired": "none",
    "oauth2DevicePollingInterval": 1,
    "groups": [{"name": "science"}],
    "clients": [
        {
            "clientId": "portal",
            "secret": "portal-secret",
            "redirectUris": [f"{PAGES}/sign-in/callback"],
            "attributes": {
                "pkce.code.challenge.method": "S256",
                "post.logout.redirect.uris": f"{PAGES}/sign-out",
            },
            "protocolMappers": [_GROUPS],
        },
        {
            "clientId": "cli",
            "publicClient": True,
            "standardFlowEnabled": False,
            "attributes": {_DEVICE: "true"},
            "protocolMappers": [_GROUPS],
        },
        {
            "clientId": "ci",
            "secret": "ci-secret",
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "protocolMappers": [_GROUPS, _AUDIENCE],
        },
    ],
    "users": [
        {
            "username": "ana",
            "enabled": True,
            "email": "ana@example.org",
            "emailVerified": True,
            "firstName": "Ana",
            "lastName": "B",
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
            "groups": ["science"],
        }
    ],
}


def _heard_at(port: int) -> dict[str, Any]:
    """Return the realm that says on a port who has signed out."""
    portal, *others = REALM["clients"]
    told = {"backchannel.logout.url": back_channel(port), "backchannel.logout.session.required": "true"}
    return {**REALM, "clients": [{**portal, "attributes": {**portal["attributes"], **told}}, *others]}


@dataclass
class Keycloak:
    """Keycloak itself, with its database in memory; its first start on a machine takes a minute."""

    folder: Path
    port: int
    heard: int
    person: str = "ana"
    group: str = "science"
    cli_scopes: str = "openid profile email"

    def __post_init__(self) -> None:
        """Start it, and make the realm."""
        fetched = subprocess.run([str(KEYCLOAK)], check=True, capture_output=True, text=True)
        program = Path(fetched.stdout.strip()) / "bin" / "kc.sh"
        admin = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD}
        heap = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m"}
        where = [f"--http-port={self.port}", "--http-host=127.0.0.1", "--db=dev-mem"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = f"{self.url}/realms/loopline"
        self.server = Emulator([str(program), "start-dev", *where], self.folder, admin | heap)
        self.server.start(lambda: httpx.get(f"{self.url}/realms/master", timeout=60).raise_for_status(), 600)
        self._administered("POST", "/admin/realms", _heard_at(self.heard))

    def end(self) -> None:
        """Ask the script to end: killed, it would leave its server behind."""
        self.server.process.terminate()
        self.server.process.wait(60)

    def rotate(self) -> None:
        """Give it a key that comes before the others."""
        realm = self._administered("GET", "/admin/realms/loopline").json()["id"]
        config = {"priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}
        key = {"name": "new", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider"}
        self._administered("POST", "/admin/realms/loopline/components", {**key, "parentId": realm, "config": config})

    def _administered(self, method: str, path: str, body: Any = None) -> httpx.Response:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        told = httpx.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form, timeout=120).json()
        headers = {"authorization": f"Bearer {told['access_token']}"}
        answer = httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=120)
        return answer.raise_for_status()


class Browser:
    """Follows a provider's pages as a browser does: it keeps cookies, and sends back the forms that it is shown."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}
        self.client = httpx.Client(timeout=120, follow_redirects=False)

    def to_us(self, url: str, person: str) -> str:
        """Sign in and agree to everything, until the provider sends the browser to our pages; returns that address."""
        answer = self.get(url)
        for _ in range(20):
            where = answer.headers.get("location")
            if where:
                url = urljoin(str(answer.url), where)
                if url.startswith(PAGES):
                    return url
                answer = self.get(url)
            else:
                answer = self.sent(answer, person)
        raise AssertionError(answer.text)

    def confirmed(self, url: str, person: str) -> None:
        """Confirm a device's code."""
        answer = self.get(url)
        for _ in range(20):
            where = answer.headers.get("location")
            if where:
                answer = self.get(urljoin(str(answer.url), where))
            elif "<form" in answer.text:
                answer = self.sent(answer, person)
            else:
                return
        raise AssertionError(answer.text)

    def get(self, url: str) -> httpx.Response:
        """Ask for a page."""
        return self._kept(self.client.get(url, headers=self._cookie(url)))

    def sent(self, page: httpx.Response, person: str) -> httpx.Response:
        """Send a page's first form."""
        found = re.search(r"<form[^>]*>(.*?)</form>", page.text, re.DOTALL)
        assert found, page.text
        action = re.search(r'action="([^"]*)"', found[0])
        inputs = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in re.findall(r"<input[^>]*>", found[0])]
        fields = {one["name"]: html.unescape(one.get("value", "")) for one in inputs if one.get("name")}
        typed = {"login": person, "username": person, "password": PASSWORD}
        fields |= {name: value for name, value in typed.items() if name in fields}
        fields.pop("cancel", None)
        url = urljoin(str(page.url), html.unescape(action[1]) if action else "")
        return self._kept(self.client.post(url, data=fields, headers=self._cookie(url)))

    def _cookie(self, url: str) -> dict[str, str]:
        """Send Secure cookies over plain HTTP too, as browsers do on this machine and Python's jar does not."""
        kept = self.cookies.get(urlsplit(url).hostname or "", {})
        return {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())} if kept else {}

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        kept = self.cookies.setdefault(answer.url.host, {})
        for one in answer.headers.get_list("set-cookie"):
            name, _, value = one.partition(";")[0].partition("=")
            kept[name] = value
            if not value or "1970" in one or "max-age=0" in one.lower():
                del kept[name]
        return answer


def service_token(provider: Running, **asked: str) -> str:
    """Return a service's own access token."""
    said = httpx.get(f"{provider.issuer}/.well-known/openid-configuration").json()
    form = {"grant_type": "client_credentials", **asked}
    answer = httpx.post(said["token_endpoint"], data=form, auth=("ci", "ci-secret"), timeout=60)
    told: dict[str, Any] = answer.json()
    return str(told["access_token"])
