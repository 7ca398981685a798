"""How policies are asked: for a team at a site, by two where a policy wants two, and where nothing can be asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loopline.platform_core import environment
from loopline.platform_core.environment import Access
from loopline.platform_core.errors import Denied, InvalidEnvironment
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.platform import Platform
from loopline.platform_core.sites import Sites
from loopline.up.rights.mutations import WHOLE
from loopline.up.rights.permissions import INSTANCE, RUN, WIPE
from loopline.up.rights.policies import Policies

ROLES = "teams: {retail: {owner: [bob, ben]}}\nplatform: {platform_admin: [root]}\n"
TWO = """@id("two-wipe") @grant("another owner, by the same within a day")
forbid (principal is User, action == Action::"wipe assets", resource)
unless { context has seconded_by && context.seconded_by != principal.name };"""
BOB, BEN, ROOT = Caller("bob"), Caller("ben"), Caller("root")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Open a platform of nothing but a ledger, with a policy of its own."""
    (tmp_path / "roles.yaml").write_text(ROLES)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "own.cedar").write_text(TWO)
    file = tmp_path / "environment.yaml"
    access = "access: {roles: roles.yaml, policies: policies}"
    file.write_text(f"name: test\nledger: sqlite:///{tmp_path}/ledger.db\n{access}\nbindings: {{}}\n")
    made = Platform(environment.read(file, only=()))
    yield made
    made.close()


def test_roles_are_those_of_the_file_whatever_time_it_has(platform: Platform, tmp_path: Path) -> None:
    """Also where it is as long as it was: one name in the place of another."""
    policies, file = Policies(lambda: platform), tmp_path / "roles.yaml"
    os.utime(file, (1, 1))
    assert policies.why_not_in(BOB) is None
    file.write_text(ROLES.replace("bob", "eve"))
    os.utime(file, (1, 1))
    assert policies.why_not_in(BOB)
    assert policies.why_not_in(Caller("eve")) is None


def test_a_team_at_a_site_has_the_roles_of_its_package(platform: Platform) -> None:
    """Its location is called after both; another that only begins so is another team's."""
    platform.environment = replace(platform.environment, sites=Sites(("eu",), {"retail": ("eu",)}))
    policies = Policies(lambda: platform)
    assert policies.why_not(BOB, RUN, "retail_at_eu") is None
    for other in ("retail_at_us", "retail2", "Retail", "retail ", "loopline", "platform", ""):
        assert policies.why_not(BOB, INSTANCE if other == WHOLE else RUN, other), other
    assert policies.why_not(ROOT, RUN, "loopline") is None


def test_two_do_what_a_policy_wants_two_for(platform: Platform) -> None:
    """The first is denied and written down; the same by another is done, once; a button may be pressed by each."""
    policies, needed = Policies(lambda: platform), [(WIPE, "retail")]
    assert policies.why_not(BOB, WIPE, "retail") is None
    for who in (BOB, BOB):
        with pytest.raises(Denied, match="two-wipe"):
            policies.insist(who, "wipeAssets", needed)
    with pytest.raises(Denied):
        policies.insist(BEN, "another mutation", needed)
    policies.insist(BEN, "wipeAssets", needed)
    with pytest.raises(Denied):
        policies.insist(BEN, "wipeAssets", needed)


def test_where_no_policies_are_everybody_who_signs_in_may(platform: Platform) -> None:
    """And it is written down all the same."""
    platform.environment = replace(platform.environment, access=None)
    policies = Policies(lambda: platform)
    assert policies.why_not_in(Caller("zed")) is None
    assert policies.why_not(Caller("zed"), WIPE, "retail") is None
    policies.insist(Caller("zed"), "wipeAssets", [(WIPE, "retail")])


def test_where_nothing_can_be_asked_nobody_may(platform: Platform, tmp_path: Path) -> None:
    """An environment that cannot be opened, and roles that are not there."""

    def fails() -> Platform:
        raise InvalidEnvironment("no file", "name one")

    for policies in (Policies(fails), Policies(lambda: platform)):
        platform.environment = replace(platform.environment, access=Access(tmp_path / "gone.yaml"))
        assert policies.why_not_in(ROOT)
        assert policies.why_not(ROOT, RUN, "retail")
        with pytest.raises(InvalidEnvironment):
            policies.insist(ROOT, "launchRun", [(RUN, "retail")])


def test_a_person_is_not_the_loop(platform: Platform) -> None:
    """Whoever signs in under its name has no role, and what is the loop's own is none of Dagster's actions."""
    policies = Policies(lambda: platform)
    assert policies.why_not_in(Caller("loop"))
    with pytest.raises(Denied, match="nobody's name"):
        policies.insist(Caller("loop"), "launchRun", [(RUN, "retail")])
