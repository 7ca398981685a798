"""Cedar policy engine: denies by default, and on any error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from loopline.platform_core.errors import is_panic, one_line
from loopline.platform_core.policies.files import SCHEMA, Policy, engine
from loopline.platform_core.policies.question import LOOP, Question, Resource

MOST_PAIRS = 4_096
"""Questions that are kept as they are asked, and persons with what they asked about that are kept parsed."""


@dataclass(frozen=True)
class Decision:
    """What came of a question: the policies that decided it, none where no policy spoke, and what went wrong."""

    allowed: bool
    policies: tuple[Policy, ...] = ()
    errors: tuple[str, ...] = ()


class Engine:
    """A set of policies that hold together, parsed once."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """Take policies as ``files.load`` gives them."""
        self.policies = tuple(policies)
        self._cedar = engine()
        self._set = self._cedar.PolicySet.from_str("\n".join(policy.text for policy in policies))
        self._schema = self._cedar.Schema.from_str(SCHEMA.read_text(encoding="utf-8"))
        self._by_id = {policy.policy_id: policy for policy in policies}
        self._asked = lru_cache(MOST_PAIRS)(self._ask)
        self._parsed = lru_cache(MOST_PAIRS)(self._parse)

    def decide(self, question: Question) -> Decision:
        """Decide. A policy that fails is passed over by Cedar, also one that forbids: here nothing is allowed then."""
        try:
            request, entities = self._asked(question)
            return self._told(self._cedar.is_authorized(request, self._set, entities))
        except BaseException as error:
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            return Decision(False, errors=(one_line(error),))

    def _told(self, result: Any) -> Decision:
        said = result.diagnostics
        named = said.id_annotations_by_reason
        decided = tuple(self._by_id[named[reason]] for reason in said.reasons)
        errors = tuple(one_line(error) for error in said.errors)
        return Decision(result.allowed and not errors, decided, errors)

    def _ask(self, question: Question) -> tuple[dict[str, Any], Any]:
        """Return a question as Cedar is asked it, and its entities."""
        who = {"type": "Loop" if question.person == LOOP else "User", "id": question.person}
        what = {"type": question.resource.kind, "id": question.resource.name}
        request = {"principal": who, "action": {"type": "Action", "id": question.action}, "resource": what}
        context = json.dumps(question.here.attributes)
        return request | {"context": context}, self._parsed(question.person, question.roles, question.resource)

    def _parse(self, person: str, roles: frozenset[str], resource: Resource) -> Any:
        own = {"type": "Loop", "attrs": {}} if person == LOOP else {"type": "User", "attrs": {"name": person}}
        entities = [
            {
                "uid": {"type": own["type"], "id": person},
                "attrs": own["attrs"],
                "parents": [{"type": "Role", "id": role} for role in sorted(roles)],
            },
            {"uid": {"type": resource.kind, "id": resource.name}, "attrs": resource.attributes, "parents": []},
        ]
        return self._cedar.Entities.from_json_str(json.dumps(entities), self._schema)
