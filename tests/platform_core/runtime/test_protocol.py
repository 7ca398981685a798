"""Bytes in, values out: JSON, binary tensors, and anything else refused."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.answering.answers import answered, encode
from loopline.platform_core.runtime.answering.inference import Answer
from loopline.platform_core.runtime.wire import one_row
from loopline.platform_core.runtime.wire.outputs import Outputs
from loopline.platform_core.runtime.wire.protocol import AS_BYTES, AS_JSON, InferRequest, decode
from loopline.platform_core.targets import Binary
from tests.repeats import repeats

BINARY = Outputs(Binary().outputs)
TENSOR = {"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]}


def request(tensors, binary=b"", **more):
    """Make a body with binary tensors behind the JSON part, and the part's length."""
    text = json.dumps({"inputs": tensors, **more}).encode()
    return text + binary, len(text)


def packed(name, datatype, raw, rows):
    """Describe a binary tensor."""
    return {"name": name, "datatype": datatype, "shape": [rows], "parameters": {"binary_data_size": len(raw)}}


DTYPES = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "INT8": "i1", "INT64": "<i8", "BOOL": "?"}
DTYPES |= {"UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8"}


@pytest.mark.parametrize(("datatype", "dtype"), DTYPES.items())
def test_binary_tensors_are_little_endian(datatype, dtype):
    """Numbers come packed, row after row."""
    values = np.array([1, 0, 1], dtype=dtype)
    body, length = request([packed("a", datatype, values.tobytes(), 3)], values.tobytes())
    assert decode(body, length).columns == {"a": values.tolist()}


def test_binary_texts_stand_behind_their_lengths():
    """Empty texts and every letter of Unicode are texts."""
    texts = ["", "é", "DE"]
    raw = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    body, length = request([packed("a", "BYTES", raw, 3)], raw)
    asked = decode(body, length)
    assert (asked.columns, asked.texts) == ({"a": texts}, frozenset({"a"}))


def test_json_and_binary_tensors_mix():
    """Each tensor comes in its own way."""
    raw = np.array([0.5, 0.25]).tobytes()
    inputs = [{"name": "k", "shape": [2], "datatype": "INT64", "data": [1, 2]}, packed("a", "FP64", raw, 2)]
    body, length = request(inputs, raw)
    assert decode(body, length).columns == {"k": [1, 2], "a": [0.5, 0.25]}


@pytest.mark.parametrize(
    ("datatype", "raw", "rows", "words"),
    [
        ("FP64", b"1234567", 1, "no multiple of 8"),
        ("BYTES", b"\x05\x00\x00\x00abc", 1, "cut off"),
        ("BYTES", b"\x05\x00", 1, "unpack"),
        ("BYTES", b"\x01\x00\x00\x00\xff", 1, "utf-8"),
        ("FP64", b"12345678", 2, "shape"),
        ("FP8", b"1", 1, "unknown datatype"),
    ],
)
def test_torn_binary_tensors(datatype, raw, rows, words):
    """The tensor is named, and what is wrong with it."""
    body, length = request([packed("a", datatype, raw, rows)], raw)
    with pytest.raises(BadRequest, match=words):
        decode(body, length)


def test_bytes_that_belong_to_no_tensor():
    """A caller that miscounts learns of it."""
    raw = np.array([0.5]).tobytes()
    body, length = request([packed("a", "FP64", raw, 1)], raw + b"more")
    with pytest.raises(BadRequest, match="4 bytes belong to no tensor"):
        decode(body, length)
    with pytest.raises(BadRequest, match="exceeds"):
        decode(body, len(body) + 1)


def test_outputs_as_bytes():
    """What was asked for as bytes comes behind the JSON part, in order; the rest stays in it."""
    said = Answer("1", "c", "stable", {"probability": [0.5, 0.25], "label": [1, 0]}, BINARY)
    asked = InferRequest("r", 2, {}, frozenset(), {"label": True, "probability": False})
    body, length = encode({"id": "r"}, asked, said)
    answer = json.loads(body[:length])
    assert answer["outputs"][0] == {
        "name": "label",
        "shape": [2],
        "datatype": "INT64",
        "parameters": {"binary_data_size": 16},
    }
    assert answer["outputs"][1]["data"] == [0.5, 0.25]
    assert np.frombuffer(body[length:], "<i8").tolist() == [1, 0]


def test_which_outputs_go_out_as_bytes():
    """A parameter of the request speaks for all, a parameter of an output for itself."""
    assert decode(*request([TENSOR])[:1]).outputs is AS_JSON
    assert decode(*request([TENSOR], parameters={"binary_data_output": True})[:1]).outputs is AS_BYTES
    one = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probability"}]
    assert decode(*request([TENSOR], outputs=one)[:1]).outputs == {"label": True, "probability": False}


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.000001", 1),
        ("1970-01-02", 86_400_000_000),
    ],
)
def test_event_time_is_utc_unless_it_says_otherwise(text, microseconds):
    """Instants are microseconds since 1970."""
    body, _ = request([TENSOR], parameters={"event_time": text})
    assert decode(body).event_time_us == microseconds


@pytest.mark.parametrize("text", ["noon", "", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2500-01-01"])
def test_event_times_that_nobody_could_read_back(text):
    """Instants before 1970 or beyond the nanoseconds of 64 bits would break whoever reads the log."""
    with pytest.raises(BadRequest, match="event_time"):
        decode(request([TENSOR], parameters={"event_time": text})[0])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b"]),
        "shape": st.lists(st.integers(-1, 2), max_size=2) | json_values,
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES", "BOOL", "x"]),
    },
    optional={"data": st.lists(json_values, max_size=2) | json_values, "parameters": json_values},
)


@settings(max_examples=repeats(100), deadline=None)
@given(st.lists(tensors, max_size=3), json_values, json_values, st.binary(max_size=12), st.integers(-2, 40))
def test_anything_is_values_or_a_bad_request(inputs, parameters, outputs, tail, cut):
    """Whatever comes, the server answers with 400 at worst."""
    body, length = request(inputs, tail, parameters=parameters, outputs=outputs)
    for json_length in (None, length, length - cut):
        try:
            asked = decode(body, json_length)
        except BadRequest as error:
            assert error.fix  # noqa: PT017 - many may pass
        else:
            assert all(len(values) == asked.rows for values in asked.columns.values())


@settings(max_examples=repeats(70), deadline=None)
@given(st.binary(max_size=60), st.none() | st.integers(-5, 70))
def test_noise_is_a_bad_request(noise, json_length):
    """Bytes that are no JSON."""
    with pytest.raises(BadRequest):
        decode(noise, json_length)


DATATYPES = ["FP64", "FP32", "INT64", "INT8", "UINT64", "BOOL", "BYTES", "TEXT"]
VALUES = st.one_of(st.floats(width=32), st.integers(-(2**64), 2**64), st.booleans(), st.text(max_size=3), st.none())
ANY = st.fixed_dictionaries(
    {"name": st.sampled_from("abc"), "datatype": st.sampled_from(DATATYPES), "shape": st.sampled_from([[1], [1, 1]])},
    optional={"data": st.lists(VALUES, min_size=1, max_size=2), "parameters": st.just({})},
)
USUAL = st.sampled_from([("FP64", 0.5), ("FP32", 2.0), ("INT64", 7), ("BYTES", "x"), ("BOOL", True)]).map(
    lambda pair: {"datatype": pair[0], "shape": [1], "data": [pair[1]]}
)


@settings(max_examples=repeats(100), deadline=None)
@given(st.lists(ANY | USUAL, max_size=4), st.none() | st.text(max_size=2), st.booleans())
def test_the_usual_request_reads_as_any_other(tensors, name, usual_names):
    """The decoder for one value a tensor finds what the general one does, or leaves the request to it."""
    if usual_names:
        tensors = [tensor | {"name": "abcd"[n]} for n, tensor in enumerate(tensors)]
    body, _ = request(tensors, **({} if name is None else {"id": name}))
    usual = one_row.read(body)
    if usual is None:
        return
    general = decode(body, len(body))
    assert {name: list(values) for name, values in general.columns.items()} == {
        name: list(values) for name, values in usual.columns.items()
    }
    assert [type(v) for (v,) in general.columns.values()] == [type(v) for (v,) in usual.columns.values()]
    assert (general.rows, general.texts) == (1, usual.texts)
    assert usual.id in (name, None)


def test_the_usual_request_is_read_as_that():
    """It would be slower, and no test would tell, if it were not."""
    inputs = [
        {"name": n, "shape": [1], "datatype": d, "data": [v]} for n, d, v in (("a", "FP64", 0.5), ("k", "INT64", 7))
    ]
    body, _ = request(inputs, id="r")
    assert one_row.read(body) == one_row.OneRow("r", {"a": (0.5,), "k": (7,)}, frozenset())


@given(st.text(), st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_the_usual_answer_is_written_as_any_other(name, scores):
    """Who asks for nothing and who names every output are told the same, to the byte."""
    outputs = {"probability": scores, "label": [int(score >= 0.5) for score in scores]}
    said = Answer('"1"', "é%d", "stable", outputs, BINARY)
    usual, named = (
        answered("retail.m%b", InferRequest(name, len(scores), {}, frozenset(), wanted), said)
        for wanted in (AS_JSON, dict.fromkeys(outputs, False))
    )
    assert usual == named
