"""Data subject: a person, by keys of one or several entities of a team."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import orjson

from loopline.platform_core.errors import BadRequest, NotFound, Refused
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.contracts.contract_file import columns_of
from loopline.platform_core.specs.contracts.odcs import contract_of

if TYPE_CHECKING:
    from loopline.platform_core.specs import Source, Team
    from loopline.platform_core.specs.contracts.contract_file import RowContract

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")


@dataclass(frozen=True)
class Subject:
    """A person by the keys under which a team knows them, as text."""

    team: Team
    keys: Mapping[str, str]

    @classmethod
    def named(cls, team: Team, given: Sequence[str]) -> Subject:
        """Read ``entity=key``, once for each entity that names the person.

        A key of an entity whose column holds whole numbers is the number, however it is written: ``007`` is ``7``.

        Raises:
            BadRequest: one is written otherwise, or an entity is given twice, or a key is none that could be there.
            NotFound: no contract of the team has a column of that entity.
        """
        pairs = [one.partition("=")[::2] for one in given]
        keys = {entity: personal.text(key) or "" for entity, key in pairs}
        if not keys or not all(keys.values()) or len(keys) < len(pairs):
            raise BadRequest(f"{' '.join(given)!r} names nobody", "write entity=key once for each, as customer_id=17")
        contracts = [contract_of(team, source) for source in team.sources]
        subject = cls(team, {entity: _key(entity, key, contracts) for entity, key in keys.items()})
        known = {c.entity or c.name for contract in subject.contracts.values() for c in contract.columns}
        for entity in keys:
            if not any(columns_of(contract, entity) for contract in subject.contracts.values()):
                fix = f"columns are {', '.join(sorted(known))}"
                raise NotFound(f"no contract of {team.name} has a column of entity {entity!r}", fix)
        return subject

    @cached_property
    def contracts(self) -> Mapping[Source, RowContract]:
        """Return the contract of each source of the team."""
        return {source: contract_of(self.team, source) for source in self.team.sources}

    @property
    def entities(self) -> tuple[str, ...]:
        """Return the entities in one order."""
        return tuple(sorted(self.keys))

    @cached_property
    def pseudonym(self) -> str:
        """Return under what the ledger knows the person; raises as ``personal.pseudonyms``."""
        return personal.person(self.keys)

    def refuse_unmarked(self) -> None:
        """Hold whoever would erase to entities that are marked: only of those the log and the ledger hold no key.

        Raises:
            Refused: no contract marks a column of theirs as personal.
        """
        for entity in self.entities:
            found = [c for contract in self.contracts.values() for c in contract.columns if c.name == entity]
            if not any(column.personal for column in found):
                raise Refused(
                    f"no contract of {self.team.name} marks {entity!r} as personal: logs and ledger may hold its keys",
                    f"give the column {entity!r} 'classification: personal' in the contract, deploy, and come again",
                )

    def columns(self, contract: RowContract) -> list[dict[str, str]]:
        """Return the ways in which columns of a contract hold the keys: column → key; none where it lacks an entity."""
        ways = product(*(columns_of(contract, entity) for entity in self.entities))
        return [dict(zip(names, (self.keys[e] for e in self.entities), strict=True)) for names in ways]

    def without_keys(self, text: str) -> str:
        """Return a text in which each key that stands there as a word has given way to its pseudonym."""
        for entity, key in self.keys.items():
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", self.hidden[entity], text)
        return text

    def is_named_in(self, keys: str | None) -> bool:
        """Say whether the JSON text of logged keys names the person, in the clear or by pseudonyms."""
        if not keys:
            return False
        said: Any = orjson.loads(keys)
        return all(self._is_key(entity, said.get(entity)) for entity in self.entities)

    def _is_key(self, entity: str, said: Any) -> bool:
        return personal.text(said) in {self.keys[entity], self.hidden[entity]}

    @cached_property
    def hidden(self) -> Mapping[str, str]:
        """Return the pseudonym of each key, as the prediction log has it."""
        hiding = personal.pseudonyms()
        return {entity: str(hiding.of(entity, key)) for entity, key in self.keys.items()}


def _key(entity: str, key: str, contracts: Sequence[RowContract]) -> str:
    """Return a key as it stands wherever it landed: under another writing only some of it would be found."""
    if personal.is_pseudonym(key):
        raise BadRequest(f"{entity}={key} is a pseudonym, by which only logs know the person", "name the key itself")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"the key of {entity} is no text in UTF-8", "correct the key") from error
    kinds = {c.type for contract in contracts for c in contract.columns if c.name in columns_of(contract, entity)}
    if "integer" in kinds and _NUMBER.fullmatch(key):
        return str(int(key))
    if kinds == {"integer"}:
        raise BadRequest(f"{entity} is a whole number, and {key!r} is none", "correct the key")
    return key
