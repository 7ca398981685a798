"""Package signing settings of an environment file: the key that signs here, and the trusted trainers.

Left out, packages are neither signed nor looked at::

    signing:
      key: secret://trainer           # for trainings alone; or the file that 'loopline signing init' wrote
      trainers:
        training-2026: {key: training-2026+1f0c2a9b+AZ…, from: 2026-01-01, until: 2027-01-01, teams: [retail]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation.credentials import references
from loopline.platform_core.foundation.located_yaml import Located

SIGNING, TRAINERS = "signing", "trainers"
_OF_TRAINER = {"key", "from", "until", "teams"}
_WRITE = "write <name>: {key: <the line that 'loopline signing init' printed>}"


@dataclass(frozen=True)
class Trainer:
    """Whose signature counts: from one instant until before another (None: without end), of some teams' models or all.

    ``key`` is the line that verifies, or a file with it beside the environment file.
    """

    name: str
    key: str
    since: datetime | None = None
    until: datetime | None = None
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Signing:
    """What names the key that signs, "" where nothing is trained, and the trainers that are known."""

    key: str = field(repr=False)
    trainers: tuple[Trainer, ...]


def read(document: Located, data: Mapping[str, Any]) -> Signing | None:
    """Read the block; ``data`` is the document with its variables filled in.

    Raises:
        InvalidEnvironment: with ``file:line``: no trainer is named, or one says too little or what there is not.
    """
    if SIGNING not in data:
        return None
    found = data[SIGNING]
    if not isinstance(found, dict) or not isinstance(found.get(TRAINERS), dict) or not found[TRAINERS]:
        raise InvalidEnvironment(
            f"{document.at(SIGNING)}: signing names no trainers, so no package could be loaded",
            f"write signing: {{{TRAINERS}: {{<name>: {{key: …}}}}}}, or leave it out",
        )
    _refuse_unknown(document, found, {"key", TRAINERS}, SIGNING)
    trainers = tuple(_trainers(document, found[TRAINERS]))
    return Signing(_key(document, found), trainers)


def _key(document: Located, found: Mapping[str, Any]) -> str:
    key = found.get("key") or ""
    if not isinstance(key, str):
        raise InvalidEnvironment(f"{document.at(SIGNING, 'key')}: {key!r} names no key", "write secret://<name>")
    if str((document.data[SIGNING]).get("key") or "").lstrip().startswith("PRIVATE"):
        raise InvalidEnvironment(
            f"{document.at(SIGNING, 'key')}: signing.key holds a credential in clear",
            "write secret://<name>, or the path of the file that 'loopline signing init' made; then make another key",
        )
    return key


def _trainers(document: Located, found: Mapping[str, Any]) -> Iterator[Trainer]:
    for name, said in found.items():
        place = (SIGNING, TRAINERS, str(name))
        if not isinstance(said, dict) or not isinstance(said.get("key"), str) or not said["key"].strip():
            raise InvalidEnvironment(f"{document.at(*place)}: trainer {name!r} has no key", _WRITE)
        if references(said["key"]):
            raise InvalidEnvironment(f"{document.at(*place)}: a trainer's public key is no secret", _WRITE)
        _refuse_unknown(document, said, _OF_TRAINER, *place)
        since, until = (_instant(document, said.get(end), *place, end) for end in ("from", "until"))
        if since is not None and until is not None and since >= until:
            raise InvalidEnvironment(f"{document.at(*place)}: trainer {name!r} ends before it begins", "mend the times")
        yield Trainer(str(name), _line(document, said["key"], *place), since, until, _teams(document, said, *place))


def _line(document: Located, said: str, *place: str) -> str:
    """Return a key's line: what is written, or what stands in the file that is named."""
    if said.count("+") > 1:
        return said.strip()
    file = document.path.parent / said
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise InvalidEnvironment(
            f"{document.at(*place)}: {said} is no key, and no file with one can be read at {file}", _WRITE
        ) from None


def _instant(document: Located, said: Any, *place: str) -> datetime | None:
    """Return an instant; a date is its beginning in UTC."""
    found: Any = said
    if isinstance(said, str):
        with suppress(ValueError):  # told below
            found = datetime.fromisoformat(said)
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if found is not None and not isinstance(found, datetime):
        raise InvalidEnvironment(f"{document.at(*place)}: {said!r} is no date", "write one such as 2026-12-01")
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _teams(document: Located, said: Mapping[str, Any], *place: str) -> frozenset[str]:
    teams = said.get("teams", [])
    if (
        not isinstance(teams, list)
        or not all(isinstance(team, str) for team in teams)
        or ("teams" in said and not teams)
    ):
        raise InvalidEnvironment(
            f"{document.at(*place, 'teams')}: {teams!r} names no teams",
            "write teams: [<team>], or leave it out for all",
        )
    return frozenset(teams)


def _refuse_unknown(document: Located, said: Mapping[str, Any], allowed: set[str], *place: str) -> None:
    for key in said:
        if key not in allowed:
            where = document.at(*place, str(key))
            raise InvalidEnvironment(f"{where}: unknown key {key!r}", f"use {', '.join(sorted(allowed))}")
