"""A model in a process of its own: what it answers, how it falls, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.errors import (
    ContractBroken,
    InvalidSpec,
    Overloaded,
    StoreUnavailable,
    TaskFailed,
    Transient,
    Unsupported,
)
from loopline.platform_core.runtime.apart import process, requirements
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.manifest import ApartField
from loopline.platform_core.runtime.model.models import LoadedModel, load_model
from loopline.platform_core.specs import Apart
from loopline.platform_core.targets import Regression
from loopline.platform_core.testing.parts.estimators_apart import Number, Odd, Unloadable
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY, write_package
from tests.waiting import until

GRACE = 60.0


def apart(folder: Path, estimator: Any, needs: tuple[str, ...] = (), seconds: float = GRACE, **more: Any) -> Path:
    """Write a package that runs apart."""
    write_package(folder, estimator, **more)
    field = ApartField([*needs], seconds)
    msgspec.structs.replace(manifests.load(folder), kind="python", apart=field).save(folder)
    return folder


def asking(folder: Path, seconds: float) -> Any:
    """Start such an estimator."""
    return process.estimator(apart(folder, Odd(), seconds=seconds) / "model.pkl", (), seconds)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give one whose process lives as long as the tests."""
    return asking(tmp_path_factory.mktemp("apart") / "package", GRACE)


def pid_of(odd: Any) -> int:
    """Ask for its process, once there is one again."""

    def asked() -> int:
        with suppress(StoreUnavailable):
            return int(odd.predict(np.ones((1, 1)))[0])
        return 0

    return until(asked, GRACE)


def is_there(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    """Wait until a process is no more."""
    return until(lambda: not is_there(pid), GRACE)


def test_a_package_answers_as_it_does_here(tmp_path: Path) -> None:
    """A matrix goes over, the kind of model reads what comes back, and requests share one call at a time."""
    loaded = load_model(apart(tmp_path / "one", Odd()))
    assert isinstance(loaded, LoadedModel)
    assert loaded.predict(np.array([[2.0], [5.0]])).tolist() == [0.2, 0.5]
    assert (loaded.inline_rows, loaded.batching.shared, loaded.batcher is None) == (0, True, False)
    number = load_model(apart(tmp_path / "two", Number(), requested=("a", "b"), target=Regression("GBP")))
    assert number.predict(np.array([[1.0, 2.0]])).tolist() == [3.0]


def test_numbers_tensors_and_tables_go_over_whatever_their_size(odd: Any) -> None:
    """Memory grows with what is asked; float32 stays what it is."""
    for rows in (1, 3, 20_000, 2):
        given = np.arange(rows, dtype=np.float32).reshape(rows, 1)
        assert np.allclose(odd.predict_proba(given)[:, 1], np.arange(rows) / 10)
        table = pa.table({"n": np.arange(rows, dtype=float), "text": ["ä" * (row % 3) for row in range(rows)]})
        assert np.allclose(odd.predict_proba(table)[:, 1], np.arange(rows) / 10)
    assert odd.classes_.tolist() == [0.0, 1.0]


def test_what_it_raises_is_its_own_failure(odd: Any) -> None:
    """In one line; the process lives on."""
    before = pid_of(odd)
    with pytest.raises(TaskFailed, match="raised ValueError: a negative number →"):
        odd.predict_proba(np.array([[-1.0]]))
    assert pid_of(odd) == before


def test_a_killed_process_is_started_again(odd: Any) -> None:
    """One that somebody killed between two calls; meanwhile callers are told to try again."""
    before = pid_of(odd)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(StoreUnavailable, match="signal 9 → ask again"):
        odd.predict(np.ones((1, 1)))
    assert pid_of(odd) != before
    assert gone(before)


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """And others that wait for their turn are told so; nothing of it stays when nobody holds it any more."""
    slow = asking(tmp_path / "package", 1.0)
    before = pid_of(slow)
    said: list[tuple[type[Transient], str]] = []

    def ask(estimator: Any) -> None:
        try:
            estimator.predict_proba(np.array([[-3.0]]))
        except Transient as error:
            said.append((type(error), str(error)))

    threads = [threading.Thread(target=ask, args=(slow,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {kind for kind, _ in said} <= {StoreUnavailable, Overloaded}
    assert any("did not answer within 1 s" in words for _, words in said)
    assert gone(before)
    last = pid_of(slow)
    del slow
    assert gone(last)


def test_nothing_stays_when_the_server_is_killed(tmp_path: Path) -> None:
    """Neither a process nor a file of shared memory: it never had a name."""
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.exists() else set()
    package = apart(tmp_path / "package", Odd())
    script = (
        "import sys, time, numpy as np; sys.path.insert(0, sys.argv[2])\n"
        "from loopline.platform_core.runtime.apart import process\n"
        "odd = process.estimator(__import__('pathlib').Path(sys.argv[1]), (), 60)\n"
        "print(int(odd.predict(np.ones((1, 1)))[0]), flush=True); time.sleep(60)"  # until it is killed
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, str(package / "model.pkl"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=path) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
    assert gone(pid)
    assert not {file for file in (set(shared.iterdir()) if before else set()) - before if "loopline" in file.name}


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    """With what the process said; and what is missing, with where it could come from."""
    with pytest.raises(ContractBroken, match="FileNotFoundError"):
        load_model(apart(tmp_path / "one", Unloadable()))
    with pytest.raises(Unsupported, match=r"needs no-such-thing>=2, which.*LOOPLINE_APART"):
        load_model(apart(tmp_path / "two", Odd(), ("numpy>=1", "no-such-thing>=2")))
    with pytest.raises(Unsupported, match="no requirement"):
        requirements.path_of(["torch >= "])


def test_libraries_of_its_own_are_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a folder by what is asked, which goes before the server's own; a failure leaves nothing."""
    wheel = tmp_path / "oddity-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("oddity.py", "FACTOR = 7\n")
        file.writestr("oddity-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: oddity\nVersion: 1.0\n")
        file.writestr("oddity-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("oddity-1.0.dist-info/RECORD", "")
    root = tmp_path / "apart"
    monkeypatch.setenv(requirements.FOLDER, str(root))
    needs = [f"oddity @ {wheel.as_uri()}"]
    place = requirements.path_of(needs)[0]
    assert Path(place, "oddity.py").exists()
    marked = Path(place, "mark")
    marked.touch()
    assert requirements.path_of(needs)[0] == place
    assert marked.exists()  # not made again
    with pytest.raises(Transient, match="cannot be installed"):
        requirements.path_of([f"oddity @ {tmp_path.as_uri()}/oddity-2.0-py3-none-any.whl"])
    assert [folder.name for folder in root.iterdir() if folder.is_dir()] == [Path(place).name]


def test_what_is_declared() -> None:
    """A text is no tuple, and no time is none."""
    assert Apart(["torch>=2"]).requirements == ("torch>=2",)  # type: ignore[arg-type]
    for wrong in ({"requirements": "torch"}, {"timeout_seconds": 0}, {"timeout_seconds": float("nan")}):
        with pytest.raises(InvalidSpec):
            Apart(**wrong)


def test_callers_are_told_whether_to_ask_again(server: Any, tmp_path: Path) -> None:
    """A raised error is the model's own, 500; a process that fell is started again, 503 with when to come back."""
    server.route(Served("1", apart(tmp_path / "package", Odd()), "cycle"))
    asked = {amount: server.infer({ENTITY: ["a"], AMOUNT: [amount]}) for amount in (2.0, -1.0, -2.0)}
    assert [reply.status for reply in asked.values()] == [200, 500, 503]
    assert "ValueError: a negative number" in asked[-1.0].error
    assert "was ended by signal 9" in asked[-2.0].error
    until(lambda: server.infer({ENTITY: ["a"], AMOUNT: [5.0]}).status == 200, GRACE)
    assert server.infer({ENTITY: ["a"], AMOUNT: [5.0]}).json["outputs"][0]["data"] == [0.5]
