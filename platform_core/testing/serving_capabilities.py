"""Conformance kit of serving capabilities (``can``); what a vendor does not claim is skipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    IMAGES,
    SCALE_TO_ZERO,
    SHADOW,
    SHADOW_ROLE,
    SPLIT,
    DesiredState,
    ServerImages,
    Serving,
)
from loopline.platform_core.testing.parts.endpoints import (
    Ask,
    ask_over_grpc,
    broken,
    come_to,
    logged_after,
    new_model,
    served,
    settle,
    wait_for,
    wait_until,
)
from loopline.platform_core.testing.parts.expect import claimed

SAME = ("request_id", "row", "event_time", "keys", "features", "missing", "stale", "asked_at")
"""What a shadow's row shares with the row of the caller."""
ASKED = 100
"""Requests of a split: four standard deviations of its share are 0.2."""
Idle = Callable[[Serving, str], None]
"""Lets the endpoint of a model become idle, as if nobody had asked for ``idle_minutes``."""


def logged(serving: Serving, model: str, *, shadow: bool) -> list[dict[str, Any]]:
    """Return the rows of callers, or those of the shadow."""
    rows: list[dict[str, Any]] = serving.predictions(model)[0].to_pylist()
    return [row for row in rows if (row["role"] == SHADOW_ROLE) is shadow]


class CapabilitiesKit:
    """One test a promise that holds only where ``can`` names the capability."""

    @pytest.fixture
    def ask_grpc(self) -> Ask:
        """Ask over gRPC."""
        return ask_over_grpc

    @pytest.fixture
    def idle(self) -> Idle:
        """Fail: a vendor that claims ``scale_to_zero`` knows how its endpoints become idle."""

        def unknown(serving: Serving, model: str) -> None:
            pytest.fail(f"give the fixture idle: how does {model} of {type(serving).__name__} become idle?")

        return unknown

    @claimed(SHADOW, by="serving")
    def test_8_each_answered_request_is_replayed_once(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """From when the shadow was asked for until it is gone; callers never meet it, and its rows are like theirs."""
        model, stable, shadow = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        come_to(serving, DesiredState(model, 1, stable))
        ask(serving, model, "before", 1.0)
        come_to(serving, DesiredState(model, 2, stable, shadow=shadow))
        met = [ask(serving, model, f"key-{n}", float(n)) for n in range(30)]
        assert {(answer.version, answer.role, answer.score) for answer in met} == {("1", "stable", 0.1)}
        assert wait_until(lambda: len(logged(serving, model, shadow=True)) >= len(met)), serving.observe(model)
        settle()
        repeated = logged(serving, model, shadow=True)
        assert sorted(row["request_id"] for row in repeated) == sorted(answer.request_id for answer in met)
        callers = {row["request_id"]: row for row in logged(serving, model, shadow=False)}
        for row in repeated:
            assert {name: row[name] for name in SAME} == {name: callers[row["request_id"]][name] for name in SAME}
            assert (row["version"], row["cycle"], row["status"], row["score"]) == ("2", "cycle-2", 200, 0.2)
        come_to(serving, DesiredState(model, 3, stable))
        ask(serving, model, "after", 1.0)
        settle()
        assert len(logged(serving, model, shadow=True)) == len(met)

    @claimed(SHADOW, by="serving")
    @claimed(CANARY, by="serving")
    def test_11_what_each_version_answered_is_replayed_through_the_other(
        self, serving: Serving, ask: Ask, tmp_path: Path
    ) -> None:
        """Both ways, each request once at most, and never by the version that answered it."""
        model, stable, candidate = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        come_to(serving, DesiredState(model, 1, stable, candidate, 50, paired=True))
        met = [ask(serving, model, f"key-{n}", float(n)) for n in range(30)]
        assert {(answer.version, answer.role) for answer in met} == {("1", "stable"), ("2", "candidate")}

        def replayed_by() -> set[str]:
            return {row["version"] for row in logged(serving, model, shadow=True)}

        assert wait_until(lambda: replayed_by() == {"1", "2"}), serving.observe(model)
        settle()
        callers = {row["request_id"]: row for row in logged(serving, model, shadow=False)}
        repeated = logged(serving, model, shadow=True)
        assert len({row["request_id"] for row in repeated}) == len(repeated)
        for row in repeated:
            caller = callers[row["request_id"]]
            assert {name: row[name] for name in SAME} == {name: caller[name] for name in SAME}
            other = "1" if caller["version"] == "2" else "2"
            assert (row["version"], row["cycle"], row["score"]) == (other, f"cycle-{other}", float(other) / 10)

    @claimed(SHADOW, by="serving")
    def test_8_a_shadow_that_cannot_be_loaded_is_told(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """The endpoint comes to the generation and answers; only the shadow is missing, and ``observe`` says so."""
        model, stable = new_model(), served(tmp_path, "1")
        come_to(serving, DesiredState(model, 1, stable, shadow=broken(tmp_path, "2")))
        seen = wait_for(serving, model, lambda seen: "package" in seen.problem)
        assert (seen.generation, seen.ready) == (1, True)
        assert "package" in seen.problem
        assert ask(serving, model, "k", 1.0).version == "1"
        assert logged(serving, model, shadow=True) == []

    @claimed(SCALE_TO_ZERO, by="serving")
    def test_9_an_idle_endpoint_answers_the_next_request(
        self, serving: Serving, ask: Ask, idle: Idle, tmp_path: Path
    ) -> None:
        """It is still at its generation, and the request that wakes it is answered and logged as any other."""
        model = new_model()
        come_to(serving, DesiredState(model, 4, served(tmp_path, "3"), idle_minutes=5))
        for _ in range(2):
            idle(serving, model)
            seen = serving.observe(model)
            assert (seen.generation, seen.ready, seen.problem) == (4, True, "")
            answer = ask(serving, model, "k", 1.0)
            assert (answer.status, answer.version, answer.score) == (200, "3", 0.3)
            assert logged(serving, model, shadow=False)[-1]["request_id"] == answer.request_id

    @claimed(GRPC, by="serving")
    def test_10_grpc_gives_the_same_answer(self, serving: Serving, ask: Ask, ask_grpc: Ask, tmp_path: Path) -> None:
        """Version, role and score are those of REST, and the log holds each request once."""
        model = new_model()
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        both = [way(serving, model, "k", 7.0) for way in (ask, ask_grpc)]
        assert {(answer.status, answer.version, answer.role, answer.score) for answer in both} == {
            (200, "1", "stable", 0.1)
        }
        rows = logged_after(serving, model, None, 2)[0].to_pylist()
        assert sorted(row["request_id"] for row in rows) == sorted(answer.request_id for answer in both)
        assert len({json.dumps([row["keys"], row["features"]]) for row in rows}) == 1

    @claimed(SPLIT, by="serving")
    def test_12_a_split_by_chance_takes_its_share(self, serving: Serving, ask: Ask, tmp_path: Path) -> None:
        """About the share asked for goes to the candidate, all of one entity's requests; at 0 and 100 all or none."""
        model, stable, candidate = new_model(), served(tmp_path, "1"), served(tmp_path, "2")
        for generation, percent in enumerate((40, 0, 100)):
            come_to(serving, DesiredState(model, generation, stable, candidate, percent))
            roles = [ask(serving, model, "the-same", 1.0).role for _ in range(ASKED)]
            assert set(roles) <= {"stable", "candidate"}
            assert abs(roles.count("candidate") / ASKED - percent / 100) < (0.2 if 0 < percent < 100 else 1e-9)

    @pytest.fixture
    def another_image(self) -> str:
        """Name another image that servers can run, of a vendor that claims ``images``."""
        return ""

    @claimed(IMAGES, by="serving")
    def test_13_a_new_image_answers_beside_the_one_before(
        self, serving: Serving, ask: Ask, another_image: str, tmp_path: Path
    ) -> None:
        """Until it is settled: taken back, it is asked for no more until it is tried again; promoted, it is all."""
        assert another_image, "give the fixture another_image: which other image can servers run?"
        model, newer = new_model(), serving.model_copy(update={"image": another_image})
        state = DesiredState(model, 1, served(tmp_path, "1"))
        come_to(serving, state)
        before = _images(serving, model)
        assert (before.candidate, before.is_outdated) == ("", False)
        assert _images(newer, model).is_outdated

        def answered_by() -> set[str]:
            after = serving.end(model)
            for n in range(ASKED):
                assert ask(serving, model, f"key-{n}", 1.0).status == HTTPStatus.OK
            return set(logged_after(serving, model, after, ASKED)[0]["image"].to_pylist())

        def tried() -> None:
            newer.apply(state)
            assert patiently(lambda: _images(newer, model).ready), _images(newer, model)
            assert (_images(newer, model).stable, _images(newer, model).candidate) == (before.stable, another_image)
            assert patiently(lambda: answered_by() == {before.stable, another_image})

        tried()
        newer.settle_image(model, another_image, promote=False)
        newer.apply(state)
        after = _images(newer, model)
        assert (after.stable, after.candidate, after.is_outdated) == (before.stable, "", False)
        assert patiently(lambda: answered_by() == {before.stable})
        newer.retry_image(model)
        tried()
        newer.settle_image(model, "an image that is not on trial", promote=True)
        assert _images(newer, model).candidate == another_image
        newer.settle_image(model, another_image, promote=True)
        assert (_images(newer, model).stable, _images(newer, model).candidate) == (another_image, "")
        assert patiently(lambda: answered_by() == {another_image})
        serving.apply(state)
        serving.settle_image(model, before.stable, promote=True)
        assert patiently(lambda: answered_by() == {before.stable})


def patiently(met: Callable[[], bool]) -> bool:
    """Wait until something is so that takes a vendor a minute: another server has to start."""
    return any(wait_until(met) for _ in range(9))


def _images(serving: Serving, model: str) -> ServerImages:
    images = serving.images(model)
    assert images is not None
    return images
