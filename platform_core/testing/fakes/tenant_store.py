"""In-memory store that tenants share: users with passwords, and a place of texts each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import Permanent, StoreUnavailable
from loopline.platform_core.testing.tenant_store import NOTE, TEXT, Attempt, Fields

RULER = "ruler"


@dataclass
class User:
    """Who may come in: ``door`` is another one after each suspension, so that nobody stays inside."""

    password: str
    is_open: bool = True
    door: int = 0


@dataclass
class MemoryServer:
    """What is shared. ``before`` is called before each request of an administrator; it may raise."""

    users: dict[str, User] = field(default_factory=dict)
    places: dict[str, dict[str, str]] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    is_gone: bool = False

    def place(self, fields: Fields, door: int, tenant: str) -> dict[str, str]:
        """Return a tenant's place to whoever may come there.

        Raises:
            PermissionError: this one may not.
        """
        user = self.users.get(fields["user"])
        if fields["user"] == RULER:
            return self.places[tenant]
        if user is None or user.password != fields["password"] or not user.is_open or user.door != door:
            raise PermissionError(fields["user"])
        if tenant != fields["user"]:
            raise PermissionError(tenant)
        return self.places[tenant]


class InMemoryTenantStore(TenantStore):
    """Keeps what ``server`` has, which others may ask too."""

    fields: ClassVar[tuple[str, ...]] = ("user", "password")
    server: MemoryServer = Field(default_factory=MemoryServer, repr=False)
    is_ruler: bool = True

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Make the place, then the user."""
        if not tenant.replace("-", "").isalnum() or not tenant.isascii() or not tenant.islower():
            raise Permanent(f"{tenant!r} is no name of a tenant", "take letters a to z, digits and dashes")
        self._change(lambda: self.server.places.setdefault(tenant, {}))
        self._change(lambda: self.server.users.setdefault(tenant, User(password)))
        self._change(lambda: setattr(self.server.users[tenant], "password", password))
        self._change(lambda: setattr(self.server.users[tenant], "is_open", True))
        return {"user": tenant, "password": password}

    def suspend(self, tenant: str) -> None:
        """Refuse the user, then end what is connected."""
        self._change(lambda: self._set(tenant, "is_open", False))
        self._change(lambda: self._set(tenant, "door", 1 + getattr(self.server.users.get(tenant), "door", 0)))

    def resume(self, tenant: str) -> None:
        """Let the user in; its next connection is by the door that is open now."""
        self._change(lambda: self._set(tenant, "is_open", True))

    def delete(self, tenant: str) -> None:
        """Remove the user, then the place."""
        self._change(lambda: self.server.users.pop(tenant, None))
        self._change(lambda: self.server.places.pop(tenant, None))

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name the user, the place and what lies there."""
        self._ask()
        place = self.server.places.get(tenant)
        user = [f"user {tenant}"] if tenant in self.server.users else []
        return (*user, *([] if place is None else [f"place {tenant}", *(f"text {tenant}/{name}" for name in place)]))

    def is_open(self, tenant: str) -> bool:
        """Look at the user."""
        self._ask()
        return tenant in self.server.users and self.server.users[tenant].is_open

    def stored_bytes(self, tenant: str) -> int:
        """Count the texts."""
        self._ask()
        return sum(len(text.encode()) for text in self.server.places.get(tenant, {}).values())

    def _set(self, tenant: str, name: str, value: Any) -> None:
        if tenant in self.server.users:
            setattr(self.server.users[tenant], name, value)

    def _change(self, act: Callable[[], object]) -> None:
        self._ask()
        if not self.is_ruler:
            raise Permanent("this user may change no users", "give the store an administrator's credentials")
        act()

    def _ask(self) -> None:
        self.server.before()
        if self.server.is_gone:
            raise StoreUnavailable("the store in memory does not answer", "let it answer")


class InMemoryGuest:
    """A tenant inside."""

    def __init__(self, server: MemoryServer, fields: Fields) -> None:
        self.server, self.own = server, fields
        self.door = getattr(server.users.get(fields["user"]), "door", 0)
        server.place(fields, self.door, fields["user"])

    def write(self, name: str, text: str) -> None:
        """Put a text into the place."""
        self.server.place(self.own, self.door, self.own["user"])[name] = text

    def read(self, name: str) -> str:
        """Return a text."""
        return self.server.place(self.own, self.door, self.own["user"])[name]

    def close(self) -> None:
        """Leave."""


def attempts(server: MemoryServer) -> tuple[Attempt, ...]:
    """Return what can be tried here: to read, to write, and to see a password."""

    def place(fields: Fields, tenant: str) -> dict[str, str]:
        return server.place(fields, getattr(server.users.get(fields["user"]), "door", 0), tenant)

    def write(fields: Fields, tenant: str) -> bool:
        place(fields, tenant)[NOTE] = "overwritten"
        return True

    def see(fields: Fields, tenant: str) -> bool:
        return fields["user"] == RULER and bool(server.users[tenant].password)

    return (
        Attempt("read the note", lambda fields, tenant: place(fields, tenant)[NOTE] == TEXT),
        Attempt("overwrite the note", write),
        Attempt("see the password", see, ruling=True),
    )
