"""Events a second that are scored with state, exactly once."""
