"""Contract of stores that tenants share (database, object store, cache, broker): keeps tenants apart in it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

from loopline.platform_core.contracts.base import Vendor


class TenantStore(Vendor, abc.ABC):
    """A store that several tenants share, asked with an administrator's credentials.

    A tenant's name is 2 to 24 letters a to z, digits and single dashes, and begins with a letter; whoever calls has
    checked it, and a vendor quotes it all the same. Promises, each with a test in the kit:

    1. ``create`` gives the tenant a user and a place of its own, and returns what it needs to reach it, by field. Made
       again, suspended, or after it was cut off anywhere, it ends in the same state, open, and loses nothing that lies
       there; another password takes the old one's place.
    2. With what ``create`` returned, everything is done in the tenant's own place, and nothing read, written, listed
       or removed in another's, also by names that are crafted; nor are users, rights or passwords seen or changed.
    3. ``suspend`` ends what is connected and refuses whoever comes, and keeps what lies there; ``resume`` lets them
       in again, to all of it. Both are harmless twice.
    4. ``delete`` removes the place, all in it and the user, is harmless twice, and touches no other tenant's.
    5. ``holds`` names everything of the tenant in this store, users and rights included; after ``delete`` nothing.
    6. ``is_open`` says whether the tenant may come in: not where it was never made, nor suspended.
    7. What is stored there is counted by ``stored_bytes``.

    Raises, all of them: ``Transient`` where the store does not answer, ``Permanent`` where the administrator's
    credentials do not suffice, with what they need.
    """

    fields: ClassVar[tuple[str, ...]]
    """Names of what ``create`` returns, such as ``url``: a tenant's environment file refers to them."""

    @abc.abstractmethod
    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Make or complete a tenant's place and user, and return its ``fields``; credentials among them are its own."""

    @abc.abstractmethod
    def suspend(self, tenant: str) -> None:
        """Let the tenant in no more, and end its connections."""

    @abc.abstractmethod
    def resume(self, tenant: str) -> None:
        """Let the tenant in again."""

    @abc.abstractmethod
    def delete(self, tenant: str) -> None:
        """Remove the tenant's place, what lies in it, and its user."""

    @abc.abstractmethod
    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name what there is of the tenant, such as ``schema retail``, ``role retail``, ``table retail.events``."""

    @abc.abstractmethod
    def is_open(self, tenant: str) -> bool:
        """Say whether the tenant's user may come in."""

    @abc.abstractmethod
    def stored_bytes(self, tenant: str) -> int:
        """Return how many bytes the tenant's place takes, as the store counts them."""
