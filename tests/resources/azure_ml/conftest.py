"""What the tests of this folder run on."""

from tests.emulators.azure_ml_server import azure_ml, bound, identity, signed_in

__all__ = ["azure_ml", "bound", "identity", "signed_in"]
