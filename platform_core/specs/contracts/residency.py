"""Data residency: the regions that the contracts of a model's sources allow together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.specs.contracts.odcs import contract_of

if TYPE_CHECKING:
    from loopline.platform_core.specs import Model, Team


def regions(team: Team, model: Model) -> frozenset[str] | None:
    """Return the regions that every contract which names any allows; None where none does.

    Raises:
        InvalidSpec: a contract cannot be read.
    """
    sources = {model.labels.source, *(view.source for view in model.features)}
    said = [found for source in sources if (found := contract_of(team, source).regions) is not None]
    return frozenset.intersection(*said) if said else None
