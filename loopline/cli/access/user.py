"""Commands ``loopline user``: local accounts of teams without an identity provider."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.platform_core.platform import Platform

_MODULE = "loopline.cli.access.user"
user = LazyGroup(
    "user",
    {
        "add": (f"{_MODULE}:add", "Make an account; its password is asked for."),
        "list": (f"{_MODULE}:list_", "Who has an account."),
        "password": (f"{_MODULE}:password", "Give an account another password; who is signed in by it is signed out."),
        "remove": (f"{_MODULE}:remove", "Take an account away; who is signed in by it is signed out."),
    },
    "Local accounts, for teams without an identity provider: the file that sign_in.accounts names.",
)
_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, its first line.")


@click.command("add", cls=Command)
@click.argument("name")
@_STDIN
def add(name: str, password_stdin: bool) -> Answer:
    """Make an account for NAME."""
    from loopline.platform_core.identity import accounts

    with _accounts() as (platform, file):
        accounts.add(file, name, _new_password(password_stdin))
        _note(platform, "added", name)
    return Answer({"user": name, "file": str(file)}, f"{name} has an account in {file}")


@click.command("list", cls=Command)
def list_() -> Answer:
    """List who has an account."""
    from loopline.platform_core.identity import accounts

    with _accounts() as (_, file):
        names = sorted(accounts.read(file))
    return Answer(
        {"users": names, "file": str(file)}, table([[name] for name in names], ("name",)) if names else "none"
    )


@click.command("password", cls=Command)
@click.argument("name")
@_STDIN
def password(name: str, password_stdin: bool) -> Answer:
    """Give NAME another password, and end all sessions of that account."""
    from loopline.platform_core.identity import accounts

    with _accounts() as (platform, file):
        accounts.change(file, name, _new_password(password_stdin))
        ended = _end_sessions(platform, name)
        _note(platform, "password", name)
    return Answer({"user": name, "ended": ended}, f"{name} has another password; {ended} sessions are over")


@click.command("remove", cls=Command)
@click.argument("name")
def remove(name: str) -> Answer:
    """Take the account of NAME away, and end all its sessions."""
    from loopline.platform_core.identity import accounts

    with _accounts() as (platform, file):
        accounts.remove(file, name)
        ended = _end_sessions(platform, name)
        _note(platform, "removed", name)
    return Answer({"user": name, "ended": ended}, f"{name} has no account any more; {ended} sessions are over")


@contextmanager
def _accounts() -> Iterator[tuple[Platform, Path]]:
    """Give the platform, and the file of accounts.

    Raises:
        InvalidEnvironment: the environment names none.
    """
    from loopline.platform_core.errors import InvalidEnvironment

    with opened(only=()) as platform:
        said = platform.environment.sign_in
        if said is None or said.accounts is None:
            raise InvalidEnvironment(
                f"{platform.environment.path} names no accounts", "add sign_in: {accounts: accounts.yaml} to it"
            )
        yield platform, said.accounts


def _new_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _end_sessions(platform: Platform, name: str) -> int:
    from loopline.platform_core.identity.sessions import Sessions

    return Sessions(platform.ledger, 0, 0).end_all(name)


def _note(platform: Platform, what: str, name: str) -> None:
    """Write into the record who changed an account: the account of this machine, whose file it is."""
    import getpass

    from loopline.platform_core.identity import noted

    noted.account_changed(platform.ledger, what, getpass.getuser(), name)
