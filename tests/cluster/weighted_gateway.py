"""A gateway of the tests in a pod: sends each request of a host to one of the addresses behind it, by weight.

``PUT /-/routes`` says where: ``{host: [["address:port", weight], ...]}``. One request a connection.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

ROUTES: dict[str, list[tuple[str, int]]] = {}
TRIES = 5


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if lines[0].startswith("PUT /-/routes "):
            ROUTES.clear()
            ROUTES.update(json.loads(body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(await passed_on(headers["host"], whole(lines, body)))
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def whole(lines: list[str], body: bytes) -> bytes:
    """Return the request with a connection of its own."""
    kept = [line for line in lines if line and not line.lower().startswith("connection:")]
    return "\r\n".join([*kept, "Connection: close", "", ""]).encode("latin-1") + body


async def passed_on(host: str, request: bytes) -> bytes:
    """Ask one of the addresses behind a host; one that takes no connection has seen nothing, so another is asked."""
    behind = [(address, weight) for address, weight in ROUTES.get(host, []) if weight]
    for _ in range(TRIES):
        if not behind:
            break
        address = random.choices([one for one, _ in behind], [weight for _, weight in behind])[0]
        try:
            reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()
    return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def main(port: int) -> None:
    """Serve for ever."""
    async with await asyncio.start_server(serve, "0.0.0.0", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
