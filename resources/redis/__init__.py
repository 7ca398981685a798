"""Redis: one server's memory, shared by every process that reaches it."""
