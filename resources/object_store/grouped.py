"""Endpoint groups: models that share servers, and a prefix of the object store for states and logs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from pydantic import PrivateAttr

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.object_store.groups import LogsByGroup, StatesByGroup, group_of
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.object_store.states import ObjectStates

if TYPE_CHECKING:
    from loopline.platform_core.contracts.log_store import LogSink, LogStore
    from loopline.platform_core.contracts.state_store import StateStore

GROUP_VARIABLE = "LOOPLINE_ENDPOINT_GROUP"
"""The variable by which a server's processes know which group they serve."""


class GroupedServing(ObjectStoreServing):
    """What vendors share that start servers themselves, a group of endpoints each below ``<store>/<group>``.

    ``endpoint_group`` says which models share servers: ``{team}.{model}`` gives each its own, ``{team}`` each team's,
    a plain word all of them the same.
    """

    elsewhere: ClassVar[bool] = True
    """No server runs where the platform does."""

    address: str = ""
    endpoint_group: str = "{team}.{model}"
    _stores: dict[str, Objects] = PrivateAttr(default_factory=dict)
    _by_group: StatesByGroup | None = PrivateAttr(default=None)

    @property
    def states(self) -> StateStore:
        """Return where desired states reach the servers of a model's group."""
        if self._by_group is None:
            self._by_group = StatesByGroup(self.group, self.group_states)
        return self._by_group

    def group_states(self, group: str) -> ObjectStates:
        """Return where desired states reach the servers of a group."""
        return ObjectStates(self.below(group), self.seal)

    @property
    def logs(self) -> LogStore:
        """Return where the logs of a model's group are read."""
        return LogsByGroup(self.group, lambda group: ObjectLogs(self.below(group)))

    @property
    def feed(self) -> ObjectStates:
        """Return the servers' side of the states of this process's own group."""
        return ObjectStates(self.below(own_group()), self.seal)

    @property
    def sink(self) -> LogSink:
        """Return the servers' side of the logs of this process's own group."""
        return ObjectLogs(self.below(group_of(own_group())))

    def group(self, model: str) -> str:
        """Return the endpoint group of a model.

        Raises:
            InvalidEnvironment: ``endpoint_group`` holds something else than ``{team}`` and ``{model}``.
        """
        team, _, name = model.partition(".")
        fix = "use {team} and {model}, or a plain word"
        return filled("endpoint_group", self.endpoint_group, fix, team=team, model=name)

    def below(self, group: str) -> Objects:
        """Return the objects of an endpoint group, or of another place of states."""
        if group not in self._stores:
            self._stores[group] = Objects(f"{self.store.rstrip('/')}/{group}", self.storage_options)
        return self._stores[group]


def filled(setting: str, text: str, fix: str, **known: str) -> str:
    """Fill in what stands in braces in a setting.

    Raises:
        InvalidEnvironment: something else than what is ``known`` does.
    """
    try:
        return text.format(**known)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise InvalidEnvironment(f"serving: {setting} {text!r} cannot be filled in: {error}", fix) from error


def own_group() -> str:
    """Return the group whose server this process stands beside.

    Raises:
        InvalidEnvironment: it is none's.
    """
    try:
        return os.environ[GROUP_VARIABLE]
    except KeyError as error:
        raise InvalidEnvironment(
            f"{GROUP_VARIABLE} is not set: this is no server of an endpoint group", "let the platform start the servers"
        ) from error
