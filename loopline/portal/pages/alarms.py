"""Page of alarms: active and past, with acknowledgements and the watchdog's heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Query, Response

from loopline.platform_core import alarms
from loopline.platform_core.alarms import watchdog_heartbeat
from loopline.platform_core.contracts.notifier import SEVERITIES
from loopline.portal.page import Page, Slice
from loopline.portal.page_request import CurrentRequest
from loopline.portal.pages.params import Start

if TYPE_CHECKING:
    from loopline.platform_core.alarms import Standing

router = APIRouter()
PAGE = 50


@dataclass(frozen=True)
class AlarmRow:
    """A cause, as it stands or last stood. ``path`` is the page of what it is about, ``link`` what the alarm names."""

    cause: str
    severity: str
    problem: str
    fix: str
    about: str
    path: str
    link: str
    since: datetime
    until: datetime | None
    notified: list[str]
    acknowledged: str


@dataclass(frozen=True)
class AlarmsPage(Page):
    """The alarms that stand, the gravest first, and a page of those that are over.

    ``watched_at`` is when the watchdog ended its last round (None: never), ``silent`` that it is long ago.
    """

    template: ClassVar[str] = "alarms.html"
    section: ClassVar[str] = "/alarms"
    standing: list[AlarmRow]
    slice: Slice
    over: list[AlarmRow]
    watched_at: datetime | None
    silent: bool

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Alarms"


@router.get("/alarms", response_model=AlarmsPage)
def page(ask: CurrentRequest, start: Start = 0, size: Annotated[int, Query(ge=1, le=500)] = PAGE) -> Response:
    """List alarms."""
    ledger = ask.platform.ledger
    standing = sorted(alarms.standing(ledger), key=lambda one: (-SEVERITIES.index(one.alarm.severity), one.since))
    over = alarms.past(ledger)[::-1]
    watched, now = watchdog_heartbeat.last(ledger), datetime.now().astimezone()
    shown = AlarmsPage(
        standing=[_row(one) for one in standing],
        slice=Slice(start, size, len(over)),
        over=[_row(one) for one in over[start : start + size]],
        watched_at=watched,
        silent=watched is None or (now - watched).total_seconds() > watchdog_heartbeat.SILENT_SECONDS,
    )
    return ask.answer(shown)


def _row(one: Standing) -> AlarmRow:
    alarm = one.alarm
    plain = {name: getattr(alarm, name) for name in ("cause", "severity", "problem", "fix", "about", "link")}
    times = {"since": one.since, "until": one.until}
    return AlarmRow(path=_path(one), notified=list(one.notified), acknowledged=one.acknowledged, **(plain | times))


def _path(one: Standing) -> str:
    subject = one.alarm.subject
    if subject is None:
        return ""
    return f"/models/{subject.team}/{subject.model}" if subject.model else f"/teams/{subject.team}"
