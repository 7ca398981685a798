"""States in an object store, on a real S3 server: the kit, and what only a store far away can do."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import signal
import tarfile
import time
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, NotFound, StoreUnavailable, Unsupported
from loopline.platform_core.testing.parts.endpoints import new_model
from loopline.platform_core.testing.state_store import READY, ServerReport, content, package
from loopline.resources.object_store import packages, states
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.states import ObjectStates
from tests.resources.object_store.altering import ObjectStatesKit
from tests.s3_server import S3Server


class TestObjectStates(ObjectStatesKit):
    """Every promise."""


def test_what_is_asked_of_a_model_may_end(objects: Objects, tmp_path: Path) -> None:
    """Others stay, servers see that something changed, and of one that was never asked nothing happens."""
    store, feed, made = ObjectStates(objects), ObjectStates(objects), package(tmp_path, "1")
    first, second = new_model(), new_model()
    for model in (first, second):
        store.ask(DesiredState(model, 1, made))
    before = feed.asked(tmp_path / "packages")
    assert before is not None
    assert store.models() == set(before.states) == {first, second}
    store.drop(first)
    store.drop(first)
    after = feed.asked(tmp_path / "packages", before.token)
    assert after is not None
    assert store.models() == set(after.states) == {second}
    assert store.wanted(first) is None


def test_one_that_is_gone_for_good_is_forgotten(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that vanished says no farewell."""
    store = ObjectStates(objects)
    store.report("lost", ServerReport({"m": READY}))
    assert store.observed("m") == [READY]
    monkeypatch.setattr(states, "GONE_SECONDS", -1)
    assert store.observed("m") == []


def test_what_a_killed_server_said_goes_with_what_is_asked_next(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is killed cannot take it away; for an hour it lies there for whoever looks into it."""
    store = ObjectStates(objects)
    store.report("killed", ServerReport({}))
    for generation, seconds, left in ((1, states.FORGOTTEN_SECONDS, 1), (2, -1.0, 0)):
        monkeypatch.setattr(states, "FORGOTTEN_SECONDS", seconds)
        store.ask(DesiredState("t.m", generation, package(tmp_path, str(generation))))
        assert len(objects.listed("observed")) == left


def test_a_package_is_sent_and_fetched_once(objects: Objects, tmp_path: Path) -> None:
    """Its name is its content: what is there already, here or in the store, is not carried again."""
    model, served = new_model(), package(tmp_path, "1")
    ObjectStates(objects).ask(DesiredState(model, 1, served))
    (sent,) = objects.listed(packages.FOLDER)
    ObjectStates(objects).ask(DesiredState(model, 2, served))
    assert [one.written_at for one in objects.listed(packages.FOLDER)] == [sent.written_at]
    first = ObjectStates(objects).asked(tmp_path / "here")
    objects.delete([sent.key])
    second = ObjectStates(objects).asked(tmp_path / "here")
    assert first is not None
    assert second is not None
    assert second.states[model].stable == first.states[model].stable
    assert content(second.states[model].stable) == content(served)
    third = ObjectStates(objects).asked(tmp_path / "elsewhere")
    assert third is not None
    assert "has no package" in third.problems[model]


def crafted(folder: Path, fields: Mapping[str, Any], content: bytes = b"", whole: int | None = None) -> Path:
    """Write an archive of one file with such a header; packed where it ends early."""
    archive, member = folder / "crafted.tar", tarfile.TarInfo("model.txt")
    for name, value in fields.items():
        setattr(member, name, value)
    member.size = len(content)
    with tarfile.open(archive, "w") as tar:
        tar.addfile(member, io.BytesIO(content))
    if whole is not None:
        archive.write_bytes(gzip.compress(archive.read_bytes())[:whole])
    return archive


HOLES = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "model.txt"}


@pytest.fixture(params=[True, False], ids=["", "before Python 3.11.4"])
def filtering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack with the filter of newer Pythons, and without."""
    if not request.param:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("filtering")
def test_what_is_unpacked_is_ours_and_runs_as_nobody(objects: Objects, tmp_path: Path) -> None:
    """Whatever owner and rights an archive names."""
    owner = {"uid": 12345, "gid": 12345, "uname": "", "gname": ""}
    archive = crafted(tmp_path, {"mode": 0o6777, **owner}, b"x")
    name = hashlib.sha256(f"{hashlib.sha256(b'x').hexdigest()}  model.txt\n".encode()).hexdigest()
    objects.send(f"{packages.FOLDER}/{name}.tar", archive)
    found = (packages.fetch(objects, name, tmp_path / "cache") / "model.txt").stat()
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
    assert found.st_mode & 0o7022 == 0


@pytest.mark.usefixtures("filtering")
@pytest.mark.parametrize(
    "how",
    [
        {"fields": {"name": "../model.txt"}},
        {"fields": {"name": "/model.txt"}},
        {"fields": {}, "whole": 60},
        {"fields": {"pax_headers": {"mtime": "nan"}}},
        {"fields": {"pax_headers": {"mtime": "1e30"}}},
        {"fields": {"pax_headers": {"path": "a\0b"}}},
        {"fields": {"name": "\udcff"}},
        {"fields": {"name": "/".join("d" * 1500)}},
        {"fields": {"type": tarfile.LNKTYPE, "linkname": "model.txt"}},
        {"fields": {"pax_headers": {**HOLES, "GNU.sparse.realsize": f"{1 << 50}"}}, "content": b"1\n0\n1\n".ljust(513)},
    ],
    ids=[
        "beside it",
        "by a whole path",
        "cut",
        "no time",
        "a time of no year",
        "a nul",
        "no text",
        "too deep",
        "a link to itself",
        "a petabyte of holes",
    ],
)
def test_a_crafted_archive_is_a_broken_package(objects: Objects, tmp_path: Path, how: Mapping[str, Any]) -> None:
    """And no error that keeps a server from what is asked of its other models, nor work for days."""
    name = hashlib.sha256(f"{how}".encode()).hexdigest()
    objects.send(f"{packages.FOLDER}/{name}.tar", crafted(tmp_path, **how))
    with pytest.raises(ContractBroken, match="is not what was deployed"):
        packages.fetch(objects, name, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_package_that_is_gone_is_not_asked_for(objects: Objects, tmp_path: Path) -> None:
    """Whoever asks is told; servers never see such a state."""
    served = package(tmp_path, "1")
    served.package.rename(tmp_path / "moved")
    with pytest.raises(NotFound, match="is gone"):
        ObjectStates(objects).ask(DesiredState("m", 1, served))
    assert ObjectStates(objects).wanted("m") is None


def test_a_store_that_hangs_is_told_soon(own_s3_server: S3Server, tmp_path: Path) -> None:
    """Within a quarter of a minute, and afterwards it goes on where it was."""
    store = ObjectStates(Objects(own_s3_server.place(), own_s3_server.options))
    served = package(tmp_path, "1")
    store.ask(DesiredState("m", 1, served))
    own_s3_server.stop()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="see whether the store answers"):
        store.ask(DesiredState("m", 2, served))
    assert time.monotonic() - began < 60  # two tries of five seconds, on a machine that may be busy
    own_s3_server.go_on()
    store.ask(DesiredState("m", 3, served))
    wanted = store.wanted("m")
    assert wanted is not None
    assert wanted.generation == 3


def test_who_may_not_read_is_told_what_to_give(s3_server: S3Server) -> None:
    """A wrong secret is no empty store."""
    wrong = Objects(s3_server.place(), s3_server.options | {"aws_secret_access_key": "wrong"})
    for ask in (lambda: wrong.read("a"), lambda: wrong.listed("a"), lambda: wrong.write("a", b"")):
        with pytest.raises(StoreUnavailable, match="give this identity the right"):
            ask()


@pytest.mark.parametrize("url", ["memory://", "file:///tmp/x", "s4://bucket", "nothing"])
def test_what_is_no_store_is_refused(url: str) -> None:
    """A mistake in an environment file is found when it is read."""
    with pytest.raises(InvalidEnvironment):
        Objects(url, {})


@pytest.mark.parametrize("option", ["aws_connect_timeout", "nonsense", "aws_virtual_hosted_style_request"])
def test_an_option_that_is_none_is_refused(option: str) -> None:
    """Even one at which the client's library panics."""
    with pytest.raises(InvalidEnvironment, match="options that its store knows"):
        Objects("s3://bucket/prefix", {option: "maybe"})


@pytest.mark.parametrize("name", ["aws_allow_http", "ALLOW_HTTP"])
def test_options_of_the_lake_are_taken(s3_server: S3Server, name: str) -> None:
    """One set of options serves both: what the lake's library asks for to speak without TLS says the same here."""
    store = Objects(s3_server.place(), s3_server.options | {name: "true"})
    store.write("a", b"1")
    assert store.read("a") is not None


def test_a_clock_that_is_wrong_makes_no_server_silent(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages are told by the store's own clock: this machine's may be an hour ahead, or behind."""
    store = ObjectStates(objects)
    store.report("one", ServerReport({"m": READY}))
    for hours in (-1, 1):

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None, off: int = hours) -> Wrong:  # type: ignore[override]
                return cls.fromtimestamp(time.time() + off * 3600, tz)

        monkeypatch.setattr(states, "datetime", Wrong)
        assert ObjectStates(objects).observed("m") == [READY]


def test_a_fork_is_refused_rather_than_hung(objects: Objects) -> None:
    """The client's threads stay behind in the process that made them."""
    objects.read("nothing")
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            objects.read("nothing")
        except Unsupported as error:
            os._exit(0 if "forkserver" in error.fix else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_state_that_could_not_be_read_is_read_at_the_next_look(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The store answers that something changed, and fails before it says what: that has not been seen."""
    asking, feed, served = ObjectStates(objects), ObjectStates(objects), package(tmp_path, "1")
    asking.ask(DesiredState("m", 1, served))
    first = feed.asked(tmp_path / "here")
    assert first is not None
    asking.ask(DesiredState("m", 2, served))

    def away(key: str) -> None:
        raise StoreUnavailable(key, "wait")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "read", away)
        with pytest.raises(StoreUnavailable):
            feed.asked(tmp_path / "here", first.token)
    second = feed.asked(tmp_path / "here", first.token)
    assert second is not None
    assert second.states["m"].generation == 2
