"""Sign-in settings of an environment file: local accounts, or an OpenID Connect provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.located_yaml import Located

KEY = "sign_in"
_ALWAYS = {"idle_minutes": 60.0, "hours": 12.0}
_TEXTS = {
    "client_id": "",
    "client_secret": "",
    "groups_claim": "groups",
    "name_claim": "preferred_username",
    "scopes": "openid profile email",
    "audience": "",
    "cli_client_id": "",
    "cli_scopes": "",
}
_SERVICES = 'write services: [{issuer: "https://...", audience: <name>, subjects: ["<pattern>"]}]'
_OF_PROVIDER = {"issuer", "services", *_TEXTS}


@dataclass(frozen=True)
class Issuer:
    """Who vouches for services beside the provider, such as a cluster for its pods: their name is the ``sub``.

    Only those whose name fits one of ``subjects`` are let in, patterns such as ``system:serviceaccount:ml:*``: many
    an issuer vouches for the whole world.
    """

    issuer: str
    audience: str
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class SignIn:
    """How people and services prove who they are: by ``accounts``, a file, or by ``issuer``, a provider.

    ``audience`` is whom tokens of services must be meant for, ``cli_client_id`` the client of ``loopline login``,
    which asks for ``cli_scopes``: a provider may want ``offline_access`` there before a login outlasts its first token.
    A session ends after ``idle_seconds`` without a request, and ``longest_seconds`` after it began. ``https`` says
    that browsers come by it though this process does not: a proxy ends TLS.
    """

    accounts: Path | None = None
    issuer: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    groups_claim: str = _TEXTS["groups_claim"]
    name_claim: str = _TEXTS["name_claim"]
    scopes: str = _TEXTS["scopes"]
    audience: str = ""
    cli_client_id: str = ""
    cli_scopes: str = _TEXTS["scopes"]
    services: tuple[Issuer, ...] = ()
    idle_seconds: float = _ALWAYS["idle_minutes"] * 60
    longest_seconds: float = _ALWAYS["hours"] * 3600
    https: bool = False


def read(document: Located, data: Any) -> SignIn | None:
    """Read the block ``sign_in`` of an environment file; None where there is none, and nobody is asked who he is.

    Raises:
        InvalidEnvironment: with ``file:line``; what stands there and says nothing lets nobody in.
    """
    if KEY not in data:
        return None
    found = data[KEY]
    if not isinstance(found, dict) or ("accounts" in found) == ("issuer" in found):
        raise _wrong(
            document, "it names neither accounts nor an issuer, or both", "write {accounts: <file>} or {issuer: <URL>}"
        )
    known = {"https", *_ALWAYS, *({"accounts"} if "accounts" in found else _OF_PROVIDER)}
    for key in found:
        if key not in known:
            raise _wrong(document, f"unknown key {key!r}", f"use {', '.join(sorted(known))}", key)
    always: dict[str, Any] = {"https": _truth(document, found), **_times(document, found)}
    if "accounts" in found:
        return SignIn(accounts=document.path.parent / _text(document, found, "accounts"), **always)
    return _of_provider(document, found, always)


def is_local(host: str) -> bool:
    """Say whether a host is this machine for itself: ``localhost``, or an address that only it reaches."""
    name = host.removeprefix("[").removesuffix("]")
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _of_provider(document: Located, found: dict[str, Any], always: dict[str, Any]) -> SignIn:
    texts: dict[str, Any] = {
        key: _text(document, found, key) if key in found else usual for key, usual in _TEXTS.items()
    }
    if not texts["client_id"]:
        raise _wrong(document, "the provider's client is not named", "add client_id: <as the provider knows us>")
    texts["audience"] = texts["audience"] or texts["client_id"]
    texts["cli_client_id"] = texts["cli_client_id"] or texts["client_id"]
    texts["cli_scopes"] = texts["cli_scopes"] or texts["scopes"]
    for key in ("scopes", "cli_scopes"):
        if "openid" not in texts[key].split():
            raise _wrong(document, f"{key} are without openid", "add openid to them", key)
    return SignIn(issuer=_issuer(document, found, "issuer"), services=_services(document, found), **texts, **always)


def _services(document: Located, found: dict[str, Any]) -> tuple[Issuer, ...]:
    listed = found.get("services", [])
    if not isinstance(listed, list):
        raise _wrong(document, "services is no list", _SERVICES, "services")
    return tuple(_service(document, one) for one in listed)


def _service(document: Located, one: Any) -> Issuer:
    if not isinstance(one, dict) or set(one) != {"issuer", "audience", "subjects"}:
        raise _wrong(document, "one of services has not issuer, audience and subjects alone", _SERVICES, "services")
    subjects = one["subjects"]
    if not isinstance(subjects, list) or not subjects or not all(isinstance(each, str) and each for each in subjects):
        raise _wrong(document, "subjects is no list of patterns", _SERVICES, "services")
    url, audience = _issuer(document, one, "services"), _text(document, one, "audience", "services")
    return Issuer(url, audience, tuple(subjects))


def _issuer(document: Located, found: dict[str, Any], place: str) -> str:
    """Return an issuer's URL, which is https: over plain HTTP whoever is on the way could vouch for anybody."""
    url = _text(document, found, "issuer", place)
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_local(parts.hostname or "")):
        return url
    raise _wrong(document, f"the issuer {url!r} is no https URL", "write https://...", place)


def _times(document: Located, found: dict[str, Any]) -> dict[str, float]:
    values = {key: found.get(key, usual) for key, usual in _ALWAYS.items()}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise _wrong(document, f"{key} is {value!r}", "write a number above 0", key)
    return {"idle_seconds": values["idle_minutes"] * 60.0, "longest_seconds": values["hours"] * 3600.0}


def _truth(document: Located, found: dict[str, Any]) -> bool:
    value = found.get("https", False)
    if not isinstance(value, bool):
        raise _wrong(document, f"https is {value!r}", "write true or false", "https")
    return value


def _text(document: Located, found: dict[str, Any], key: str, place: str = "") -> str:
    value = found[key]
    if not isinstance(value, str) or not value.strip():
        raise _wrong(document, f"{key} is {value!r}", "write it as text", place or key)
    return value.strip()


def _wrong(document: Located, problem: str, fix: str, *place: str) -> InvalidEnvironment:
    return InvalidEnvironment(f"{document.at(KEY, *place)}: {KEY}: {problem}", fix)
