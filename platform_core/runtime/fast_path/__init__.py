"""Plain requests that one turn of the event loop answers together, without ASGI."""
