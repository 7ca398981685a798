"""How long a code location of many models takes to load."""
