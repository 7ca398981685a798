"""Admission of a request: authenticates the API key, checks the model, and applies the rate limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopline.gateway.api_keys import Admitted, Authenticator, Tenant, may_ask
from loopline.gateway.quota import Allowances
from loopline.platform_core.errors import BadRequest

TOO_MANY = 429


class Refusal(Exception):  # noqa: N818 - a signal, not an error
    """The request goes no further: by whom, why, and with which headers."""

    def __init__(
        self, reason: str, tenant: str, error: BadRequest, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self.reason, self.tenant, self.error, self.headers = reason, tenant, error, headers


EVERYBODY = Admitted("", Tenant())


class Admission:
    """Lets tenants through to the models that they may ask, as often as they may; without keys it lets everybody."""

    def __init__(self, authenticator: Authenticator | None, allowances: Allowances) -> None:
        self._authenticator, self._allowances = authenticator, allowances

    def admit(self, model: str, headers: dict[bytes, bytes]) -> Admitted:
        """Return who asks, and take one request from what is left to them.

        Raises:
            Refusal: the caller is unknown, may not ask the model, or has asked too much.
            StoreUnavailable: what is left cannot be counted.
        """
        admitted = self.identify(model, headers)
        self.charge(admitted, model)
        return admitted

    def identify(self, model: str, headers: dict[bytes, bytes]) -> Admitted:
        """Return who asks; nothing is taken from what is left to them.

        Raises:
            Refusal: the caller is unknown, or may not ask the model.
        """
        if self._authenticator is None:
            return EVERYBODY
        try:
            admitted = self._authenticator.tenant(headers)
        except BadRequest as error:
            raise Refusal("no_key", "", error, [(b"www-authenticate", b"Bearer")]) from error
        if model and not may_ask(admitted.limits.models, model):
            said = f"tenant {admitted.tenant!r} may not ask model {model!r}"
            why = BadRequest(said, "ask whoever runs the endpoint to allow it", status=403)
            raise Refusal("not_allowed", admitted.tenant, why)
        return admitted

    def charge(self, who: Admitted, model: str) -> None:
        """Take one request to a model from what is left to somebody; one to none is free.

        Raises:
            Refusal: too little is left. StoreUnavailable: it cannot be counted.
        """
        (refused,) = self.take(who, 1) if model else (None,)
        if refused is not None:
            raise refused

    def take(self, who: Admitted, number: int) -> list[Refusal | None]:
        """Take so many requests from what is left to somebody, one after another: None for each that is granted.

        Raises:
            StoreUnavailable: they cannot be counted.
        """
        waits = self._allowances.take_several(who.tenant, who.limits, number)
        return [_too_much(who.tenant, math.ceil(wait)) if wait else None for wait in waits]


def _too_much(name: str, seconds: int) -> Refusal:
    error = BadRequest(f"tenant {name!r} has asked too much", f"ask again in {seconds} s", status=TOO_MANY)
    return Refusal("too_much", name, error, [(b"retry-after", b"%d" % seconds)])
