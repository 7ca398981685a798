"""Model card of a version: intended use, training data, quality, fairness, and who approved its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.cards import operation, parts
from loopline.platform_core.cards.card import Document, Section, Table

if TYPE_CHECKING:
    from loopline.platform_core.cards.known import Known

_INTENDED = "for what its predictions are meant, and for whom: Model(intended_use=...)"
_LIMITS = "for what they are not meant, and where they fail: Model(limits=(...))"


def card(known: Known) -> Document:
    """Make it."""
    sections = (
        Section("The model", parts.identity(known)),
        use(known, "Use and limits"),
        Section("Data", parts.data(known), (parts.tables(known), parts.features(known))),
        Section("Training", {**parts.training(known), **parts.resources(known)}, (parts.moved_by(known),)),
        Section("Evaluation", {}, (parts.evaluation(known), parts.segments(known), parts.gates_table(known))),
        Section("Fairness", {}, (operation.fairness(known),), _no_groups(known)),
        Section("In operation", operation.watched(known), (operation.quality(known), operation.drift(known))),
        Section("Decisions", {}, (operation.decided(known), operation.story(known))),
        Section("Requirements", {}, (parts.requirements(known),)),
    )
    return Document("Model card", str(known.ref), known.version, known.until, sections)


def use(known: Known, title: str) -> Section:
    """Say for what it is meant and for what not, as far as the team says it."""
    model = known.model
    limits = Table("Limits", ("limit",), [(one,) for one in model.limits] if model else [])
    missing = [] if model and model.intended_use else [_INTENDED]
    missing += [] if limits.rows else [_LIMITS]
    return Section(title, {"Intended use": model.intended_use if model else ""}, (limits,), missing)


def _no_groups(known: Known) -> list[str]:
    if known.fairness or (known.model and known.model.fairness):
        return []
    return ["which groups must not be treated worse, and how that is known: Model(fairness=(...))"]
