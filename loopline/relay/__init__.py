"""Relay beside a remote inference server: brings desired states to its disk, and ships its prediction log."""
