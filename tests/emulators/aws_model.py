"""What AWS's own service models say of a message, and whether a request was signed by a known key.

botocore's client checks no enumeration, no pattern and no upper bound; a server that holds its requests and its
answers against the whole model finds what only the cloud would refuse.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), ")


@cache
def model(service: str) -> Any:
    """Return the model of a service."""
    return botocore.session.get_session().get_service_model(service)


def problems(shape: Any, value: Any, place: str = "$") -> list[str]:
    """Say what a message has that its shape does not allow."""
    kinds: dict[str, Any] = {"structure": _structure, "list": _list, "map": _map, "string": _string}
    kinds |= {"integer": _number, "long": _number}
    if check := kinds.get(shape.type_name):
        found: list[str] = check(shape, value, place)
        return found
    plain = {"boolean": bool, "timestamp": (int, float), "double": (int, float), "float": (int, float)}[shape.type_name]
    return [] if isinstance(value, plain) else [f"{place}: no {shape.type_name}"]


def _structure(shape: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: no object"]
    found = [f"{place}.{name}: missing" for name in shape.required_members if name not in value]
    for name, item in value.items():
        member = shape.members.get(name)
        found += problems(member, item, f"{place}.{name}") if member else [f"{place}.{name}: unknown"]
    return found


def _list(shape: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{place}: no list"]
    inside = [each for n, item in enumerate(value) for each in problems(shape.member, item, f"{place}[{n}]")]
    return _size(shape, len(value), place) + inside


def _map(shape: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: no map"]
    found = _size(shape, len(value), place)
    for name, item in value.items():
        found += problems(shape.key, name, f"{place}.key") + problems(shape.value, item, f"{place}.{name}")
    return found


def _string(shape: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{place}: no text"]
    found = _size(shape, len(value), place)
    if shape.enum and value not in shape.enum:
        found.append(f"{place}: {value!r} is none of its values")
    pattern = _python_pattern(shape.metadata.get("pattern", ""))
    if pattern and not re.fullmatch(pattern, value, re.DOTALL):
        found.append(f"{place}: {value!r} is not as {pattern}")
    return found


def _python_pattern(pattern: str) -> str:
    """Write Java's classes of letters as Python has them."""
    return pattern.replace(r"\p{L}\p{Z}\p{N}_", r"\w\s").replace(r"\p{ASCII}", r"[\x00-\x7f]")


def _number(shape: Any, value: Any, place: str) -> list[str]:
    if not isinstance(value, int) or isinstance(value, bool):
        return [f"{place}: no whole number"]
    return _size(shape, value, place)


def _size(shape: Any, value: float, place: str) -> list[str]:
    least, most = shape.metadata.get("min", value), shape.metadata.get("max", value)
    return [] if least <= value <= most else [f"{place}: {value} is not between {least} and {most}"]


def signer(method: str, url: str, headers: dict[str, str], body: bytes, secrets: dict[str, str]) -> str | None:
    """Return whose key signed a request; None: nobody's that is known, or the secret is another one."""
    said = _SIGNED.match(headers.get("authorization", ""))
    if said is None or said[1] not in secrets:
        return None
    key, region, service, signed = said.groups()
    kept = {name: headers[name] for name in signed.split(";") if name in headers}
    request = AWSRequest(method, unquote(url), kept, body)
    request.context["timestamp"] = headers.get("x-amz-date", "")
    auth = SigV4Auth(Credentials(key, secrets[key]), service, region)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    return key if headers["authorization"].endswith(f"Signature={auth.signature(to_sign, request)}") else None
