"""What Dagster is told of a failure, and keeps: no secret in it, nor in the errors behind it."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_urlsafe

import dagster as dg
import pytest

from loopline.asset_defs import team as definitions
from loopline.asset_defs.ingestion import raw_assets
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.sensors.ingest_sensor import ingest_sensor
from loopline.platform_core import environment
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.credentials import keep
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from tests.asset_defs.conftest import CONTRACT, EVENTS, SEEN
from tests.emulators.http_server import Answer, Serving

SECRET = f"planted-{token_urlsafe(16)}"


def ask() -> None:
    """Fail as a library does, whose words ours pass on."""
    try:
        Path(f"/not-there/{SECRET}").read_bytes()
    except OSError as error:
        raise StoreUnavailable(f"it is away: {error}", "wait") from error


@dg.asset
@redacting
def translated(context: dg.AssetExecutionContext) -> None:
    """Log, and fail by an error of ours with a library's behind it."""
    context.log.warning("asking %s", SECRET)
    ask()


@dg.asset
@redacting
def foreign() -> Iterator[dg.MaterializeResult[None]]:
    """Fail by a library's own error in the midst."""
    yield dg.MaterializeResult()
    raise KeyError(SECRET)


@dg.sensor(job_name="any")
@redacting
def looks(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail at once."""
    raise ValueError(SECRET)


def test_dagster_keeps_nothing_of_a_secret() -> None:
    """A step that fails, a tick that fails, and what a step logs: what went wrong, and where, is still told."""
    keep(SECRET)
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([translated, foreign], instance=instance, raise_on_error=False)
        told = [str(event) for event in instance.all_logs(run.run_id)]
        with pytest.raises(Exception, match=r"\*\*\*\*") as tick:
            looks(dg.build_sensor_context(instance=instance))
    assert [text for text in told if "StoreUnavailable: it is away" in text and "FileNotFoundError" in text]
    assert [text for text in told if "KeyError" in text and "in foreign" in text]
    assert [text for text in told if "asking ****" in text]
    said = [*told, "".join(traceback.format_exception(tick.value))]
    assert not [text for text in said if SECRET in text]


def test_each_body_that_dagster_calls_is_held() -> None:
    """None of ours is left out: assets, checks, steps of jobs, sensors and schedules."""
    kinds = tuple(f"@dg.{kind}(" for kind in ("asset", "multi_asset", "asset_check", "op", "sensor", "schedule"))
    bare = []
    for file in Path(definitions.__file__).parent.glob("*.py"):
        lines = file.read_text().splitlines()
        for number in (at for at, line in enumerate(lines) if line.strip().startswith(kinds)):
            body = next(at for at in range(number, len(lines)) if lines[at].lstrip().startswith("def "))
            if lines[body - 1].strip() != "@redacting":
                bare.append(f"{file.name}:{number + 1}")
    assert bare == []


BINDINGS = """
name: t
bindings:
  secrets: {{vendor: files, root: "{kept}"}}
  lake: {{vendor: delta, root: "{home}/lake"}}
  event_source:
    vendor: http
    landing: "{home}/landing"
    look_seconds: 0
    feeds: {{tiny/events: {{url: "{url}/rows?key=${{secret://api}}"}}}}
ledger: "sqlite:///{home}/ledger.db"
"""


def test_a_key_in_a_feed_s_url_stands_in_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API answers rubbish: the run fails, ticks say why, an alarm is raised; no file of all that has the key."""
    kept, home = tmp_path / "kept", tmp_path / "home"
    kept.mkdir()
    home.mkdir()
    kept.joinpath("api").write_text(f"{SECRET}\n")
    home.joinpath("events.yaml").write_text(CONTRACT)
    log = logging.FileHandler(home / "log")
    logging.getLogger().addHandler(log)
    team, now = Team("tiny", home, (), "ada", (SEEN,)), 1e9
    with Serving(lambda _: Answer(200, b'{"error": "maintenance"}', {})) as api:
        file = home / "e.yaml"
        file.write_text(BINDINGS.format(kept=kept, home=home, url=api.url))
        bound = environment.read(file, only=("lake", "event_source"))
        with closing(Platform(bound)) as platform, dg.DagsterInstance.local_temp(str(home)) as instance:
            given = {"platform": platform}
            run = dg.materialize([raw_assets(team, EVENTS)], None, instance, resources=given, raise_on_error=False)
            assert not run.success
            cursor, told = None, ""
            for tick in range(6):
                monkeypatch.setattr("time.time", lambda tick=tick: now + 4000 * tick)
                context = dg.build_sensor_context(instance=instance, resources=given, cursor=cursor)
                found = ingest_sensor(team)(context)
                cursor, told = found.cursor, told + found.skip_reason.skip_message
            monkeypatch.undo()
            (raised,) = platform.ledger.entries(kinds=["alarm.raised"])
    logging.getLogger().removeHandler(log)
    assert f"{api.url}/rows has no list of rows" in raised.reason
    assert f"{api.url}/rows has no list of rows" in told
    written = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert [path for path, content in written.items() if b"has no list of rows" in content]
    assert not [path for path, content in written.items() if SECRET.encode() in content]
    assert SECRET not in told
