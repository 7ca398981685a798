"""Servers, shadows, executors and processes of their own load what is proven, and else go on with what they have."""

from __future__ import annotations

import json
import pickle
import time
import urllib.request
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.errors import ContractBroken, Untrusted
from loopline.platform_core.foundation.clock import WallClock
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import Deployment
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.apart.process import Child
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.runtime.model.manifest import ApartField
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.runtime.prediction_log.log import PredictionLog
from loopline.platform_core.runtime.shadow import Shadows
from loopline.platform_core.runtime.states import Worker, write_desired
from loopline.platform_core.scoring.batch import scores
from loopline.platform_core.signing.trust import SAID
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port
from loopline.watchdog.package_look import PackageLook
from tests.platform_core.signing.signed import MODEL, TRAINER, Trap, sign, signed, swap, trust

REF = ModelRef("kit", "model")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, int]:
    """Write an environment whose servers know the trainer, and choose a port."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    file, port = tmp_path / "environment.yaml", free_port()
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{tmp_path}/serving", port: {port}}}
  online_store: {{vendor: sqlite, path: "{tmp_path}/online.db"}}
signing:
  key: secret://a-server-never-asks
  trainers: {{training: {{key: {TRAINER.verifying.text}}}}}
""")
    return file, port


def answer(port: int) -> tuple[str, float]:
    """Ask the endpoint for one prediction; returns the version and the number."""
    url = f"http://127.0.0.1:{port}/v2/models/{MODEL}/infer"
    amount = {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]}
    customer = {"name": "customer_id", "shape": [1], "datatype": "BYTES", "data": ["c"]}
    asked = json.dumps({"inputs": [amount, customer]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, asked), timeout=30) as said:
        told = json.load(said)
    return told["model_version"], told["outputs"][0]["data"][0]


def wait_for(root: Path, generation: int | None, said: str = "") -> ObservedState:
    """Wait until the server says that it is at a generation, with a problem that has these words."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen = states.observed(root, MODEL)
        if (
            seen
            and seen[0].generation == generation
            and said in seen[0].problem
            and bool(said) == bool(seen[0].problem)
        ):
            return seen[0]
        time.sleep(0.05)  # between two looks at what another process reports
    raise AssertionError(states.observed(root, MODEL))


def test_a_server_goes_on_with_the_version_that_is_proven(environment: tuple[Path, int], tmp_path: Path) -> None:
    """A pickle that would run code is refused by name and not run, the version before answers, and an alarm stands."""
    (file, port), root = environment, tmp_path / "serving"
    first, second = signed(tmp_path / "v1", Constant(0.25)), signed(tmp_path / "v2", Constant(0.75), version="2")
    genuine, mark = (second / "model.pkl").read_bytes(), tmp_path / "mark"
    (second / "model.pkl").write_bytes(pickle.dumps(Trap(mark)))
    write_desired(root, DesiredState(MODEL, 1, Served("1", first, "c1")))
    with inference_server(file, port):
        assert answer(port) == ("1", 0.25)
        write_desired(root, DesiredState(MODEL, 2, Served("2", second, "c2")))
        seen = wait_for(root, 1, f"version 2: its {SAID}: model.pkl is not what was signed")
        assert seen.ready
        assert answer(port) == ("1", 0.25)
        platform = _platform(file)
        _deploy(platform, Served("2", second, "c2"))
        [alarm] = PackageLook(platform).look().alarms
        assert (alarm.cause, alarm.severity, alarm.subject) == (f"package:{REF}", "error", REF)
        assert "model.pkl is not what was signed" in alarm.problem
        assert not mark.exists()
        (second / "model.pkl").write_bytes(genuine)
        wait_for(root, 2)
        assert answer(port) == ("2", 0.75)
        assert PackageLook(platform).look().alarms == ()
        platform.close()


def _platform(file: Path) -> Platform:
    from loopline.platform_core import environment as environments

    return Platform(environments.read(file, only=("serving",)))


def _deploy(platform: Platform, served: Served) -> None:
    """Write a deployment down, as a rollout does."""
    with platform.ledger.writing(REF) as connection:
        why = Entry(deployments.CHANGED, platform.clock.now(), *REF)
        deployments.write(connection, Deployment(REF, 0, served, None, 0), why)


def test_a_shadow_is_proven_too(tmp_path: Path) -> None:
    """One that is not is trouble of the shadow's, told by name."""
    root = tmp_path / "serving"
    first, second = signed(tmp_path / "v1"), signed(tmp_path / "v2", version="2")
    swap(second / "manifest.json")
    state = DesiredState(MODEL, 1, Served("1", first, "c1"), None, 0, Served("2", second, "c2"))
    write_desired(root, state)
    shadows = Shadows(root, Worker(root / "shadow", "1"), PredictionLog(root, "shadow-1"), WallClock(), trust())
    shadows.step(Event())
    [seen] = states.observed(root / "shadow", MODEL)
    assert f"version 2: its {SAID}: manifest.json is not what was signed" in seen.problem


def test_rows_of_a_batch(tmp_path: Path) -> None:
    """Are scored with what is proven, where the proof has travelled to."""
    package, rows = signed(tmp_path / "package", Constant(0.25)), pa.table({AMOUNT: [1.0, 2.0]})
    proof = trust().of(MODEL, "1")
    assert scores(package, rows, proof) == [0.25, 0.25]
    swap(package / "model.pkl")
    with pytest.raises(Untrusted):
        scores(package, rows, proof)


def apart(folder: Path) -> Path:
    """Write a package whose estimator runs in a process of its own, and sign it."""
    write_package(folder, Constant(0.25))
    known = manifest.load(folder)
    msgspec.structs.replace(known, kind="python", apart=ApartField([], 30.0)).save(folder)
    return sign(folder)


def test_a_process_of_its_own_unpickles_what_was_signed(tmp_path: Path) -> None:
    """Also when it is started again, after somebody changed the file."""
    package = apart(tmp_path / "package")
    loaded = load_model(package, trust().of(MODEL, "1"))
    assert loaded.predict(loaded.manifest.encoder().blank(1)).tolist() == [0.25]
    swap(package / "model.pkl")
    sha256 = _sum_of_the_signed(package)
    with pytest.raises(ContractBroken, match=r"model\.pkl is not what was signed"):
        Child(package / "model.pkl", [], sha256)


def _sum_of_the_signed(package: Path) -> str:
    note: dict[str, Any] = json.loads(package.joinpath("signature.note").read_text(encoding="utf-8").splitlines()[0])
    return str(note["files"]["model.pkl"])
