"""Technical documentation of a version, by the headings of Annex IV of Regulation (EU) 2024/1689, the AI Act.

What a section asks and the platform cannot know stands there as left to people. It is no legal advice, and a file that
is filled in is no conformity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.cards import operation, parts
from loopline.platform_core.cards.card import Document, Section
from loopline.platform_core.cards.model_card import use

if TYPE_CHECKING:
    from loopline.platform_core.cards.known import Known


def annex(known: Known) -> Document:
    """Make it: nine sections, numbered as the annex's."""
    sections = (_general(known), _development(known), _control(known), _metrics(known), _risks(), _changes(known))
    return Document(
        "Technical documentation", str(known.ref), known.version, known.until, (*sections, *_declared(), _after(known))
    )


def _general(known: Known) -> Section:
    said = use(known, "")
    facts = {**parts.identity(known), **said.facts}
    missing = (
        *said.to_write,
        "the provider, and in what form the system is put on the market or into service",
        "the hardware and software that it works with, and the user interface of whoever uses it",
        "instructions for use",
    )
    return Section("1. General description of the AI system", facts, (*said.tables, parts.requirements(known)), missing)


def _development(known: Known) -> Section:
    facts = {**parts.training(known), **parts.resources(known), **parts.data(known)}
    found = (
        parts.tables(known),
        parts.features(known),
        parts.moved_by(known),
        parts.evaluation(known),
        parts.segments(known),
        parts.gates_table(known),
    )
    missing = (
        "how rows and labels were obtained, chosen and labelled before they came here",
        "why this kind of model, and what it is optimised for",
        "what people must be able to do to oversee it (Article 14)",
        "measures of cybersecurity around it; those of the platform are in its docs/security.md",
    )
    title = "2. Elements of the AI system and the process of its development"
    return Section(title, facts, found, missing)


def _control(known: Known) -> Section:
    found = (operation.fairness(known), operation.decided(known))
    missing = (
        "outcomes that are not intended but can be foreseen, and risks to health, safety and fundamental rights",
        "how people interpret what it says, and how they stop it: the platform has 'loopline rollback' and 'freeze'",
    )
    return Section("3. Monitoring, functioning and control of the AI system", operation.watched(known), found, missing)


def _metrics(known: Known) -> Section:
    searched = known.model.searched if known.model else ""
    missing = ("why these metrics are the right ones for its use",)
    return Section("4. Appropriateness of the performance metrics", {"Searched by": searched}, (), missing)


def _risks() -> Section:
    return Section("5. Risk management system (Article 9)", {}, (), ("the system, and what it found of this model",))


def _changes(known: Known) -> Section:
    title = "6. Changes made through the lifecycle"
    overridden = "a gate was overridden for this version" if operation.overridden(known) else "no gate was overridden"
    return Section(title, {"Gates": overridden}, (operation.changes(known), operation.story(known)))


def _declared() -> tuple[Section, Section]:
    return (
        Section(
            "7. Harmonised standards applied", {}, (), ("those applied in full or in part, or what stands in for them",)
        ),
        Section("8. EU declaration of conformity (Article 47)", {}, (), ("a copy of it",)),
    )


def _after(known: Known) -> Section:
    title = "9. Evaluation of the performance after it is on the market (Article 72)"
    missing = ("the plan of monitoring, and who acts on what it shows",)
    return Section(title, {}, (operation.quality(known), operation.drift(known)), missing)
