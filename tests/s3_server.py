"""A real S3 server that checks who asks: SeaweedFS, on ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from loopline.platform_core.testing.parts.ports import free_ports
from tests.hanging import hang

KEY, SECRET, BUCKET = "tests", "tests-secret", "loopline"
VARIABLE = "TESTS_S3"
"""The variable in which a process finds the key's secret, which an environment file must not hold."""
START_SECONDS = 120
STARTS, TAKEN = 3, "address already in use"
ROLES = ("master", "volume", "filer", "s3")


class S3Server:
    """One process that keeps objects below a folder, in so many volumes of 64 MB at most; by ``iam`` users are made."""

    def __init__(self, folder: Path, volumes: int = 100, *, iam: bool = False) -> None:
        self.folder, self._volumes, self._iam = folder, volumes, iam
        self.choose()

    def choose(self) -> None:
        """Choose ports."""
        ports = free_ports(2 * len(ROLES))
        self._ports = dict(zip(ROLES, ports, strict=False))
        self._rpc = dict(zip(ROLES, ports[len(ROLES) :], strict=True))
        self.url = f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def options_in_file(self) -> dict[str, str]:
        """Return the same as an environment file says it to a process that inherits this one's variables."""
        os.environ[VARIABLE] = SECRET
        return {**self.options, "aws_secret_access_key": f"${{{VARIABLE}}}"}

    @property
    def options(self) -> dict[str, str]:
        """Return what a client of object stores is told."""
        return self.options_at(self.url)

    def options_at(self, url: str, secret: str = SECRET) -> dict[str, str]:
        """Return options that lead over another URL, or with another secret."""
        return {
            "aws_endpoint": url,
            "aws_access_key_id": KEY,
            "aws_secret_access_key": secret,
            "aws_region": "us-east-1",
        }

    def wrong_secret(self) -> dict[str, str]:
        """Return options with a secret of somebody else's."""
        return self.options_at(self.url, "wrong")

    def start(self) -> None:
        """Start it and wait until it takes an object; where another took a port of it first, ``url`` is another one."""
        start_on_free_ports(self)

    def start_once(self) -> None:
        """Start it on these ports."""
        config = self.folder / "identities.json"
        admin = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        config.write_text(json.dumps({"identities": [admin]}))
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
        ports = [f"-{role}.port={port}" for role, port in self._ports.items()]
        ports += [f"-{role}.port.grpc={port}" for role, port in self._rpc.items()]
        ports += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # not started
        kept = [
            f"-dir={self.folder}",
            f"-volume.max={self._volumes}",
            "-volume.minFreeSpace=64MiB",  # of a disk of which less than a hundredth is free it takes nothing otherwise
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            f"-s3.config={config}",
            f"-s3.iam.readOnly={str(not self._iam).lower()}",
        ]
        with self.folder.joinpath("log").open("ab") as log:
            self.process = subprocess.Popen(
                [weed, f"-logdir={self.folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *ports, *kept],
                stdout=log,
                stderr=log,
            )
        self._wait()

    def place(self, bucket: str = BUCKET) -> str:
        """Return the URL of a prefix that no other test has."""
        return f"s3://{bucket}/{uuid.uuid4().hex[:12]}"

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._client().create_bucket(Bucket=name)

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""
        client = self._client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for each in page.get("Contents", ()):
                client.delete_object(Bucket=name, Key=each["Key"])
        client.delete_bucket(Bucket=name)

    def _client(self) -> Any:
        import boto3

        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.url, **keys)

    def _wait(self) -> None:
        """Write something: this server makes a bucket for an administrator who writes to it."""
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(BaseError, OSError):
                S3Store(BUCKET, config=self.options, client_options={"allow_http": True}).put("begun", b"1")  # type: ignore[arg-type]
                return
            time.sleep(0.2)  # between two questions: it tells nobody that it is ready
        raise TimeoutError(f"no S3 server: {self.folder.joinpath('log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Let it hang: it keeps its connections and answers nobody."""
        hang(self.process.pid)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


class OnPorts(Protocol):
    """A server on ports that it chooses."""

    def choose(self) -> None:
        """Choose ports."""

    def start_once(self) -> None:
        """Start it on these; raises ``TimeoutError`` with its words."""

    def kill(self) -> None:
        """Kill it."""


def start_on_free_ports(server: OnPorts) -> None:
    """Start a server; where another program took a port of it first, on others."""
    for _ in range(STARTS - 1):
        try:
            server.start_once()
        except TimeoutError as error:
            server.kill()
            if TAKEN not in str(error):
                raise
            server.choose()
        else:
            return
    server.start_once()
