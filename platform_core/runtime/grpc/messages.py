"""Messages of the Open Inference Protocol V2 over gRPC, built without generated code.

They live in a descriptor pool of their own: tritonclient and kserve each register the same names in the default pool,
and a process that held one of them could not load another. Names and numbers: Open Inference Protocol V2, "gRPC"; a
test compares them with tritonclient's.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")

_NAMED = "name:string version:string"
_PARAMETERS = "parameters:InferParameter{}"
_MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live:bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready:bool",
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": "ready:bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": f"{_NAMED} extensions:string[]",
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse": (
        "name:string versions:string[] platform:string inputs:ModelMetadataResponse.TensorMetadata[] "
        "outputs:ModelMetadataResponse.TensorMetadata[]"
    ),
    "ModelMetadataResponse.TensorMetadata": "name:string datatype:string shape:int64[]",
    "InferParameter": "bool_param:bool int64_param:int64 string_param:string double_param:double uint64_param:uint64",
    "InferTensorContents": (
        "bool_contents:bool[] int_contents:int32[] int64_contents:int64[] uint_contents:uint32[] "
        "uint64_contents:uint64[] fp32_contents:float[] fp64_contents:double[] bytes_contents:bytes[]"
    ),
    "ModelInferRequest": (
        f"model_name:string model_version:string id:string {_PARAMETERS} inputs:ModelInferRequest.InferInputTensor[] "
        "outputs:ModelInferRequest.InferRequestedOutputTensor[] raw_input_contents:bytes[]"
    ),
    "ModelInferRequest.InferInputTensor": (
        f"name:string datatype:string shape:int64[] {_PARAMETERS} contents:InferTensorContents"
    ),
    "ModelInferRequest.InferRequestedOutputTensor": f"name:string {_PARAMETERS}",
    "ModelInferResponse": (
        f"model_name:string model_version:string id:string {_PARAMETERS} "
        "outputs:ModelInferResponse.InferOutputTensor[] raw_output_contents:bytes[]"
    ),
    "ModelInferResponse.InferOutputTensor": (
        f"name:string datatype:string shape:int64[] {_PARAMETERS} contents:InferTensorContents"
    ),
}
"""Fields in the order of their numbers, from 1 on; ``[]`` is repeated, ``{}`` a map from text."""
_ONE_OF = {"InferParameter": "parameter_choice"}
_Field: Any = descriptor_pb2.FieldDescriptorProto


def message(name: str) -> Any:
    """Return a message's class, such as ``ModelInferRequest``."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="open_inference_v2.proto", package=PACKAGE, syntax="proto3")
    made: dict[str, Any] = {}
    for name, fields in _MESSAGES.items():
        outer, _, inner = name.rpartition(".")
        made[name] = (made[outer].nested_type if outer else file.message_type).add(name=inner)
        if name in _ONE_OF:
            made[name].oneof_decl.add(name=_ONE_OF[name])
        for number, written in enumerate(fields.split(), 1):
            _add(made[name], name, number, written)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add(to: Any, owner: str, number: int, written: str) -> None:
    name, _, kind = written.partition(":")
    label = _Field.LABEL_OPTIONAL if kind[-1] not in "]}" else _Field.LABEL_REPEATED
    field = to.field.add(name=name, number=number, label=label)
    if kind.endswith("{}"):
        _type(field, _entry(to, owner, name, kind[:-2]))
    else:
        _type(field, kind.removesuffix("[]"))
    if owner in _ONE_OF:
        field.oneof_index = 0


def _entry(to: Any, owner: str, name: str, kind: str) -> str:
    """Make the message that a map's entries are, as protobuf wants it."""
    entry = to.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (part, its) in enumerate((("key", "string"), ("value", kind)), 1):
        _type(entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL), its)
    return f"{owner}.{entry.name}"


def _type(field: Any, kind: str) -> None:
    if kind[0].isupper():
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")


_POOL = _pool()
