"""Main program of the demo: runs a story from first training to rollback."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from loopline.demo import found
from loopline.demo import outcome as outcomes
from loopline.demo.client import Client
from loopline.demo.likeness import NOTHING, Asked
from loopline.demo.replay import Replay, Script
from loopline.demo.show import LAG_DAYS, Show
from loopline.demo.stage import Stage, apart, fresh_home, history_lands, open_stage
from loopline.demo.teller import Teller
from loopline.platform_core import environment as environments
from loopline.platform_core.errors import LooplineError, Refused
from loopline.platform_core.features.registry.watermarks import progress
from loopline.platform_core.foundation.names import view_table
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.platform_core.ingestion.landing import pending
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.turn import start_rollout
from loopline.up.running import Options, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from loopline.demo.client import Tally
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.up.app import App


SETTLED_SECONDS = 60
"""How long features may take to follow the last file."""
PATIENCE = 4.0
"""How much longer the parts of the story may take where each store is asked over a network."""


def main(  # noqa: PLR0913 - one an option
    days: int | None = None,
    *,
    told: str = "cancellations",
    keep: bool = False,
    output: str = "text",
    environment: Path | None = None,
    asked: Asked = NOTHING,
) -> int:
    """Run the story on the laptop's vendors, or on those of an environment; 0 when it held, 1 when it did not."""
    say = _to_stderr if output == "json" else _to_stdout
    found.known(told)
    home = fresh_home(environments.home())
    found.bring_team(home)
    with ExitStack() as running_apps:
        app, ref, outcome = _played(running_apps, home, told, say, days, environment, asked)
        _to_stdout(json.dumps(outcome.facts) if output == "json" else outcome.text)
        if keep:
            _let_go()
            _wait_for_ctrl_c(app, ref, say)
    return 0 if outcome.held else 1


def _played(  # noqa: PLR0913, PLR0917 - what main was told
    stack: ExitStack,
    home: Path,
    told: str,
    say: Callable[[str], None],
    days: int | None,
    environment: Path | None,
    asked: Asked,
) -> tuple[App, ModelRef, outcomes.Outcome]:
    """Run everything until ``stack`` ends it, and tell the story; what it needed is let go with this frame."""
    story = found.story(told)
    say(f"Loopline: {story.about}, on the data's own clock.")
    stage, go_live = open_stage(home, told, environment), story.go_live
    patience = PATIENCE if environment else 1.0
    options = Options(timeout_seconds=Options.timeout_seconds * patience)
    teller = Teller(stage.platform.ledger, say)
    landed = history_lands(stage, go_live)
    teller.say(f"{landed} daily files from {stage.days[0].date} to {go_live} lie in the landing folder")
    last = go_live + timedelta(days=days) if days else None
    app = stack.enter_context(running(home=home, environment=stage.platform.environment.path, options=options))
    serving = app.platform.serving  # the stage was set before there was a port
    server = f"inference server {app.endpoint}" if app.endpoint else f"endpoint {serving.endpoint(stage.ref.dotted)}"
    teller.say(f"everything runs: portal {app.portal_url}, Dagster {app.ui_url}, {server}")
    client = Client(serving.caller(stage.ref.dotted))
    replay = Replay(stage.clock, client, days_per_second=story.days_per_second / patience)
    show = Show(stage, app, teller, replay, patience=patience)
    return app, stage.ref, _told(show, last, asked)


def _told(show: Show, last: date | None, asked: Asked) -> outcomes.Outcome:
    trouble = ""
    try:
        show.replay.start(_first_model(show, last))
        _drift_to_promotion(show)
        _drill(show)
        _to_the_end(show)
        if asked:
            _until_settled(show)
    except LooplineError as error:
        trouble = str(error)
    finally:
        show.replay.end()
        show.replay.client.close()
        show.teller.listen()
    return apart(_outcome, show.stage.name, show.teller.entries, show.replay.client.tally, trouble, asked)


def _outcome(stage: Stage, entries: list[Entry], tally: Tally, trouble: str, asked: Asked) -> outcomes.Outcome:
    return outcomes.of(stage, Teller(stage.platform.ledger, _to_stderr, entries=entries), tally, trouble, asked)


def _first_model(show: Show, last: date | None) -> Script:
    """History lands, and the first model goes live on what was known at the start; returns what is to follow."""
    stage = show.stage
    show.until("history had landed", lambda: _landed(stage), 300)
    _open(show, "first training", "first")
    script = stage.script(stage.story.go_live, last)  # read while the model trains
    show.until("the first model was live", lambda: show.teller.first("rollout.promoted") is not None, 300)
    show.until("the endpoint was ready", lambda: stage.platform.serving.observe(stage.ref.dotted).ready, 60)
    return script


def _drift_to_promotion(show: Show) -> None:
    """Rows are asked about until drift has turned the loop once and the candidate is promoted."""

    def turned() -> bool:
        return any(c.state == "promoted" and c.cause.startswith("drift") for c in _cycles(show))

    show.until("a drift cycle was promoted", turned, 600)


def _drill(show: Show) -> None:
    """A candidate with a mistake in its training rows passes its gates; the judge takes it back."""
    show.until("the drill could begin", lambda: _begun(show) is not None, 600)
    drill = _begun(show)
    assert drill is not None
    show.until("the drill was over", lambda: _state(show, drill) != "open", 400)
    if _state(show, drill) == "rejected":
        _override(show, drill)
        show.until("the drill was over", lambda: _state(show, drill) != "open", 400)


def _begun(show: Show) -> Cycle | None:
    """Open the drill's cycle, or return it; None while another cycle of the model is open."""
    try:
        return _open(show, f"drill: {show.stage.story.mistake}", "drill", dict(show.stage.story.drill))
    except Refused:
        return None


def _override(show: Show, drill: Cycle) -> None:
    """A gate has seen the mistake: a person lets the candidate go on, for the judge is to be shown too."""
    platform, ref, now = show.stage.platform, show.stage.ref, show.stage.clock.now()
    version = gates.version_of_cycle(platform.ledger, ref, drill.cycle_id)
    verdict = gates.verdict_of(platform.ledger, ref, version) if version else None
    assert version is not None
    assert verdict is not None
    for reading in verdict.failed:
        gates.override(platform.ledger, ref, version, reading.gate, "the demo", "a drill: the judge's turn", now)
    start_rollout(platform, ref, show.stage.model, version, drill.cycle_id, now)


def _to_the_end(show: Show) -> None:
    """The rest of the data, as fast as files land."""
    show.replay.days_per_second = 30
    show.lag_days, show.over = 6 * LAG_DAYS, True
    while not (show.replay.done and _landed(show.stage)) and show.replay.trouble is None:
        show.look()


def _until_settled(show: Show) -> None:
    """Wait until features have followed the last file, so that runs of any pace can be compared."""
    end = time.monotonic() + SETTLED_SECONDS * show.patience
    while not _materialized(show.stage) and time.monotonic() < end:
        show.look()


def _open(show: Show, cause: str, key: str, drill: dict[str, float] | None = None) -> Cycle:
    stage = show.stage
    now = stage.clock.now()
    return cycles.open_cycle(
        stage.platform.ledger, stage.ref, stage.model.drift, cause, f"demo:{key}", now, force=True, drill=drill
    )


def _landed(stage: Stage) -> bool:
    """Say whether everything that lies in the folder has landed and is a feature."""
    view = next((view for view in stage.model.features if view.served == "online"), stage.model.features[0])
    written = stage.platform.lake.version(view_table(stage.team.name, view)) is not None
    return written and not any(pending(stage.platform, stage.team, source) for source in stage.sources)


def _materialized(stage: Stage) -> bool:
    """Say whether every row that has landed is a feature."""
    return all(progress(stage.platform, stage.team, view).nothing_new for view in stage.team.views)


def _cycles(show: Show) -> list[Cycle]:
    return cycles.cycles(show.stage.platform.ledger, show.stage.ref)


def _state(show: Show, cycle: Cycle) -> str:
    return cycles.cycle(show.stage.platform.ledger, cycle.cycle_id).state


def _let_go() -> None:
    """Give memory that nothing holds any more back to the system; glibc keeps it until it is asked."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def _wait_for_ctrl_c(app: App, ref: ModelRef, say: Callable[[str], None]) -> None:
    with set_by_signals() as stop:
        endpoint = app.endpoint or app.platform.serving.endpoint(ref.dotted)
        say(f"Still running: portal {app.portal_url}, Dagster {app.ui_url}, endpoint {endpoint}. Ctrl-C ends it.")
        stop.wait()
    say("Ending.")


def _to_stdout(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a story is told as it happens


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - standard output is for the JSON object
