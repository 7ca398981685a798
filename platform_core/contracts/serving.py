"""Contract of serving: bring endpoints to desired states, observe them, and read their prediction logs."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.contracts.caller import Caller, HttpCaller
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

CANARY = "canary"
"""It splits traffic between a stable version and a candidate."""
SPLIT = "split"
"""It splits requests by chance between two versions that are apart: an entity may meet now one, now the other.

For models of which two do not fit beside each other; whoever can ``canary`` does not need it.
"""
SHADOW = "shadow"
"""It replays through another version what callers were answered."""
SCALE_TO_ZERO = "scale_to_zero"
"""It ends what answers for a model that nobody asks, and starts it for the next request."""
GRPC = "grpc"
"""Its endpoints speak the Open Inference Protocol over gRPC as well."""
IMAGES = "images"
"""It lets servers of a new container image answer beside those of the one before, until the image is judged."""
IMAGE_VARIABLE = "LOOPLINE_IMAGE"
"""The environment variable that tells a server which container image it runs in."""
MOST_AHEAD = timedelta(days=1)
"""How far ahead of its answer a request may be dated: a server refuses more, and monitors leave such rows out.

They read on by event time, so that it would be the last row for ever.
"""
STABLE_ROLE, CANDIDATE_ROLE, SHADOW_ROLE, BATCH_ROLE = "stable", "candidate", "shadow", "batch"
"""Roles in the prediction log. What a shadow says is there beside what a caller was answered, and no caller saw it."""

INSTEAD = {
    CANARY: "set Rollout(percents=()) to replace versions at once, or bind a serving that can 'canary'",
    SPLIT: "let both versions answer in one server, which splits by entity",
    SHADOW: "set Rollout(shadow_requests=0, watch_hours=0) and begin small, or bind a serving that can 'shadow'",
    SCALE_TO_ZERO: "leave idle_minutes out, or bind a serving that can 'scale_to_zero'",
    GRPC: "ask over REST, with binary tensors where speed counts, or bind a serving that can 'grpc'",
}
"""What to use where a vendor lacks a capability."""
_MEANING = {
    CANARY: "serves one version at a time",
    SPLIT: "splits no requests by chance",
    SHADOW: "replays no requests through another version",
    SCALE_TO_ZERO: "never ends an endpoint that is idle",
    GRPC: "does not speak gRPC",
}


@dataclass(frozen=True)
class Served:
    """A model version as served: the folder of its package, and the cycle that made it."""

    version: str
    package: Path
    cycle: str


@dataclass(frozen=True)
class DesiredState:
    """What an endpoint should be; ``generation`` counts changes.

    ``percent`` of entities go to the candidate. The shadow answers nobody: what callers were answered is replayed
    through it. ``paired``, what each version answered is replayed through the others, all of it or a sample, so that
    they can be compared on the same requests. After ``idle_minutes`` without a request nothing of the endpoint needs to
    run (None: it always does).
    """

    model: str
    generation: int
    stable: Served
    candidate: Served | None = None
    percent: int = 0
    shadow: Served | None = None
    idle_minutes: float | None = None
    paired: bool = False

    @property
    def answering(self) -> tuple[Served, ...]:
        """Return the versions that answer callers."""
        return (self.stable, self.candidate) if self.candidate else (self.stable,)

    @property
    def replaying(self) -> tuple[Served, ...]:
        """Return the versions through which is replayed what another one answered."""
        every = (self.shadow, self.stable, self.candidate) if self.paired else (self.shadow,)
        return tuple(version for version in every if version is not None)

    @property
    def needs(self) -> frozenset[str]:
        """Return the capabilities that a vendor must have for this state."""
        asked = {
            CANARY: self.candidate is not None,
            SHADOW: self.shadow is not None or self.paired,
            SCALE_TO_ZERO: self.idle_minutes is not None,
        }
        return frozenset(name for name, is_asked in asked.items() if is_asked)


@dataclass(frozen=True)
class ObservedState:
    """What an endpoint is: the generation in which everybody answers (None before the first), and any trouble.

    A shadow that cannot be loaded is trouble; it keeps no generation back, since callers do not meet it.
    """

    generation: int | None
    ready: bool
    problem: str = ""


@dataclass(frozen=True)
class ServerImages:
    """Container images of an endpoint's servers.

    ``wanted`` is what the environment file names, ``stable`` what the servers run. A ``candidate`` ("" for none) runs
    in one more server, which answers callers once it is ``ready``; ``problem`` says what keeps it from that.
    ``refused`` is the image that was taken back last. ``models`` share the servers, and with them the images.
    """

    wanted: str
    stable: str
    candidate: str = ""
    refused: str = ""
    ready: bool = False
    problem: str = ""
    models: frozenset[str] = frozenset()

    @property
    def is_outdated(self) -> bool:
        """Say whether an image is wanted that no server runs, and that was not taken back."""
        return self.wanted not in {self.stable, self.candidate, self.refused}

    def asked(self) -> ServerImages:
        """Return what is to run once the image that is wanted was asked for."""
        settled = self.wanted in {self.stable, self.refused}
        return replace(self, candidate="" if settled else self.wanted)

    def settled(self, image: str, *, promote: bool) -> ServerImages:
        """Return what is to run once an image was judged; nothing changes where it is not the candidate."""
        if self.candidate != image:
            return self
        if promote:
            return replace(self, stable=image, candidate="", refused="")
        return replace(self, candidate="", refused=image)


@dataclass(frozen=True)
class ServerUse:
    """What a process that answers has used since its start.

    ``server`` names it, and no other process ever; ``seconds`` is how long it has run, ``memory_gb`` what it holds
    now (GiB).
    """

    server: str
    cpu_seconds: float
    memory_gb: float
    seconds: float


class Serving(Vendor):
    """Endpoints that answer for models.

    Promises, each with a test in ``loopline.platform_core.testing.serving``:
      1. After ``apply`` the endpoint comes to that generation; requests during the change are answered.
      2. An older generation never replaces a newer one.
      3. With a candidate, about ``percent`` of the entities are answered by it, always the same ones, and those
         of a smaller percent are among those of a larger.
      4. A version that cannot be loaded leaves the one before it answering, and ``observe`` says what is wrong.
      5. Every answered request is in ``predictions`` once, with features as served, version, role and cycle; within
         ``log_delay_seconds``, and at once where that is 0.
      6. ``predictions`` after a cursor gives only what came later; the cursor may be kept for ever. ``end`` gives the
         cursor that reading to the end would.
      7. What a state asks beyond ``can`` raises ``Unsupported``, with what to use instead, and changes nothing.

    And where ``can`` names it:
      8. ``shadow``: each request that was answered after ``apply`` is in ``predictions`` once more, by the shadow,
         with the same id, row, keys, event time and features; callers never meet the shadow. One that cannot be loaded
         leaves the endpoint answering, and ``observe`` says what is wrong.
      9. ``scale_to_zero``: an endpoint that was idle is still at its generation, and answers the next request with it.
      10. ``grpc``: at ``grpc_endpoint`` a request gets the answer that it gets over REST, and is logged once.
      11. ``shadow``, of a state that is ``paired``: what one version answered is in ``predictions`` once more by each
         other version of the state, as in 8; where there is much of it a sample is enough, that does not depend on
         what was answered.

    And where ``abilities`` of a model name it instead of ``canary``:
      12. ``split``: with a candidate, about ``percent`` of the requests are answered by it, whoever asks.

    And where ``can`` names it:
      13. ``images``: after ``apply`` with another image in the environment file one server of it answers callers beside
          those of the image before, and rows of the log tell them apart. ``settle_image`` gives it to all servers, or
          to none: then ``apply`` asks for it no more until ``retry_image``. Every request is answered meanwhile.

    3 holds where ``can`` names ``canary``. What a vendor can may differ by model: ``abilities`` says it.
    """

    log_delay_seconds: ClassVar[float] = 0
    """How long an answer may need until ``predictions`` gives it; what a machine that vanishes with its disk loses."""

    @abc.abstractmethod
    def apply(self, state: DesiredState) -> None:
        """Ask for a state; returns at once."""

    @abc.abstractmethod
    def observe(self, model: str) -> ObservedState:
        """Say what the endpoint is now."""

    @abc.abstractmethod
    def endpoint(self, model: str) -> str:
        """Return the URL to which ``/infer`` is appended: ``http://host:port/v2/models/<model>``.

        What is appended where a cloud hands requests on, and how they are signed, is its own: ``caller`` knows.
        """

    @abc.abstractmethod
    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Read the prediction log after a cursor (None: from the start).

        Returns:
            Rows and the next cursor. One row per entity asked: ``request_id``, ``row`` (int32), ``event_time`` and
            ``logged_at`` (UTC, µs), ``version``, ``cycle``, ``role`` (``stable``, ``candidate`` or ``shadow``),
            ``status`` (HTTP code), ``latency_ms`` (float64; a shadow's is its prediction alone, null where that was not
            timed), ``score`` (float64, null when failed: one number a row, the reading of the model's target), ``keys``
            and ``features`` (JSON objects as text), ``missing`` (list of online views without a row of the entity, or
            with one of another width), ``stale`` (list of those whose row was older than their TTL), ``asked_at`` (UTC,
            µs).

            ``request_id``, ``row``, ``role`` and ``version`` tell rows apart: a shadow's row shares the first two with
            the row of the caller.

            ``logged_at`` and ``asked_at`` are the platform's time: what was looked up online was looked up between
            ``asked_at`` and ``logged_at``. ``stale`` and ``asked_at`` are null in logs of before they were kept.

            ``beside_ms`` (float64) is in rows of a shadow whose prediction was timed: what the same prediction takes
            the version that answered the caller, timed next to it in the same process. Null in all others, and where a
            vendor does not time it; the column may be missing.

            ``image`` names the container image of the server that answered; null where it runs in none. The column may
            be missing in logs of before it was kept.

            ``raw`` (list of float64) are all numbers of a row, of a model that gives more than one; null in all others.
            The column may be missing in logs of before it was kept.
        """

    def caller(self, model: str) -> Caller:
        """Return what asks the model as an application does; who asked for it closes it.

        A vendor whose requests a cloud hands on, signed or in words of its own, gives one that does so.
        """
        return HttpCaller(f"{self.endpoint(model)}/infer")

    def end(self, model: str, after: str | None = None) -> str:
        """Return the cursor behind all that is logged by now, as ``predictions`` would after a cursor.

        A vendor that can tell without reading the rows does, since a log grows without bound between rollouts.
        """
        return self.predictions(model, after)[1]

    def forget(self, model: str, cursors: Sequence[str]) -> int:  # noqa: ARG002 - vendors that let go need both
        """Let go of what lies before every one of the ``cursors`` and is older than the vendor is to keep it.

        ``predictions`` gives such rows no more; cursors, also those that name what is gone, go on working. A vendor
        that keeps its log elsewhere, or for ever, lets go of nothing.

        Returns:
            How many files or other pieces went.
        """
        return 0

    def erase(self, model: str, keys: Collection[str]) -> int:
        """Take the rows whose ``keys`` (the text that ``predictions`` gives) are among these out of the log, for good.

        Cursors go on working.

        Returns:
            How many rows went.

        Raises:
            Unsupported: the vendor cannot.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot take {len(keys)} keys out of the prediction log of {model}",
            "its rows go when they are older than the log is kept: look again then",
        )

    def usage(self) -> Sequence[ServerUse]:
        """Say what the processes that answer have used; a vendor that cannot tell says nothing of any."""
        return ()

    def images(self, model: str) -> ServerImages | None:  # noqa: ARG002 - vendors that can need it
        """Say which images an endpoint's servers run; None where nothing runs, or the vendor lacks ``images``."""
        return None

    def settle_image(self, model: str, image: str, *, promote: bool) -> None:
        """Give the candidate's ``image`` to all servers, or take it back; nothing where it is not the candidate."""

    def retry_image(self, model: str) -> None:
        """Forget that an image was refused: the next ``apply`` asks for it again."""

    def let_go(self, model: str) -> bool:  # noqa: ARG002 - vendors that can need it
        """End what answers for a model that is no more; asked twice, or of one that never was, it changes nothing.

        What is in its prediction log stays. What was answered until then is in it as ever.

        Returns:
            False if the vendor cannot: then whatever answers goes on.
        """
        return False

    def grpc_endpoint(self, model: str) -> str:
        """Return ``host:port`` where the model is asked over gRPC.

        Raises:
            Unsupported: the vendor lacks ``grpc``.
        """
        raise Unsupported(f"{type(self).__name__} {_MEANING[GRPC]}; {model!r} has no gRPC endpoint", INSTEAD[GRPC])

    def abilities(self, model: str) -> frozenset[str]:  # noqa: ARG002 - vendors whose models differ need it
        """Return what it can do for a model beyond every vendor's promises."""
        return self.can

    def require(self, needs: Iterable[str], model: str = "") -> None:
        """Raise ``Unsupported`` for the first capability that is needed and not there; vendors call it first.

        Who asks for a canary is content with a ``split``; what rests on entities is refused elsewhere.
        """
        able = self.abilities(model)
        enough = able | {CANARY} if SPLIT in able else able
        for name in sorted(set(needs) - enough):
            of = f" for {model}" if able != self.can else ""
            raise Unsupported(f"{type(self).__name__} {_MEANING[name]}{of}", INSTEAD[name])
