"""CI: what is run, in which order, for how long, and what is recorded of it."""
