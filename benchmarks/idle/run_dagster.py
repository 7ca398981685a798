"""Dagster alone: ``python -m benchmarks.idle.run_dagster <home> <models> <settle> <seconds>`` prints a JSON line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import yaml

from benchmarks.idle.spent import MODELS, watched
from benchmarks.turns import end
from loopline.platform_core.foundation.ports import HOST
from loopline.up.ports import answers, free_port

LOCATION = "benchmarks.idle.location"


def main(home: Path, models: int, settle: float, seconds: float) -> None:
    """Run web server, daemon and a code server as Dagster's manual says, and watch them."""
    home.mkdir(parents=True, exist_ok=True)
    code, web = free_port(), free_port()
    server = {"host": HOST, "port": code, "location_name": "bare"}
    home.joinpath("workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    home.joinpath("dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ |= {"DAGSTER_HOME": str(home), MODELS: str(models), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    where = ("--host", HOST, "--port")
    with ExitStack() as stack:
        pids = {"code": _started(stack, home, "dagster", "api", "grpc", "-m", LOCATION, *where, str(code))}
        _wait(code)
        space = ("--workspace", str(home / "workspace.yaml"))
        pids["web"] = _started(stack, home, "dagster_webserver", *where, str(web), *space)
        _wait(web)
        pids["daemon"] = _started(stack, home, "dagster._daemon", "run", *space)
        time.sleep(settle)
        print(json.dumps({name: spent._asdict() for name, spent in watched(pids, seconds).items()}), flush=True)


def _started(stack: ExitStack, home: Path, module: str, *arguments: str) -> int:
    log = stack.enter_context(home.joinpath(f"{module}.log").open("ab"))
    command = (sys.executable, "-m", module, *arguments)
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    stack.callback(end, process, 30)
    return process.pid


def _wait(port: int, seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not answers(port):
        assert time.monotonic() < give_up, f"nothing listens on {port}"
        time.sleep(0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
