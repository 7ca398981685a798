"""A file of accounts: who may read it, who changes it at once, and what a password must be."""

from __future__ import annotations

import multiprocessing
import os
import stat

import pytest
from argon2 import PasswordHasher

from loopline.platform_core.errors import BadRequest, InvalidEnvironment, NotFound, Refused
from loopline.platform_core.identity import accounts

GOOD = "four words of a sentence"
ADVISED = accounts.hasher


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch):
    """Hash with little memory: what is advised takes a second where several do it."""
    monkeypatch.setattr(accounts, "hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64))


@pytest.fixture
def file(tmp_path):
    """Name a file that is not there yet."""
    return tmp_path / "kept" / "accounts.yaml"


def test_an_account_is_made_changed_and_removed(file):
    """The file holds argon2id hashes, each with a salt of its own, and is its owner's alone."""
    accounts.add(file, "ana", GOOD)
    accounts.add(file, "ben", GOOD)
    hashes = accounts.read(file)
    assert set(hashes) == {"ana", "ben"}
    assert all(one.startswith("$argon2id$") for one in hashes.values())
    assert hashes["ana"] != hashes["ben"]
    assert GOOD not in file.read_text()
    assert ADVISED().memory_cost >= 64 * 1024
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert accounts.verify(file, "ana", GOOD)
    accounts.change(file, "ana", GOOD + "!")
    assert [accounts.verify(file, "ana", word) for word in (GOOD, GOOD + "!")] == [False, True]
    accounts.remove(file, "ana")
    assert not accounts.verify(file, "ana", GOOD + "!")
    assert accounts.is_there(file, "ben")
    assert not accounts.is_there(file, "ana")
    assert [one.name for one in file.parent.iterdir() if not one.name.endswith(".lock")] == ["accounts.yaml"]


def test_who_is_gone_is_gone_whatever_time_the_file_has(file):
    """What copies files may set it, or give all the same: whoever was removed stayed signed in."""
    for name in ("ana", "ben"):
        accounts.add(file, name, GOOD)
    os.utime(file, (1, 1))
    assert accounts.is_there(file, "ana")
    accounts.remove(file, "ana")
    os.utime(file, (1, 1))
    assert not accounts.is_there(file, "ana")


def test_who_could_read_the_file_still_can(file):
    """Whoever changes an account: the server may be another user, as a tenant's is where an operator adds one."""
    accounts.add(file, "ana", GOOD)
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 65_534, 65_533)
    before = file.stat()
    accounts.add(file, "ben", GOOD)
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_where_there_is_no_file_nobody_is_known(file):
    """And nothing fails."""
    assert not accounts.verify(file, "ana", GOOD)
    assert not accounts.is_there(file, "ana")
    with pytest.raises(NotFound, match="there are none"):
        accounts.change(file, "ana", GOOD)


@pytest.mark.parametrize("password", ["short", "x" * 11, "a" * 20, "x" * 257, ""])
def test_a_password_to_rely_on(file, password):
    """Long enough, not of one letter, and no longer than hashing should take."""
    with pytest.raises(BadRequest):
        accounts.add(file, "ana", password)
    with pytest.raises(BadRequest):
        accounts.add(file, "annabel-lee-of-the-sea", "Annabel-Lee-of-the-Sea")
    assert not file.exists()


@pytest.mark.parametrize("name", ["", " ana", "a\nb", "loop", "Platform", "api", "x" * 121])
def test_a_name_that_is_one(file, name):
    """Not what the ledger calls that which no person decides."""
    with pytest.raises(BadRequest):
        accounts.add(file, name, GOOD)


def test_two_names_that_look_alike_are_two_pairs_of_eyes(file):
    """So there is one of them."""
    accounts.add(file, "ana", GOOD)
    with pytest.raises(Refused, match="'ana' has an account"):
        accounts.add(file, "Ana", GOOD)


def test_a_file_that_others_may_change_is_not_read(file):
    """Who may write it makes himself an account."""
    accounts.add(file, "ana", GOOD)
    for mode in (0o604, 0o620, 0o602, 0o666):
        file.chmod(mode)
        with pytest.raises(InvalidEnvironment, match="chmod 600"):
            accounts.verify(file, "ana", GOOD)
    file.chmod(0o440)  # as a cluster gives secrets to a group
    assert accounts.verify(file, "ana", GOOD)


@pytest.mark.parametrize("text", ["", "[]", "accounts: [ana]", "accounts: {ana: 1}", "a: b: c", "accounts: {1: x}"])
def test_what_is_no_file_of_accounts_lets_nobody_in(file, text):
    """And says so, with the file."""
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InvalidEnvironment, match=r"accounts\.yaml"):
        accounts.verify(file, "ana", GOOD)


def test_a_hash_that_is_none_is_no_password(file):
    """Whatever it looks like."""
    file.parent.mkdir()
    file.write_text("accounts: {ana: 'four words of a sentence', ben: ''}")
    file.chmod(0o600)
    assert not accounts.verify(file, "ana", GOOD)
    assert not accounts.verify(file, "ben", "")


def _add(file, name):
    accounts.add(file, name, GOOD)


def test_processes_that_add_at_once_lose_nobody(file):
    """Each reads what the one before has written."""
    accounts.add(file, "first", GOOD)
    context = multiprocessing.get_context("fork")
    adding = [context.Process(target=_add, args=(file, f"user{n}")) for n in range(4)]
    for one in adding:
        one.start()
    for one in adding:
        one.join(60)
    assert set(accounts.read(file)) == {"first", *(f"user{n}" for n in range(4))}
