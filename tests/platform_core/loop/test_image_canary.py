"""A new container image of an endpoint's servers is judged beside the one before, and stays or goes."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from loopline.platform_core.alarms import events
from loopline.platform_core.alarms.active_alarms import standing
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import image_canary
from loopline.platform_core.specs import P99, ErrorRate, Rollout
from loopline.platform_core.testing.fakes.serving_vendors import ImagedServing

OLD, NEW = "loopline:1", "loopline:2"


@pytest.fixture
def loop(sqlite_loop):
    """Give a loop whose first version answers in servers of an image."""
    sqlite_loop.rule = Rollout(percents=(50, 100), bake_minutes=10, min_requests=20, judges=(ErrorRate(0.05), P99(50)))
    bind(sqlite_loop)
    sqlite_loop.roll_out("first")
    return sqlite_loop


def bind(loop, **settings):
    """Let the environment file say something else of the servers, which are the same ones."""
    before = loop.serving
    serving = ImagedServing(**settings)
    if isinstance(before, ImagedServing):
        serving = before.model_copy(update=settings)
    loop.platform.environment.bindings["serving"] = serving


def look(loop, ref, minutes=0.0):
    """Let time pass, and look."""
    loop.later(minutes)
    said = image_canary.look(loop.platform, ref, loop.model, loop.now)
    events.image_refused(loop.platform, ref, image_canary.refusal(loop.platform, ref))
    return said


def tried(loop, ref, **settings):
    """Name another image in the environment file, and look until it answers beside the other."""
    bind(loop, image=NEW, **settings)
    assert look(loop, ref) == "", "it is asked for"
    return look(loop, ref)


def told(loop, ref):
    """Return what the ledger says of images: kinds and reasons."""
    return [(e.kind.removeprefix("image."), e.reason) for e in loop.ledger.entries(ref, image_canary.KINDS)]


def alarms(loop):
    """Return the problems of alarms that stand."""
    return [one.alarm.problem for one in standing(loop.ledger)]


def test_nothing_happens_while_the_image_is_the_wanted_one(loop, ref):
    """Nor where servers run in no image at all."""
    assert look(loop, ref) == ""
    assert told(loop, ref) == []


def test_a_good_image_goes_to_all_servers(loop, ref):
    """Once it has baked and answered enough; the ledger says beside what, and on which figures."""
    assert tried(loop, ref) == f"image {NEW} begins to answer beside {OLD}"
    assert "0 of 20 requests answered" in look(loop, ref)
    loop.ask(60)
    assert "bakes until 2011-03-01 12:10:00 UTC" in look(loop, ref)
    assert look(loop, ref, 10) == f"image {NEW} is given to all servers: no harm in 30 requests beside {OLD}"
    assert look(loop, ref) == ""
    assert told(loop, ref) == [
        ("started", "the environment file names another image"),
        ("passed", f"no harm in 30 requests beside {OLD}"),
        ("promoted", "every server runs it"),
    ]
    figures = loop.ledger.entries(ref, [image_canary.PASSED])[0].details
    assert (figures["image"], figures["before"], figures["candidate"]["requests"]) == (NEW, OLD, 30)
    assert loop.serving.images(ref.dotted).stable == NEW


def test_an_image_that_answers_with_errors_is_taken_back_at_once(loop, ref):
    """Without waiting for its bake time; an alarm says so, and it is not asked for again until somebody says so."""
    tried(loop, ref, failing=frozenset({NEW}))
    loop.ask(60)
    assert look(loop, ref).startswith(f"image {NEW} is taken back: ErrorRate 1 above 0.05 (30 errors)")
    for _ in range(2):
        assert look(loop, ref, 30) == ""
    images = loop.serving.images(ref.dotted)
    assert (images.stable, images.candidate, images.refused) == (OLD, "", NEW)
    assert [kind for kind, _ in told(loop, ref)] == ["started", "rolled_back"]
    assert "ErrorRate 1 above 0.05" in alarms(loop)[0]
    loop.roll_out("second")
    assert loop.serving.images(ref.dotted).candidate == "", "another version asks for its endpoint, not for the image"
    loop.serving.retry_image(ref.dotted)
    bind(loop, failing=frozenset())
    look(loop, ref)
    assert alarms(loop) == []


def test_a_slow_image_is_taken_back(loop, ref):
    """Each image is judged by its own rows: what the one before answered counts for nothing."""
    tried(loop, ref)
    loop.ask(400, latency_ms=90)
    assert "P99 90 above 50" in look(loop, ref)


def test_a_server_that_does_not_come_to_answer_has_a_bake_time_for_it(loop, ref):
    """Nobody meets it meanwhile."""
    tried(loop, ref, broken=frozenset({NEW}))
    loop.ask(60)
    assert "ImportError" in look(loop, ref, 9)
    assert look(loop, ref, 1) == f"image {NEW} is taken back: ImportError: no module of that name"
    assert alarms(loop) == [f"image {NEW} was taken back: ImportError: no module of that name"]


def test_a_server_that_answered_and_is_away_has_more_time(loop, ref):
    """Its node may be drained; one that has a problem of its own has not."""
    tried(loop, ref)
    loop.ask(60)
    bind(loop, away=frozenset({NEW}))
    assert look(loop, ref, 39).endswith("its server does not answer")
    bind(loop, away=frozenset())
    assert "is given to all servers" in look(loop, ref, 2)


def test_where_too_few_ask_an_image_goes_on_after_the_patience(loop, ref):
    """A fix of a library does not wait for callers for ever."""
    tried(loop, ref)
    loop.ask(10)
    assert "5 of 20 requests answered" in look(loop, ref, 39)
    assert look(loop, ref, 1).endswith("5 of 20 requests answered, no harm in them")


def test_a_freeze_and_a_rollout_keep_an_image_from_going_on(loop, ref):
    """Neither is it asked for; harm goes back at any time."""
    freezes.freeze(loop.ledger, ref, "ada", "a holiday", loop.now)
    bind(loop, image=NEW)
    for _ in range(2):
        assert look(loop, ref) == ""
    assert loop.serving.images(ref.dotted).candidate == ""
    freezes.thaw(loop.ledger, ref, "ada", "over", loop.now)
    tried(loop, ref)
    loop.ask(60)
    freezes.freeze(loop.ledger, ref, "ada", "a holiday", loop.now)
    assert look(loop, ref, 20).startswith(f"image {NEW} beside {OLD}")
    freezes.thaw(loop.ledger, ref, "ada", "over", loop.now)
    loop.later(60 * 24)
    record = loop.roll_out("second")
    assert look(loop, ref).startswith(f"image {NEW} beside {OLD}")
    loop.baked(record, 150)
    loop.baked(record, 150)
    assert "is given to all servers" in look(loop, ref)


def test_a_person_takes_an_image_back(loop, ref):
    """Named, with a reason; where none is on trial that is said."""
    with pytest.raises(NotFound, match="name it in the environment file"):
        image_canary.take_back(loop.platform, ref, "ada", "odd logs", loop.now)
    tried(loop, ref)
    with pytest.raises(Refused, match="names no person"):
        image_canary.take_back(loop.platform, ref, "", "odd logs", loop.now)
    assert image_canary.take_back(loop.platform, ref, "ada", "odd logs", loop.now) == NEW
    assert told(loop, ref)[-1] == ("rolled_back", "odd logs")
    look(loop, ref)
    assert alarms(loop) == [f"image {NEW} was taken back: odd logs"]


def test_an_environment_file_that_names_the_image_before_ends_the_trial(loop, ref):
    """Or a third image, which is tried instead."""
    tried(loop, ref)
    bind(loop, image="loopline:3")
    assert look(loop, ref) == f"image {NEW} is wanted no more"
    assert look(loop, ref) == f"image loopline:3 begins to answer beside {OLD}"
    bind(loop, image=OLD)
    freezes.freeze(loop.ledger, ref, "ada", "a holiday", loop.now)
    assert look(loop, ref) == "image loopline:3 is wanted no more", "what was before may come back in a freeze"
    assert look(loop, ref) == ""
    assert told(loop, ref)[-1] == ("rolled_back", f"the environment file names {OLD} instead")
    assert alarms(loop) == []


def test_models_that_share_servers_have_to_pass_together(loop, ref):
    """One that passed waits for the others; harm to one is harm to all."""
    other = ModelRef(ref.team, "other")
    bind(loop, beside=frozenset({ref.dotted, other.dotted}))
    loop.platform.registry.publish(Publication(other.dotted, loop.stable.package, None, pa.table({})))
    why = {"actor": "platform", "reason": "first", "cycle": "c", "now": loop.now}
    deployments.change(loop.platform, other, loop.stable, None, 0, **why)
    tried(loop, ref)
    look(loop, other)
    loop.ask(60)
    assert look(loop, ref, 10) == f"image {NEW} passed, and waits for {other.dotted} on the same servers"
    assert "0 of 20 requests answered" in look(loop, other)
    assert look(loop, other, 30).startswith(f"image {NEW} is given to all servers")
    assert (look(loop, ref), look(loop, other)) == ("", "")
    assert told(loop, ref)[-1] == told(loop, other)[-1] == ("promoted", "every server runs it")


def test_what_died_between_servers_and_ledger_is_written_down_later(loop, ref):
    """The servers were settled first, so that a second look cannot begin another trial of a refused image."""
    tried(loop, ref)
    loop.serving.settle_image(ref.dotted, NEW, promote=False)
    assert look(loop, ref, 1) == ""
    assert told(loop, ref)[-1] == ("rolled_back", "it was taken back from servers that models share")
    assert loop.ledger.entries(ref, [image_canary.BACK])[-1].at == loop.now
    assert loop.now - timedelta(minutes=1) == loop.ledger.entries(ref, [image_canary.STARTED])[-1].at
