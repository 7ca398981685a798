"""Every call that KServe's clients have for a V2 server; run in KServe's own environment, with both ports and a model.

Prints a JSON object: what each call gave, or the error's words.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

KEYS = np.array(["a", "é"], dtype=object)
AMOUNTS = {
    "FP64": np.array([0.25, 0.75]),
    "FP32": np.array([0.25, 0.75], "f4"),
    "FP16": np.array([0.25, 0.75], "f2"),
    "INT64": np.array([0, 1]),
    "UINT8": np.array([0, 1], "u1"),
    "BOOL": np.array([False, True]),
}


def request(model, binary=True, datatype="FP64", **more):
    """Make a request of two rows."""
    keys, amounts = InferInput("customer_id", [2], "BYTES"), InferInput("amount", [2], datatype)
    keys.set_data_from_numpy(KEYS, binary_data=binary)
    amounts.set_data_from_numpy(AMOUNTS[datatype], binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[keys, amounts], request_id="r1", **more)


def matrix(model):
    """Make a request of one tensor, as users of scikit-learn do."""
    both = InferInput("input-0", [2, 2], "FP32")
    both.set_data_from_numpy(np.array([[0.25, 9.0], [0.75, 9.0]], "f4"), binary_data=False)
    return InferRequest(model_name=model, infer_inputs=[both])


def told(answer):
    """Write an answer so that it can be compared."""
    outputs = {output.name: output.as_numpy().tolist() for output in answer.outputs}
    return {"id": answer.id, "model": answer.model_name, "version": answer.model_version, **outputs}


async def over_rest(url, model, wide):
    """Give each call by name."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=10))

    async def infer(asked, named=model, **more):
        return told(await client.infer(url, asked, model_name=named, **more))

    yield "live", client.is_server_live(url)
    yield "ready", client.is_server_ready(url)
    yield "model ready", client.is_model_ready(url, model)
    yield "nobody ready", client.is_model_ready(url, "nobody")
    yield "json", infer(request(model, binary=False))
    yield "dictionary", infer(request(model, binary=False).to_rest()[0])
    yield "binary", infer(request(model))
    yield "binary both ways", infer(request(model, parameters={"binary_data_output": True}))
    yield "headers", infer(request(model), headers={"x-tenant": "a", "accept-encoding": "gzip"}, timeout=5)
    yield "matrix", infer(matrix(wide), wide)
    for datatype in AMOUNTS:
        yield f"{datatype}", infer(request(model, datatype=datatype))
    yield "nobody", infer(request("nobody"), "nobody")
    yield "no event time", infer(request(model, parameters={"event_time": "noon"}))


async def over_grpc(address, model, wide):
    """Give each call by name."""
    client = InferenceGRPCClient(address, retries=2, timeout=10)

    async def infer(asked, **more):
        return told(await client.infer(asked, **more))

    yield "live", client.is_server_live()
    yield "ready", client.is_server_ready()
    yield "model ready", client.is_model_ready(model)
    yield "nobody ready", client.is_model_ready("nobody")
    yield "typed", infer(request(model, binary=False))
    yield "raw", infer(request(model))
    yield "headers", infer(request(model), headers=(("x-tenant", "a"),), timeout=5)
    yield "matrix", infer(matrix(wide))
    for datatype in AMOUNTS:
        yield f"{datatype}", infer(request(model, datatype=datatype))
    yield "nobody", infer(request("nobody"))
    yield "no event time", infer(request(model, parameters={"event_time": "noon"}))


async def main(port, grpc_port, model, wide):
    """Make every call, one after another."""
    logging.disable(logging.CRITICAL)
    found = {}
    for name, calls in (
        ("rest", over_rest(f"http://127.0.0.1:{port}", model, wide)),
        ("grpc", over_grpc(f"127.0.0.1:{grpc_port}", model, wide)),
    ):
        found[name] = {}
        async for call, asked in calls:
            try:
                found[name][call] = await asked
            except Exception as error:  # noqa: BLE001 - the words are what is compared
                found[name][call] = str(error)
    sys.stdout.write(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
