"""``quality`` shows what landings were like, and what is odd about the newest."""

from __future__ import annotations

from datetime import timedelta

from loopline.platform_core.ingestion.quality.quality import look
from loopline.platform_core.platform import Platform


def arrive(world, platform: Platform, day: int, size: int, amount: float) -> None:
    """Land a day's sales, and look at them."""
    from corner_shop import sales, team

    at = world.now - timedelta(hours=2)
    lines = [f"{n},{at:%Y-%m-%d %H:%M:%S},{amount + n},{'DE' if n % 2 else 'FR'},0" for n in range(size)]
    world.later(24)
    world.deliver(f"{day:02}.csv", "\n".join(["customer_id,sold_at,amount,country,returned", *lines]) + "\n")
    look(platform, team, sales)


def test_landings_and_what_is_odd(world):
    """After days that were alike, one of other amounts is told with figure, bounds and history."""
    assert "nothing of corner/sales has landed" in world.run("quality", "corner/sales").stdout
    platform = Platform.open()
    for day in range(9):
        arrive(world, platform, day, 20 + day % 3, 5.0)
    assert "figures of the newest landing are as usual" in world.run("quality", "corner/sales").stdout
    arrive(world, platform, 9, 21, 500.0)
    platform.close()
    said = world.json("quality", "corner/sales", "--limit", "3")
    assert [landing["rows"] for landing in said["landings"]] == [21, 22, 21]
    assert said["landings"][-1]["columns"]["country"]["categories"] == {"DE": 10, "FR": 11}
    assert [(o["finding"]["column"], o["finding"]["what"]) for o in said["odd"]] == [
        ("amount", "lower quartile"),
        ("amount", "median"),
        ("amount", "upper quartile"),
        ("amount", "maximum"),
    ]
    (doubted,) = said["doubted"]
    assert doubted.startswith("09.csv landed 2011-03-11 12:00 UTC: check ranges: amount: lower quartile 505")
    text = world.run("quality", "corner/sales").stdout
    assert "odd: amount: median 510, usually" in text
    assert "(9 landings)" in text
    assert f"doubted: {doubted}" in text
