"""The kit of anchors passes the fake, and catches a keeper that breaks any one promise."""

from __future__ import annotations

from typing import Any

import pytest

from loopline.platform_core.contracts.anchors import Anchors
from loopline.platform_core.testing.anchors import AnchorsKit
from loopline.platform_core.testing.fakes.anchors import InMemoryAnchors
from loopline.platform_core.testing.mutants import assert_catches


class TestFake(AnchorsKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def anchors(self) -> InMemoryAnchors:
        return InMemoryAnchors()


class Strips(InMemoryAnchors):
    """Breaks promise 1: the last line break is gone."""

    def content(self, name: str) -> bytes | None:
        found = super().content(name)
        return found.rstrip(b"\n") if found else found


class GivesNothing(InMemoryAnchors):
    """Breaks promise 1: what is not there is empty."""

    def content(self, name: str) -> bytes | None:
        return super().content(name) or b""


class Overwrites(InMemoryAnchors):
    """Breaks promise 2: the last one holds."""

    def create(self, name: str, content: bytes) -> bool:
        self.kept[name] = content
        return True


class Pretends(InMemoryAnchors):
    """Breaks promise 2: says that it wrote what it did not."""

    def create(self, name: str, content: bytes) -> bool:
        self.kept.setdefault(name, content)
        return True


class AlikeNames(InMemoryAnchors):
    """Breaks promise 3: gives those of tenants whose names begin alike."""

    def names(self, tenant: str) -> list[str]:
        return sorted(name for name in self.kept if name.startswith(tenant))


class NoOrder(InMemoryAnchors):
    """Breaks promise 3: as they were written."""

    def names(self, tenant: str) -> list[str]:
        return [name for name in self.kept if name.startswith(f"{tenant}/")]


class AnyName(InMemoryAnchors):
    """Breaks promise 4: takes whatever it is called."""

    def put(self, name: str, content: bytes) -> None:
        self.create(name, content)


@pytest.mark.parametrize(
    ("promise", "mutant"),
    [
        ("test_1_what_was_put_is_read", Strips),
        ("test_1_what_was_put_is_read", GivesNothing),
        ("test_2_a_name_is_written_once", Overwrites),
        ("test_2_of_several_at_once_one_wins", Pretends),
        ("test_3_names_are_a_tenant_s_in_order", AlikeNames),
        ("test_3_names_are_a_tenant_s_in_order", NoOrder),
        ("test_4_a_bad_name_touches_nothing", AnyName),
    ],
)
def test_the_kit_catches(promise: str, mutant: type[Anchors]) -> None:
    """Each breaks one promise only."""
    anchors: Any = mutant()
    assert_catches(AnchorsKit, promise, anchors=anchors)
