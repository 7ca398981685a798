"""A gateway of the tests in a pod: sends each request of a host, or of a path, to one of the addresses behind it.

``PUT /-/routes`` says where: ``{host or /path: [["address:port", weight], ...]}``. Connections of callers are kept.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

ROUTES: dict[str, list[tuple[str, int]]] = {}
TRIES = 5
NOBODY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request after the other."""
    try:
        while await answered(reader, writer):
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request, and say whether another one may follow."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    if lines[0].startswith("PUT /-/routes "):
        ROUTES.clear()
        ROUTES.update(json.loads(body))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    else:
        writer.write(kept(await passed_on(behind(headers["host"], lines[0].split(" ")[1]), whole(lines, body))))
    return headers.get("connection", "").lower() != "close"


def behind(host: str, path: str) -> list[tuple[str, int]]:
    """Return the addresses behind a host, else behind the beginning of a path."""
    found = ROUTES.get(host) or next((to for begin, to in ROUTES.items() if path.startswith(f"{begin}/")), [])
    return [(address, weight) for address, weight in found if weight]


def whole(lines: list[str], body: bytes) -> bytes:
    """Return the request with a connection of its own."""
    said = [line for line in lines if line and not line.lower().startswith("connection:")]
    return "\r\n".join([*said, "Connection: close", "", ""]).encode("latin-1") + body


def kept(answer: bytes) -> bytes:
    """Return the answer without what it says of its own connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def passed_on(found: list[tuple[str, int]], request: bytes) -> bytes:
    """Ask one of the addresses; where no answer begins another is asked, as gateways do for what may be asked twice."""
    for _ in range(TRIES):
        if not found:
            break
        address = random.choices([one for one, _ in found], [weight for _, weight in found])[0]
        found = [one for one in found if one[0] != address] or found
        try:
            reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
        except OSError:
            await asyncio.sleep(0.1)  # a pod that comes up is asked again soon
            continue
        try:
            writer.write(request)
            if answer := await reader.read():
                return answer
        except OSError:
            continue
        finally:
            writer.close()
    return NOBODY


async def main(port: int) -> None:
    """Serve for ever."""
    async with await asyncio.start_server(serve, "0.0.0.0", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
