"""Commands ``loopline login`` and ``loopline logout``: sign-in of the person at the command line."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Call, Command
from loopline.cli.output import Answer

if TYPE_CHECKING:
    from loopline.platform_core.identity.caller import Caller
    from loopline.sign_in.command import Command as Asked


@click.command("login", cls=Command)
@click.option("--name", help="Of which account, where the environment has accounts; it is asked for when left out.")
@click.option("--password-stdin", is_flag=True, help="Read an account's password from standard input, its first line.")
@click.pass_obj
def login(call: Call, name: str | None, password_stdin: bool) -> Answer:
    """Say who you are, once: commands that decide are signed with that name until 'loopline logout'.

    With a provider a code is shown that you confirm in a browser, on any machine; with accounts name and password are
    asked for. What is kept lies below your own configuration, and only you can read it.
    """
    from loopline.sign_in import command

    with command.opened() as asked:
        found = _by_password(asked, name, password_stdin) if asked.desk.provider is None else _by_device(asked, call)
    return Answer(_data(found), f"logged in as {_described(found)}")


@click.command("logout", cls=Command)
def logout() -> Answer:
    """Forget who logged in, here and at the provider."""
    from loopline.sign_in import command

    with command.opened() as asked:
        found = asked.log_out()
    return Answer({"name": found.name if found else None}, f"{found.name} is logged out" if found else "nobody was")


def _by_password(asked: Asked, name: str | None, from_stdin: bool) -> Caller:
    who = name or str(click.prompt("Name", err=True))
    secret = sys.stdin.readline().rstrip("\n") if from_stdin else click.prompt("Password", hide_input=True, err=True)
    return asked.by_password(who, secret, socket.gethostname())


def _by_device(asked: Asked, call: Call) -> Caller:
    from loopline.sign_in import device

    assert asked.desk.provider is not None  # asked where there is one
    code = device.begin(asked.desk.provider)
    said = f"open {code.direct}\nor enter the code {code.user} at {code.address}" if code.direct else ""
    data = {"user_code": code.user, "address": code.address, "direct": code.direct}
    if call.json:
        call.show(Answer(data, ""))
    else:
        click.echo(said or f"enter the code {code.user} at {code.address}", err=True)
    return asked.by_device(device.wait(asked.desk.provider, code))


def _data(found: Caller) -> dict[str, object]:
    return {"name": found.name, "groups": sorted(found.groups), "issuer": found.issuer}


def _described(found: Caller) -> str:
    groups = f", of {', '.join(sorted(found.groups))}" if found.groups else ""
    return f"{found.name}{groups}"
