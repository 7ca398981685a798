"""Base of all commands: ``--output``, ``--home``, ``--environment``, ``--debug``, and how errors are printed."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.deciding import allowed
from loopline.cli.output import Answer, show, show_problem

_SHUT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Call:
    """How the command was called."""

    json: bool
    debug: bool
    stdout: Any

    def show(self, answer: Answer) -> None:
        """Write an answer now, while the command goes on."""
        with contextlib.redirect_stdout(self.stdout):
            show(answer, json=self.json)
            sys.stdout.flush()


class Command(click.Command):
    """A command that returns an ``Answer``; everything that its libraries print goes to stderr.

    What decides something is asked of policies first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and write what it found."""
        call = ctx.obj = _call(ctx)
        try:
            with contextlib.redirect_stdout(sys.stderr), allowed(ctx):
                answer = super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except Exception as error:
            if call.debug:
                raise
            _print_error(error, call)
            ctx.exit(1)
        if isinstance(answer, Answer):
            call.show(answer)
            ctx.exit(answer.exit_code)


def command(name: str | None = None) -> Callable[[Callable[..., Answer | None]], Command]:
    """Declare a function as a command."""
    return click.command(name, cls=Command)


if TYPE_CHECKING:
    _InstantType = click.ParamType[datetime]
else:
    _InstantType = click.ParamType  # Click takes a type for it from 8.4 on


class Instant(_InstantType):
    """A time in ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the time."""
        try:
            parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2011-03-01T12:00", param, ctx)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal's stderr that long work goes on; the function given back changes the words."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield status.update


def _print_error(error: Exception, call: Call) -> None:
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.redaction import redacted

    error = _of_home(error) or error
    kind = type(error).__name__
    with contextlib.redirect_stdout(call.stdout):
        if isinstance(error, LooplineError):
            show_problem(kind, error.problem, error.fix, json=call.json)
        else:
            fix = "run it again with --debug for the traceback; this is a defect of Loopline or of a library"
            show_problem(kind, redacted(f"{kind}: {error}"), fix, json=call.json)


def _of_home(error: Exception) -> Exception | None:
    """Return what to tell of a home in which nothing can be kept; None where it is another error."""
    from loopline.platform_core.environment import home
    from loopline.platform_core.errors import InvalidEnvironment

    if not isinstance(error, OSError) or error.errno not in _SHUT or not isinstance(error.filename, str):
        return None
    if os.path.commonpath([os.path.abspath(error.filename), home()]) not in {str(home()), error.filename}:  # noqa: PTH100
        return None
    return InvalidEnvironment(
        f"nothing can be kept in {home()}: {error.strerror} ({error.filename})",
        "let this user write there, or choose another folder with --home",
    )


def _call(ctx: click.Context) -> Call:
    given = ctx.params
    output, debug = given.pop("output"), given.pop("debug")
    for name, variable in (("home", "LOOPLINE_HOME"), ("environment", "LOOPLINE_ENVIRONMENT")):
        value = given.pop(name)
        if value:
            os.environ[variable] = os.path.abspath(value)  # noqa: PTH100 - pathlib would be imported for this alone
    return Call(output == "json", debug, sys.stdout)


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(["--output"], type=click.Choice(["text", "json"]), default="text", help="Form of the answer."),
        click.Option(["--home"], metavar="FOLDER", help="Where all state is kept [LOOPLINE_HOME, else .loopline]."),
        click.Option(
            ["--environment"], metavar="FILE", help="Environment file [LOOPLINE_ENVIRONMENT, else the laptop's]."
        ),
        click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
    ]
