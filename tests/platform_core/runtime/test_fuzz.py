"""Requests that nobody would send, as JSON, bytes and gRPC messages: answered or refused, never a failure of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import zlib

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopline.platform_core.runtime.grpc.messages import message
from loopline.platform_core.runtime.grpc.service import GrpcService
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.runtime.wire.tensors import DATATYPES
from loopline.platform_core.testing.parts.model_packages import Slow
from tests.repeats import repeats

MODEL = "retail.cancellations"
VIEW = ViewField("retail.history.v1", "customer_id", ["orders", "country"], ttl_days=90)
NAMES = ["customer_id", "amount", "orders", "country"]
WIDE = ["amount", "discount", "tax"]
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
BUDGET = settings(max_examples=repeats(80), deadline=None, suppress_health_check=SUPPRESSED)

numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 2**31, 2**63, -(2**63) - 1, 2**64, 1e308, 5e-324])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=4) | st.sampled_from(["\x00", "\ud7ff", "é", "DE"])
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
shapes = st.lists(st.integers(-2, 4) | st.just(2**40), max_size=3)
parameters = st.none() | st.dictionaries(
    st.sampled_from(["event_time", "binary_data_output", "binary_data", "binary_data_size", "x"]), scalars, max_size=3
)


KINDS = {"I": st.integers(-9, 9), "U": st.integers(0, 9), "F": st.floats(-9, 9), "B": st.booleans()}
NUMERIC = [kind for kind in DATATYPES if kind != "BYTES"]


@st.composite
def right_tensors(draw, name, rows):
    """Make a tensor as the model wants it."""
    kind = draw(st.sampled_from(["BYTES"] if name == "country" else NUMERIC))
    kind = draw(st.sampled_from(["INT64", "UINT8", "BYTES"])) if name == "customer_id" else kind
    values = draw(st.lists(st.text(max_size=3) if kind == "BYTES" else KINDS[kind[0]], min_size=rows, max_size=rows))
    if draw(st.booleans()):
        return {"name": name, "datatype": kind, "shape": [rows, 1], "data": [[value] for value in values]}
    return {"name": name, "datatype": kind, "shape": [rows], "data": values}


@st.composite
def json_bodies(draw):
    """Make a body that is right, then put something into up to two of its places."""
    rows = draw(st.integers(1, 3))
    names = ["customer_id", "amount", *draw(st.sets(st.sampled_from(["orders", "country"])))]
    whole = {"inputs": [draw(right_tensors(name, rows)) for name in names]}
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from([whole, *whole["inputs"]]))
        if place is whole:
            field = draw(st.sampled_from(["id", "parameters", "outputs", "more"]))
            place[field] = draw(parameters | anything | st.just([{"name": "label"}]))
        else:
            field = draw(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]))
            near = {"name": st.sampled_from(NAMES), "datatype": st.sampled_from(DATATYPES), "shape": shapes}
            place[field] = draw(near.get(field, parameters | st.lists(nested, max_size=3)) | anything)
    return whole


def fine(reply):
    """Say whether an answer is one, or a refusal in the protocol's shape."""
    if reply.status == 200:
        head = reply.body[: int(reply.headers.get("inference-header-content-length", len(reply.body)))]
        return json.loads(head)["model_name"] == MODEL
    return reply.status in {400, 413} and " → " in reply.error


@pytest.fixture
def asked(server, untimed):
    """Give a server whose model takes features from the request and online, and answers anything."""
    server.serve(Slow(0.0), views=[VIEW])
    return server


@pytest.fixture
def often(asked):
    """The same, and see in the end that what lies behind the checks was reached too."""
    yield asked
    assert len(asked.logged) > 5


@pytest.fixture
def fast(asked):
    """The same, and see in the end that some were answered at once: the first that comes may be none of those."""
    yield asked
    assert asked.taken > 0


@BUDGET
@given(json_bodies() | anything, st.integers(0, 400) | st.none(), st.binary(max_size=4))
def test_json_at_once(fast, body, at, put):
    """Whatever JSON comes, whole or mangled: what is answered at once is what ASGI answers, to the byte."""
    raw = json.dumps(body).encode()
    raw = raw if at is None else raw[:at] + put + raw[at + len(put) :]
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(raw)}\r\n\r\n"
    plain, at_once = fast.both([head.encode() + raw])
    assert at_once == plain
    assert plain.sent.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


@BUDGET
@given(json_bodies() | anything, st.integers(0, 400), st.binary(max_size=4))
def test_mangled_json(often, body, at, put):
    """Whatever JSON, with bytes put into it or cut off; what is answered is logged once, what is refused is not."""
    raw = json.dumps(body).encode()
    for sent in (raw, raw[:at] + put + raw[at + len(put) :], raw[:at] + put):
        logged = len(often.logged)
        reply = often.post(sent)
        assert fine(reply)
        assert len(often.logged) - logged == (reply.status == 200)


SIZES = {"BOOL": 1, **{kind: int("".join(filter(str.isdigit, kind))) // 8 for kind in NUMERIC if kind != "BOOL"}}


@st.composite
def binary_bodies(draw):
    """Make a right body of one row, of which one tensor may be described otherwise or have other bytes."""
    names = ["customer_id", "amount", *draw(st.sets(st.sampled_from(["orders", "country"])))]
    inputs, packed = [], []
    for name in names:
        kind = {"customer_id": "INT64", "country": "BYTES"}.get(name) or draw(st.sampled_from(NUMERIC))
        size = SIZES.get(kind, 6)
        packed.append(b"\x02\x00\x00\x00DE" if kind == "BYTES" else draw(st.binary(min_size=size, max_size=size)))
        inputs.append({"name": name, "datatype": kind, "shape": [1], "parameters": {"binary_data_size": size}})
    at = draw(st.integers(0, len(names) - 1))
    for field in draw(st.sets(st.sampled_from(["bytes", "datatype", "shape", "size"]), max_size=2)):
        match field:
            case "bytes":
                packed[at] = draw(st.binary(max_size=24))
            case "size":
                inputs[at]["parameters"]["binary_data_size"] = draw(st.integers(-1, 30) | anything)
            case "datatype":
                inputs[at]["datatype"] = draw(st.sampled_from(DATATYPES))
            case "shape":
                inputs[at]["shape"] = draw(shapes)
    return json.dumps({"inputs": inputs}).encode(), b"".join(packed)


@BUDGET
@given(binary_bodies(), st.sampled_from([None, None, None, "", "0", "-1", "x", "9" * 5000, "\xb2"]))
def test_binary_tensors(often, body, length):
    """Bytes of any length behind any description, with a length of the JSON part that may be wrong."""
    text, raw = body
    headers = {"inference-header-content-length": str(len(text)) if length is None else length}
    assert fine(often.ask("POST", f"/v2/models/{MODEL}/infer", text + raw, headers))


@BUDGET
@given(
    json_bodies(),
    st.sampled_from(["gzip", "deflate", "br", "identity", ""]),
    st.none() | st.just(None) | st.integers(0, 200),
)
def test_packed_bodies(often, body, coding, cut):
    """Packed as the header says, or otherwise, or cut off."""
    raw = json.dumps(body).encode()
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)(raw)
    assert fine(often.ask("POST", f"/v2/models/{MODEL}/infer", packed[:cut], {"content-encoding": coding}))


@BUDGET
@given(
    st.sampled_from([[1, 3], [2, 3], [3, 3]]) | shapes,
    st.lists(st.lists(st.floats(-9, 9), min_size=3, max_size=3), min_size=1, max_size=3) | st.lists(nested, max_size=6),
    st.sampled_from(["FP64", "FP32", *DATATYPES]),
    st.integers(0, 3),
)
def test_a_matrix(server, shape, data, datatype, keys):
    """A tensor for all features of any shape, beside the entity's or alone."""
    if MODEL not in server.inference.models:
        server.serve(Slow(0.0), requested=WIDE)
    inputs = [{"name": "input-0", "datatype": datatype, "shape": shape, "data": data}]
    if keys:
        inputs.append({"name": "customer_id", "datatype": "INT64", "shape": [keys], "data": [1] * keys})
    assert fine(server.post({"inputs": inputs}))


class Refused(Exception):  # noqa: N818 - what a gRPC context raises when it ends a call
    """A call was ended with a code."""


class Context:
    """The context of a call, as far as the service uses it."""

    async def abort(self, code, words):
        raise Refused(code, words)


contents = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=3),
        "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
        "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        "uint_contents": st.lists(st.integers(0, 2**32 - 1), max_size=3),
        "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=3),
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
        "fp64_contents": st.lists(st.floats(), max_size=3),
        "bytes_contents": st.lists(st.binary(max_size=4), max_size=3),
    },
)
grpc_tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["amount", "amount", *NAMES, "x"]),
        "datatype": st.sampled_from([*DATATYPES, "x"]),
        "shape": st.sampled_from([[1], [2], [1, 1]]) | st.lists(st.integers(-2, 3), max_size=3),
    },
    optional={"contents": contents},
)
choices = st.sampled_from(
    [{"string_param": "noon"}, {"int64_param": 3}, {"bool_param": True}, {"double_param": 0.5}, {}]
)


@pytest.fixture
def call(asked):
    """Give a function that sends bytes to the service, and returns the answer or the code."""
    handlers = GrpcService(asked.inference, Metrics(), lambda: True).handlers()
    method = handlers._method_handlers["/inference.GRPCInferenceService/ModelInfer"]

    def send(raw):
        try:
            return asyncio.run(method.unary_unary(raw, Context()))
        except Refused as refused:
            return refused.args[0]

    return send


@BUDGET
@given(
    st.lists(grpc_tensors, max_size=3),
    st.lists(st.binary(max_size=16) | st.just(struct.pack("<d", 0.5)), max_size=4),
    st.dictionaries(st.sampled_from(["event_time", "x"]), choices, max_size=2),
    st.lists(st.sampled_from(["label", "probability", "x"]), max_size=2),
)
def test_grpc_messages(call, inputs, raw, parameters, outputs):
    """Typed and raw contents of any kind beside any description."""
    keys = {"name": "customer_id", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [1]}}
    asked = message("ModelInferRequest")(
        model_name=MODEL,
        inputs=[keys, *inputs],
        raw_input_contents=raw,
        parameters=parameters,
        outputs=[{"name": name} for name in outputs],
    )
    answer = call(asked.SerializeToString())
    assert answer is grpc.StatusCode.INVALID_ARGUMENT or answer.model_name == MODEL


@BUDGET
@given(st.binary(max_size=80))
def test_bytes_that_are_no_message(call, raw):
    """Refused as the caller's mistake; by itself gRPC would call it ours. By chance they may name a model."""
    assert call(raw) in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


def test_a_failure_of_ours_would_be_seen(asked):
    """What is called fine is told from what is not."""
    assert not fine(asked.ask("GET", "/v2/models/nobody"))
    asked.inference.models = None
    assert not fine(asked.infer({"customer_id": [1], "amount": [1.0]}))
