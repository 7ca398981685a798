"""Vendors bound by an environment file; one whose settings name secrets is created on first use.

So nobody asks the store of secrets for what he does not use. ``AGAIN_SECONDS`` after they were asked for, secrets are
asked for again at the next use; where one has changed, a new vendor is made, and what holds the old one keeps it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.contracts.secrets import Held, Secrets
from loopline.platform_core.errors import LooplineError, Transient
from loopline.platform_core.foundation.credentials import Reference, filled, references
from loopline.platform_core.foundation.located_yaml import Place

AGAIN_SECONDS = 60.0
_logger = logging.getLogger("loopline.secrets")


@dataclass(frozen=True)
class Revealing:
    """Puts secrets where settings name them; ``store`` gives who keeps them, ``at`` says ``file:line`` of a place."""

    store: Callable[[], Secrets]
    at: Callable[[Place], str]

    def filled(self, value: Any, place: Place) -> Any:
        """Return settings with their secrets; of one secret all fields are of one version.

        Raises:
            LooplineError: as the store raises, with the line that names the secret.
        """
        return self._filled(value, place, {})

    def _filled(self, value: Any, place: Place, known: dict[str, Held]) -> Any:
        if isinstance(value, Mapping):
            return {key: self._filled(item, (*place, str(key)), known) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*place, index), known) for index, item in enumerate(value)]
        if not isinstance(value, str) or not references(value):
            return value
        try:
            return filled(value, lambda reference: self._read(reference, known))
        except LooplineError as error:
            raise located(error, self.at(place)) from None

    def _read(self, reference: Reference, known: dict[str, Held]) -> str:
        if reference.name not in known:
            known[reference.name] = self.store().held(reference.name)
        return known[reference.name].pick(reference.field).get_secret_value()


@dataclass
class Recipe:
    """How a vendor is made whose settings name secrets."""

    reveal: Callable[[], Any]
    make: Callable[[Any], Vendor]
    vendor: Vendor | None = None
    seen: str = ""
    asked_at: float = 0.0
    asking: threading.Lock = field(default_factory=threading.Lock)


class Bindings(MutableMapping[str, Vendor]):
    """Vendors by contract, or by a notifier's own name; ``made`` are those that exist already."""

    def __init__(
        self,
        made: Mapping[str, Vendor],
        recipes: Mapping[str, Recipe],
        order: tuple[str, ...] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._made, self._recipes, self._now = dict(made), dict(recipes), now
        self._order = list(order or (*made, *recipes))
        self._replaced: list[Vendor] = []

    @property
    def made(self) -> list[Vendor]:
        """Return the vendors that were made, and those that new ones replaced."""
        return [*self._made.values(), *self._replaced]

    def __getitem__(self, name: str) -> Vendor:
        """Return a vendor; one whose settings name secrets is made now, and anew when they have changed."""
        recipe = self._recipes.get(name)
        if recipe is None:
            return self._made[name]
        if name not in self._made:
            with recipe.asking:
                if name not in self._made:
                    self._make(name, recipe, recipe.reveal())
        elif self._now() - recipe.asked_at >= AGAIN_SECONDS and recipe.asking.acquire(blocking=False):
            try:
                self._look_again(name, recipe)
            finally:
                recipe.asking.release()
        return self._made[name]

    def __setitem__(self, name: str, vendor: Vendor) -> None:
        """Put a vendor in the place of another."""
        self._recipes.pop(name, None)
        self._made[name] = vendor
        if name not in self._order:
            self._order.append(name)

    def __delitem__(self, name: str) -> None:
        """Bind nobody any more."""
        self._order.remove(name)
        self._recipes.pop(name, None)
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Say whether a vendor is bound; none is made for that."""
        return name in self._order

    def __iter__(self) -> Iterator[str]:
        """Yield names in the file's order."""
        return iter(list(self._order))

    def __len__(self) -> int:
        """Return how many are bound."""
        return len(self._order)

    def __repr__(self) -> str:
        """Show what was made; what names secrets shows its name only."""
        return repr({name: self._made.get(name, "not asked for yet") for name in self._order})

    def _make(self, name: str, recipe: Recipe, settings: Any) -> None:
        recipe.asked_at, seen = self._now(), _digest(settings)
        if name in self._made and seen == recipe.seen:
            return
        vendor = recipe.make(settings)
        if name in self._made:
            self._replaced.append(self._made[name])
            _logger.info("%s is bound anew: a secret of its settings has changed", name)
        self._made[name], recipe.seen = vendor, seen

    def _look_again(self, name: str, recipe: Recipe) -> None:
        """Ask for the secrets again; where that fails, what was bound is used on, and the next look is a while away."""
        recipe.asked_at = self._now()
        try:
            self._make(name, recipe, recipe.reveal())
        except LooplineError as error:
            _logger.warning("secrets of %s cannot be asked for again, the old ones are used: %s", name, error)


def made(bound: Mapping[str, Vendor]) -> list[Vendor]:
    """Return the vendors that exist, of bindings whatever they are."""
    return bound.made if isinstance(bound, Bindings) else list(bound.values())


def located(error: LooplineError, where: str) -> LooplineError:
    """Return an error that names the line."""
    made = type(error)(f"{where}: {error.problem}", error.fix)
    if isinstance(made, Transient) and isinstance(error, Transient):
        made.delay_seconds = error.delay_seconds
    return made


def _digest(settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
