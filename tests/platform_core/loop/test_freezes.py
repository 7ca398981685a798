"""The freeze switch, of one model and of everything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.freezes import freeze, frozen, thaw

T0 = datetime(2011, 3, 1, 12, 0, tzinfo=UTC)
OTHER = ModelRef("retail", "other")


def test_a_model_is_frozen_until_it_is_thawed(ledger, ref):
    """The entry says who and why; other models stay free."""
    assert frozen(ledger, ref) is None
    freeze(ledger, ref, "ada", "bad labels", T0)
    entry = frozen(ledger, ref)
    assert (entry.actor, entry.reason) == ("ada", "bad labels")
    assert frozen(ledger, OTHER) is None
    thaw(ledger, ref, "bob", "labels are mended", T0)
    assert frozen(ledger, ref) is None


def test_a_freeze_of_everything_is_thawed_by_itself(ledger, ref):
    """Thawing everything leaves a model frozen that was frozen alone, and the other way round."""
    freeze(ledger, None, "ada", "audit", T0)
    freeze(ledger, ref, "ada", "bad labels", T0)
    assert frozen(ledger, OTHER).reason == "audit"
    thaw(ledger, ref, "ada", "mended", T0)
    assert frozen(ledger, ref).reason == "audit"
    freeze(ledger, ref, "ada", "bad again", T0)
    thaw(ledger, None, "ada", "audit over", T0)
    assert frozen(ledger, ref).reason == "bad again"
    assert frozen(ledger, OTHER) is None


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("ada", " ")])
def test_nobody_freezes_without_name_and_reason(ledger, ref, actor, reason):
    """The ledger must say who and why."""
    for switch in (freeze, thaw):
        with pytest.raises(Refused, match="no person or no reason"):
            switch(ledger, ref, actor, reason, T0)
    assert ledger.entries() == []
