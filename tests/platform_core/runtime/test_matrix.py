"""One tensor of all features, as users of scikit-learn send it to MLServer and KServe."""

from __future__ import annotations

import json
import struct

import pytest

from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.parts.model_packages import Column, Constant

MODEL = "retail.cancellations"
WIDE = ["amount", "discount", "tax"]
HISTORY = ViewField("retail.history.v1", "customer_id", ["orders"])
ROWS = [[0.25, 0.5, 0.75], [0.125, 0.375, 0.625]]


def matrix(data, shape=None, name="input-0", datatype="FP64"):
    """Make the tensor."""
    return {"name": name, "datatype": datatype, "shape": shape or [len(data), len(data[0])], "data": data}


def keys(*values):
    """Make the entity's tensor."""
    return {"name": "customer_id", "datatype": "INT64", "shape": [len(values)], "data": list(values)}


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("data", [ROWS, [value for row in ROWS for value in row]], ids=["row by row", "flat"])
def test_columns_are_the_features_in_order(server, position, data):
    """Each lands where the manifest has it; the log names it."""
    server.serve(Column(position), requested=WIDE)
    reply = server.post({"inputs": [matrix(data, [2, 3]), keys(7, 8)]})
    assert reply.json["outputs"][0]["data"] == [row[position] for row in ROWS]
    record = server.logged[0][1]
    assert [json.loads(row) for row in record.features] == [dict(zip(WIDE, row, strict=True)) for row in ROWS]
    assert [json.loads(key) for key in record.keys] == [{"customer_id": 7}, {"customer_id": 8}]


def test_bytes(server):
    """The usual way of Triton's client."""
    server.serve(Column(1), requested=WIDE)
    raw = struct.pack("<6f", *ROWS[0], *ROWS[1])
    described = {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": len(raw)}}
    text = json.dumps({"inputs": [described]}).encode()
    headers = {"inference-header-content-length": str(len(text))}
    reply = server.ask("POST", f"/v2/models/{MODEL}/infer", text + raw, headers)
    assert reply.json["outputs"][0]["data"] == [0.5, 0.375]


def test_without_the_entity_the_key_is_null_and_the_id_splits(server):
    """The same id meets the same version, and some ids meet the candidate."""
    server.serve(Constant(0.1), Constant(0.2), percent=50, requested=WIDE)
    roles = {}
    for n in range(40):
        asked = {"id": f"r{n % 20}", "inputs": [matrix(ROWS)]}
        roles.setdefault(asked["id"], set()).add(server.post(asked).json["parameters"]["role"])
    assert {len(found) for found in roles.values()} == {1}
    assert set.union(*roles.values()) == {"stable", "candidate"}
    assert [json.loads(key) for key in server.logged[0][1].keys] == [{"customer_id": None}] * 2


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([matrix([[1.0, 2.0]])], "holds 2 FP64 values a row, where the model takes 3 features"),
        ([matrix([["a", "b", "c"]], datatype="BYTES")], "BYTES"),
        ([matrix(ROWS), matrix(ROWS, name="again")], "'input-0' and 'again' have more than one value a row"),
        ([matrix(ROWS), {**keys(1, 2), "name": "tax"}], "'tax' is sent twice"),
        ([matrix(ROWS), keys(1)], "tensors differ in rows"),
        ([matrix(ROWS), {**keys(1, 2), "data": [1, None]}], "holds what is no key"),
        ([matrix(ROWS, [3, 2])], "holds 2 FP64 values"),
        ([matrix(ROWS, [2, 4])], r"shape [2, 4] and 6 values"),
        ([matrix(ROWS, [1, 2, 3])], r"shape [1, 2, 3]"),
        ([matrix(ROWS, [0, 3])], r"shape [0, 3]"),
        ([matrix([[1.0, 2.0, 3.0], [1.0]], [2, 3])], "rows of different lengths"),
        ([matrix([[[1.0], [2.0], [3.0]]], [1, 3])], "no FP64"),
    ],
)
def test_a_matrix_that_is_none(server, inputs, words):
    """The error names the tensor."""
    server.serve(requested=WIDE)
    reply = server.post({"inputs": inputs})
    assert reply.status == 400
    assert words in reply.error
    assert server.logged == []


def test_a_model_whose_features_come_from_elsewhere_takes_none(server):
    """The server could not tell which column is which of those that it looks up."""
    server.serve(views=[HISTORY])
    reply = server.post({"inputs": [matrix([[1.0, 2.0]]), keys(7)]})
    assert reply.status == 400
    assert "only where each is a number you send" in reply.error
