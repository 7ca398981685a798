"""Commands ``loopline alarms``: lists active alarms, and acknowledges one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person

if TYPE_CHECKING:
    from loopline.platform_core.alarms import Standing

alarms = LazyGroup(
    "alarms",
    {
        "list": ("loopline.cli.installation.alarms:list_alarms", "Active alarms: since when, and who was notified."),
        "acknowledge": ("loopline.cli.installation.alarms:acknowledge", "Acknowledge an alarm: it is not sent again."),
    },
    "Active alarms: list them, acknowledge one.",
)


@click.command("list", cls=Command)
@click.option("--all", "everything", is_flag=True, help="Also what is over, each cause as it last stood.")
def list_alarms(everything: bool) -> Answer:
    """List the alarms that stand, the oldest first, with what to do about each."""
    from loopline.platform_core.alarms import past, standing, watchdog_heartbeat

    with opened(only=()) as platform:
        found = [*(past(platform.ledger) if everything else ()), *standing(platform.ledger)]
        at = watchdog_heartbeat.last(platform.ledger)
    said = "\n".join(_alarm_text(one) for one in found) or "no alarm stands"
    data = {"alarms": [_json(one) for one in found], "watchdog": at}
    return Answer(data, "\n".join([said, *_silent(at)]))


@click.command("acknowledge", cls=Command)
@click.argument("cause")
@click.option("--reason", required=True, help="What you do about it; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def acknowledge(cause: str, reason: str, by: str | None) -> Answer:
    """Take the alarm of CAUSE on: it stands until all is well, but nobody else is told of it."""
    from loopline.platform_core.alarms import acknowledge as take

    with opened(only=()) as platform:
        taken = take(platform, cause, person(by), reason)
    return Answer(_json(taken), f"{cause} is taken on by {taken.acknowledged}")


def _json(one: Standing) -> dict[str, Any]:
    alarm = one.alarm
    words = {name: getattr(alarm, name) for name in ("cause", "severity", "problem", "fix", "link")}
    times = {"since": one.since, "until": one.until}
    return words | {"subject": alarm.about} | times | {"told": one.notified, "acknowledged": one.acknowledged}


def _alarm_text(one: Standing) -> str:
    alarm = one.alarm
    state = "over" if one.until else alarm.severity
    rows = [("", alarm.problem), ("", f"→ {alarm.fix}"), ("", alarm.link), ("told", ", ".join(one.notified))]
    rows.append(("taken by", one.acknowledged))
    shown = table([(name, value) for name, value in rows if value])
    since = f"{one.since:%Y-%m-%d %H:%M}" + (f" to {one.until:%Y-%m-%d %H:%M}" if one.until else "")
    lines = (f"  {line.removeprefix('-').strip()}" for line in shown.splitlines())
    return "\n".join([f"{state:<8} {alarm.cause}  since {since}", *lines])


def _silent(at: datetime | None) -> list[str]:
    """Warn when nobody watches: no alarm is no good news then."""
    from loopline.platform_core.alarms.watchdog_heartbeat import SILENT_SECONDS

    if at is None:
        return ["no watchdog has looked yet; start one with 'loopline up' or 'loopline watchdog'"]
    seconds = (datetime.now(UTC) - at).total_seconds()
    return [f"the watchdog has not looked for {seconds / 60:.0f} minutes: start it"] if seconds > SILENT_SECONDS else []
