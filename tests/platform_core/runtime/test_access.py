"""Who may ask: keys that are hashed, tenants that are limited, and refusals in the protocol's shape."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from loopline.gateway import api_keys, key_file
from loopline.gateway.api_keys import Authenticator, Tenant
from loopline.platform_core.errors import BadRequest, ContractBroken, InvalidSpec, NotFound, Refused
from tests.waiting import until


@pytest.fixture
def file(tmp_path):
    """Say where keys are kept."""
    return tmp_path / "keys" / "keys.json"


def bearer(key):
    """Make the header of a key."""
    return {b"authorization": f"Bearer {key}".encode()}


def test_a_key_names_its_tenant(file):
    """By either header, whatever the case of the scheme."""
    key = api_keys.create(file, "shop", Tenant(("retail.*",), per_second=5))
    authenticator = Authenticator(file)
    for headers in (bearer(key), {b"x-api-key": key.encode()}, {b"authorization": f"bEARER  {key} ".encode()}):
        name, tenant = authenticator.tenant(headers)
        assert (name, tenant.per_second) == ("shop", 5)
        assert tenant.may_ask("retail.cancellations")
        assert not tenant.may_ask("credit.default")


WRONG = ["", "x", "ll_", "ll__", "ll_nobody_secret", "{key}x", "x{key}", "{id}", "{id}_", "{id}_é", "_{secret}"]


@pytest.mark.parametrize("wrong", [*WRONG, "ll__{secret}"])
def test_a_key_that_is_wrong_is_401(file, wrong):
    """Nearly right is as wrong as nothing, and the message holds nothing of it."""
    key = api_keys.create(file, "shop")
    kind, identity, secret = key.split("_", 2)
    text = wrong.format(key=key, id=f"{kind}_{identity}", secret=secret)
    with pytest.raises(BadRequest) as refused:
        Authenticator(file).tenant({b"authorization": f"Bearer {text}".encode()})
    assert refused.value.status == 401
    assert secret not in str(refused.value)


def test_the_file_holds_no_key(file):
    """It is the owner's alone, and has hashes."""
    key = api_keys.create(file, "shop")
    assert key.split("_", 2)[2] not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_each_key_is_its_own(file):
    """A tenant has several; one is taken back, the others go on."""
    first, second = (api_keys.create(file, "shop", Tenant(per_day=7)) for _ in range(2))
    assert api_keys.revoke(file, first.split("_")[1]) == "shop"
    authenticator = Authenticator(file)
    assert authenticator.tenant(bearer(second)) == ("shop", Tenant(per_day=7))
    with pytest.raises(BadRequest):
        authenticator.tenant(bearer(first))
    with pytest.raises(NotFound, match=second.split("_")[1]):
        api_keys.revoke(file, "nobody")


def test_a_second_key_keeps_what_the_tenant_may(file):
    """Limits belong to the tenant, and are changed only when they are named."""
    api_keys.create(file, "shop", Tenant(("a.*",)))
    second = api_keys.create(file, "shop")
    assert Authenticator(file).tenant(bearer(second))[1].models == ("a.*",)


def test_a_key_taken_back_is_refused_soon(file, monkeypatch):
    """The file is read again when it changed, and what was remembered is forgotten; half a file changes nothing."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.0)
    key, other = api_keys.create(file, "shop"), api_keys.create(file, "bank")
    authenticator = Authenticator(file)
    whole = file.read_text()
    file.write_text(whole[:20])
    for remembered, name in ((key, "shop"), (other, "bank"), (key, "shop")):
        assert authenticator.tenant(bearer(remembered))[0] == name
    file.write_text(whole)
    api_keys.revoke(file, key.split("_")[1])
    os.utime(file, (time.time() + 5, time.time() + 5))
    with pytest.raises(BadRequest):
        authenticator.tenant(bearer(key))
    assert authenticator.tenant(bearer(other))[0] == "bank"


def test_a_file_of_the_same_time_is_another_one(file, monkeypatch):
    """As what copies files may set it, or a bundle in which all have one time: what was taken back stayed."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.0)
    key, other = api_keys.create(file, "shop"), api_keys.create(file, "bank")
    os.utime(file, (1, 1))
    authenticator = Authenticator(file)
    assert authenticator.tenant(bearer(key))[0] == "shop"
    api_keys.revoke(file, key.split("_")[1])
    os.utime(file, (1, 1))
    with pytest.raises(BadRequest):
        authenticator.tenant(bearer(key))
    assert authenticator.tenant(bearer(other))[0] == "bank"


def test_a_file_that_could_not_be_read_is_read_again(file, monkeypatch, caplog):
    """Though its time is the same, as after a chmod; meanwhile the server's log says once what is wrong."""
    monkeypatch.setattr(api_keys, "LOOK_SECONDS", 0.0)
    key = api_keys.create(file, "shop")
    authenticator = Authenticator(file)
    api_keys.revoke(file, key.split("_")[1])
    whole, written = file.read_text(), (time.time() + 5,) * 2
    for text in (whole[:20], whole[:20]):
        file.write_text(text)
        os.utime(file, written)
        assert authenticator.tenant(bearer(key))[0] == "shop"
    (told,) = caplog.records
    assert f"mend {file}, and let the server's user read it" in told.getMessage()
    file.write_text(whole)
    os.utime(file, written)
    with pytest.raises(BadRequest):
        authenticator.tenant(bearer(key))


def test_who_could_read_the_file_still_can(file):
    """Whoever makes a key or takes one back: the server may be another user. A new file is its owner's alone."""
    key = api_keys.create(file, "shop")
    file.chmod(0o640)
    api_keys.create(file, "bank")
    assert file.stat().st_mode & 0o777 == 0o640
    if os.geteuid() == 0:
        os.chown(file, 65_534, 65_533)
    before = file.stat()
    api_keys.revoke(file, key.split("_")[1])
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_beside_the_file_leads_nowhere(file, tmp_path, monkeypatch):
    """Whoever makes a key may be root, and the folder the server's user's: no file elsewhere is written or given."""
    api_keys.create(file, "shop")
    file.chmod(0o644)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("another's")
    elsewhere.chmod(0o600)
    file.with_name(f".{file.name}.{os.getpid()}").symlink_to(elsewhere)
    api_keys.create(file, "bank")
    give = key_file.give_as

    def swapped(kept, draft):
        for name in file.parent.glob(f".{file.name}.*"):
            name.unlink()
            name.symlink_to(elsewhere)
        give(kept, draft)

    monkeypatch.setattr(key_file, "give_as", swapped)
    api_keys.create(file, "post")
    assert (elsewhere.read_text(), elsewhere.stat().st_mode & 0o777) == ("another's", 0o600)


def test_a_lock_that_is_a_link_is_refused(file, tmp_path):
    """It would empty the file that it leads to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("another's")
    file.parent.mkdir()
    file.with_name(f".{file.name}.lock").symlink_to(elsewhere)
    with pytest.raises(Refused, match=r"\.keys\.json\.lock is a link"):
        api_keys.create(file, "shop")
    assert elsewhere.read_text() == "another's"


def test_changes_do_not_undo_each_other(file):
    """Keys made and taken back by two processes at once: what was made is there, what was taken back is not."""
    old = [api_keys.create(file, f"old{number}").split("_")[1] for number in range(20)]
    asked = [(api_keys.create, [f"new{number}" for number in range(20)]), (api_keys.revoke, old)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        list(workers.map(together, [file] * 2, *zip(*asked, strict=True)))
    assert {key.tenant for key in api_keys.read(file).keys.values()} == {f"new{number}" for number in range(20)}


def together(file, change, names):
    """Change keys as another process would, once the other one is there too."""
    file.with_name(f"here-{os.getpid()}").touch()
    until(lambda: len([*file.parent.glob("here-*")]) == 2)
    for name in names:
        change(file, name)


def test_no_file_lets_nobody_in(file):
    """A path that is wrong is no open door."""
    with pytest.raises(BadRequest):
        Authenticator(file).tenant(bearer("ll_a_b"))


def test_a_file_that_is_none(file):
    """The server does not start with it."""
    file.parent.mkdir()
    file.write_text(json.dumps({"keys": 7}))
    with pytest.raises(ContractBroken, match="loopline key create"):
        Authenticator(file)


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "../x", "a" * 64, "ä"])
def test_names_of_tenants(file, name):
    """A name becomes a file's name, so it is a plain word."""
    with pytest.raises(InvalidSpec):
        api_keys.create(file, name)
