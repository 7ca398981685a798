"""What the tests of this folder run on."""

from tests.emulators.vertex_server import bound, vertex

__all__ = ["bound", "vertex"]
