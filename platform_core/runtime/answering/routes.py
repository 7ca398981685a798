"""Route: the immutable set of versions that answer for a model, swapped as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import NotFound
from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.answering.split import Split
from loopline.platform_core.runtime.model.models import LoadedModel, load_model

if TYPE_CHECKING:
    from loopline.platform_core.signing.trust import Proof, Trust

Role = Literal["stable", "candidate"]


@dataclass(frozen=True, slots=True)
class Version:
    """A model version in memory, ready to answer."""

    served: Served
    model: LoadedModel
    recipe: Recipe

    @classmethod
    def load(cls, served: Served, proof: Proof | None = None) -> Version:
        """Load and warm a version; see ``load_model`` for what it raises."""
        model = load_model(served.package, proof)
        return cls(served, model, Recipe(model.manifest))


@dataclass(frozen=True, slots=True)
class Route:
    """What answers for a model in one generation; ``known`` are the tensors that one of its versions takes.

    Each version answers up to ``rows_at_once`` in the event loop; ``looks_up`` says that one may ask the online store.
    """

    generation: int
    stable: Version
    candidate: Version | None
    split: Split
    known: frozenset[str]
    rows_at_once: int
    looks_up: bool

    @classmethod
    def build(cls, state: DesiredState, before: Route | None, trust: Trust | None = None) -> Route:
        """Load what is not in memory yet; a version that only changes its role is not loaded again.

        Where there is ``trust``, a version is loaded if one whom it knows signed it.
        """
        at_hand = {(v.served.version, v.served.package): v for v in before.versions} if before else {}

        def version(served: Served) -> Version:
            known = at_hand.get((served.version, served.package))
            proof = trust.of(state.model, served.version) if trust else None
            found = Version(served, known.model, known.recipe) if known else Version.load(served, proof)
            at_hand[served.version, served.package] = found  # one that has both roles is in memory once
            return found

        stable = version(state.stable)
        candidate = version(state.candidate) if state.candidate else None
        versions = [stable, candidate] if candidate else [stable]
        return cls(
            state.generation,
            stable,
            candidate,
            Split(state.model, state.percent),
            known=frozenset().union(*(one.recipe.known for one in versions)),
            rows_at_once=min(0 if one.model.batcher else one.model.inline_rows for one in versions),
            looks_up=any(one.model.manifest.views for one in versions),
        )

    @property
    def versions(self) -> tuple[Version, ...]:
        """Return what is in memory, the stable version first."""
        return (self.stable, self.candidate) if self.candidate else (self.stable,)

    @property
    def key(self) -> str:
        """Name the entity by whose key requests are split: the stable version's first."""
        return self.stable.recipe.entities[0]

    def choose(self, key: str) -> tuple[Version, Role]:
        """Choose by the key."""
        if self.candidate is not None and self.split.takes(key):
            return self.candidate, "candidate"
        return self.stable, "stable"

    def named(self, version: str) -> tuple[Version, Role]:
        """Return the version that a caller names.

        Raises:
            NotFound: it is neither stable nor candidate.
        """
        for found, role in zip(self.versions, ("stable", "candidate"), strict=False):
            if found.served.version == version:
                return found, role  # type: ignore[return-value]
        live = ", ".join(v.served.version for v in self.versions)
        raise NotFound(f"version {version!r} is not live", f"use one of {live}, or none for the split's choice")
