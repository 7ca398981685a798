"""Capacity check of an endpoint group: whether another model fits its pods' memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import Refused

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState
    from loopline.resources.kubernetes.pod_serving import PodServing

_GB, _GIB = 1e9, 2.0**30


def require(serving: PodServing, state: DesiredState) -> None:
    """Refuse a state whose new packages do not fit beside what the group's servers hold now.

    A version takes at least its package's size (``memory_factor`` times that) in each worker, and is loaded before the
    one that it replaces goes.

    Raises:
        Refused: it does not fit; nothing has changed.
    """
    before = serving.states.wanted(state.model)
    known = {str(one.package) for one in before.answering} if before else set()
    new = {one.package for one in state.answering if str(one.package) not in known}
    size = sum(file.stat().st_size for package in new for file in package.rglob("*") if file.is_file())
    if not size:
        return
    group = serving.group(state.model)
    held = max((use.memory_gb for use in serving.group_states(group).uses()), default=0.0) * _GIB / _GB
    more = size * serving.memory_factor / _GB
    if serving.workers * (held + more) <= serving.memory_gb:
        return
    each = f"{serving.workers} workers of " if serving.workers > 1 else ""
    raise Refused(
        f"{state.model} does not fit endpoint group {group!r}: a pod's {each}server holds {held:.2f} GB, new versions "
        f"need {more:.2f} GB more, and memory_gb is {serving.memory_gb:g}",
        "raise serving.memory_gb, or name another serving.endpoint_group, such as '{team}.{model}'",
    )
