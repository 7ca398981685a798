"""Admission to the application: who asks, which models, and how often."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from loopline.gateway.api_keys import Authenticator, Tenant
from loopline.gateway.quota import Allowances
from loopline.platform_core.errors import BadRequest

TOO_MANY = 429


class Refusal(Exception):  # noqa: N818 - a signal, not an error
    """The request goes no further: by whom, why, and with which headers."""

    def __init__(
        self, reason: str, tenant: str, error: BadRequest, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self.reason, self.tenant, self.error, self.headers = reason, tenant, error, headers


class Admitted(NamedTuple):
    """Who was let in, "" where nobody is asked for a key, and which models may be asked and known of."""

    tenant: str
    may_ask: Callable[[str], bool]


EVERYBODY = Admitted("", Tenant().may_ask)


class Admission:
    """Lets tenants through to the models that they may ask, as often as they may; without keys it lets everybody."""

    def __init__(self, authenticator: Authenticator | None, allowances: Allowances) -> None:
        self._authenticator, self._allowances = authenticator, allowances

    def admit(self, model: str, headers: dict[bytes, bytes]) -> Admitted:
        """Return who asks.

        Raises:
            Refusal: the caller is unknown, may not ask the model, or has asked too much.
        """
        if self._authenticator is None:
            return EVERYBODY
        try:
            name, tenant = self._authenticator.tenant(headers)
        except BadRequest as error:
            raise Refusal("no_key", "", error, [(b"www-authenticate", b"Bearer")]) from error
        if model and not tenant.may_ask(model):
            said = f"tenant {name!r} may not ask model {model!r}"
            raise Refusal(
                "not_allowed", name, BadRequest(said, "ask whoever runs the endpoint to allow it", status=403)
            )
        wait = self._allowances.take(name, tenant) if model else 0.0
        if wait:
            seconds = math.ceil(wait)
            too_much = BadRequest(f"tenant {name!r} has asked too much", f"ask again in {seconds} s", status=TOO_MANY)
            raise Refusal("too_much", name, too_much, [(b"retry-after", b"%d" % seconds)])
        return Admitted(name, tenant.may_ask)
