"""An error over gRPC has its own code and both its words, however long what it speaks of."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from loopline.platform_core.runtime.answering.inference import ModelState
from loopline.platform_core.runtime.metrics import Metrics
from tests.platform_core.runtime.conftest import MODEL, ask_port

grpc = pytest.importorskip("grpc")
LONGEST = 4_100


def refused(inference, **fields):
    """Ask a model over a socket; gives the error."""
    from loopline.platform_core.runtime.grpc.messages import message
    from loopline.platform_core.runtime.grpc.service import GrpcService

    service = GrpcService(inference, Metrics(), lambda: True)
    return asyncio.run(ask_port(service, message("ModelInferRequest")(**fields)))


def tensors(names):
    """Write inputs of one value each."""
    return [{"name": name, "shape": [1], "datatype": "FP64", "contents": {"fp64_contents": [1.0]}} for name in names]


def test_a_model_that_there_is_not_among_a_thousand(server):
    """NOT_FOUND, with no word of the others."""
    server.inference.models.update({f"team{n % 50:02}.churn_model_{n:04}": ModelState() for n in range(1_000)})
    error = refused(server.inference, model_name="team01.nope")
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "'team01.nope' is served → check its name" in error.details()
    assert "churn" not in error.details()


@pytest.mark.parametrize("letter", ["a", "%", "é", "漢", "🙂"])
def test_a_long_list_of_tensors_is_cut(server, letter):
    """The code stays, and so does what to do: a letter that gRPC writes longer leaves room for fewer."""
    server.serve(requested=["amount"])
    names = [f"{letter * 40}{n}" for n in range(1_000)]
    error = refused(server.inference, model_name=MODEL, inputs=tensors(names))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    problem, fix = error.details().split(" → ")
    assert problem.startswith(f"the model takes no tensor {letter * 40}")
    assert problem.endswith(" …")
    assert "amount" in fix
    assert len(quote(error.details(), safe=" ,!\"#$&'()*+/:;<=>?@[\\]^`{|}")) <= LONGEST


def test_a_long_name_is_cut(server):
    """A name of a hundred thousand letters is nobody's either."""
    error = refused(server.inference, model_name="x" * 100_000)
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert len(error.details()) <= LONGEST


def test_what_is_short_is_told_whole(server):
    """Nothing is cut that fits."""
    server.serve(requested=["amount"])
    error = refused(server.inference, model_name=MODEL, inputs=tensors(["größe"]))
    assert error.details().startswith("the model takes no tensor größe → ")
    assert "…" not in error.details()
