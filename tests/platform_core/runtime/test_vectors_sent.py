"""Vectors as a request brings them: a tensor of shape [n, k] by the feature's name, over HTTP, gRPC and streams."""

from __future__ import annotations

import json
import struct

import pytest

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.runtime.answering.recipe import Recipe
from loopline.platform_core.runtime.grpc import codec
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.scoring import stream_records
from loopline.platform_core.testing.parts.model_packages import Column, Constant, write_package

MODEL = "retail.cancellations"
VECTORS = {"taste": 2, "place": 3, "mood": 1}
"""The matrix: amount, taste.0, taste.1, place.0 to place.2, mood.0."""
TASTE, PLACE = [[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6, 0.7], [0.8, 0.9, 1.0]]
MATRIX = [[0.25, 0.1, 0.2, 0.5, 0.6, 0.7, 0.01], [0.75, 0.3, 0.4, 0.8, 0.9, 1.0, 0.02]]


def tensor(name, data, shape=None, datatype="FP64"):
    """Make a tensor."""
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


def whole(**other):
    """Make a request of two rows with each tensor, but for those given in another way."""
    tensors = {
        "customer_id": tensor("customer_id", [7, 8], datatype="INT64"),
        "amount": tensor("amount", [0.25, 0.75]),
        "taste": tensor("taste", TASTE, [2, 2]),
        "place": tensor("place", [value for row in PLACE for value in row], [2, 3]),
        "mood": tensor("mood", [0.01, 0.02], [2, 1]),
    }
    return {"inputs": [each for each in {**tensors, **other}.values() if each]}


@pytest.mark.parametrize("position", range(7))
def test_each_number_lands_in_its_column(server, position):
    """Several vectors in one request, one of them of a single number; the log keeps them as lists."""
    server.serve(Column(position), vectors=VECTORS)
    assert server.post(whole()).json["outputs"][0]["data"] == [row[position] for row in MATRIX]
    logged = json.loads(server.logged[0][1].features[1])
    assert logged == {"amount": 0.75, "taste": [0.3, 0.4], "place": [0.8, 0.9, 1.0], "mood": [0.02]}


def test_a_vector_that_lacks_a_number_is_missing(server):
    """Null within it, and null throughout."""
    server.serve(Constant(0.5), vectors=VECTORS)
    server.post(whole(taste=tensor("taste", [0.1, None, None, None], [2, 2]), mood=tensor("mood", [None, 0.1])))
    first, second = map(json.loads, server.logged[0][1].features)
    assert (first["taste"], second["taste"], first["mood"], second["mood"]) == (None, None, None, [0.1])


def test_the_metadata_say_how_wide(server):
    """As a client reads it who builds the tensors from it."""
    server.serve(vectors=VECTORS)
    shapes = {each["name"]: each["shape"] for each in server.ask("GET", f"/v2/models/{MODEL}").json["inputs"]}
    assert shapes == {"customer_id": [-1], "amount": [-1], "taste": [-1, 2], "place": [-1, 3], "mood": [-1, 1]}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"taste": tensor("taste", [0.1, 0.2])}, "other than 2 numbers a row"),
        ({"taste": tensor("taste", [0.1] * 6, [2, 3])}, "'taste' holds 3 FP64 values a row, where the vector has 2"),
        ({"taste": tensor("taste", ["a"] * 4, [2, 2], "BYTES")}, "'taste' holds 2 BYTES values"),
        ({"mood": tensor("mood", ["a", "b"], datatype="BYTES")}, "text and numbers are mixed up in mood"),
        ({"again": tensor("taste", TASTE, [2, 2])}, "'taste' is sent twice"),
        ({"taste": None}, "tensors are missing: taste"),
        ({"taste": None, "x": tensor("x", TASTE, [2, 2])}, "takes 4 features"),
        ({"amount": tensor("amount", TASTE, [2, 2])}, "takes 4 features"),
        ({"x": tensor("x", TASTE, [2, 2]), "y": tensor("y", TASTE, [2, 2])}, "more than one value a row"),
        ({"place": tensor("place", PLACE[:1], [1, 3])}, "tensors differ in rows"),
    ],
)
def test_what_is_no_vector_is_refused(server, other, words):
    """The error names the tensor, and nothing is logged."""
    server.serve(vectors=VECTORS)
    reply = server.post(whole(**other))
    assert (reply.status, server.logged) == (400, [])
    assert words in reply.error


@pytest.fixture
def recipe(tmp_path):
    """Make the recipe of a model that takes vectors."""
    return Recipe(manifests.load(write_package(tmp_path / "package", Constant(0.5), vectors=VECTORS)))


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
def test_grpc_reads_them_too(recipe, raw):
    """The same values, whether their contents are typed or bytes."""
    pytest.importorskip("google.protobuf")
    from loopline.platform_core.runtime.grpc.messages import message

    asked, fields = [], {"INT64": "int64_contents", "FP64": "fp64_contents"}
    contents = []
    for each in whole()["inputs"]:
        flat = [value for row in each["data"] for value in (row if isinstance(row, list) else [row])]
        contents.append(struct.pack(f"<{len(flat)}{'q' if each['datatype'] == 'INT64' else 'd'}", *flat))
        typed = {} if raw else {"contents": {fields[each["datatype"]]: flat}}
        asked.append({"name": each["name"], "shape": each["shape"], "datatype": each["datatype"], **typed})
    request = codec.decode(message("ModelInferRequest")(inputs=asked, raw_input_contents=contents if raw else []))
    rows = recipe.gather(recipe.checked(request), [], 0).rows
    assert recipe.matrix(rows).tolist() == MATRIX


def test_records_of_a_stream_bring_lists(recipe):
    """A list of the vector's length, or null; a list for a number is refused by name."""

    def asked(**features):
        given = {"amount": 0.25, "taste": TASTE[0], "place": PLACE[0], "mood": [0.01], **features}
        record = stream_records.parsed(json.dumps({"entities": {"customer_id": 7}, "features": given}).encode())
        request = recipe.checked(stream_records.as_request(record, "r1", recipe))
        return recipe.matrix(recipe.gather(request, [], 0).rows).tolist()

    assert asked() == asked(mood=0.01) == MATRIX[:1]
    assert str(asked(taste=None)[0][1:3]) == "[nan, nan]"
    for wrong, words in (
        ({"taste": [0.1]}, "taste"),
        ({"amount": [0.1]}, "amount: a list"),
        ({"taste": ["a", 0.1]}, "taste: text and numbers"),
    ):
        with pytest.raises(BadRequest, match=words):
            asked(**wrong)
