"""The cluster's names: answers for Services and nothing else, ``python -m scripts.cluster.names FOLDER IDENT``.

A UDP server on the node that asks the API server for each question, since what is asked here is little.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from ipaddress import IPv4Address
from pathlib import Path

from scripts.cluster.control_plane import Api
from scripts.cluster.settings import NAMES_ADDRESS, Place

PORT = 53
DOMAIN = ["svc", "cluster", "local"]
_HEADER = struct.Struct(">6H")
_IS_ANSWER, _NO_SUCH_NAME = 0x8580, 3
_A, _IN, _TTL_SECONDS, _POINTER = 1, 1, 2, 0xC00C


def address(api: Api, labels: list[str]) -> IPv4Address | None:
    """Return the address of a Service by its whole name; None: there is none such."""
    if labels[2:] != DOMAIN:
        return None
    text = api.get(f"/api/v1/namespaces/{labels[1]}/services/{labels[0]}")
    found = json.loads(text)["spec"].get("clusterIP", "None") if text else "None"
    return None if found == "None" else IPv4Address(found)


def answer(api: Api, query: bytes) -> bytes:
    """Answer one question; of a Service's name everything but its IPv4 address is said to be nothing."""
    number, _, _, _, _, _ = _HEADER.unpack_from(query)
    labels, at = [], _HEADER.size
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    question = query[_HEADER.size : at + 5]
    kind = struct.unpack_from(">H", query, at + 1)[0]
    found = address(api, labels)
    records = b""
    if found and kind == _A:
        records = struct.pack(">HHHIH", _POINTER, _A, _IN, _TTL_SECONDS, 4) + found.packed
    flags = _IS_ANSWER | (0 if found else _NO_SUCH_NAME)
    return _HEADER.pack(number, flags, 1, 1 if records else 0, 0, 0) + question + records


def main(folder: str, ident: str) -> None:
    """Answer for ever."""
    api = Api(Place(Path(folder), ident))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAMES_ADDRESS, PORT))
    while True:
        query, asker = server.recvfrom(512)
        try:
            server.sendto(answer(api, query), asker)
        except (OSError, ValueError, IndexError, struct.error) as error:
            print(f"no answer to {query!r}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
