"""Protobuf messages of the Open Inference Protocol V2 over gRPC, and of Triton's extensions.

Names and numbers: Open Inference Protocol V2, "gRPC", and Triton's extensions; a test holds them to tritonclient's.
What a message of Triton's has beside the fields here, we neither read nor tell.
"""

from __future__ import annotations

from typing import Any

from loopline.platform_core.runtime.grpc.descriptors import Messages, Method

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
PROTOCOL = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
TRITON = ("ModelConfig", "ModelStatistics", "RepositoryIndex")
"""Triton's own calls that are answered."""
METHODS = (*PROTOCOL, *TRITON)

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
    "RepositoryIndexRequest": "repository_name:string ready:bool",
    "RepositoryIndexResponse": "models:RepositoryIndexResponse.ModelIndex[]",
    "RepositoryIndexResponse.ModelIndex": f"{_NAMED} state:string reason:string",
    "ModelConfigRequest": _NAMED,
    "ModelConfigResponse": "config:ModelConfig",
    "ModelConfig": (
        "name:string@1 platform:string@2 max_batch_size:int32@4 input:ModelInput[]@5 output:ModelOutput[]@6 "
        "dynamic_batching:ModelDynamicBatching@11 parameters:ModelParameter{}@14 backend:string@17"
    ),
    "ModelInput": "name:string@1 data_type:DataType@2 dims:int64[]@4",
    "ModelOutput": "name:string@1 data_type:DataType@2 dims:int64[]@3",
    "ModelDynamicBatching": "",
    "ModelParameter": "string_value:string",
    "ModelStatisticsRequest": _NAMED,
    "ModelStatisticsResponse": "model_stats:ModelStatistics[]",
    "ModelStatistics": (
        f"{_NAMED} last_inference:uint64 inference_count:uint64 execution_count:uint64 inference_stats:InferStatistics"
    ),
    "InferStatistics": (
        "success:StatisticDuration fail:StatisticDuration queue:StatisticDuration compute_input:StatisticDuration "
        "compute_infer:StatisticDuration compute_output:StatisticDuration"
    ),
    "StatisticDuration": "count:uint64 ns:uint64",
}
"""In the form that ``Messages`` reads."""
_ENUMS = {
    "DataType": tuple(
        f"TYPE_{name}"
        for name in (
            *("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
            *("FP16", "FP32", "FP64", "STRING", "BF16"),
        )
    )
}
_CHOICES = ("bool_param", "int64_param", "string_param", "double_param", "uint64_param")
INFERENCE = Messages(
    PACKAGE,
    _MESSAGES,
    service="GRPCInferenceService",
    methods={name: Method(f"{name}Request", f"{name}Response") for name in METHODS},
    enums=_ENUMS,
    one_of={"InferParameter": ("parameter_choice", _CHOICES)},
)


def message(name: str) -> Any:
    """Return a message's class, such as ``ModelInferRequest``."""
    return INFERENCE.message(name)
