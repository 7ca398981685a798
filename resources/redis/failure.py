"""Error mapping of Redis: its refusals and timeouts to our errors."""

from __future__ import annotations

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, StoreUnavailable, Unsupported

CLUSTER = ("CROSSSLOT", "MOVED", "ASK ", "CLUSTERDOWN", "Cluster", "Moved", "Ask")
"""How replies and redis-py's exceptions begin that only a cluster gives."""

NO_RIGHT = ("NOPERM", "NoPermissionError")
"""How they begin where the user may not do it."""


def failure(why: str) -> LooplineError:
    """Make the error for a reply or an exception."""
    if why.startswith(CLUSTER):
        return Unsupported(f"Redis Cluster: {why}", "bind the vendor 'redis_cluster' instead")
    if why.startswith(NO_RIGHT):
        return InvalidEnvironment(
            f"Redis: {why}", "name this user's own prefix, and 'shared: true' where the server is others' as well"
        )
    if "Function not found" in why:
        return InvalidEnvironment(
            f"Redis: {why}", "have the server's administrator make the tenant once more, which loads the functions"
        )
    return StoreUnavailable(f"Redis: {why}", "see that the server runs and is reached, and that it lets this user in")


def of_redis_py(error: Exception) -> LooplineError:
    """Make the error for an exception of redis-py, whose name holds what its text leaves out."""
    name = type(error).__name__
    return failure(f"{name}: {error}" if name.startswith((*CLUSTER, *NO_RIGHT)) else str(error))
