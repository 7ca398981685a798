"""Lazy command groups: a command's module is imported when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from loopline.cli.output import as_json, show_problem

Where = tuple[str, str]
"""``("package.module:command", "what it does, in one line")``."""


SHARED = {"--output": True, "--home": True, "--environment": True, "--debug": False}
"""Options that every command has, and whether a value follows; ``command.py`` declares them."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and line of help, and imports only the one called."""

    def __init__(self, name: str, where: Mapping[str, Where], help: str) -> None:  # noqa: A002 - click's word
        super().__init__(name, help=help, no_args_is_help=True)
        self.where = where

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order in which they were given."""
        return list(self.where)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self.where:
            return None
        module, _, attribute = self.where[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read options; those that every command has may stand before its name too."""
        return super().parse_args(ctx, _behind(args))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; one that is not there is told with those that look like it."""
        name = args[0]
        if name not in self.where and name[:1].isalnum():
            from difflib import get_close_matches

            near = " or ".join(map(repr, get_close_matches(name, self.where)))
            ctx.fail(f"No such command {name!r}. " + (f"Did you mean {near}?" if near else "See --help for all."))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.where.items()])

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run, and answer a wrong call in the form asked for."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, **{**extra, "standalone_mode": False})
        except click.Abort:
            code = 130
        except click.ClickException as error:
            code = error.exit_code
            if as_json(given):
                show_problem("Usage", error.format_message(), "see --help", json=True)
            else:
                error.show()
        sys.exit(code if isinstance(code, int) else 0)


def _behind(args: Sequence[str]) -> list[str]:
    """Put shared options that stand before a command behind it, where it looks for them."""
    rest, moved = list(args), list[str]()
    while rest and (name := rest[0].partition("=")[0]) in SHARED:
        size = 1 + (SHARED[name] and "=" not in rest[0])
        moved, rest = [*moved, *rest[:size]], rest[size:]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *moved, *rest[end:]] if rest else []
