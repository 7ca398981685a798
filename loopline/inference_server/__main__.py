"""Run the inference server: ``python -m loopline.inference_server --environment FILE [--workers N]``."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from loopline.platform_core.environment import FILE, environment_file
from loopline.platform_core.errors import InvalidEnvironment, LooplineError


def main() -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.inference_server", description=__doc__)
    parser.add_argument("--environment", type=Path, default=environment_file(), help="environment file")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    given = parser.parse_args()
    os.environ[FILE] = str(given.environment.absolute())  # workers read it again
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of libraries fight over the cores that workers use
    try:
        return _serve(given.workers)
    except LooplineError as error:
        print(f"{error.problem}\n→ {error.fix}", file=sys.stderr)  # noqa: T201 - a command speaks to its user
        return 2


def _serve(workers: int) -> int:
    import uvicorn

    from loopline.inference_server.server import settings

    chosen = settings()  # a mistake is found here, and not by workers that die one after another
    chosen.store.close()
    if chosen.grpc_port is not None:
        _check_free(chosen.host, chosen.grpc_port)
    uvicorn.run(
        "loopline.inference_server.server:create",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=workers,
        loop="uvloop",
        http="loopline.platform_core.runtime.fast_path.connections:Connection",
        ws="none",
        access_log=False,
        proxy_headers=False,  # nobody asks for the caller's address, so nobody need work it out for each request
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=chosen.limits.idle_seconds,  # one that is closed under a request fails it
        timeout_graceful_shutdown=10,
        **(chosen.tls.for_uvicorn() if chosen.tls else {}),
    )
    return 0


def _check_free(host: str, port: int) -> None:
    """Refuse a gRPC port on which somebody else listens: workers share theirs, and would share it with him too."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise InvalidEnvironment(
                f"serving.grpc_port: {host}:{port} cannot be listened on: {error}",
                "choose another port, or stop whoever has it",
            ) from error


if __name__ == "__main__":
    sys.exit(main())
