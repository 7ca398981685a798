"""Three detailed model histories on a replay clock, for the portal's test data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import Alarm, raise_alarm
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.gates import GateReading
from loopline.platform_core.loop.rollouts import rollback
from loopline.stories import portal_quality
from loopline.stories.portal_author import Author, metrics, passed

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

SHOP = {
    "returns": "Will at least one article of this order come back within 30 days?",
    "basket": "Will the customer add one more article when asked?",
    "demand": "How many of this article are sold next week?",
}
BANK = {"card_fraud": "Is this payment the cardholder's own?"}


def tell(platform: Platform, teams: Mapping[str, Team], now: datetime) -> None:
    """Tell all three stories, each up to ``now``."""
    begin = now - timedelta(days=90)
    shop, bank = teams["shop"], teams["bank"]
    _returns(Author(platform, shop, shop.model("returns"), begin), now)
    _basket(Author(platform, shop, shop.model("basket"), begin), now)
    _card_fraud(Author(platform, bank, bank.model("card_fraud"), begin), now)


def _returns(author: Author, now: datetime) -> None:
    """Tell a model that learnt from drift twice, was rejected once, and is at 25 percent of a fourth version."""
    first = author.cycle("first training", 18_240)
    author.roll_out(author.train(first, metrics(0.731), passed(0.731, 0.65)), first)
    author.watch("1", 20, {"spend": 0.34, "score": 0.16})
    second = author.cycle("drift: drifted in 2 of 3 windows: spend 0.34 (from 0.10)", 24_910)
    record = author.roll_out(author.train(second, metrics(0.758), passed(0.758, 0.65, 0.731)), second)
    for _ in range(3):
        author.bake(record)
    author.watch("2", 34)
    third = author.cycle("schedule: monthly", 27_800)
    failed = GateReading("BeatsChampion(roc_auc)", 1, 0.749, 0.758, passed=False, detail="")
    author.train(third, metrics(0.749), (*passed(0.749, 0.65)[:1], failed))
    author.later(1)
    cycles.close_cycle(author.platform.ledger, third.cycle_id, "rejected", f"its gates: {failed}", author.at)
    author.watch("2", 34, {"article": 0.29, "spend": 0.22})
    author.later((now - author.at).total_seconds() / 3600 - 3)
    fourth = author.cycle(
        "drift: 2 of 4 columns drifted at once: article 0.29 (from 0.10), spend 0.22 (from 0.10)", 31_377
    )
    record = author.roll_out(author.train(fourth, metrics(0.771), passed(0.771, 0.65, 0.758)), fourth)
    author.bake(record)
    portal_quality.tell(author.platform, author.ref, {"1": first.opened_at, "2": second.opened_at}, now)


def _basket(author: Author, now: datetime) -> None:
    """Tell a model whose second version did harm, was taken back, and which is frozen since."""
    first = author.cycle("first training", 9_120)
    author.roll_out(author.train(first, metrics(0.688), passed(0.688, 0.6)), first)
    author.watch("1", 35)
    second = author.cycle("drill: money in pence instead of pounds", 11_040, {"spend": 100.0})
    record = author.roll_out(author.train(second, metrics(0.694), passed(0.694, 0.6, 0.688)), second)
    for _ in range(3):
        if author.bake(record, v2=0.81).action == "roll_back":
            break
    author.watch("1", 6)
    freezes.freeze(author.platform.ledger, author.ref, "grace", "the till is being replaced until Friday", author.at)
    author.watch("1", int((now - author.at).days))


def _card_fraud(author: Author, now: datetime) -> None:
    """Tell a model whose newest version failed a gate, and a person who went one step back before."""
    first = author.cycle("first training", 60_300)
    author.roll_out(author.train(first, metrics(0.902), passed(0.902, 0.85)), first)
    author.watch("1", 24)
    second = author.cycle("by hand: new merchant categories", 66_000)
    record = author.roll_out(author.train(second, metrics(0.911), passed(0.911, 0.85, 0.902)), second)
    for _ in range(3):
        author.bake(record)
    author.watch("2", 3)
    why = ("margaret", "complaints of refused cards since the promotion")
    rollback.roll_back(author.platform, author.ref, *why, author.at)
    author.watch("1", 40)
    third = author.cycle("schedule: monthly", 71_250)
    failed = GateReading("FairAcross(recall by country)", 1, 0.21, 0.15, passed=False, detail="farthest of 5: Portugal")
    author.train(third, metrics(0.917), (*passed(0.917, 0.85, 0.902)[:2], failed))
    author.later(1)
    cycles.close_cycle(author.platform.ledger, third.cycle_id, "rejected", f"its gates: {failed}", author.at)
    author.watch("1", int((now - author.at).days))
    problem = "recall of Portugal lies 0.21 from the whole's in the newest version, 0.15 is allowed"
    fix = "look at the rows of Portugal, then override the gate by name or train anew"
    raise_alarm(author.platform, Alarm(f"gate:{author.ref}", "warning", problem, fix, author.ref))
