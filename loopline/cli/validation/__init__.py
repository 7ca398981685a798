"""The checks of ``loopline validate``."""
