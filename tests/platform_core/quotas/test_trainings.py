"""Trainings claim CPUs and GPUs in the ledger before they begin; what a cycle claimed ends with its training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import QuotaReached
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.entry_kinds import CLAIMED, REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.sentences import sentence
from loopline.platform_core.platform import Platform
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.quotas import trainings
from loopline.platform_core.quotas.trainings import Claim, claim, held
from loopline.platform_core.specs.model import Drift, Requirements
from loopline.platform_core.specs.search import Search

NOW = datetime(2011, 3, 1, tzinfo=UTC)


@dataclass
class Asking:
    """As much of a model as a claim reads."""

    compute: Requirements
    search: Search


def asking(cpu=4.0, gpu=0, workers=1, parallel=0):
    """Declare what a training asks for."""
    return Asking(Requirements(cpu=cpu, gpu=gpu, workers=workers), Search(trials=1, parallel=parallel))


def opened(tmp_path, ledger=None, **quotas):
    """Open a platform that has a ledger and quotas alone."""
    url = ledger or f"sqlite:///{tmp_path}/ledger.db"
    return Platform(Environment("test", tmp_path, {}, url, None, tmp_path, quotas=Quotas(**quotas)))


def cycle(platform, name, key=""):
    """Open a cycle of a model that is called so."""
    return cycles.open_cycle(platform.ledger, ModelRef("shop", name), Drift(), "test", key or name, NOW, force=True)


def test_a_claim_is_made_once_and_ends_with_the_training(tmp_path):
    """A killed training claims nothing twice; the next one begins when a version is registered, or a cycle closed."""
    platform = opened(tmp_path, cpus=8)
    one, two, three = (cycle(platform, name) for name in ("one", "two", "three"))
    for _ in range(3):
        claim(platform, asking(), one)
    claim(platform, asking(), two)
    with pytest.raises(QuotaReached) as refused:
        claim(platform, asking(0.5), three)
    assert refused.value.problem == (
        f"the training of cycle {three.cycle_id} asks for 0.5 cpus, and 8 of 8 are claimed by 2 others"
    )
    assert "whoever runs the environment raises quotas.cpus" in refused.value.fix
    assert list(held(platform.ledger)) == [one.cycle_id, two.cycle_id]

    platform.ledger.record(Entry(REGISTERED, NOW, *one.ref, one.cycle_id, "1"))
    claim(platform, asking(0.5), three)
    cycles.close_cycle(platform.ledger, two.cycle_id, "failed", "its run failed 3 times", NOW)
    assert held(platform.ledger) == {three.cycle_id: Claim(0.5, 0)}
    first = platform.ledger.entries(kinds=[CLAIMED])[0]
    assert sentence(first) == "4 CPUs and 0 GPUs claimed for the training"


def test_what_is_asked_for(tmp_path):
    """All workers, and all trials at once; of each quota by itself, and of none that is left out."""
    assert Claim.of(asking(2, 1, workers=3)) == Claim(6, 3)
    assert Claim.of(asking(2, 1, parallel=4)) == Claim(8, 4)
    platform = opened(tmp_path, gpus=2)
    claim(platform, asking(1000, 2), cycle(platform, "one"))
    claim(platform, asking(1000, 0), cycle(platform, "two"))
    with pytest.raises(QuotaReached, match="asks for 1 gpus, and 2 of 2 are claimed by 2 others"):
        claim(platform, asking(1, 1), cycle(platform, "three"))
    with pytest.raises(QuotaReached, match="asks for 3 gpus, and the quota is 2"):
        claim(platform, asking(1, 3), cycle(platform, "four"))
    free = opened(tmp_path)
    claim(free, asking(1000, 1000), cycle(free, "five"))
    assert len(held(free.ledger)) == 2, "without quotas nothing is written"


def test_fractions_add_up(tmp_path):
    """Three of a tenth are three tenths, whatever floats make of it."""
    platform = opened(tmp_path, cpus=0.3)
    claim(platform, asking(0.1, workers=2), cycle(platform, "one"))
    claim(platform, asking(0.1), cycle(platform, "two"))
    claim(opened(tmp_path, cpus=3.6), asking(1.1, workers=3), cycle(platform, "three"))
    assert len(held(platform.ledger)) == 3


def test_an_attempt_that_asks_for_more_claims_the_rest(tmp_path):
    """What it has it keeps, also when it asks for less: the attempt before may still be at work."""
    platform = opened(tmp_path, cpus=8)
    one, two = cycle(platform, "one"), cycle(platform, "two")
    claim(platform, asking(2, 1), one)
    claim(platform, asking(2), two)
    with pytest.raises(QuotaReached, match="asks for 7 cpus, and 2 of 8 are claimed by 1 others"):
        claim(platform, asking(7), one)
    assert held(platform.ledger)[one.cycle_id] == Claim(2, 1)
    for cpus in (6, 1):
        claim(platform, asking(cpus), one)
        assert held(platform.ledger)[one.cycle_id] == Claim(6, 1)
    assert len(platform.ledger.entries(kinds=[CLAIMED])) == 3
    with pytest.raises(QuotaReached):
        claim(platform, asking(), cycle(platform, "three"))


def test_what_was_claimed_long_ago_costs_nothing(tmp_path):
    """Claims of cycles that are over are not gone through: a database of many answers within as many steps."""
    platform = opened(tmp_path, cpus=8)

    def steps():
        counted = []
        with platform.ledger.reading() as connection:
            raw = connection.connection.driver_connection
            raw.set_progress_handler(lambda: counted.append(0), 1)
            assert list(trainings._held(connection)) == [last.cycle_id]
            raw.set_progress_handler(None, 0)
        return len(counted)

    last = cycle(platform, "last")
    claim(platform, asking(), last)
    few = steps()
    for number in range(10):
        past = cycle(platform, f"past{number % 2}", str(number))
        claim(platform, asking(), past)
        platform.ledger.record(Entry(REGISTERED, NOW, *past.ref, past.cycle_id, "1"))
        cycles.close_cycle(platform.ledger, past.cycle_id, "promoted", "done", NOW)
    assert steps() <= 2 * few


def test_raised_it_goes_on(tmp_path):
    """The claims that were made stay."""
    narrow = opened(tmp_path, cpus=4)
    one, two = cycle(narrow, "one"), cycle(narrow, "two")
    claim(narrow, asking(), one)
    with pytest.raises(QuotaReached):
        claim(narrow, asking(), two)
    claim(opened(tmp_path, cpus=8), asking(), two)
    assert list(held(narrow.ledger)) == [one.cycle_id, two.cycle_id]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_claimants_at_the_border(tmp_path, database, request):
    """Of eight at once, for whom there are CPUs for three, three have them."""
    url = request.getfixturevalue("new_database")() if database == "postgresql" else None
    platforms = [opened(tmp_path, url, cpus=14) for _ in range(8)]
    every = [cycle(platforms[0], f"model{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(claim, platform, asking(), one) for platform, one in zip(platforms, every, strict=True)]
    refused = [one.exception() for one in done if one.exception()]
    assert [type(error) for error in refused] == [QuotaReached] * 5
    assert sum(one.cpus for one in held(platforms[0].ledger).values()) == 12
    for platform in platforms:
        platform.close()
