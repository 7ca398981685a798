"""Secret references (``secret://name``), detection of plaintext credentials, and masking.

``${NAME}`` and ``${NAME:-default}`` are variables; ``secret://name``, ``secret://name#field`` and, inside of a text,
``${secret://name#field}`` name what a store of secrets keeps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from loopline.platform_core import redaction
from loopline.platform_core.foundation.located_yaml import Place
from loopline.platform_core.redaction import HIDDEN

SCHEME = "secret://"
_INSIDE = re.compile(r"\$\{secret://([^}#]*)(?:#([^}]*))?\}")
_VARIABLE = re.compile(r"\$\{\w+(?::-([^}]*))?\}")
_URL = re.compile(r"^[A-Za-z][\w+.-]*://")
_URL_PASSWORD = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://[^/?#@:\s]*:)(?P<value>[^/?#\s]+)(?=@)")
_ASSIGNED = re.compile(r"(?P<before>(?:^|[?&;\s])(?P<key>[\w.-]+)=\s*)(?P<value>[^&;#\s]+)")
_IN_JSON = re.compile(r'"(?P<key>[\w.-]+)"\s*:\s*"[^"]+"')
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_CREDENTIAL = re.compile(
    r"(password|passwd|passphrase|(^|_)pwd|(^|_)secret|(^|_)token|(^|_)sig"
    r"|(^|_)(secret|access|account|master|sas|api|private|shared_access|service_account|accesskey)_?key"
    r"|secretkey|apikey|connection_string|(^|_)authorization|jaas_config|key_pem)$"
)


@dataclass(frozen=True)
class Reference:
    """Names a secret, or a field of one that is a JSON object; ``field`` is "" for the whole."""

    name: str
    field: str = ""

    def __str__(self) -> str:
        """Write it as an environment file does."""
        return f"{SCHEME}{self.name}" + (f"#{self.field}" if self.field else "")


def references(text: str) -> list[Reference]:
    """Return the secrets that a text names, in their order."""
    if text.startswith(SCHEME):
        return [_whole(text)]
    return [Reference(name, part or "") for name, part in _INSIDE.findall(text)]


def placed(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Yield the texts in a document with their places; a number or a truth value is none."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from placed(item, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from placed(item, (*place, index))
    elif isinstance(value, str):
        yield place, value


def filled(text: str, read: Callable[[Reference], str]) -> str:
    """Put secrets where a text names them; inside a URL each is quoted, so that ``@`` or ``/`` in it do no harm.

    A value of one line loses the line break at its end, which an editor put there; whole certificates keep theirs.
    """

    def one(reference: Reference) -> str:
        value = read(reference)
        bare = value.removesuffix("\n").removesuffix("\r")
        return value if "\n" in bare else bare

    if text.startswith(SCHEME):
        return one(_whole(text))
    as_url = _URL.match(text) is not None

    def inside(match: re.Match[str]) -> str:
        value = one(Reference(match[1], match[2] or ""))
        return quote(value, safe="") if as_url else value

    return _INSIDE.sub(inside, text)


def is_credential(key: str) -> bool:
    """Say whether a key's name tells that its value is a credential: ``sasl.password``, ``secretAccessKey``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return _CREDENTIAL.search(re.sub(r"[^a-z0-9]+", "_", words.lower())) is not None


def in_clear(value: Any) -> bool:
    """Say whether a credential's value stands there itself, or as the default of its variable."""
    text = "" if value is None or isinstance(value, bool) else str(value)
    if text.startswith(SCHEME):
        return False
    without = _INSIDE.sub("", text)
    defaults = [found or "" for found in _VARIABLE.findall(without)]
    if any(default and not default.startswith(SCHEME) for default in defaults):
        return True
    return bool(text.strip()) and not defaults and without == text


def holds_password(text: str) -> bool:
    """Say whether a URL, a query, a connection string, JSON or a private key is, or holds, a credential in clear."""
    if text.startswith(SCHEME):
        return False
    kept = _VARIABLE.sub(lambda match: _default(match[1]), _INSIDE.sub("", text))
    named = (*_ASSIGNED.finditer(kept), *_IN_JSON.finditer(kept))
    whole = _URL_PASSWORD.search(kept) or _PRIVATE_KEY.search(kept)
    return whole is not None or any(is_credential(one["key"]) for one in named)


def masked(text: str) -> str:
    """Return a text without the passwords in it."""

    def hidden(match: re.Match[str]) -> str:
        return match["before"] + HIDDEN if is_credential(match["key"]) else match[0]

    return _ASSIGNED.sub(hidden, _URL_PASSWORD.sub(lambda match: match["before"] + HIDDEN, text))


def keep(secret: str) -> None:
    """Let no text that leaves this process hold a secret, nor the credentials that it is made of."""
    redaction.keep(secret, _parts(secret))


def keep_within(value: Any, key: str = "", *, may_show: bool = False) -> None:
    """Keep the credentials that stand in settings: by the key's name, inside of URLs, and as a ``SecretStr``.

    Where one ``may_show`` it is none by its type.
    """
    if isinstance(value, SecretStr):
        said = value.get_secret_value()
        keep_within(said, key) if may_show else keep(said)
    elif isinstance(value, str):
        _keep_text(value, key)
    elif isinstance(value, BaseModel):
        keep_within(vars(value), may_show=may_show)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            keep_within(item, str(name), may_show=may_show)
    elif isinstance(value, list | tuple):
        for item in value:
            keep_within(item, key, may_show=may_show)


def _keep_text(text: str, key: str) -> None:
    if references(text):  # whoever reads what it names keeps that
        return
    if is_credential(key):
        keep(text)
    for found in _inside(text):
        redaction.keep(found)


def _parts(secret: str) -> Iterator[str]:
    """Yield what of a secret may be said without the rest: values in JSON, pieces of a URL, words and lines."""
    try:
        data = json.loads(secret)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict | list):
        for place, text in placed(data):
            if is_credential(str(place[-1])):
                yield from (text, *_parts(text))
            else:
                yield from _inside(text)
        return
    yield from _inside(secret)
    for word in secret.split():
        yield word.strip("-")
        if _URL.match(word):
            yield from _pieces(word)


def _inside(text: str) -> Iterator[str]:
    """Yield the passwords in a URL, in a query or in a connection string."""
    for found in (*_URL_PASSWORD.finditer(text), *_ASSIGNED.finditer(text)):
        if "key" not in found.re.groupindex or is_credential(found["key"]):
            yield from (found["value"], unquote(found["value"]))


def _pieces(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    path = parts.path.split("/") if parts.scheme.startswith("http") else ()  # elsewhere it is a place, not a key
    said = (*path, *(value for _, value in parse_qsl(parts.query)), parts.fragment)
    yield from (parts.username or "", parts.query, *said, *map(unquote, said))


def shown(value: Any, key: str = "") -> Any:
    """Return a setting as it may be shown: passwords in texts, and values of keys that are credentials, hidden."""
    if isinstance(value, str):
        return HIDDEN if value and is_credential(key) else masked(value)
    if isinstance(value, Mapping):
        return {name: shown(item, str(name)) for name, item in value.items()}
    return type(value)(shown(item) for item in value) if type(value) in {list, tuple} else value


def _whole(text: str) -> Reference:
    name, _, part = text.removeprefix(SCHEME).partition("#")
    return Reference(name, part)


def _default(default: str | None) -> str:
    return "" if default is None or default.startswith(SCHEME) else default
