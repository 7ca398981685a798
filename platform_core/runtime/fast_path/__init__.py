"""Fast path: answers the plain requests of one turn of the event loop as a batch, without ASGI."""
