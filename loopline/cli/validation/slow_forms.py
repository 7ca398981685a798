"""Validation note on models whose newest version is served as a pickle, the slow form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.specs import Team

_FILE = "sqlite:///"


def slow_forms(teams: Sequence[Team]) -> Iterator[str]:
    """Yield a line for each such model; nothing where there is no ledger yet, or it cannot be read."""
    from loopline.platform_core import environment
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.training.packaging.served_as import slow_form

    try:
        bound = environment.read(only=())
        if bound.ledger.startswith(_FILE) and not Path(bound.ledger.removeprefix(_FILE)).exists():
            return
        with closing(Platform(bound)) as platform:
            for ref in (ModelRef(team.name, model.name) for team in teams for model in team.models):
                newest = platform.ledger.entries(ref, [REGISTERED], limit=1, newest_first=True)
                told = slow_form(newest[0].details) if newest else ""
                if told:
                    yield f"{ref}: {told}"
    except LooplineError:  # what keeps the environment or its ledger from being read is a problem of its own
        return
