"""Requests that nobody waits for: accepted, answered, fetched, told of; once each, whoever is killed."""

from __future__ import annotations

import gzip
import http.client
import http.server
import json
import os
import random
import signal
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loopline.deferred.request_queue import PutOff, Result, Spool
from loopline.gateway import api_keys
from loopline.gateway.api_keys import Tenant
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port
from tests.repeats import repeats

MODEL = "retail.cancellations"
BODY: dict[str, Any] = {
    "inputs": [
        {"name": "customer_id", "shape": [1], "datatype": "INT64", "data": [7]},
        {"name": "amount", "shape": [1], "datatype": "FP64", "data": [1.5]},
    ]
}


class Site:
    """A server's folder and port, and callers of it."""

    def __init__(self, folder: Path, keys: Path | None = None, **settings: Any) -> None:
        self.root, self.port = folder / "serving", free_port()
        said = json.dumps(settings) + (f', gateway: {{keys: "{keys}"}}' if keys else "")
        self.file = folder / "environment.yaml"
        self.file.write_text(f"""
bindings:
  serving: {{vendor: local, root: {self.root}, port: {self.port}, deferred: {said}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
        served = Served("1", write_package(folder / "package", Constant(0.25)), "cycle-1")
        states.write_desired(self.root, DesiredState(MODEL, 1, served))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """Send a request; gives status, headers and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(answer.read())
        finally:
            connection.close()

    def submit(self, more: Any = None, model: str = MODEL) -> tuple[int, dict[str, str], Any]:
        """Ask without waiting."""
        body = BODY | (more or {})
        return self.ask("POST", f"/v2/models/{model}/infer", body, Prefer="respond-async")

    def fetched(self, where: str, seconds: float = 200) -> tuple[int, dict[str, str], Any]:
        """Poll until the answer is there."""
        end = time.monotonic() + seconds
        while (found := self.ask("GET", where))[0] == 202 and time.monotonic() < end:
            time.sleep(0.02)  # between two polls, as a caller does
        return found

    def logged(self) -> Counter[str]:
        """Count the log's records by request."""
        files = log.log_folder(self.root, MODEL).glob("*.frames")
        return Counter(record.request_id for file in files for records, _ in log.read(file) for record in records)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give a folder with a model and no server."""
    return Site(tmp_path)


def test_submit_and_poll(site: Site) -> None:
    """202 with the place of the answer, then the answer as it would have come at once; it is in the log, once."""
    with inference_server(site.file, site.port):
        status, headers, said = site.submit({"id": "mine"})
        assert (status, headers["preference-applied"], said["state"]) == (202, "respond-async", "waiting")
        assert headers["location"] == f"/v2/requests/{said['id']}"
        status, headers, answer = site.fetched(headers["location"])
        at_once = site.ask("POST", f"/v2/models/{MODEL}/infer", BODY | {"id": "mine"})
        assert (status, answer) == (200, at_once[2])
        assert headers["content-type"] == at_once[1]["content-type"]
        assert site.logged() == {said["id"]: 1, "mine": 1}


def test_binary_tensors_and_packed_bodies(site: Site) -> None:
    """What the protocol allows at once is allowed here: the answer comes as it would have come, bytes included."""
    key = {"name": "customer_id", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}
    amount = {"name": "amount", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    text = json.dumps({"id": "b", "inputs": [key, amount], "parameters": {"binary_data_output": True}}).encode()
    body, length = text + struct.pack("<qd", 7, 1.5), str(len(text))
    headers = {"Inference-Header-Content-Length": length, "Content-Encoding": "gzip"}
    with inference_server(site.file, site.port):
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
        said = []
        for prefer in ({}, {"Prefer": "respond-async"}):
            connection.request("POST", f"/v2/models/{MODEL}/infer", gzip.compress(body), headers | prefer)
            answer = connection.getresponse()
            said.append((answer.status, answer.getheader("inference-header-content-length"), answer.read()))
        where, end = answer.getheader("location"), time.monotonic() + 200
        while answer.status == 202 and time.monotonic() < end:
            time.sleep(0.05)  # between two polls, as a caller does
            connection.request("GET", where)
            answer = connection.getresponse()
            later = (answer.status, answer.getheader("inference-header-content-length"), answer.read())
        connection.close()
    assert said[1][0] == 202
    assert later == said[0]
    assert b"binary_data_size" in later[2]


@pytest.mark.parametrize("prefer", ["wait=5", "respond-asynchronously", "return=minimal"])
def test_other_preferences_are_answered_at_once(site: Site, prefer: str) -> None:
    """A preference that is not this one changes nothing."""
    with inference_server(site.file, site.port):
        assert site.ask("POST", f"/v2/models/{MODEL}/infer", BODY, Prefer=prefer)[0] == 200
        body = site.ask("POST", f"/v2/models/{MODEL}/infer", BODY, Prefer="wait=5, Respond-Async;x=1")
        assert body[0] == 202


def test_what_is_no_request_is_refused_at_once(site: Site) -> None:
    """Bad input, unknown models, hosts that nobody allowed; what the model itself refuses is the answer."""
    with inference_server(site.file, site.port):
        assert site.submit({"inputs": 7})[0] == 400
        assert site.submit(model="nobody")[0] == 404
        for url in (
            "http://127.0.0.1:1/x",
            "ftp://127.0.0.1/x",
            7,
            "http://user@127.0.0.1/x",
            "nonsense",
            "http://[::1",
        ):
            status, _, said = site.submit({"parameters": {"callback": url}})
            assert status == 400
            assert "callback" in said["error"]
        for path in ("0" * 32, "../../etc", "x"):
            assert site.ask("GET", f"/v2/requests/{path}")[0] == 404
        assert Spool(site.root).count() == 0
        refused = site.fetched(site.submit({"inputs": BODY["inputs"][:1]})[1]["location"])
        assert (refused[0], "amount" in refused[2]["error"]) == (400, True)
        failed = {"inputs": [BODY["inputs"][0], BODY["inputs"][1] | {"data": [-1.0]}]}
        assert site.fetched(site.submit(failed)[1]["location"])[0] == 500
        assert list(site.logged().values()) == [1]


def test_the_queue_has_an_end(tmp_path: Path) -> None:
    """What would wait too long is refused with 503 and Retry-After, and taken again once there is room."""
    site = Site(tmp_path, requests=3)
    spool = Spool(site.root)
    claims = []
    for n in range(3):  # held by a process that does not answer, as by a slow worker
        name = f"{n:032}"
        spool.put(name, PutOff(f"/v2/models/{MODEL}/infer", MODEL, json.dumps(BODY).encode(), None, time.time()))
        claims.append(spool.claim(name))
    with inference_server(site.file, site.port):
        status, headers, said = site.submit()
        assert (status, "wait already" in said["error"]) == (503, True)
        assert int(headers["retry-after"]) >= 1
        for claim in claims:
            claim.let_go()
        for n in range(3):
            assert site.fetched(f"/v2/requests/{n:032}")[0] == 200
        assert site.submit()[0] == 202


def test_answers_are_kept_for_a_while(tmp_path: Path) -> None:
    """After it, they are as if they had never been."""
    site = Site(tmp_path, keep_hours=2 / 3600)
    with inference_server(site.file, site.port):
        where = site.submit()[1]["location"]
        assert site.fetched(where)[0] == 200
        end = time.monotonic() + 200
        while (status := site.ask("GET", where)[0]) == 200 and time.monotonic() < end:
            time.sleep(0.1)  # between two polls: an end of keeping is told to nobody
        assert status == 404


class Caller(http.server.BaseHTTPRequestHandler):
    """Takes an answer at the third attempt."""

    def do_POST(self) -> None:
        """Note it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers["x-request"], json.loads(body)))
        self.send_response(302 if len(self.server.got) == 1 else 503 if len(self.server.got) == 2 else 204)
        self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def caller() -> Iterator[Any]:
    """Listen for answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Caller) as server:
        server.got = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_caller_is_told(tmp_path: Path) -> None:
    """It gets the answer at the URL that it gave, again until it takes it; a redirection leads nowhere."""
    with caller() as listening:
        site = Site(tmp_path, callback_hosts=[f"127.0.0.1:{listening.server_port}"])
        url = f"http://127.0.0.1:{listening.server_port}/told?by=us"
        with inference_server(site.file, site.port, workers=2):
            name = site.submit({"parameters": {"callback": url}})[2]["id"]
            end = time.monotonic() + 200
            while len(listening.got) < 3 and time.monotonic() < end:
                time.sleep(0.05)  # between two looks at what the other thread got
            time.sleep(0.5)  # for a fourth call, which must not come
            answer = site.fetched(f"/v2/requests/{name}")[2]
        assert listening.got == [("/told?by=us", name, answer)] * 3
        assert not list((site.root / "deferred/calls").iterdir())


def test_who_was_killed_between_log_and_answer_does_not_answer_twice(site: Site) -> None:
    """At each point between the first byte and the last, whoever goes on leaves one record and one answer."""
    spool = Spool(site.root)
    request = PutOff(f"/v2/models/{MODEL}/infer", MODEL, json.dumps(BODY).encode(), None, time.time())
    result = Result(200, [(b"content-type", b"application/json")], b'{"kept": true}')
    names = {stage: f"{at:032x}" for at, stage in enumerate(("accepted", "drafted", "begun", "logged", "shown"))}
    kept = log.PredictionLog(site.root, "killed")
    for at, name in enumerate(names.values()):
        spool.put(name, request)
        claim = spool.claim(name)
        if at >= 1:
            spool.draft(name, result)
        if at >= 2:
            claim.begin()
        if at >= 3:
            record = log.Record(name, 1, 1, "1", "cycle-1", "stable", 200, 1.0, [0.25], ["{}"], ["{}"], [[]])
            kept.write(MODEL, record)
        if at >= 4:
            (site.root / "deferred/drafts" / name).replace(site.root / "deferred/done" / name)
        claim.let_go()
    kept.close()
    with inference_server(site.file, site.port):
        found = {stage: site.fetched(f"/v2/requests/{name}") for stage, name in names.items()}
        end = time.monotonic() + 200
        while spool.count() and time.monotonic() < end:
            time.sleep(0.05)  # between two looks at what another process leaves
    assert spool.count() == 0
    assert {stage: (status, body.get("kept", False)) for stage, (status, _, body) in found.items()} == {
        "accepted": (200, False),
        "drafted": (200, False),
        "begun": (200, False),
        "logged": (200, True),
        "shown": (200, True),
    }
    assert site.logged() == dict.fromkeys(names.values(), 1)


def test_kills_at_random_moments(site: Site) -> None:
    """Two workers are killed (-9) with all that they were at, often: every 202 is answered, once in the log."""
    chance, accepted = random.Random(), list[str]()
    for _ in range(repeats(3)):
        with inference_server(site.file, site.port, workers=2) as server:
            end = time.monotonic() + chance.uniform(0.05, 0.4)
            while time.monotonic() < end:
                accepted.append(site.submit()[2]["id"])
            os.killpg(server.pid, signal.SIGKILL)
    left = Spool(site.root).count()
    with inference_server(site.file, site.port, workers=2):
        for name in accepted:
            assert site.fetched(f"/v2/requests/{name}")[0] == 200
    print(f"\n{len(accepted)} accepted, {repeats(3)} kills, {left} left by the last")  # noqa: T201
    assert site.logged() == dict.fromkeys(accepted, 1)


def test_put_off_behind_keys(tmp_path):
    """Who may not ask the model may not put off a request to it, and nobody without a key gets an answer."""
    keys = tmp_path / "keys.json"
    shop, other = api_keys.create(keys, "shop"), api_keys.create(keys, "other", Tenant(models=("another",)))
    site = Site(tmp_path, keys)
    path, later = f"/v2/models/{MODEL}/infer", {"Prefer": "respond-async"}
    with inference_server(site.file, site.port):
        assert site.ask("POST", path, BODY, **later)[0] == 401
        assert site.ask("POST", path, BODY, **later, **{"X-API-Key": other})[0] == 403
        status, headers, _ = site.ask("POST", path, BODY, **later, **{"X-API-Key": shop})
        assert status == 202
        assert site.ask("GET", headers["location"])[0] == 401
        end = time.monotonic() + 200
        while (found := site.ask("GET", headers["location"], **{"X-API-Key": shop}))[0] == 202:
            assert time.monotonic() < end
            time.sleep(0.02)  # between two polls, as a caller does
    assert (found[0], found[2]["outputs"][0]["data"]) == (200, [0.25])
    assert sum(site.logged().values()) == 1
