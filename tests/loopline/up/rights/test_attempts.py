"""Nobody gets round the doors; without them each attempt comes about, so that each shows that they are needed."""

from __future__ import annotations

import pytest

from tests.loopline.up.rights.attempts import ATTEMPTS, Attempt
from tests.loopline.up.rights.two_teams import World


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_it_fails_with_the_doors_and_comes_about_without(world: World, attempt: Attempt) -> None:
    """With them nothing of it is done; without them all of it is, and some of it with Dagster's own hooks alone."""
    assert not attempt.act(world, world.ways["guarded"])
    if attempt.beyond:
        assert attempt.act(world, world.ways["hooks"]), "dagster's own hooks hold this now"
    assert attempt.act(world, world.ways["bare"]), "the attempt is none: it fails without the doors too"


def test_there_are_many() -> None:
    """Each has a name of its own."""
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 40
