"""Conformance kit of serving vendors.

Subclass ``ServingKit`` and give the fixture ``serving``, whose endpoints answer; it may serve models of other tests.
Where endpoints speak no HTTP, give the fixture ``ask`` as well; what a vendor claims in ``can`` may need more of them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    INSTEAD,
    SCALE_TO_ZERO,
    SHADOW,
    SPLIT,
    DesiredState,
    Serving,
)
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.testing.parts.endpoints import (
    Answered,
    Ask,
    Load,
    ask_over_http,
    broken,
    come_to,
    logged_after,
    new_model,
    served,
    settle,
    wait_for,
)
from loopline.platform_core.testing.parts.expect import claimed
from loopline.platform_core.testing.parts.model_packages import AMOUNT
from loopline.platform_core.testing.serving_capabilities import CapabilitiesKit

__all__ = ["Answered", "Ask", "ServingKit", "broken", "come_to", "new_model", "served", "wait_for"]

KEYS = 250


class ServingKit(CapabilitiesKit):
    """Subclass it, give ``serving``; every test is one promise."""

    @pytest.fixture
    def ask(self) -> Ask:
        """Ask over HTTP."""
        return ask_over_http

    def test_1_apply_brings_the_generation_without_a_failed_request(
        self, serving: Serving, ask: Ask, tmp_path: Path
    ) -> None:
        """While versions change under load every request is answered, and at the end the newest version answers."""
        model, first, second = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        come_to(serving, DesiredState(model, 1, first))
        with Load(serving, ask, model) as load:
            for generation in range(2, 8):
                come_to(serving, DesiredState(model, generation, (first, second)[generation % 2]))
        failed = [answer for answer in load.answers if answer.status != 200]
        assert failed == [], failed[:5]
        assert {answer.version for answer in load.answers} <= {"1", "2"}
        last = ask(serving, model, "k", 1.0)
        assert (last.version, last.role, last.score) == ("2", "stable", 0.2)

    def test_2_an_older_generation_never_replaces_a_newer(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """A state that comes late changes nothing."""
        model = new_model()
        come_to(serving, DesiredState(model, 5, served(tmp_path, "2")))
        serving.apply(DesiredState(model, 4, served(tmp_path, "1")))
        settle()
        assert serving.observe(model).generation == 5
        assert ask(serving, model, "k", 1.0).version == "2"
        for generation in (6, 7, 8):  # asked at once, and in whatever order a vendor gets them done
            serving.apply(DesiredState(model, generation, served(tmp_path, str(generation))))
        wait_for(serving, model, lambda seen: seen.generation == 8)
        settle()
        assert serving.observe(model).generation == 8
        assert ask(serving, model, "k", 1.0).version == "8"

    @claimed(CANARY, by="serving")
    def test_3_the_split_is_sticky_and_monotone(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """About the share asked for goes to the candidate, the same keys each time, and more percent only adds keys."""
        model, stable, candidate = new_model(), served(tmp_path, "1"), served(tmp_path, "2")

        def taken() -> set[str]:
            answers = {f"key-{n}": ask(serving, model, f"key-{n}", 1.0) for n in range(KEYS)}
            assert {(a.version, a.role) for a in answers.values()} <= {("1", "stable"), ("2", "candidate")}
            return {key for key, answer in answers.items() if answer.role == "candidate"}

        before: set[str] = set()
        for generation, percent in enumerate((0, 20, 20, 60, 100)):
            come_to(serving, DesiredState(model, generation, stable, candidate, percent))
            now = taken()
            assert abs(len(now) / KEYS - percent / 100) < 0.12  # four standard deviations of so many keys
            assert before <= now
            assert generation != 2 or before == now
            before = now

    def test_4_a_version_that_cannot_be_loaded_leaves_the_one_before(
        self, serving: Serving, ask: Ask, tmp_path: Path
    ) -> None:
        """The endpoint goes on as it was, says what is wrong, and takes the next good state."""
        model, good = new_model(), served(tmp_path, "1")
        come_to(serving, DesiredState(model, 1, good))
        states = [DesiredState(model, 2, broken(tmp_path, "2"))]
        if {CANARY, SPLIT} & serving.abilities(model):
            states.append(DesiredState(model, 3, good, broken(tmp_path, "2"), 50))
        for state in states:
            serving.apply(state)
            seen = wait_for(serving, model, lambda seen, n=state.generation: str(n) in seen.problem)  # type: ignore[misc]
            assert seen.problem
            assert (seen.generation, seen.ready) == (1, True)
            assert {ask(serving, model, f"k{n}", 1.0).version for n in range(20)} == {"1"}
        come_to(serving, DesiredState(model, 4, served(tmp_path, "3")))
        assert serving.observe(model).problem == ""

    def test_5_every_answered_request_is_logged_once(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """The log holds each answer once: who gave it, what it was, for which key, on which features."""
        model = new_model()
        candidate = (served(tmp_path, "2"), 50) if {CANARY, SPLIT} & serving.abilities(model) else (None, 0)
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1"), *candidate))
        given = {f"key-{n}": (float(n), ask(serving, model, f"key-{n}", float(n))) for n in range(40)}
        rows = logged_after(serving, model, None, len(given))[0].to_pylist()
        assert len(rows) == len(given)
        assert len({row["request_id"] for row in rows}) == len(given)
        for row in rows:
            (key,) = json.loads(row["keys"]).values()
            amount, answer = given[key]
            assert (row["request_id"], row["version"], row["role"]) == (answer.request_id, answer.version, answer.role)
            assert (row["score"], row["status"], row["cycle"]) == (answer.score, 200, f"cycle-{answer.version}")
            assert (json.loads(row["features"]), row["row"]) == ({AMOUNT: amount}, 0)
            assert (row["missing"], row["stale"]) == ([], [])
            assert row["asked_at"] <= row["logged_at"]
            assert row["latency_ms"] >= 0

    def test_6_a_cursor_gives_only_what_came_later(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """What was read is not read again; an old cursor still gives everything after it, and the end is told."""
        model = new_model()
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        cursors: list[str | None] = [None]
        ids: list[str] = []
        for n in range(3):
            ids.append(ask(serving, model, f"key-{n}", 1.0).request_id)
            rows, cursor = logged_after(serving, model, cursors[-1], 1)
            assert rows["request_id"].to_pylist() == ids[-1:]
            cursors.append(cursor if n % 2 else serving.end(model, cursors[-1]))
        assert serving.predictions(model, serving.end(model))[0].num_rows == 0
        for n, kept in enumerate(cursors):
            assert set(serving.predictions(model, kept)[0]["request_id"].to_pylist()) == set(ids[n:])

    def test_7_what_a_vendor_cannot_do_is_unsupported(self, serving: Serving, tmp_path: Path) -> None:
        """Each capability that it does not claim is refused at once, with what to use instead; nothing has changed."""
        model, stable, other = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        asked = {
            CANARY: DesiredState(model, 1, stable, other, 5),
            SHADOW: DesiredState(model, 1, stable, shadow=other),
            SCALE_TO_ZERO: DesiredState(model, 1, stable, idle_minutes=5),
        }
        able = serving.abilities(model)
        for capability in asked.keys() - able - ({CANARY} if SPLIT in able else set()):
            with pytest.raises(Unsupported, match=re.escape(INSTEAD[capability])):
                serving.apply(asked[capability])
            assert serving.observe(model).generation is None
        if GRPC not in able:
            with pytest.raises(Unsupported, match=re.escape(INSTEAD[GRPC])):
                serving.grpc_endpoint(model)
