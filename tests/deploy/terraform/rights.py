"""Rights that were needed, held against those that are granted, on whichever cloud: nothing missing, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

Unseen = Mapping[str, Mapping[str, str]]
Rights = dict[str, "set[Right]"]


class Right(NamedTuple):
    """An action on a resource, which in what is granted may have wildcards."""

    action: str
    resource: str


def missing(needed: set[Right], given: set[Right]) -> list[Right]:
    """Return what is needed and not given."""
    return sorted(each for each in needed if not any(_allows(one, each) for one in given))


def too_many(needed: set[Right], given: set[Right], unseen: Mapping[str, str]) -> list[Right]:
    """Return what is given, was needed by nothing, and stands in no table."""
    return sorted(one for one in given if one.action not in unseen and not any(_allows(one, each) for each in needed))


def _allows(given: Right, needed: Right) -> bool:
    return given.action == needed.action and fnmatchcase(needed.resource, given.resource)


class RightsKit:
    """Subclass it, give ``needed`` and ``given`` by identity, and what no request shows: each test is one promise."""

    unseen: Unseen
    strange: tuple[Right, ...]
    """Rights that nobody must have."""

    def test_what_is_needed_is_granted(self, needed: Rights, given: Rights) -> None:
        """To nobody anything is missing."""
        assert needed.keys() == given.keys() == self.unseen.keys()
        assert all(needed.values())
        assert not {identity: lost for identity in needed if (lost := missing(needed[identity], given[identity]))}

    def test_nothing_else_is_granted(self, needed: Rights, given: Rights) -> None:
        """Each right was used, on each of its resources, or stands with its source in the table of what nobody sees."""
        for identity, unseen in self.unseen.items():
            assert not too_many(needed[identity], given[identity], unseen), identity
            assert unseen.keys() <= {each.action for each in given[identity]}, identity
            assert not unseen.keys() & {each.action for each in needed[identity]}, identity

    def test_one_missing_and_one_too_many_are_named(self, needed: Rights, given: Rights) -> None:
        """Whichever right is taken away, something that is needed is missing; what is added is found."""
        for identity, unseen in self.unseen.items():
            for one in sorted(given[identity]):
                if one.action not in unseen:
                    lost = missing(needed[identity], given[identity] - {one})
                    assert {each.action for each in lost} == {one.action}, one
            for more in self.strange:
                assert too_many(needed[identity], given[identity] | {more}, unseen) == [more]
