"""Health and reflection over gRPC, asked by the clients that grpcio brings for them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from loopline.platform_core.runtime.grpc.health import HEALTH
from loopline.platform_core.runtime.grpc.messages import SERVICE
from loopline.platform_core.runtime.grpc.port import GrpcPort
from loopline.platform_core.runtime.grpc.reflection import REFLECTIONS
from loopline.platform_core.runtime.grpc.service import GrpcService
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.testing.parts.ports import free_port

SERVING, NOT_SERVING, UNKNOWN = (
    getattr(health_pb2.HealthCheckResponse, name) for name in ("SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
)


@pytest.fixture(scope="module")
def channel(running):
    """Connect to a real server."""
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as opened:
        yield opened


def check(channel, service=""):
    """Ask once, as grpc_health_probe and Kubernetes do."""
    asked = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=60).status


@pytest.mark.parametrize("service", ["", SERVICE, "grpc.health.v1.Health"])
def test_the_server_says_that_it_serves(channel, service):
    """As a whole, and by the names of its services."""
    assert check(channel, service) == SERVING


def test_a_service_that_is_not_there(channel):
    """Check refuses; Watch says so and goes on, as the protocol wants it."""
    with pytest.raises(grpc.RpcError) as raised:
        check(channel, "nobody")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=60)
    assert next(watching).status == UNKNOWN
    watching.cancel()


class Own:
    """A port in this process, whose server is ready or not as a test wants it."""

    def __init__(self, server, limits):
        self.ready = False
        self.address = f"127.0.0.1:{free_port()}"
        service = GrpcService(server.inference, Metrics(), lambda: self.ready)
        self._port, self._end = GrpcPort(service, self.address, limits), threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self):
        await self._port.open()
        self._opened.set()
        await asyncio.to_thread(self._end.wait)
        await self._port.close()

    def __enter__(self):
        """Open it."""
        self._thread.start()
        self._opened.wait(60)
        return self

    def __exit__(self, *_):
        """Close it."""
        self._end.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def watch(channel):
    """Begin to watch."""
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=120)


def test_who_watches_is_told_of_changes_and_of_the_end(server):
    """Not ready, ready, and not serving when the server ends, which does not wait for who watches."""
    with Own(server, Limits()) as own, grpc.insecure_channel(own.address) as channel:
        assert check(channel) == NOT_SERVING
        watching = watch(channel)
        assert next(watching).status == NOT_SERVING
        own.ready = True
        assert next(watching).status == SERVING
        own.__exit__()
        assert [one.status for one in watching] == [NOT_SERVING]


def test_watchers_leave_room_for_requests(server):
    """One in four calls that may be underway; who leaves makes room again."""
    with Own(server, Limits(requests=8)) as own, grpc.insecure_channel(own.address) as channel:
        watching = [watch(channel) for _ in range(2)]
        assert [next(one).status for one in watching] == [NOT_SERVING] * 2
        with pytest.raises(grpc.RpcError) as raised:
            next(watch(channel))
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "call Check" in raised.value.details()
        watching[0].cancel()
        assert _comes_in(channel)
        watching[1].cancel()


def _comes_in(channel):
    for _ in range(200):
        with suppress(grpc.RpcError):
            return next(watch(channel)).status == NOT_SERVING
    return False


def test_reflection_tells_all_services_and_messages(channel):
    """By the client that grpcio brings, into a pool that knew nothing: every message and call is there."""
    known = ProtoReflectionDescriptorDatabase(channel)
    assert set(known.get_services()) == {
        SERVICE,
        HEALTH.service,
        *(one.service for one in REFLECTIONS),
    }
    pool = DescriptorPool(known)
    service = pool.FindServiceByName(SERVICE)
    assert {"ServerLive", "ModelInfer", "RepositoryIndex"} <= {method.name for method in service.methods}
    assert service.methods_by_name["ModelInfer"].input_type.fields_by_name["raw_input_contents"].number == 7
    assert pool.FindMessageTypeByName("inference.ModelConfig").fields_by_name["backend"].number == 17
    assert pool.FindMessageTypeByName("grpc.health.v1.HealthCheckResponse").enum_types[0].name == "ServingStatus"
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("inference.Nobody")


def test_our_messages_are_those_of_the_standards():
    """Field by field, as grpcio's own packages have them."""
    from grpc_reflection.v1alpha import reflection_pb2

    for ours, theirs in ((HEALTH, health_pb2), (REFLECTIONS[1], reflection_pb2)):
        for message in ours.file.message_type:
            there = theirs.DESCRIPTOR.message_types_by_name[message.name]
            mine = ours.message(message.name).DESCRIPTOR
            assert {_field(one) for one in mine.fields} <= {_field(one) for one in there.fields}, message.name
            assert len(mine.fields) == len(there.fields)
            assert list(mine.oneofs_by_name) == list(there.oneofs_by_name)


def _field(field):
    kind = field.message_type and field.message_type.full_name
    return field.name, field.number, field.type, field.is_repeated, kind


def test_what_reflection_does_not_know(channel):
    """The answer says what is wrong, and the stream goes on."""
    own = REFLECTIONS[0]
    asks, answers = own.message("ServerReflectionRequest"), own.message("ServerReflectionResponse")
    call = channel.stream_stream(f"/{own.service}/ServerReflectionInfo", asks.SerializeToString, answers.FromString)
    sent = [asks(file_by_filename="nobody.proto"), asks(), asks(file_containing_symbol=f"{SERVICE}.ModelInfer")]
    told = list(call(iter(sent), timeout=60))
    assert [one.error_response.error_code for one in told] == [5, 12, 0]
    assert told[2].file_descriptor_response.file_descriptor_proto
    assert told[0].original_request == sent[0]
