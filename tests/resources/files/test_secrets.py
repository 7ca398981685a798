"""Files keep the promises of secrets, also as a kubelet changes them under a reader."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, Refused, StoreUnavailable
from loopline.platform_core.testing.secrets import SecretsKit
from loopline.resources.files.secrets import LARGEST, Files

NOBODY = 65534


class Mounted:
    """Writes a folder as a kubelet does: all files of a version in a folder of their own, and one link to it."""

    def __init__(self, root: Path) -> None:
        self.root, self.content, self.turn = root, dict[str, bytes](), 0

    def name(self, word: str) -> str:
        return word

    def put(self, name: str, value: str) -> None:
        self.put_bytes(name, value.encode())

    def put_bytes(self, name: str, value: bytes) -> bool:
        self.swap({**self.content, name: value})
        return True

    def withdraw(self, name: str) -> None:
        self.swap({other: value for other, value in self.content.items() if other != name})
        (self.root / name).unlink()

    def swap(self, content: dict[str, bytes]) -> None:
        """Write a version beside the old one, turn the link, and take the old one away."""
        old = self.root / f"..{self.turn}"
        self.turn += 1
        new = self.root / f"..{self.turn}"
        new.mkdir(parents=True)
        for name, value in content.items():
            (new / name).write_bytes(value)
        (self.root / "..new").symlink_to(new.name)
        (self.root / "..new").replace(self.root / "..data")
        for name in content:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"..data/{name}")
        for file in old.glob("*"):
            file.unlink()
        if old.exists():
            old.rmdir()
        self.content = content


@pytest.fixture
def secrets(tmp_path: Path) -> Files:
    """Secrets of a folder."""
    return Files(root=tmp_path / "mounted")


@pytest.fixture
def keeper(secrets: Files) -> Mounted:
    """Give who mounts them."""
    secrets.root.mkdir()
    return Mounted(secrets.root)


class TestFiles(SecretsKit):
    """Every promise that no server is needed for."""

    tested_on = "disk"


def test_a_reader_sees_old_or_new_and_nothing_else(secrets: Files, keeper: Mounted) -> None:
    """While a kubelet changes all files again and again, each read is a whole version, and none fails."""
    versions = [f"version {turn} {'x' * turn}" for turn in range(80)]
    keeper.put("password", versions[0])
    seen, ended = set(), threading.Event()

    def rotate() -> None:
        for version in versions[1:]:
            keeper.put("password", version)
        ended.set()

    thread = threading.Thread(target=rotate)
    thread.start()
    while not ended.is_set():
        seen.add(secrets.read("password").get_secret_value())
    thread.join()
    assert seen <= set(versions)
    assert len(seen) > 3
    assert secrets.read("password").get_secret_value() == versions[-1]


def test_what_is_nested_beyond_reading_has_no_field(secrets: Files, keeper: Mounted) -> None:
    """It is told as what is no JSON at all."""
    keeper.put("deep", '{"a":' * 100_000)
    with pytest.raises(ContractBroken, match="no JSON object"):
        secrets.read("deep", "a")


def test_folders_are_several_secrets(secrets: Files, tmp_path: Path) -> None:
    """Each Secret of Kubernetes is mounted in a folder; what is hidden, and what a link leads to outside, is none."""
    (secrets.root / "redis").mkdir(parents=True)
    (secrets.root / "redis" / "tls.key").write_text("k")
    (tmp_path / "elsewhere").write_text("s3cret")
    (secrets.root / "led").symlink_to(tmp_path / "elsewhere")
    assert secrets.read("redis/tls.key").get_secret_value() == "k"
    for name in ("redis/.hidden", "..data/x", "redis//tls.key"):
        with pytest.raises(InvalidEnvironment):
            secrets.read(name)
    for name in ("redis", "redis/tls.key/more", "nothing/here"):
        with pytest.raises(NotFound, match=name):
            secrets.read(name)
    with pytest.raises(Refused, match="led"):
        secrets.read("led")
    (secrets.root / "circle").symlink_to("back")
    (secrets.root / "back").symlink_to("circle")
    with pytest.raises(StoreUnavailable, match="circle cannot be read"):
        secrets.read("circle")
    (secrets.root / "large").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(ContractBroken, match="large"):
        secrets.read("large")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """With what to do about it, and not as one that is not there."""
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "password").chmod(0o000)
    was = os.geteuid()
    os.seteuid(was or NOBODY)  # root may read what nobody may
    try:
        with pytest.raises(Refused, match="password") as caught:
            Files(root=tmp_path).read("password")
    finally:
        os.seteuid(was)
    assert "fsGroup" in caught.value.fix
