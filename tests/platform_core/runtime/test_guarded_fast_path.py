"""Requests with keys answered at the turn's end, beside the same over ASGI: the same bytes, records, counts and lines.

Whoever tries to get by with another's key, with a part of one or with two, is told the same on both ways.
"""

from __future__ import annotations

import json
import os
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.gateway import api_keys, gateway
from loopline.gateway.api_keys import Tenant
from loopline.gateway.gateway import Guards
from loopline.platform_core.runtime.fast_path.fast_path import asked_model
from loopline.platform_core.runtime.request_context import noting
from loopline.platform_core.runtime.settings.gateway import GatewaySettings
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.testing.parts.model_packages import Constant
from tests.platform_core.runtime.test_at_once import AMOUNT, KEY, ONE, Failing, get, packed, post
from tests.repeats import repeats

MODEL = "retail.cancellations"
pytestmark = pytest.mark.usefixtures("untimed")
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


class Door:
    """A server behind a gateway, with keys of a few tenants; each way has its own counts and access log."""

    def __init__(self, server, folder):
        self.server, self.folder, self.file = server, folder, folder / "keys.json"
        self.keys = {
            "shop": api_keys.create(self.file, "shop"),
            "other": api_keys.create(self.file, "other"),
            "bank": api_keys.create(self.file, "bank", Tenant(("credit.*",))),
            "few": api_keys.create(self.file, "few", Tenant(per_day=2)),
            "burst": api_keys.create(self.file, "burst", Tenant(per_second=0.001, burst=3)),
        }
        server.serve(Failing(0), candidate=Constant(0.9), percent=50)
        server.inference.log = noting(server.inference.log)
        server.guards = self._guards
        self.times = 0

    def _guards(self, bounds, at_once):
        self.times += 1
        place = self.folder / f"{self.times}"
        chosen = GatewaySettings(keys=self.file, access_log=str(self.log(at_once)))
        return Guards(*gateway.of(chosen, place), bounds.refused)

    def log(self, at_once):
        """Say where the access log of a way is."""
        return self.folder / f"access-{at_once}.jsonl"

    def lines(self, at_once):
        """Return what was kept, without times."""
        kept = [json.loads(line) for line in self.log(at_once).read_text().splitlines()]
        return [{name: value for name, value in line.items() if name not in {"time", "ms"}} for line in kept]

    def same(self, pieces, together=False):
        """Send pieces on both ways, and return what both said."""
        plain, at_once = self.server.both(pieces, together=together)
        assert at_once == plain
        assert self.lines(True) == self.lines(False)
        return plain

    def bearer(self, name):
        """Write a tenant's key as most send it."""
        return f"Authorization: Bearer {self.keys[name]}"


@pytest.fixture
def door(server, tmp_path):
    """Give a server with keys."""
    server.limits = Limits(rows=800, body_bytes=65_536)
    server.inference.most_rows = 800
    folder = tmp_path / "door"
    folder.mkdir()
    return Door(server, folder)


def statuses(outcome):
    """Return the codes of all answers."""
    return [int(part[:3]) for part in outcome.sent.split(b"HTTP/1.1 ")[1:]]


def changed(key):
    """Change the last letter of a key."""
    return key[:-1] + ("A" if key[-1] != "A" else "B")


WAYS = {
    "a bearer": (lambda d: [d.bearer("shop")], 200),
    "a plain key": (lambda d: [f"X-API-Key: {d.keys['shop']}"], 200),
    "another case": (lambda d: [f"AUTHORIZATION: bEaReR   {d.keys['shop']}  "], 200),
    "no key": (lambda d: [], 401),
    "an empty key": (lambda d: ["Authorization:"], 401),
    "another scheme": (lambda d: [f"Authorization: Basic {d.keys['shop']}"], 401),
    "no scheme": (lambda d: [f"Authorization: {d.keys['shop']}"], 401),
    "another last letter": (lambda d: [f"Authorization: Bearer {changed(d.keys['shop'])}"], 401),
    "a letter too few": (lambda d: [f"X-API-Key: {d.keys['shop'][:-1]}"], 401),
    "a letter too many": (lambda d: [f"X-API-Key: {d.keys['shop']}A"], 401),
    "another's secret": (
        lambda d: ["X-API-Key: {}_{}_{}".format(*d.keys["shop"].split("_", 2)[:2], d.keys["few"].split("_", 2)[2])],
        401,
    ),
    "in the other's case": (lambda d: [f"X-API-Key: {d.keys['shop'].swapcase()}"], 401),
    "no latin": (lambda d: ["X-API-Key: ll_é_ü"], 401),
    "good and good": (lambda d: [d.bearer("shop"), f"X-API-Key: {d.keys['bank']}"], 200),
    "bad, then good": (lambda d: ["Authorization: Bearer ll_a_b", f"X-API-Key: {d.keys['shop']}"], 401),
    "no scheme, then good": (lambda d: ["Authorization: Basic x", f"X-API-Key: {d.keys['shop']}"], 200),
    "twice, the last good": (lambda d: ["Authorization: Bearer ll_a_b", d.bearer("shop")], 200),
    "twice, the last bad": (lambda d: [d.bearer("shop"), "Authorization: Bearer ll_a_b"], 401),
    "two in one": (lambda d: [f"{d.bearer('shop')}, Bearer {d.keys['other']}"], 401),
    "of another model": (lambda d: [d.bearer("bank")], 403),
    "an id": (lambda d: [d.bearer("shop"), "X-Request-Id: r-1"], 200),
    "no id": (lambda d: [d.bearer("shop"), "X-Request-Id: a b"], 200),
    "refused with an id": (lambda d: ["X-Request-Id: r-1"], 401),
}


@pytest.mark.parametrize("name", WAYS)
def test_both_ways_know_the_same_callers(door, name):
    """Asked three times on one connection, since what is remembered of the first must not let another in."""
    headers, status = WAYS[name]
    sent = post(ONE, *headers(door))
    outcome = door.same([sent, post(ONE, door.bearer("other")), sent])
    assert statuses(outcome) == [status, 200, status]
    assert door.server.taken == 3


def test_who_is_refused_waits_as_long_whatever_is_there(door):
    """No model, a slow one, a body that only ASGI understands: the refusal is made before any of it is looked at."""
    asks = [post(ONE, model="nobody"), post(ONE), post(b"{"), post(ONE | {"parameters": {"explain": True}})]
    assert statuses(door.same(asks)) == [401] * 4
    assert door.server.taken == 4
    denied = [post(ONE, door.bearer("bank"), model=model) for model in ("nobody.x", MODEL)]
    assert statuses(door.same(denied)) == [403] * 2
    assert door.server.taken == 6
    assert door.server.logged == []


BODIES = {
    "columns": lambda *more: post(ONE, *more),
    "a version": lambda *more: post(ONE, *more, path="/versions/2"),
    "no such version": lambda *more: post(ONE, *more, path="/versions/9"),
    "no such model": lambda *more: post(ONE, *more, model="nobody"),
    "an id": lambda *more: post(ONE | {"id": "body/1"}, *more),
    "no header's id": lambda *more: post(ONE | {"id": "é\n1"}, *more),
    "no json": lambda *more: post(b"{", *more),
    "a tensor too few": lambda *more: post({"inputs": [KEY], "id": "b"}, *more),
    "the model fails": lambda *more: post({"inputs": [KEY, AMOUNT | {"data": [-1.0]}], "id": "b"}, *more),
    "packed answer": lambda *more: post(ONE | {"id": "x" * 6_000}, "Accept-Encoding: gzip", *more),
    "close": lambda *more: post(ONE, "Connection: close", *more),
    "put off": lambda *more: post(ONE, "Expect: 100-continue", *more),
    "a query": lambda *more: post(ONE, *more).replace(b"/infer ", b"/infer?x=1 "),
    "an escape": lambda *more: post(ONE, *more).replace(b"retail.", b"retail%2E"),
    "more slashes": lambda *more: post(ONE, *more).replace(b"/v2/", b"//v2/"),
    "inside slashes": lambda *more: post(ONE, *more).replace(b"/v2/", b"/v2//"),
}


@pytest.mark.parametrize("tenant", ["shop", "bank", "few"])
@pytest.mark.parametrize("name", BODIES)
def test_both_ways_answer_the_same(door, name, tenant):
    """With the id that was logged among the headers, or ours where nothing was or it can be in none."""
    door.same([BODIES[name](door.bearer(tenant), "X-Request-Id: head-1")])


def test_bytes_and_what_is_no_inference(door):
    """Packed tensors are plain; metadata, health and metrics are ASGI's."""
    key = door.bearer("shop")
    whole = packed([KEY], {"amount": 0.5}).replace(b"\r\n\r\n", f"\r\n{key}\r\n\r\n".encode(), 1)
    assert statuses(door.same([whole])) == [200]
    assert door.server.taken == 1
    assert statuses(door.same([get("/v2/health/ready"), get("/v2")])) == [200, 401]


@settings(max_examples=repeats(25), deadline=None, suppress_health_check=SUPPRESSED)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(set(BODIES) - {"put off"})))).filter(len),
    st.lists(st.integers(0, 2_000), max_size=3),
)
def test_whatever_follows_whatever(door, asked, cuts):
    """Requests of several callers behind one another, cut anywhere: each is let in by its own key alone."""
    for at_once in (True, False):
        door.log(at_once).unlink(missing_ok=True)
    sent = b"".join(BODIES[body](*WAYS[way][0](door)) for way, body in asked[:5])
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    door.same([sent[a:b] for a, b in pairwise(places)], together=True)


def test_requests_behind_one_another_have_ids_of_their_own(door):
    """Also over ASGI, where the second begins while the first ends."""
    outcome = door.same([post(ONE, door.bearer("shop"), "Expect: 100-continue") * 2 + post(ONE, door.bearer("shop"))])
    ids = {record.request_id for _, record in outcome.logged}
    assert (len(ids), len(outcome.logged)) == (3, 3)


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n\t"])
def test_a_folded_header(door, fold):
    """Which HTTP no longer knows: whatever becomes of it becomes of it on both ways, and nobody is let in by half."""
    outcome = door.same([post(ONE, f"Authorization: Bearer{fold}{changed(door.keys['shop'])}")])
    assert statuses(outcome)[0] in {400, 401}
    door.same([post(ONE, f"Authorization:{fold}Bearer{fold}{door.keys['shop']}")])


@pytest.mark.parametrize("letters", [7_000, 100_000])
def test_a_huge_header(door, letters):
    """It is refused, by its size if that is beyond what a head may have; the key behind it changes nothing."""
    sent = post(ONE, f"Authorization: Bearer ll_a_{'x' * letters}")
    outcome = door.same([sent[:90_000], sent[90_000:]])
    assert statuses(outcome) == [401 if letters < 10_000 else 431]
    assert door.server.logged == []


def test_a_crowd_of_tenants(door):
    """In one turn each of many connections is let in by its own key, and a limit counts one after another."""
    names = ["burst", "shop", "burst", "bank", "burst", "few", "burst", "few", "few", "burst"]
    said = [int(one[9:12]) for one in door.server.crowd([post(ONE, door.bearer(name)) for name in names])]
    assert said == [200, 200, 200, 403, 200, 200, 429, 200, 429, 429]
    assert [line["tenant"] for line in door.lines(True)] == names
    assert [line["status"] for line in door.lines(True)] == said
    assert len(door.server.logged) == 6
    assert door.server.refused == {"not_allowed": 1, "too_much": 3}


def test_limits_hold_whichever_way_is_taken(door):
    """What asks for more than a plain answer takes from the same count."""
    key = door.bearer("few")
    asks = [post(ONE, key), post(ONE, "Expect: 100-continue", key), post(ONE, key), post(ONE, key, path="/versions/1")]
    outcome = door.same(asks)
    assert [code for code in statuses(outcome) if code != 100] == [200, 200, 429, 429]
    assert b"retry-after" in outcome.sent


def test_what_cannot_be_counted_is_503(door):
    """For those whose requests are counted; the others are answered."""
    for number in (1, 2):
        (door.folder / f"{number}").mkdir()
        (door.folder / f"{number}" / "allowances").write_text("no folder")
    outcome = door.same([post(ONE, door.bearer("few")), post(ONE, door.bearer("shop"))])
    assert statuses(outcome) == [503, 200]
    assert b"cannot be counted" in outcome.sent
    assert b"retry-after: 1\r\n" in outcome.sent
    assert ([line["status"] for line in door.lines(True)], len(outcome.logged)) == ([503, 200], 1)


def test_what_cannot_be_logged_is_not_answered(door):
    """And its line says no version."""
    door.server.full = True
    (said,) = door.server.crowd([post(ONE, door.bearer("shop"))])
    assert said.startswith(b"HTTP/1.1 503")
    assert [(line["status"], line["version"]) for line in door.lines(True)] == [(503, "")]


def test_what_a_tenant_may_is_changed_at_once(door, monkeypatch):
    """A tenant whose models are fewer now is refused by the key that was let in before."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.0)
    authenticator = api_keys.Authenticator(door.file)
    sent = {b"x-api-key": door.keys["shop"].encode()}
    assert authenticator.tenant(sent)[1].may_ask(MODEL)
    api_keys.create(door.file, "shop", Tenant(("credit.*",)))
    os.utime(door.file, (time.time() + 5,) * 2)
    assert not authenticator.tenant(sent)[1].may_ask(MODEL)


def test_no_key_is_remembered_as_it_was_sent(door):
    """Neither it nor its plain hash; and of one key's spellings no more than some are."""
    authenticator = api_keys.Authenticator(door.file)
    key = door.keys["shop"].encode()
    for spaces in range(5_000):
        authenticator.tenant({b"authorization": b"Bearer " + b" " * spaces + key})
    assert 0 < len(authenticator._known) <= api_keys._MOST_KNOWN
    for digest in authenticator._known:
        assert key not in digest
        assert len(digest) == 32
    assert api_keys.Authenticator(door.file)._hash.digest() != authenticator._hash.digest()


def test_long_names_are_not_remembered(door):
    """Neither by whoever has a key, nor by whoever has none; they are answered as before."""
    before = api_keys._remembered.cache_info().currsize, asked_model.cache_info().currsize
    for number in range(3):
        long = f"{number}" + "x" * 20_000
        assert statuses(door.same([post(ONE, door.bearer("bank"), model=long)])) == [403]
        assert statuses(door.same([post(ONE, model=long)])) == [401]
    assert (api_keys._remembered.cache_info().currsize, asked_model.cache_info().currsize) == before
    assert door.server.taken == 0


def test_what_is_remembered_belongs_to_its_header(door):
    """A value that is right in one header is not therefore right in another."""
    authenticator = api_keys.Authenticator(door.file)
    plain, bearer = door.keys["shop"].encode(), b"Bearer " + door.keys["shop"].encode()
    assert authenticator.tenant({b"x-api-key": plain})[0] == "shop"
    assert authenticator.tenant({b"authorization": bearer})[0] == "shop"
    for wrong in ({b"authorization": plain}, {b"x-api-key": bearer}, {b"authorization": b"x" + plain}):
        with pytest.raises(api_keys.BadRequest):
            authenticator.tenant(wrong)
