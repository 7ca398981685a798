"""Interface of a managed endpoint service (``EndpointService``): the verbs that a vendor implements."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

_DIGEST_CHARS = 12


class Phase(Enum):
    """Where an endpoint is."""

    ABSENT = "absent"
    CHANGING = "changing"
    """It is made, or changed: it takes no other change before it is done."""
    READY = "ready"
    """Machines of another plan than it serves by, if it does, stand ready: a change leads callers to them."""
    SERVING = "serving"
    ENDING = "ending"
    FAILED = "failed"
    """It will not come to serve; all that can be done with it is to delete it."""


@dataclass(frozen=True)
class EndpointLook:
    """An endpoint as it is: the plan by which it serves ("" where none is known), and what the service says."""

    phase: Phase
    plan: str = ""
    words: str = ""


@dataclass(frozen=True)
class Plan:
    """What an endpoint is to be made of; one that differs in anything has another name."""

    endpoint: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return the name of endpoint and content, at most 13 characters longer than the endpoint's."""
        content = orjson.dumps(self.content, option=orjson.OPT_SORT_KEYS)
        return f"{self.endpoint}-{hashlib.sha256(content).hexdigest()[:_DIGEST_CHARS]}"


class EndpointService(abc.ABC):
    """One account's endpoints. Each verb may be said twice: what is so already changes nothing.

    All raise ``StoreUnavailable`` where the service does not answer, and ``InvalidEnvironment`` where it does not let
    us in.
    """

    @abc.abstractmethod
    def lay(self, plan: Plan) -> None:
        """Leave with the service what the plan says, by its name; nothing of it runs.

        Raises:
            InvalidEnvironment: the service would never take it as it is. Overloaded: a quota is used up.
        """

    @abc.abstractmethod
    def look(self, endpoint: str) -> EndpointLook:
        """Return an endpoint as it is."""

    @abc.abstractmethod
    def create(self, endpoint: str, plan: str) -> str:
        """Make an endpoint of a plan that was laid; returns what is in the way now, "" if nothing is.

        Raises:
            Overloaded: a quota is used up.
        """

    @abc.abstractmethod
    def change(self, endpoint: str, plan: str) -> str:
        """Let an endpoint that serves come to another plan while it goes on answering; as ``create``."""

    @abc.abstractmethod
    def delete(self, endpoint: str) -> str:
        """Let an endpoint end; as ``create``."""

    @abc.abstractmethod
    def sweep(self, endpoint: str, keep: str = "") -> None:
        """Delete an endpoint's plans but for the one to keep; without, all, also those that were laid just now."""

    @abc.abstractmethod
    def url(self, endpoint: str) -> str:
        """Return where it is asked."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let the connections go."""
