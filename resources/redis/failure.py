"""What a server's refusal, or its silence, means for whoever asked."""

from __future__ import annotations

from loopline.platform_core.errors import LooplineError, StoreUnavailable, Unsupported

CLUSTER = ("CROSSSLOT", "MOVED", "ASK ", "CLUSTERDOWN", "Cluster", "Moved", "Ask")
"""How replies and redis-py's exceptions begin that only a cluster gives."""


def failure(why: str) -> LooplineError:
    """Make the error for a reply or an exception."""
    if why.startswith(CLUSTER):
        return Unsupported(f"Redis Cluster: {why}", "bind the vendor 'redis_cluster' instead")
    return StoreUnavailable(f"Redis: {why}", "see that the server runs and is reached, and that it lets this user in")


def of_redis_py(error: Exception) -> LooplineError:
    """Make the error for an exception of redis-py, whose name holds what its text leaves out."""
    name = type(error).__name__
    return failure(f"{name}: {error}" if name.startswith(CLUSTER) else str(error))
