"""The kit of anchors passes the fake, and catches a keeper that breaks any one promise."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from loopline.platform_core.contracts.anchors import Anchors
from loopline.platform_core.testing.anchors import AnchorsKit
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs


class TestFake(AnchorsKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def anchors(self) -> InMemoryAnchors:
        return InMemoryAnchors()


def create(write: Any) -> dict[str, Any]:
    """Make a keeper that always says that it wrote."""
    return {"create": lambda _, anchors, name, content: [write(anchors.kept, name, content)] and True}


made = partial(mutant, InMemoryAnchors)
CAUGHT = {
    "test_1_what_was_put_is_read": [
        # the last line break is gone
        made("Strips", content=lambda up, _, name: (found := up.content(name)) and found.rstrip(b"\n")),
        # what is not there is empty
        made("GivesNothing", content=lambda up, _, name: up.content(name) or b""),
    ],
    # the last one holds
    "test_2_a_name_is_written_once": [made("Overwrites", **create(dict.__setitem__))],
    # says that it wrote what it did not
    "test_2_of_several_at_once_one_wins": [made("Pretends", **create(dict.setdefault))],
    "test_3_names_are_a_tenant_s_in_order": [
        # gives those of tenants whose names begin alike
        made("AlikeNames", names=lambda _, own, tenant: sorted(name for name in own.kept if name.startswith(tenant))),
        # as they were written
        made("NoOrder", names=lambda _, own, tenant: [name for name in own.kept if name.startswith(f"{tenant}/")]),
    ],
    # takes whatever it is called
    "test_4_a_bad_name_touches_nothing": [made("AnyName", put=lambda _, own, name, content: own.create(name, content))],
}


@pytest.mark.parametrize(("promise", "mutant"), [(promise, each) for each, promise in pairs(CAUGHT)])
def test_the_kit_catches(promise: str, mutant: type[Anchors]) -> None:
    """Each breaks one promise only."""
    anchors: Any = mutant()
    assert_catches(AnchorsKit, promise, anchors=anchors)
