"""What KServe's request logger sends ends up in the prediction log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from loopline.collector import __main__ as program
from loopline.collector import records
from loopline.collector.events import ANSWER, REQUEST, Event, read
from loopline.collector.pairing import PAIRING_SECONDS, Pairing
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import BadRequest
from loopline.platform_core.testing.parts.endpoints import served
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.kserve.serving import KServeServing
from tests.s3_server import VARIABLE, S3Server
from tests.waiting import until

NOTES = {
    "loopline.dev/model": "retail.churn",
    "loopline.dev/model-version": "2",
    "loopline.dev/cycle": "cycle-2",
    "loopline.dev/features": "amount lines",
}
V2 = {"inputs": [{"name": "input-0", "shape": [2, 2], "datatype": "FP64", "data": [1.5, 2, 3.5, 4]}]}
ANSWERED = {"outputs": [{"name": "predict", "shape": [2, 2], "datatype": "FP64", "data": [0.9, 0.1, 0.2, 0.8]}]}
CALLER = {"Loopline-Keys": ['[{"customer_id": "a"}, {"customer_id": "b"}]']}


def sent(kind: str, ident: str, body: Any, at: str = "2026-11-27T12:00:00.123456789Z", **more: Any) -> dict[str, Any]:
    """Return headers and body as KServe's logger sends them: CloudEvents' SDK for Go, binary mode."""
    attributes = {
        "ce-id": ident,
        "ce-source": "http://localhost:9081/",
        "ce-specversion": "1.0",
        "ce-time": at,
        "ce-type": kind,
        "ce-component": "predictor",
        "ce-endpoint": "",
        "ce-inferenceservicename": "retail-churn",
        "ce-namespace": "models",
        "ce-recordedtime": "2026-11-27T12:00:00.2Z",
        "ce-metadata": json.dumps(more.get("metadata", CALLER)),
        "ce-annotations": json.dumps(more.get("annotations", NOTES)),
        "content-type": "application/json",
    }
    return {"headers": attributes, "body": json.dumps(body).encode()}


def event(kind: str, body: Any, **more: Any) -> Event:
    """Return an event as it is read."""
    whole = sent(kind, more.pop("ident", "one"), body, **more)
    return read({name.encode(): text.encode() for name, text in whole["headers"].items()}, whole["body"])


def test_a_request_and_its_answer_are_one_record() -> None:
    """Version, cycle and features' names by the pod's annotations, keys by the caller's header, times by the logger."""
    request = event(REQUEST, V2)
    answer = event(ANSWER, ANSWERED, at="2026-11-27T13:00:00.135456789+01:00")
    model, found = records.record(request, answer, "candidate")
    assert (model, found.version, found.cycle, found.role, found.status) == (
        "retail.churn",
        "2",
        "cycle-2",
        "candidate",
        200,
    )
    assert found.scores == [0.1, 0.8]
    assert [json.loads(one) for one in found.keys] == [{"customer_id": "a"}, {"customer_id": "b"}]
    assert [json.loads(one) for one in found.features] == [{"amount": 1.5, "lines": 2.0}, {"amount": 3.5, "lines": 4.0}]
    assert found.latency_ms == 12.0
    assert found.event_time_us == found.asked_at_us == 1_795_780_800_123_456
    assert found.logged_at_us == found.asked_at_us + 12_000


@pytest.mark.parametrize(
    ("asked", "answered", "features", "scores"),
    [
        ({"instances": [[1, 2]]}, {"predictions": [0.7]}, [{"amount": 1, "lines": 2}], [0.7]),
        ({"instances": [{"amount": 1}]}, {"predictions": [[0.4, 0.6]]}, [{"amount": 1}], [0.6]),
        ({"instances": [[1, 2, 3]]}, {"predictions": [1]}, [{"0": 1, "1": 2, "2": 3}], [1.0]),
        (
            {"inputs": [{"name": "amount", "shape": [1, 1], "datatype": "FP64", "data": [5]}]},
            {"outputs": [{"name": "output-0", "shape": [1], "datatype": "INT64", "data": [1]}]},
            [{"amount": 5.0}],
            [1.0],
        ),
    ],
)
def test_both_protocols_are_read(asked: Any, answered: Any, features: Any, scores: Any) -> None:
    """Rows with and without names; one score, or a pair of probabilities."""
    _, found = records.record(event(REQUEST, asked, metadata={}), event(ANSWER, answered, metadata={}), "stable")
    assert [json.loads(one) for one in found.features] == features
    assert found.scores == scores
    assert found.keys == ["{}"]


@pytest.mark.parametrize(
    ("asked", "answered", "more", "words"),
    [
        ({"prompt": "hello"}, ANSWERED, {}, "no inference request"),
        (V2, {"choices": [{"text": "hi"}]}, {}, "no number a row"),
        (V2, {"predictions": [0.1]}, {}, "2 rows were asked and 1 answered"),
        (V2, ANSWERED, {"annotations": {}}, "does not say which version"),
        (V2, ANSWERED, {"metadata": {"Loopline-Keys": ['[{"customer_id": "a"}]']}}, "names no keys of 2 rows"),
        (V2, ANSWERED, {"metadata": {"Loopline-Keys": ["nonsense"]}}, "names no keys"),
        (V2, ANSWERED, {"metadata": {"Loopline-Event-Time": ["yesterday"]}}, "no instant"),
        (V2, ANSWERED, {"metadata": {"Loopline-Keys": ["[" * 50_000]}}, "names no keys"),
        (V2, ANSWERED, {"metadata": {"Inference-Header-Content-Length": ["many"]}}, "send the JSON part's length"),
        (V2, {"outputs": [{"name": "predict", "shape": [0], "data": []}]}, {}, "no number a row"),
        (V2, {"predictions": [10**400, 1]}, {}, "no number a row"),
        (V2, ANSWERED, {"annotations": {**NOTES, "loopline.dev/model": "../../retail.churn"}}, "which version"),
        (V2, ANSWERED, {"annotations": {**NOTES, "loopline.dev/model": ".."}}, "which version"),
    ],
)
def test_what_cannot_be_logged_is_said(asked: Any, answered: Any, more: dict[str, Any], words: str) -> None:
    """Text in, text out, other numbers of rows, pods of somebody else's, keys that are none."""
    with pytest.raises(BadRequest, match=words):
        records.record(event(REQUEST, asked, **more), event(ANSWER, answered, **more), "stable")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ce-type": "com.example.other"}, "no event of an inference"),
        ({"ce-id": ""}, "no event of an inference"),
        ({"ce-time": "now"}, "no instant"),
        ({"ce-time": "2026-11-27T12:00:00"}, "no instant"),
        ({"ce-metadata": "[1]"}, "no JSON object"),
        ({"ce-annotations": "{"}, "no JSON object"),
        ({"ce-annotations": "[" * 50_000}, "no JSON object"),
    ],
)
def test_what_is_no_event_of_kserve_s_is_refused(changed: dict[str, str], words: str) -> None:
    """By name."""
    headers = {**sent(REQUEST, "one", V2)["headers"], **changed}
    with pytest.raises(BadRequest, match=words):
        read({name.encode(): text.encode() for name, text in headers.items()}, b"{}")


def test_attributes_may_be_escaped() -> None:
    """CloudEvents' binding wants quotes and spaces escaped in headers; Go's SDK does not do it."""
    headers = sent(REQUEST, "one", V2)["headers"]
    headers["ce-metadata"] = headers["ce-metadata"].replace('"', "%22").replace(" ", "%20")
    found = read({name.encode(): text.encode() for name, text in headers.items()}, b"{}")
    assert found.headers == {"loopline-keys": '[{"customer_id": "a"}, {"customer_id": "b"}]'}


def test_sides_meet_in_any_order_and_once() -> None:
    """The answer may come first; an event that is delivered again is none; an id may be used again afterwards."""
    pairing = Pairing()
    request, answer = event(REQUEST, V2), event(ANSWER, ANSWERED)
    assert pairing.meet(answer, 0.0) is None
    assert pairing.meet(answer, 0.5) is None
    assert pairing.meet(request, 1.0) == (request, answer)
    assert [pairing.meet(one, 2.0) for one in (request, answer, request)] == [None] * 3
    later, answered = event(REQUEST, {"inputs": []}), event(ANSWER, {"outputs": []})
    assert pairing.meet(later, 3.0) is None
    assert pairing.meet(answered, 4.0) == (later, answered)
    assert pairing.lost == 0


def test_an_id_that_two_requests_have_at_once_says_nothing() -> None:
    """Which answer is whose nobody knows: neither is told, and what comes with the id after both is told again."""
    pairing = Pairing()
    requests = [event(REQUEST, {"instances": [[n]]}) for n in range(3)]
    answers = [event(ANSWER, {"predictions": [n]}) for n in range(3)]
    met = [pairing.meet(one, 0.0) for one in (*requests[:2], *answers[:2])]
    assert (met, pairing.lost) == ([None] * 4, 4)
    assert pairing.meet(requests[2], 1.0) is None
    assert pairing.meet(answers[2], 1.0) == (requests[2], answers[2])


def test_of_a_request_that_is_tried_again_the_newest_is_answered() -> None:
    """A caller whose first try failed, or took too long, asks the same under the same id."""
    pairing = Pairing()
    tries = [event(REQUEST, V2, at=f"2026-11-27T12:00:0{n}Z") for n in (1, 2)]
    answers = [event(ANSWER, ANSWERED, at=f"2026-11-27T12:00:0{n}Z") for n in (3, 4)]
    assert [pairing.meet(one, 0.0) for one in tries] == [None, None]
    assert [pairing.meet(one, 0.0) for one in answers] == [(tries[1], answers[0]), (tries[0], answers[1])]
    assert pairing.lost == 0


def test_a_failed_request_costs_its_id_five_minutes() -> None:
    """Of a caller who names all alike: what may be the failed one's answer is nobody's, until it waits no more."""
    pairing = Pairing()
    assert pairing.meet(event(REQUEST, {"instances": [["fails"]]}), 0.0) is None
    told = []
    for second in range(1, int(PAIRING_SECONDS) + 10):
        pairing.meet(event(REQUEST, {"instances": [[second]]}), float(second))
        told.append(pairing.meet(event(ANSWER, {"predictions": [second]}), second + 0.5))
    assert not any(told[: int(PAIRING_SECONDS)])
    assert all(told[int(PAIRING_SECONDS) + 1 :])


def test_what_could_not_be_written_is_told_when_it_comes_again() -> None:
    """The sender is refused, and sends the event once more: its other side still waits."""
    pairing = Pairing()
    request, answer = event(REQUEST, V2), event(ANSWER, ANSWERED)
    for first, second in ((request, answer), (answer, request)):
        assert pairing.meet(first, 0.0) is None
        assert pairing.meet(second, 1.0) == (request, answer)
        pairing.part(second, first, 2.0)
        assert pairing.meet(first, 3.0) is None
        assert pairing.meet(second, 4.0) == (request, answer)
        pairing = Pairing()


def test_an_id_that_two_models_are_asked_with_is_two_requests() -> None:
    """A caller may give one id to all that it asks for: each answer meets the request of its own InferenceService."""

    def side(kind: str, body: Any, service: str) -> Event:
        whole = sent(kind, "one", body)
        headers = whole["headers"] | {"ce-inferenceservicename": service}
        return read({name.encode(): text.encode() for name, text in headers.items()}, whole["body"])

    pairing = Pairing()
    first, second = side(REQUEST, V2, "retail-churn"), side(REQUEST, {"instances": [[1, 2]]}, "retail-value")
    assert (pairing.meet(first, 0.0), pairing.meet(second, 0.0)) == (None, None)
    answer = side(ANSWER, ANSWERED, "retail-churn")
    assert pairing.meet(answer, 1.0) == (first, answer)
    assert pairing.lost == 0


def test_what_waits_is_bounded() -> None:
    """By number, by bytes and by time: a runtime that fails is never heard of, and is not waited for without end."""
    few = Pairing(most=3)
    for n in range(10):
        few.meet(event(REQUEST, V2, ident=str(n)), 0.0)
    assert few.lost == 7
    small = Pairing(most_bytes=1000)
    for n in range(10):
        small.meet(event(REQUEST, "x" * 400, ident=str(n)), 0.0)
    assert small.lost == 7
    late = Pairing()
    late.meet(event(REQUEST, V2), 0.0)
    assert late.meet(event(ANSWER, ANSWERED), PAIRING_SECONDS + 1) is None
    assert late.lost == 1


@pytest.fixture
def serving(s3_server: S3Server) -> KServeServing:
    """Bind a serving whose models are answered by KServe's own runtimes."""
    return KServeServing(store=s3_server.place(), storage_options=s3_server.options, image="loopline:1")


class Running:
    """A collector of the tests, as a process."""

    def __init__(self, serving: KServeServing, folder: Path) -> None:
        self.root = folder / "collected"
        os.environ[VARIABLE] = serving.storage_options["aws_secret_access_key"]
        options = {**serving.storage_options, "aws_secret_access_key": f"${{{VARIABLE}}}"}
        bound = {"vendor": "kserve", "image": "loopline:1", "store": serving.store, "storage_options": options}
        file = folder / "environment.yaml"
        file.write_text(json.dumps({"bindings": {"serving": bound}}))
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "loopline.collector", "--environment", str(file), "--root", str(self.root)]
        self._command = [*command, "--server", "collector", "--host", "127.0.0.1", "--port", port]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self._command)
        until(self._ready, 60)

    def _ready(self) -> bool:
        assert self.process.poll() is None, "the collector does not start"
        with suppress(OSError):
            urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5).close()
            return True
        return False

    def send(self, kind: str, ident: str, body: Any, **more: Any) -> int:
        """Send an event; gives the status."""
        whole = sent(kind, ident, body, **more)
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.url, whole["body"], whole["headers"]), timeout=10
            ) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self) -> str:
        """Return its metrics."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture
def running(serving: KServeServing, tmp_path: Path) -> Iterator[Running]:
    """Run a collector."""
    found = Running(serving, tmp_path)
    yield found
    found.process.kill()
    found.process.wait()


def logged(serving: KServeServing, count: int) -> list[dict[str, Any]]:
    """Read the log until so many rows are there."""

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = serving.predictions("retail.churn")[0].to_pylist()
        return found if len(found) >= count else []

    return until(rows)


def test_what_is_collected_is_read_as_any_prediction(serving: KServeServing, running: Running, tmp_path: Path) -> None:
    """By way of the object store, also when it ends; the role is the version's in the state; nonsense is counted."""
    state = DesiredState("retail.churn", 1, served(tmp_path, "1"), served(tmp_path, "2"), 20)
    serving.states.ask(state)
    assert running.send(ANSWER, "one", ANSWERED) == 200
    assert running.send(REQUEST, "one", V2) == 200
    assert running.send("com.example.other", "two", V2) == 400
    rows = logged(serving, 2)
    assert [(row["request_id"], row["row"], row["version"], row["role"]) for row in rows] == [
        ("one", 0, "2", "candidate"),
        ("one", 1, "2", "candidate"),
    ]
    assert "loopline_collector_records_total 1" in running.metrics()
    assert "loopline_collector_refused_total 1" in running.metrics()
    assert running.send(REQUEST, "last", V2) == 200
    assert running.send(ANSWER, "last", ANSWERED) == 200
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) in {0, -signal.SIGTERM}
    assert len(serving.predictions("retail.churn")[0]) == 4, "told to stop it sends what it has"


def test_what_is_written_outlives_a_kill(serving: KServeServing, running: Running) -> None:
    """Killed after it took both sides, before it could send them: the next one on the same folder sends them, once."""
    for n in range(5):
        assert running.send(REQUEST, f"id-{n}", V2) == 200
        assert running.send(ANSWER, f"id-{n}", ANSWERED) == 200
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    running.start()
    assert running.send(REQUEST, "last", V2) == 200
    assert running.send(ANSWER, "last", ANSWERED) == 200
    rows = logged(serving, 12)
    assert sorted({row["request_id"] for row in rows}) == sorted([*(f"id-{n}" for n in range(5)), "last"])
    assert len(rows) == 12


def test_an_environment_without_collected_runtimes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to bind instead."""
    file = tmp_path / "environment.yaml"
    file.write_text(json.dumps({"bindings": {"serving": {"vendor": "local", "root": str(tmp_path), "port": 1}}}))
    monkeypatch.setattr(sys, "argv", ["collector", "--environment", str(file), "--root", str(tmp_path)])
    monkeypatch.setattr(program.logs, "start", lambda: None)
    assert program.main() == 2
    assert "bind serving to 'kserve'" in capsys.readouterr().err
