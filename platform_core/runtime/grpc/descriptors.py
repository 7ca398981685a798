"""Protobuf message classes built at run time from a table of names and numbers, without generated code.

Each service has a descriptor pool of its own: tritonclient, kserve and grpcio's packages register the same names in the
default pool, and a process that held one of them could not load another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field: Any = descriptor_pb2.FieldDescriptorProto


class Method(NamedTuple):
    """A call of a service: its messages, and which side sends many."""

    asks: str
    answers: str
    many_asks: bool = False
    many_answers: bool = False


class Messages:
    """The messages and the service of one file.

    ``table`` gives each message its fields as ``name:type``, numbered from 1 on unless ``@number`` follows; ``[]`` is
    repeated, ``{}`` a map from text. ``one_of`` says which fields of a message exclude each other, ``enums`` the names
    of values from 0 on. A message or enum inside another has the other's name before a dot, and stands behind it.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the file
        self,
        package: str,
        table: Mapping[str, str],
        *,
        service: str,
        methods: Mapping[str, Method],
        enums: Mapping[str, Sequence[str]] | None = None,
        one_of: Mapping[str, tuple[str, Sequence[str]]] | None = None,
    ) -> None:
        self.package, self.service = package, f"{package}.{service}"
        self._enums, self._one_of = enums or {}, one_of or {}
        self.file = descriptor_pb2.FileDescriptorProto(
            name=f"loopline/{package}.proto", package=package, syntax="proto3"
        )
        self._made: dict[str, Any] = {}
        for name, fields in table.items():
            self._message(name, fields)
        for name, values in self._enums.items():
            outer, _, inner = name.rpartition(".")
            of = (self._made[outer] if outer else self.file).enum_type.add(name=inner)
            for number, value in enumerate(values):
                of.value.add(name=value, number=number)
        self._service(service, methods)
        self.pool = descriptor_pool.DescriptorPool()
        self.pool.Add(self.file)

    def message(self, name: str) -> Any:
        """Return a message's class, such as ``ModelInferRequest``."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{self.package}.{name}"))

    def _message(self, name: str, fields: str) -> None:
        outer, _, inner = name.rpartition(".")
        made = (self._made[outer].nested_type if outer else self.file.message_type).add(name=inner)
        self._made[name] = made
        choice, chosen = self._one_of.get(name, ("", ()))
        if choice:
            made.oneof_decl.add(name=choice)
        for place, written in enumerate(fields.split(), 1):
            field, _, number = written.partition("@")
            added = self._field(made, name, int(number or place), field)
            if added.name in chosen:
                added.oneof_index = 0

    def _field(self, to: Any, owner: str, number: int, written: str) -> Any:
        name, _, kind = written.partition(":")
        label = _Field.LABEL_OPTIONAL if kind[-1] not in "]}" else _Field.LABEL_REPEATED
        field = to.field.add(name=name, number=number, label=label)
        if kind.endswith("{}"):
            self._type(field, self._entry(to, owner, name, kind[:-2]))
        else:
            self._type(field, kind.removesuffix("[]"))
        return field

    def _entry(self, to: Any, owner: str, name: str, kind: str) -> str:
        """Make the message that a map's entries are, as protobuf wants it."""
        entry = to.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        for number, (part, its) in enumerate((("key", "string"), ("value", kind)), 1):
            self._type(entry.field.add(name=part, number=number, label=_Field.LABEL_OPTIONAL), its)
        return f"{owner}.{entry.name}"

    def _type(self, field: Any, kind: str) -> None:
        if kind[0].isupper():
            field.type = _Field.TYPE_ENUM if kind in self._enums else _Field.TYPE_MESSAGE
            field.type_name = f".{self.package}.{kind}"
        else:
            field.type = getattr(_Field, f"TYPE_{kind.upper()}")

    def _service(self, name: str, methods: Mapping[str, Method]) -> None:
        service = self.file.service.add(name=name)
        for called, method in methods.items():
            service.method.add(
                name=called,
                input_type=f".{self.package}.{method.asks}",
                output_type=f".{self.package}.{method.answers}",
                client_streaming=method.many_asks,
                server_streaming=method.many_answers,
            )
