"""gRPC reflection service (``grpc.reflection``): lists services and messages for tools such as grpcurl."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import grpc

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.runtime.grpc.descriptors import Messages, Method
from loopline.platform_core.runtime.grpc.errors import abort

_NAME = "ServerReflectionInfo"
_NOT_FOUND, _UNIMPLEMENTED = 5, 12
_ASKS, _ANSWERS = "ServerReflectionRequest", "ServerReflectionResponse"
_TABLE = {
    _ASKS: (
        "host:string file_by_filename:string@3 file_containing_symbol:string@4 "
        "file_containing_extension:ExtensionRequest@5 all_extension_numbers_of_type:string@6 list_services:string@7"
    ),
    "ExtensionRequest": "containing_type:string extension_number:int32",
    _ANSWERS: (
        f"valid_host:string original_request:{_ASKS} file_descriptor_response:FileDescriptorResponse@4 "
        "all_extension_numbers_response:ExtensionNumberResponse@5 list_services_response:ListServiceResponse@6 "
        "error_response:ErrorResponse@7"
    ),
    "FileDescriptorResponse": "file_descriptor_proto:bytes[]",
    "ExtensionNumberResponse": "base_type_name:string extension_number:int32[]",
    "ListServiceResponse": "service:ServiceResponse[]",
    "ServiceResponse": "name:string",
    "ErrorResponse": "error_code:int32 error_message:string",
}
_CHOICES = {
    _ASKS: (
        "message_request",
        (
            "file_by_filename",
            "file_containing_symbol",
            "file_containing_extension",
            "all_extension_numbers_of_type",
            "list_services",
        ),
    ),
    _ANSWERS: (
        "message_response",
        (
            "file_descriptor_response",
            "all_extension_numbers_response",
            "list_services_response",
            "error_response",
        ),
    ),
}
REFLECTIONS = tuple(
    Messages(
        f"grpc.reflection.{version}",
        _TABLE,
        service="ServerReflection",
        methods={_NAME: Method(_ASKS, _ANSWERS, many_asks=True, many_answers=True)},
        one_of=_CHOICES,
    )
    for version in ("v1", "v1alpha")
)
"""The same messages under the newer and the older name; tools ask by either."""
Enter = Callable[[str, grpc.aio.ServicerContext], Awaitable[None]]


class Reflection:
    """Tells of the files of ``known`` and of its own; who may not ``enter`` is refused."""

    def __init__(self, enter: Enter, known: Sequence[Messages]) -> None:
        self._enter = enter
        self._known = (*known, *REFLECTIONS)

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Return what a gRPC server answers by, under both names."""
        return [self._under(own) for own in REFLECTIONS]

    def _under(self, own: Messages) -> grpc.GenericRpcHandler:
        answer = own.message(_ANSWERS)

        async def info(asked: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            try:
                await self._enter(_NAME, context)
            except LooplineError as error:
                await abort(context, error)
            async for one in asked:
                yield answer(valid_host=one.host, original_request=one, **self._response_fields(one))

        how = own.message(_ASKS).FromString, answer.SerializeToString
        return grpc.method_handlers_generic_handler(
            own.service, {_NAME: grpc.stream_stream_rpc_method_handler(info, *how)}
        )

    def _response_fields(self, asked: Any) -> dict[str, Any]:
        """Return the fields of an answer."""
        match asked.WhichOneof("message_request"):
            case "list_services":
                return {"list_services_response": {"service": [{"name": one.service} for one in self._known]}}
            case "file_by_filename":
                return self._file(one for one in self._known if one.file.name == asked.file_by_filename)
            case "file_containing_symbol":
                return self._file(one for one in self._known if _has(one, asked.file_containing_symbol))
            case "all_extension_numbers_of_type":
                return {"all_extension_numbers_response": {"base_type_name": asked.all_extension_numbers_of_type}}
            case "file_containing_extension":
                return _error(_NOT_FOUND, "no message is extended")
        return _error(_UNIMPLEMENTED, "the request asks for nothing that is known")

    def _file(self, found: Iterator[Messages]) -> dict[str, Any]:
        one = next(found, None)
        if one is None:
            return _error(_NOT_FOUND, "no file or symbol of that name → list the services first")
        return {"file_descriptor_response": {"file_descriptor_proto": [one.file.SerializeToString()]}}


def _error(code: int, said: str) -> dict[str, Any]:
    return {"error_response": {"error_code": code, "error_message": said}}


def _has(messages: Messages, symbol: str) -> bool:
    """Say whether a file declares a message, enum, service, method or field."""
    for kind in ("MessageType", "EnumType", "Service", "Method", "Field"):
        try:
            getattr(messages.pool, f"Find{kind}ByName")(symbol)
        except KeyError:
            continue
        return True
    return False
