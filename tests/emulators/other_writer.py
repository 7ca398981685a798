"""Another writer of a lake's table, who comes between a writer and the store."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators.http_server import Request


@dataclass(frozen=True)
class OtherWriter:
    """A fault's ``change``: the request goes on as it is, once a row was appended to the table."""

    root: str
    options: dict[str, str]
    table: str
    number: int
    transactions: dict[str, int]

    def __call__(self, asked: Request) -> Request:
        """Append it."""
        from loopline.platform_core.testing.lake import numbered
        from loopline.resources.delta.lake import DeltaLake

        lake = DeltaLake(root=self.root, storage_options=self.options)
        lake.append(self.table, numbered(self.number), self.transactions)
        return asked
