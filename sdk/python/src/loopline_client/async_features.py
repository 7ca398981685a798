"""Features for code in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import httpx

from loopline_client import wire
from loopline_client.errors import Unavailable
from loopline_client.online import Key, OnlineFeatures
from loopline_client.training import ARROW, NDJSON, TrainingSet

if TYPE_CHECKING:
    from loopline_client.wire import Post, Rows


class AsyncFeatures:
    """The features of a team, from the service at ``url``; connections stay open until ``aclose``.

    A request waits ``timeout_seconds`` for an answer; when the service cannot answer now, it is sent again up to
    ``retries`` times, after as long as the service asks for.
    """

    def __init__(self, url: str, team: str, *, timeout_seconds: float = 5.0, retries: int = 2) -> None:
        self.team = team
        self.retries = retries
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_seconds)

    async def get_online(
        self,
        features: Sequence[str] | None = None,
        entities: Mapping[str, Sequence[Key]] | None = None,
        at: datetime | None = None,
        *,
        model: str | None = None,
    ) -> OnlineFeatures:
        """Get the newest values of features (``"view:feature"``, ``"view"``), or of those of a ``model``.

        ``entities`` has a list of keys for each entity, one a row. ``at`` is the instant against which a view's
        TTL is held; the service's clock when None.

        Raises:
            FeatureError: with ``problem`` and ``fix``.
        """
        return OnlineFeatures((await self._sent(wire.online(self.team, features, model, entities or {}, at))).content)

    async def get_training_set(  # noqa: PLR0913 - the fields of the request
        self,
        features: Sequence[str] | None = None,
        rows: Rows | None = None,
        as_of: datetime | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        kind: Literal["arrow", "ndjson"] = "arrow",
    ) -> TrainingSet:
        """Get features as they were known when each row happened, or a ``model``'s training set.

        With ``version`` it is the set on which that version was trained, bit for bit.

        ``rows`` has the views' entities and ``event_time`` (UTC): dictionaries, columns or an Arrow table. With
        ``as_of`` nothing counts that became known later.

        Raises:
            FeatureError: with ``problem`` and ``fix``.
        """
        accept = ARROW if kind == "arrow" else NDJSON
        return wire.training_set(
            await self._sent(wire.training(self.team, features, model, version, rows, as_of, accept))
        )

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def _sent(self, post: Post) -> httpx.Response:
        attempt = 0
        while True:
            try:
                return await self._once(post)
            except Unavailable as failure:
                await asyncio.sleep(wire.delay_seconds(failure, attempt, self.retries))
                attempt += 1

    async def _once(self, post: Post) -> httpx.Response:
        try:
            response = await self._http.post(post.path, content=post.content, headers=post.headers, params=post.params)
        except httpx.TransportError as cause:
            raise wire.unreachable(str(self._http.base_url), cause) from cause
        if not response.is_success:
            raise wire.error(response)
        return response
