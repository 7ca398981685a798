"""Who has which role: people and groups by team, and what a file of roles may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.policies.roles import Roles, read


def roles(folder: Path, text: str) -> Roles:
    """Write a file of roles, and read it."""
    path = folder / "roles.yaml"
    path.write_text(text)
    return read(path)


def test_people_groups_teams_and_all_teams(tmp_path: Path) -> None:
    """A group stands for its people; a role under platform holds in each team; of others nobody has any."""
    found = roles(
        tmp_path,
        "groups: {science: [ana, ben]}\n"
        "teams: {retail: {owner: [science], operator: [cy, ana]}}\n"
        "platform: {operator: [oncall], platform_admin: [root]}\n",
    )
    assert found.people == ("ana", "ben", "cy", "oncall", "root")
    assert found.teams == ("retail",)
    assert found.of("ana", "retail") == {"retail/owner", "retail/operator"}
    assert found.of("oncall", "shop") == {"platform/operator", "shop/operator"}
    assert "retail/owner" not in found.of("cy", "retail")
    assert found.of("zed", "retail") == frozenset()
    assert found.of("Ana", "retail") == frozenset()
    assert roles(tmp_path, "").people == ()


WRONG = {
    "key": ("team: {}", ":1", "unknown 'team'"),
    "role": ("teams:\n  a: {boss: [x]}", ":2", "unknown 'boss'"),
    "admin of a team": ("teams:\n  a:\n    platform_admin: [x]", ":3", "unknown 'platform_admin'"),
    "no list": ("teams:\n  a: {owner: x}", ":2", "no list"),
    "no name": ("teams:\n  a: {owner: [x, 3]}", ":2", "3 is no name"),
    "space": ("teams:\n  a: {owner: ['x ']}", ":2", "'x ' is no name"),
    "the loop": ("teams:\n  a: {owner: [Loop]}", ":2", "nobody's name"),
    "platform": ("teams:\n  platform: {owner: [x]}", ":2", "is no team"),
    "nested": ("groups:\n  a: [b]\n  b: [x]", ":2", "groups hold people"),
    "twins": ("teams: {a: {owner: [ana], operator: [Ana]}}", ":1", "look like one person"),
    "number": ("teams: {1: {owner: [ana]}}", ":1", "1 is no name"),
    "mapping": ("teams: [a]", ":1", "no mapping"),
    "a team twice": ("teams:\n  a: {owner: [ana]}\n  a: {owner: [ben]}", ":3", "'a' stands there twice"),
    "a role twice": ("teams:\n  a:\n    owner: [ana]\n    owner: [ben]", ":4", "'owner' stands there twice"),
    "all teams twice": ("platform: {auditor: [eve]}\nplatform: {operator: [eve]}", ":2", "'platform' stands there"),
    "yaml": ("teams: {", ":1", "no valid YAML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_says_nothing_is_refused(tmp_path: Path, name: str) -> None:
    """With file, line and fix; nobody has a role by a mistake, or loses one unseen."""
    text, line, told = WRONG[name]
    with pytest.raises(InvalidEnvironment, match=told) as caught:
        roles(tmp_path, text)
    assert f"roles.yaml{line}" in caught.value.problem
    assert caught.value.fix
